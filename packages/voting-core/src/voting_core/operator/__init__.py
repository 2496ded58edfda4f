"""The operator's command `voting`: set up, import, watch, check and certify an election."""

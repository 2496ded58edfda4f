"""The operator's command `voting`: set up, import, watch, reconcile and certify an election."""

"""Programs that do only what no implementation of a stage can avoid: its limit on this machine."""

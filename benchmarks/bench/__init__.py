"""How fast each stage is, beside other ways to do the same and beside its limit on this machine."""

"""Removes one rule of the protocol at a time from a copy of the tree, and runs its tests there.

Run as `python -m mutations [NAME…]`, which `nox -s mutations` does. A rule whose removal turns no
test red is not tested.
"""

"""Releases of the packages, and the checks that keep them releasable."""

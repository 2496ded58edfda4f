"""Tests that need a cluster of processes."""

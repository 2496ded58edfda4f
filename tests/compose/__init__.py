"""The whole system in containers."""

"""The built packages, installed from dist/ into empty environments."""

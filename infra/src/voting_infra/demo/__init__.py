"""A whole election on an embedded stack: the four services as processes of their own."""

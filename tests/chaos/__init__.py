"""The whole pipeline under load while its parts are killed, and the count that results."""

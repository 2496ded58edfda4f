"""The whole pipeline under load while its parts are killed, and what is left of the count."""

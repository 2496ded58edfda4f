"""The error of this package."""


class ReleaseError(Exception):
    """A release is refused, or could not be made; each line says what to mend."""

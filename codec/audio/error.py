"""The error for unusable audio."""


class AudioError(ValueError):
    """Unusable audio; the message names the file or argument and the remedy."""

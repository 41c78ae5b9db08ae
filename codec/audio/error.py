"""What is raised for audio that cannot be used."""


class AudioError(ValueError):
    """Audio that cannot be used; the message names the file or argument and what to do."""

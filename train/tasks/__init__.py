"""Tasks: networks, losses and validation of what is trained."""

"""Settings of a run: their dataclasses, their help, and advice on misspelt ones."""

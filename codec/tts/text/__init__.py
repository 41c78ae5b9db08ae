"""Text on its way to the backbone: sentences, numbers and signs as words, and ids."""

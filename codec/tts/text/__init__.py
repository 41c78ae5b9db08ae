"""From written text to token ids: sentences, numbers and signs as words, phonemes, tokenizers."""

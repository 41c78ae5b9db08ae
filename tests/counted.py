"""What a worker computes on, after it has encoded."""

import os

import torch

from codec import Tokenizer, Tokens


class Counted:
    """Encode a list of recordings; returns tokens, torch's threads and all threads of this process."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def __call__(self, recordings: list[str]) -> tuple[Tokens, int, int]:
        tokens = self.tokenizer.encode(recordings)
        return tokens, torch.get_num_threads(), len(os.listdir("/proc/self/task"))

import pytest
import torch

from codec.tts.config import PRESETS, TTSConfig
from codec.tts.model import TTSModel
from codec.tts.text.tokenizer import BPETokenizer


@pytest.fixture(scope="session")
def text_tokenizer():
    return BPETokenizer.train(["the quick brown fox jumps over the lazy dog", "a voice says what it reads"], 300)


@pytest.fixture
def make_model():
    """Tiny voice models of any design, seeded, whose tokens vary."""

    def make(
        design: str = "prefix", head: str = "flow", seed: int = 0, reads: bool = False, n_layers: int = 2
    ) -> TTSModel:
        config = TTSConfig.from_json(PRESETS["tiny"].to_json())
        config.sequence.design = design
        config.head = head
        config.acoustic_reads_semantic = reads
        config.backbone.n_layers = n_layers
        config.head_transformer.n_layers = n_layers + 1
        torch.manual_seed(seed)
        model = TTSModel(config).eval().requires_grad_(False)
        for p in model.parameters():
            if p.ndim == 2:
                p *= 4  # weights of 0.02 would make all frames alike
        return model

    return make


@pytest.fixture(scope="session")
def voice_codes():
    generator = torch.Generator().manual_seed(7)
    config = PRESETS["tiny"]
    return torch.stack([torch.randint(n, (30,), generator=generator) for n in config.codebook_sizes])

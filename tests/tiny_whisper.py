"""Tiny Whispers of random weights."""

from pathlib import Path

import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

END, START = 40, 41  # tokens, after 40 words


def make_whisper(**changes: object) -> WhisperForConditionalGeneration:
    torch.manual_seed(0)
    sizes = {
        "d_model": 16,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "num_mel_bins": 16,
        "init_std": 0.5,
    }
    return WhisperForConditionalGeneration(WhisperConfig(**{**sizes, **changes}))


def save_teacher(folder: Path, seconds: int) -> str:
    """Save a Whisper that hears `seconds` at a time and knows 40 words; returns `folder`."""
    make_whisper(
        vocab_size=44,
        decoder_layers=2,
        max_source_positions=50 * seconds,
        max_target_positions=24,
        eos_token_id=END,
        bos_token_id=END,
        pad_token_id=END,
        decoder_start_token_id=START,
        suppress_tokens=None,
        begin_suppress_tokens=[END],
    ).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=16, chunk_length=seconds).save_pretrained(folder)
    return str(folder)

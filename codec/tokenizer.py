"""The speech tokenizer: audio of any kind to `Tokens`, and `Tokens` to waveforms."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from codec.audio.error import AudioError
from codec.audio.io import Audio, is_pair, read_audio
from codec.checkpoint import store, voxtral
from codec.checkpoint.hub import DEFAULT, resolve
from codec.config import PRESETS, CodecConfig, preset
from codec.model import Codec
from codec.stream import DecoderStream, EncoderStream
from codec.tokens.layout import IdLayout
from codec.tokens.tokens import Tokens, check_codes


class Tokenizer:
    """A codec with audio files, sample rates and lengths taken care of.

    Args:
        model: the codec; used in eval mode.
        fingerprint: its identity, stamped on tokens; computed from the weights unless given.
    """

    def __init__(self, model: Codec, fingerprint: str | None = None) -> None:
        self.model = model.eval()
        if fingerprint is not None:
            self.fingerprint = fingerprint

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the config and weights. Tokens decode only with the codec that has theirs."""
        return store.fingerprint(self.config, self.model.state_dict())

    @property
    def config(self) -> CodecConfig:
        return self.model.config

    @property
    def id_layout(self) -> IdLayout:
        """Ids for a language model over all codebooks, as in the released model."""
        return IdLayout(self.config.codebook_sizes)

    @torch.no_grad()
    def encode(self, audio: Audio | Sequence[Audio], sample_rate: float | None = None) -> Tokens:
        """Encode one recording or a list of recordings of any lengths.

        Args:
            audio: a path, or a file open for reading bytes; or samples `[L]` or `[channels, L]` (float, int16 or
                int32; channels are averaged); or (samples, sample_rate); or an item of a column of the package
                `datasets`; or a list of these.
            sample_rate: of bare samples, in Hz. All others have their own.

        Returns:
            Tokens, an item for each recording, equal to what it gives alone. No gradient passes; one does through
            `model`.

        Raises:
            AudioError: unusable audio. MissingEncoderError: the checkpoint has no encoder.
        """
        self.model.encoder  # noqa: B018  raises before files are read
        if isinstance(audio, Iterator) and not hasattr(audio, "read"):
            raise AudioError(f"audio: {type(audio).__name__}; give the recordings as a list: encode(list(...))")
        recordings = audio if isinstance(audio, list | tuple) and not is_pair(audio) else [audio]
        if not recordings:
            raise ValueError("audio: an empty list; give at least one recording")
        target = self.config.sample_rate
        waveforms = [read_audio(a, sample_rate, target, f"audio[{i}]") for i, a in enumerate(recordings)]
        n_samples = torch.tensor([len(w) for w in waveforms])
        batch = pad_sequence(waveforms, batch_first=True).to(self.model.device)
        lengths = None if len(waveforms) == 1 else n_samples.to(batch.device)
        codes = self.model.encode(batch, lengths)
        tokens = Tokens(codes, n_samples.to(batch.device), target, self.config.hop_length, self.fingerprint)
        past = torch.arange(codes.shape[2], device=codes.device) >= tokens.lengths[:, None]
        codes.masked_fill_(past[:, None], 0)
        return tokens

    @torch.no_grad()
    def decode(self, tokens: Tokens | Tensor | NDArray) -> list[Tensor]:
        """Decode tokens, or codes `[B, n_q, T]`, of any number of codebooks.

        Returns:
            One waveform `[L_i]` float32 for each item, cut to its own length; not limited to [-1, 1]. No gradient
            passes; one does through `model`.

        Raises:
            ValueError: codes out of range, or made by another codec.
        """
        c = self.config
        if not isinstance(tokens, Tokens):
            tokens = Tokens.of_codes(tokens, c.sample_rate, c.hop_length)
        if tokens.fingerprint not in ("", self.fingerprint):
            raise ValueError(
                f"tokens: made by codec {tokens.fingerprint}, this one is {self.fingerprint}; load that codec, or "
                "drop the fingerprint (dataclasses.replace(tokens, fingerprint='')) if you know that they fit"
            )
        check_codes(tokens.codes, c.codebook_sizes)
        if not tokens.codes.shape[2]:
            return [torch.zeros(0, dtype=torch.float32) for _ in range(len(tokens))]
        device = self.model.device
        lengths = None if len(tokens) == 1 else tokens.lengths.to(device)
        waveforms = self.model.decode(tokens.codes.to(device), lengths).float()
        return [w[: int(n)] for w, n in zip(waveforms, tokens.n_samples, strict=True)]

    def encoder_stream(self, batch_size: int = 1) -> EncoderStream:
        """New streams from samples to tokens."""
        return EncoderStream(self.model, batch_size, self.fingerprint)

    def decoder_stream(self, batch_size: int = 1) -> DecoderStream:
        """New streams from tokens to samples."""
        return DecoderStream(self.model, batch_size)

    def save(self, folder: str | Path) -> None:
        """Write a checkpoint folder that `codec.load` reads; whole or not at all."""
        store.save_checkpoint(folder, self.config, self.model.state_dict())

    def export_voxtral(self, folder: str | Path) -> None:
        """Write the codec in the released Voxtral layout, float32.

        Raises:
            ValueError: that layout cannot express this configuration.
        """
        state = {name: t.float() for name, t in self.model.state_dict().items() if t.is_floating_point()}
        voxtral.write_voxtral(Path(folder), self.config, state)


def load(
    name: str | Path = DEFAULT, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> Tokenizer:
    """Load a tokenizer.

    Args:
        name: "default" for the trained codec that comes with this package, a checkpoint folder (ours, or
            the released Voxtral layout), a hub id, or a preset of `codec.config`. A preset has random
            weights, always the same, and warns that it is untrained.
        device: where to put it.
        dtype: of the encoder's and decoder's weights, e.g. torch.bfloat16; the quantizer is always float32.

    Raises:
        CheckpointError: not found, damaged, or tensors that do not fit the config.
        ValueError: `dtype` is no floating type.
    """
    if not dtype.is_floating_point:
        raise ValueError(f"dtype = {dtype}: expected a floating type")
    with float32_by_default():
        if str(name) in PRESETS and not Path(name).exists():
            warnings.warn(f"preset {name!r} is untrained: its weights are random and it decodes to noise", stacklevel=2)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                model, fingerprint = Codec(preset(str(name))), None
        else:
            model, fingerprint = _load_folder(resolve(name))
    tokenizer = Tokenizer(model.requires_grad_(False), fingerprint)
    _ = tokenizer.fingerprint  # before rounding to `dtype`, which keeps the codec's identity
    model.cast(dtype).to(device)
    return tokenizer


@contextmanager
def float32_by_default() -> Iterator[None]:
    """In it, new tensors are float32, whatever `torch.set_default_dtype` was told."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)


def _load_folder(folder: Path) -> tuple[Codec, str | None]:
    if voxtral.is_released(folder):
        config, state = voxtral.read_voxtral(folder)
        fingerprint = None
    else:
        config, state, fingerprint = store.load_checkpoint(folder)
    model = Codec(config, with_encoder=any(name.startswith("_encoder.") for name in state))
    store.check_tensors(folder, model.state_dict(), state)
    model.load_state_dict(state)
    return model, fingerprint

"""The speech tokenizer: audio to `Tokens`, and `Tokens` to waveforms."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from codec.audio.error import AudioError
from codec.audio.io import Audio, as_list, read_audio
from codec.bitstream.token_model import TOKEN_MODEL, TokenModel
from codec.checkpoint import pretrained, store, voxtral
from codec.checkpoint.hub import resolve
from codec.checkpoint.store import CheckpointError
from codec.config import PRESETS, CodecConfig, preset
from codec.files import atomic_folder
from codec.model import Codec
from codec.nn.precision import check_device, warn_if_emulated
from codec.nn.product import store_for_streams
from codec.settings import DEFAULT, require
from codec.stream import DecoderStream, EncoderStream
from codec.tokens.layout import IdLayout
from codec.tokens.tokens import Tokens, check_codes, pad_codes

MIN_LENGTH_RATIO = 0.75  # shortest over longest item of a batch; below, padding costs more than another batch


class Tokenizer:
    """A codec for audio files and arrays of any sample rate and length.

    A pickle, as for worker processes, holds only the checkpoint folder if the weights are those of the folder, else the
    weights.

    Args:
        model: the codec; used in eval mode.
        fingerprint: stored in tokens; computed from the weights unless given.
        source: checkpoint folder that it was loaded from, if any.
    """

    def __init__(self, model: Codec, fingerprint: str | None = None, source: str = "") -> None:
        self.model, self._source = model.eval(), source
        if fingerprint is not None:
            self.fingerprint = fingerprint

    def __getstate__(self) -> dict[str, Any]:
        if not self._matches_source():
            return self.__dict__
        return {
            "source": self._source,
            "fingerprint": self.fingerprint,
            "device": self.model.device,
            "dtype": self.model.dtype,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "source" in state:
            state = _reload(**state).__dict__
        self.__dict__.update(state)

    def _matches_source(self) -> bool:
        """Whether the weights are still those of the source folder."""
        if not self._source or any(p.requires_grad for p in self.model.parameters()):
            return False
        try:
            again = _reload(self._source, self.fingerprint, "cpu", self.model.dtype).model.state_dict()
        except CheckpointError:
            return False
        ours = self.model.state_dict()
        return ours.keys() == again.keys() and all(torch.equal(again[name], t.cpu()) for name, t in ours.items())

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the config and weights. Tokens decode only with the codec of the same fingerprint."""
        return store.fingerprint(self.config, self.model.state_dict())

    @cached_property
    def token_model(self) -> TokenModel | None:
        """Model for entropy coding of streams; None if the checkpoint folder has none.

        Raises:
            BitstreamError: a damaged file.
        """
        path = Path(self._source) / TOKEN_MODEL
        return TokenModel.load(path) if self._source and path.is_file() else None

    @property
    def config(self) -> CodecConfig:
        return self.model.config

    @property
    def id_layout(self) -> IdLayout:
        """Layout of ids for a language model, as in the released model."""
        return IdLayout(self.config.codebook_sizes)

    @overload
    def encode(
        self, audio: Audio | Sequence[Audio], sample_rate: float | None = None, on_error: Literal["raise"] = "raise"
    ) -> Tokens: ...

    @overload
    def encode(
        self, audio: Audio | Sequence[Audio], sample_rate: float | None = None, *, on_error: Literal["skip"]
    ) -> tuple[Tokens, dict[int, str]]: ...

    @torch.no_grad()
    def encode(
        self,
        audio: Audio | Sequence[Audio],
        sample_rate: float | None = None,
        on_error: Literal["raise", "skip"] = "raise",
    ) -> Tokens | tuple[Tokens, dict[int, str]]:
        """Encode a recording or a list of recordings of any lengths; batches those of similar length.

        Args:
            audio: a path, or a file open for reading bytes; or samples `[L]` or `[channels, L]` (float, int16 or
                int32; channels are averaged); or (samples, sample_rate); or an item of a column of the package
                `datasets`; or a list of these.
            sample_rate: of bare samples, in Hz.
            on_error: for unusable recordings: "raise", or "skip", which gives items without frames.

        Returns:
            Tokens, an item per recording, in order; an item does not depend on the others. Without gradients; use
            `model` for those. With "skip" also the reasons, by position of the skipped recordings.

        Raises:
            AudioError: unusable audio. MissingEncoderError: the checkpoint has no encoder.
        """
        self.model.encoder  # noqa: B018  raises if it is missing
        require(on_error in ("raise", "skip"), "on_error", on_error, "raise or skip")
        if isinstance(audio, Iterator) and not hasattr(audio, "read"):
            raise AudioError(f"audio: {type(audio).__name__}; give the recordings as a list: encode(list(...))")
        recordings = as_list(audio)
        if not recordings:
            raise ValueError("audio: an empty list; give at least one recording")
        waveforms: dict[int, Tensor] = {}
        skipped: dict[int, str] = {}
        for i, recording in enumerate(recordings):
            try:
                waveforms[i] = read_audio(recording, sample_rate, self.config.sample_rate, f"audio[{i}]")
            except AudioError as error:
                if on_error == "raise":
                    raise
                skipped[i] = str(error)
        tokens = self._encode(waveforms, len(recordings))
        return tokens if on_error == "raise" else (tokens, skipped)

    def _encode(self, waveforms: dict[int, Tensor], n_items: int) -> Tokens:
        """Encode waveforms `[L_i]` by position among `n_items`; other items have no frames."""
        c, device = self.config, self.model.device
        rows = [torch.zeros(c.num_codebooks, 0, dtype=torch.int64, device=device)] * n_items
        n_samples = torch.zeros(n_items, dtype=torch.int64)
        for group in _group_by_length({i: len(w) for i, w in waveforms.items()}):
            lengths = torch.tensor([len(waveforms[i]) for i in group])
            n_samples[group] = lengths
            batch = pad_sequence([waveforms[i] for i in group], batch_first=True).to(device)
            codes = self.model.encode(batch, None if len(group) == 1 else lengths.to(device))
            for i, row, length in zip(group, codes, lengths.tolist(), strict=True):
                rows[i] = row[:, : -(-length // c.hop_length)]
        return Tokens(pad_codes(rows), n_samples.to(device), c.sample_rate, c.hop_length, self.fingerprint)

    @torch.no_grad()
    def decode(self, tokens: Tokens | Tensor | NDArray) -> list[Tensor]:
        """Decode tokens, or codes `[B, n_q, T]`, of any number of codebooks.

        Returns:
            A waveform `[L_i]` float32 per item, cut to its length; not limited to [-1, 1]. Without gradients; use
            `model` for those.

        Raises:
            ValueError: codes out of range, or of another codec.
        """
        c = self.config
        if not isinstance(tokens, Tokens):
            tokens = Tokens.from_codes(tokens, c.sample_rate, c.hop_length)
        if tokens.fingerprint not in ("", self.fingerprint):
            raise ValueError(
                f"tokens: made by codec {tokens.fingerprint}, this one is {self.fingerprint}; load that codec, or "
                "drop the fingerprint (dataclasses.replace(tokens, fingerprint='')) if you know that they match"
            )
        check_codes(tokens.codes, c.codebook_sizes)
        device = self.model.device
        waveforms = [torch.zeros(0, dtype=torch.float32, device=device)] * len(tokens)
        for group in _group_by_length({i: n for i, n in enumerate(tokens.lengths.tolist()) if n}):
            lengths = tokens.lengths[group]
            codes = tokens.codes[group, :, : int(lengths.max())].to(device)
            decoded = self.model.decode(codes, None if len(group) == 1 else lengths.to(device)).float()
            for i, waveform in zip(group, decoded, strict=True):
                waveforms[i] = waveform[: int(tokens.n_samples[i])]
        return waveforms

    def encoder_stream(self, batch_size: int = 1) -> EncoderStream:
        """Start streams from samples to tokens."""
        return EncoderStream(self.model, batch_size, self.fingerprint)

    def decoder_stream(self, batch_size: int = 1) -> DecoderStream:
        """Start streams from tokens to samples."""
        return DecoderStream(self.model, batch_size)

    def save(self, folder: str | Path) -> None:
        """Write a checkpoint folder for `codec.load`; an unchanged codec keeps its fingerprint and its token model."""
        state, is_unchanged = self.model.state_dict(), self._matches_source()
        if is_unchanged:
            with suppress(CheckpointError):  # the source has another layout
                _, state, _ = store.read_checkpoint(self._source, CodecConfig)  # in the types of the file
        with atomic_folder(Path(folder)) as new:
            store.write_checkpoint(new, self.config, state)
            if is_unchanged and self.token_model:
                self.token_model.save(new / TOKEN_MODEL)

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
        name: "default" for the packaged trained codec, a checkpoint folder (of this library, of `codec.hf`, or in the
            released Voxtral layout), a hub id, or a preset of `codec.config`. A preset has fixed random weights and
            warns that it is untrained.
        device: of the model.
        dtype: of the encoder's and decoder's weights; the quantizer is always float32. bfloat16 warns where the
            device only emulates it.

    Raises:
        CheckpointError: not found, damaged, or tensors that do not match the config.
        ValueError: `dtype` is not a floating type, or there is no such device.
    """
    require(dtype.is_floating_point, "dtype", dtype, "a floating type")
    check_device(device)
    warn_if_emulated(dtype, device)
    source = ""
    with float32_by_default():
        if str(name) in PRESETS and not Path(name).exists():
            warnings.warn(f"preset {name!r} is untrained: its weights are random and it decodes to noise", stacklevel=2)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                model, fingerprint = Codec(preset(str(name))), None
        else:
            folder = resolve(name)
            model, fingerprint = _load_folder(folder)
            source = str(folder.absolute())
    tokenizer = Tokenizer(model.requires_grad_(False), fingerprint, source)
    _ = tokenizer.fingerprint  # computed before the weights are cast
    model.cast(dtype).to(device)
    store_for_streams(model)
    return tokenizer


@contextmanager
def float32_by_default() -> Iterator[None]:
    """Context in which new tensors are float32, for any default of torch."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)


def _reload(source: str, fingerprint: str, device: str | torch.device, dtype: torch.dtype) -> Tokenizer:
    """Load a codec again.

    Raises:
        CheckpointError: as `load`, or the folder has another codec now.
    """
    tokenizer = load(source, device, dtype)
    if tokenizer.fingerprint != fingerprint:
        raise CheckpointError(f"{source}: holds codec {tokenizer.fingerprint}, it was {fingerprint}; load it again")
    return tokenizer


def _group_by_length(lengths: dict[int, int]) -> list[list[int]]:
    """Group keys by similar length, longest first; lengths are at least `MIN_LENGTH_RATIO` of a group's longest."""
    groups: list[list[int]] = []
    for i in sorted(lengths, key=lambda i: -lengths[i]):
        if groups and lengths[i] >= MIN_LENGTH_RATIO * lengths[groups[-1][0]]:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _load_folder(folder: Path) -> tuple[Codec, str | None]:
    if voxtral.is_released(folder):
        config, state = voxtral.read_voxtral(folder)
        fingerprint = None
    elif pretrained.is_pretrained(folder):
        config, state = pretrained.read_pretrained(folder)
        fingerprint = None
    else:
        config, state, fingerprint = store.read_checkpoint(folder, CodecConfig)
    model = Codec(config, with_encoder=any(name.startswith("_encoder.") for name in state))
    store.check_tensors(folder, model.state_dict(), state)
    model.load_state_dict(state)
    return model, fingerprint

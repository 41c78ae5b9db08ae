"""What a codec is made of: one validated dataclass, its named presets, and its JSON form."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

DEFAULT = "default"  # names the checkpoint that comes with the package

# The first version's fields, for good: those of `CodecConfig` that came later are not named here, see `used_fields`.
FIRST_FIELDS = (
    "sample_rate", "patch_size", "proj_kernel_size", "dim", "hidden_dim", "n_heads", "n_kv_heads", "head_dim",
    "strides", "kernel_sizes", "windows", "encoder_layers", "decoder_layers",
    "norm_eps", "qk_norm_eps", "layer_scale_init", "proj_weight_norm",
    "semantic_codebook_size", "semantic_dim", "semantic_init",
    "semantic_decay", "semantic_revive_below", "semantic_quantize_prob",
    "acoustic_dim", "acoustic_levels", "acoustic_quantize_prob", "acoustic_noise_prob", "quantizer_dropout",
)  # fmt: skip

POSITIVE = (
    "sample_rate", "patch_size", "proj_kernel_size", "dim", "hidden_dim", "n_heads", "n_kv_heads", "head_dim",
    "norm_eps", "qk_norm_eps", "semantic_dim", "acoustic_dim", "envelope_bands", "periodicity_bands",
)  # fmt: skip


@dataclass
class CodecConfig:
    """Architecture and quantizer settings; the defaults are the full Voxtral codec.

    Per-stage tuples are in encoder order (from the waveform inwards); the decoder mirrors
    `strides`, `kernel_sizes` and `windows`. Everything that follows from these fields is a property.

    Raises:
        ValueError: a field is out of range or contradicts another; the message names it.
    """

    sample_rate: int = 24_000  # Hz
    patch_size: int = 240  # samples
    proj_kernel_size: int = 7  # patches; the convolutions next to the waveform
    dim: int = 1024  # width of encoder and decoder
    hidden_dim: int = 4096  # width of their feed-forward layers
    n_heads: int = 8  # of attention
    n_kv_heads: int = 8  # heads of keys and values
    head_dim: int = 128  # width of a head
    strides: tuple[int, ...] = (2, 2, 2, 1)  # steps that each stage makes one of; their product is patches per frame
    kernel_sizes: tuple[int, ...] = (4, 4, 4, 3)  # steps, of the convolutions that change the rate
    windows: tuple[int, ...] = (16, 8, 4, 2)  # past steps each position sees besides itself
    encoder_layers: tuple[int, ...] = (2, 2, 2, 2)  # transformer blocks of each stage
    decoder_layers: tuple[int, ...] = (2, 2, 2, 2)  # transformer blocks of each stage, in decoder order
    norm_eps: float = 1e-2  # added to mean squares by RMSNorm ...
    qk_norm_eps: float = 1e-6  # ... and by that of queries and keys
    layer_scale_init: float = 0.01  # of what a branch adds to its block, before training
    proj_weight_norm: bool = True  # how the released layout stores the two projections
    front: Literal["patches", "spectrum"] = "patches"  # what the encoder sees of the waveform
    head: Literal["patches", "source_filter"] = "patches"  # what makes the waveform of the decoder's output
    envelope_bands: int = 64  # head source_filter: bands of the spectral envelope ...
    periodicity_bands: int = 12  # ... and of the mixture of pulses and noise

    semantic_codebook_size: int = 8192  # entries
    semantic_dim: int = 256  # width of an entry
    semantic_init: Literal["kmeans", "first_batch"] = "kmeans"  # how the codebook is placed on latents
    semantic_decay: float = 0.99  # of the codebook's running sums, per training step
    semantic_revive_below: float = 0.03  # share of the mean usage under which an entry is replaced; 0 turns it off
    semantic_quantize_prob: float = 0.5  # share of training samples that pass the VQ

    acoustic_dim: int = 36  # acoustic codebooks, one for each dimension
    acoustic_levels: int | tuple[int, ...] = 21  # one number, or one per dimension
    acoustic_quantize_prob: float = 0.5  # share of training samples rounded to levels ...
    acoustic_noise_prob: float = 0.25  # ... and given uniform noise instead; the rest pass through
    quantizer_dropout: float = 0.0  # share of training samples that keep only the first n acoustic dimensions

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                setattr(self, field.name, tuple(value))
        self._check_types()
        self._check_stages()
        self._check_values()

    def _check_types(self) -> None:
        for field in dataclasses.fields(self):
            value, default = getattr(self, field.name), field.default
            if field.name == "acoustic_levels":
                good = _is_int(value) or (isinstance(value, tuple) and all(map(_is_int, value)))
            elif isinstance(default, tuple):
                good = isinstance(value, tuple) and all(map(_is_int, value))
            elif isinstance(default, bool | str):
                good = isinstance(value, type(default))
            elif isinstance(default, float):
                good = _is_int(value) or (isinstance(value, float) and math.isfinite(value))
            else:
                good = _is_int(value)
            require(good, field.name, value, f"a value like the default {default!r}")

    def _check_stages(self) -> None:
        n = len(self.strides)
        require(n > 0, "strides", self.strides, "at least one stage")
        for name in ("kernel_sizes", "windows", "encoder_layers", "decoder_layers"):
            value = getattr(self, name)
            require(len(value) == n, name, value, f"one entry for each of strides = {self.strides}")
        for name in ("kernel_sizes", "windows"):
            require(min(getattr(self, name)) >= 1, name, getattr(self, name), "entries of at least 1")
        for name in ("encoder_layers", "decoder_layers"):
            require(min(getattr(self, name)) >= 0, name, getattr(self, name), "entries of at least 0")
        require(min(self.strides) >= 1, "strides", self.strides, "entries of at least 1")
        require(self.strides[-1] == 1, "strides", self.strides, "1 at the end, so that the decoder can mirror it")
        for kernel_size, stride in zip(self.kernel_sizes, self.strides, strict=True):
            good = kernel_size % stride == 0
            require(good, "kernel_sizes", self.kernel_sizes, f"multiples of strides = {self.strides}")

    def _check_values(self) -> None:
        for name in POSITIVE:
            require(getattr(self, name) > 0, name, getattr(self, name), "a positive number")
        for name, choices in (("front", ("patches", "spectrum")), ("head", ("patches", "source_filter"))):
            require(getattr(self, name) in choices, name, getattr(self, name), " or ".join(choices))
        good = self.n_heads % self.n_kv_heads == 0
        require(good, "n_kv_heads", self.n_kv_heads, f"a divisor of n_heads = {self.n_heads}")
        require(self.semantic_codebook_size >= 2, "semantic_codebook_size", self.semantic_codebook_size, "at least 2")
        good = self.semantic_init in ("kmeans", "first_batch")
        require(good, "semantic_init", self.semantic_init, "kmeans or first_batch")
        require(0 <= self.semantic_decay < 1, "semantic_decay", self.semantic_decay, "a number in [0, 1)")
        require(self.semantic_revive_below >= 0, "semantic_revive_below", self.semantic_revive_below, "0 or more")
        require(self.layer_scale_init >= 0, "layer_scale_init", self.layer_scale_init, "0 or more")
        for name in ("semantic_quantize_prob", "acoustic_quantize_prob", "acoustic_noise_prob", "quantizer_dropout"):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a probability")
        total = self.acoustic_quantize_prob + self.acoustic_noise_prob
        require(total <= 1, "acoustic_noise_prob", self.acoustic_noise_prob, "at most 1 - acoustic_quantize_prob")
        good = len(self.levels) == self.acoustic_dim
        require(good, "acoustic_levels", self.acoustic_levels, f"one per acoustic_dim = {self.acoustic_dim}")
        require(min(self.levels) >= 2, "acoustic_levels", self.acoustic_levels, "at least 2 levels")

    @property
    def levels(self) -> tuple[int, ...]:
        """Levels of each acoustic dimension."""
        levels = self.acoustic_levels
        return (levels,) * self.acoustic_dim if isinstance(levels, int) else levels

    @property
    def latent_dim(self) -> int:
        """Width of the latents: semantic channels first, then acoustic ones."""
        return self.semantic_dim + self.acoustic_dim

    @property
    def patches_per_frame(self) -> int:
        return math.prod(self.strides)

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return self.patch_size * self.patches_per_frame

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_length

    @property
    def num_codebooks(self) -> int:
        return 1 + self.acoustic_dim

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each codebook, the semantic one first."""
        return (self.semantic_codebook_size, *self.levels)

    @property
    def lead_frames(self) -> int:
        """Frames a stream must hold before its first output: what reflect padding looks ahead at the start."""
        return math.ceil(self.proj_kernel_size / self.patches_per_frame)

    def bitrate(self, n_q: int | None = None) -> float:
        """Bits per second of the first `n_q` codebooks (all by default).

        Raises:
            ValueError: `n_q` is not in 1 .. `num_codebooks`.
        """
        n_q = self.num_codebooks if n_q is None else n_q
        require(1 <= n_q <= self.num_codebooks, "n_q", n_q, f"1 to {self.num_codebooks}")
        return self.frame_rate * sum(math.log2(size) for size in self.codebook_sizes[:n_q])

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2)

    def identity(self) -> str:
        """What fingerprints are made of: JSON of the `used_fields`."""
        return json.dumps(used_fields(self, FIRST_FIELDS), indent=2)

    @classmethod
    def from_json(cls, text: str) -> CodecConfig:
        """Parse `to_json`'s output; absent fields take their defaults.

        Raises:
            ValueError: not a JSON object, unknown fields, or invalid values.
        """
        try:
            fields: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"codec config is not valid JSON: {error}") from error
        if not isinstance(fields, dict):
            raise ValueError(f"codec config must be a JSON object, got {type(fields).__name__}")
        if unknown := fields.keys() - {field.name for field in dataclasses.fields(cls)}:
            raise ValueError(f"codec config has unknown fields {sorted(unknown)}: remove them or update the library")
        return cls(**fields)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def require(condition: bool, name: str, value: object, expected: str) -> None:
    """The check of a setting; raises ValueError that names it."""
    if not condition:
        raise ValueError(f"{name} = {value!r}: expected {expected}")


def used_fields(config: Any, first: Collection[str]) -> dict[str, Any]:
    """The fields of a config that identify it: those in `first`, and later ones that differ from their default.

    So a new field leaves older configs' identities as they were. Its default must not change afterwards.
    """
    defaults = dataclasses.asdict(type(config)())
    fields = dataclasses.asdict(config)
    return {name: value for name, value in fields.items() if name in first or value != defaults[name]}


_SCALABLE: dict[str, Any] = {"quantizer_dropout": 0.5}

PRESETS: dict[str, dict[str, Any]] = {
    "voxtral": {},
    "base": {"dim": 512, "hidden_dim": 2048, "n_heads": 8, "n_kv_heads": 8, "head_dim": 64, **_SCALABLE},
    "small": {"dim": 256, "hidden_dim": 1024, "n_heads": 4, "n_kv_heads": 4, "head_dim": 64, **_SCALABLE},
    "source_filter": {
        "dim": 384,
        "hidden_dim": 1024,
        "n_heads": 6,
        "n_kv_heads": 6,
        "head_dim": 64,
        "front": "spectrum",
        "head": "source_filter",
        "proj_kernel_size": 5,
        "strides": (4, 2, 1),
        "kernel_sizes": (8, 4, 3),
        "windows": (16, 16, 16),
        "encoder_layers": (0, 2, 3),
        "decoder_layers": (3, 2, 0),
        **_SCALABLE,
    },
    "tiny": {
        "dim": 32,
        "hidden_dim": 64,
        "n_heads": 4,
        "n_kv_heads": 2,
        "head_dim": 8,
        "encoder_layers": (1, 1, 1, 1),
        "decoder_layers": (1, 1, 1, 1),
        "semantic_codebook_size": 64,
        "semantic_dim": 32,
        "acoustic_dim": 8,
        **_SCALABLE,
    },
}


def preset(name: str, **changes: Any) -> CodecConfig:
    """The named configuration, with `changes` applied: `preset("small", windows=(32, 16, 8, 4))`.

    Raises:
        ValueError: no such preset, or the changed configuration is invalid.
    """
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}: choose one of {', '.join(PRESETS)}")
    return CodecConfig(**{**PRESETS[name], **changes})

"""Configuration of a codec: a validated dataclass, named presets, and its JSON form."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal

from codec.quant import AnyQuantizerConfig, SplitConfig
from codec.settings import NonNegativeFloat, PositiveFloat, PositiveInt, Settings, change, read, require, used_fields

# Fields of the first version, never to be changed; later fields of `CodecConfig` are not listed, see `used_fields`.
FIRST_FIELDS = (
    "sample_rate", "patch_size", "proj_kernel_size", "dim", "hidden_dim", "n_heads", "n_kv_heads", "head_dim",
    "strides", "kernel_sizes", "windows", "encoder_layers", "decoder_layers",
    "norm_eps", "qk_norm_eps", "layer_scale_init", "proj_weight_norm",
)  # fmt: skip
# Other fields of the first version, whose only quantizer was `split` with `fsq`, and their place now.
FIRST_QUANTIZER_FIELDS = {
    "semantic_codebook_size": "quantizer.semantic.codebook_size",
    "semantic_dim": "quantizer.semantic.dim",
    "semantic_init": "quantizer.semantic.init",
    "semantic_decay": "quantizer.semantic.decay",
    "semantic_revive_below": "quantizer.semantic.revive_below",
    "semantic_quantize_prob": "quantizer.semantic.quantize_prob",
    "acoustic_dim": "quantizer.acoustic.n_channels",
    "acoustic_levels": "quantizer.acoustic.levels",
    "acoustic_quantize_prob": "quantizer.acoustic.round_prob",
    "acoustic_noise_prob": "quantizer.acoustic.noise_prob",
    "quantizer_dropout": "quantizer.dropout",
}
FIRST_KINDS = {"quantizer.kind": "split", "quantizer.acoustic.kind": "fsq"}


@dataclass
class CodecConfig(Settings):
    """Architecture and quantizer; the defaults are the full Voxtral codec.

    Per-stage tuples are in encoder order (from the waveform inwards); the decoder mirrors
    `strides`, `kernel_sizes` and `windows`. Derived numbers are properties.

    Raises:
        ValueError: a field is out of range or contradicts another; the message names it.
    """

    sample_rate: PositiveInt = 24_000  # Hz
    patch_size: PositiveInt = 240  # samples
    proj_kernel_size: PositiveInt = 7  # patches; the convolutions next to the waveform
    dim: PositiveInt = 1024  # width of encoder and decoder
    hidden_dim: PositiveInt = 4096  # width of their feed-forward layers
    n_heads: PositiveInt = 8  # of attention
    n_kv_heads: PositiveInt = 8  # heads of keys and values
    head_dim: PositiveInt = 128  # width of a head
    strides: tuple[int, ...] = (2, 2, 2, 1)  # of each stage, in steps; their product is patches per frame
    kernel_sizes: tuple[int, ...] = (4, 4, 4, 3)  # steps, of the convolutions that change the rate
    windows: tuple[int, ...] = (16, 8, 4, 2)  # past steps each position sees besides itself
    encoder_layers: tuple[int, ...] = (2, 2, 2, 2)  # transformer blocks of each stage
    decoder_layers: tuple[int, ...] = (2, 2, 2, 2)  # transformer blocks of each stage, in decoder order
    norm_eps: PositiveFloat = 1e-2  # added to mean squares by RMSNorm ...
    qk_norm_eps: PositiveFloat = 1e-6  # ... and by that of queries and keys
    layer_scale_init: NonNegativeFloat = 0.01  # initial LayerScale of the branches of blocks
    proj_weight_norm: bool = True  # whether the released layout stores the outer convolutions with weight norm
    front: Literal["patches", "spectrum"] = "patches"  # input of the encoder
    head: Literal["patches", "source_filter"] = "patches"  # from decoder output to waveform
    envelope_bands: PositiveInt = 64  # head source_filter: bands of the spectral envelope ...
    periodicity_bands: PositiveInt = 12  # ... and of the mixture of pulses and noise
    quantizer: AnyQuantizerConfig = field(default_factory=SplitConfig)  # selected by `kind`

    def __post_init__(self) -> None:
        super().__post_init__()
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
        good = self.n_heads % self.n_kv_heads == 0
        require(good, "n_kv_heads", self.n_kv_heads, f"a divisor of n_heads = {self.n_heads}")

    @property
    def latent_dim(self) -> int:
        """Width of the latents."""
        return self.quantizer.latent_dim

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
        return len(self.codebook_sizes)

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each codebook."""
        return self.quantizer.codebook_sizes

    @property
    def lead_frames(self) -> int:
        """Frames that a stream needs before its first output: the look-ahead of reflect padding at the start."""
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
        """JSON for fingerprints: the `used_fields`, those of the quantizer by path."""
        fields = used_fields(self, FIRST_FIELDS)
        fields.pop("quantizer", None)
        quantizer = dict(_used(self.quantizer, "quantizer"))
        if quantizer.items() >= FIRST_KINDS.items():
            fields |= {name: reduce(getattr, path.split("."), self) for name, path in FIRST_QUANTIZER_FIELDS.items()}
            known = (*FIRST_KINDS, *FIRST_QUANTIZER_FIELDS.values())
            quantizer = {path: value for path, value in quantizer.items() if path not in known}
        return json.dumps(fields | quantizer, indent=2)

    @classmethod
    def from_json(cls, text: str) -> CodecConfig:
        """Parse `to_json`'s output, or that of the first version; absent fields take their defaults.

        Raises:
            ValueError: not a JSON object, unknown fields, or invalid values.
        """
        try:
            fields: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"codec config is not valid JSON: {error}") from error
        return read(cls, _from_first(fields))


def _used(config: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Kinds, and settings that differ from the defaults of their kind, by path."""
    default = type(config)()
    for name in (each.name for each in dataclasses.fields(config)):
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            yield from _used(value, f"{path}.{name}")
        elif name == "kind" or value != getattr(default, name):
            yield f"{path}.{name}", value


def _from_first(fields: Any) -> Any:
    """Convert fields of the first version to current ones; others are unchanged."""
    if not isinstance(fields, dict) or "quantizer" in fields:
        return fields
    moved: dict[str, Any] = {name: value for name, value in fields.items() if name not in FIRST_QUANTIZER_FIELDS}
    for name in fields.keys() & FIRST_QUANTIZER_FIELDS.keys():
        *parts, last = FIRST_QUANTIZER_FIELDS[name].split(".")
        reduce(lambda place, part: place.setdefault(part, {}), parts, moved)[last] = fields[name]
    return moved


_SCALABLE: dict[str, Any] = {"quantizer": {"dropout": 0.5}}

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
        "quantizer": {"semantic": {"codebook_size": 64, "dim": 32}, "acoustic": {"n_channels": 8}, "dropout": 0.5},
    },
}


def preset(name: str, **changes: Any) -> CodecConfig:
    """Named configuration with `changes`: `preset("small", windows=(32, 16, 8, 4))`.

    Changes of the quantizer are nested: `preset("small", quantizer={"acoustic": {"levels": 8}})`. Another kind,
    `quantizer={"kind": "residual_vq"}`, keeps the settings of the preset that it shares.

    Raises:
        ValueError: no such preset, or the changed configuration is invalid.
    """
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}: choose one of {', '.join(PRESETS)}")
    return read(CodecConfig, change(CodecConfig, PRESETS[name], changes))

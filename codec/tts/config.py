"""Configuration of a TTS model: validated dataclasses, named presets, and their JSON form."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from codec.settings import (
    OLD_NAME,
    AtLeast1,
    AtLeast2,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Settings,
    read,
    require,
    used_fields,
)
from codec.tts.text.languages import LANGUAGES

Design = Literal["prefix", "interleaved", "dual", "aligned"]
DESIGNS = get_args(Design)
PADDING = 128  # rows of the embedding table and the semantic head are multiples of this, as in the release

# Fields of the first versions, never to be changed; later fields are not listed, see `used_fields`.
FIRST_FIELDS = (
    "codec", "codec_fingerprint", "semantic_codebook_size", "acoustic_dim", "acoustic_levels",
    "vocab_size", "phonemes", "rope_theta", "backbone", "head", "head_transformer", "sequence",
)  # fmt: skip
FIRST_TRANSFORMER_FIELDS = ("dim", "n_layers", "n_heads", "n_kv_heads", "head_dim", "hidden_dim", "norm_eps")
FIRST_SEQUENCE_FIELDS = ("design", "n_text", "n_frames", "delay")
FIRST_ALIGNED_FIELDS = (*FIRST_SEQUENCE_FIELDS, "behind", "ahead", "max_move")  # of the design aligned


@dataclass
class TransformerConfig(Settings):
    """A stack of pre-norm blocks: grouped-query attention and SwiGLU. No biases."""

    dim: PositiveInt = 384  # width
    n_layers: PositiveInt = 10  # blocks
    n_heads: PositiveInt = 6  # of attention
    n_kv_heads: PositiveInt = 2  # heads of keys and values
    head_dim: PositiveInt = 64  # width of a head
    hidden_dim: PositiveInt = 1024  # width of the feed-forward layers
    norm_eps: PositiveFloat = 1e-5  # added to mean squares by RMSNorm

    def __post_init__(self) -> None:
        super().__post_init__()
        good = self.n_heads % self.n_kv_heads == 0
        require(good, "n_kv_heads", self.n_kv_heads, f"a divisor of n_heads = {self.n_heads}")
        require(self.head_dim % 2 == 0, "head_dim", self.head_dim, "an even number, for rotary positions")


@dataclass
class SequenceConfig(Settings):
    """Order of text and frames in one sequence; see `codec.tts.sequence`."""

    design: Design = "prefix"  # order of text and frames
    n_text: AtLeast1 = 6  # interleaved: text ids of a block ...
    n_frames: AtLeast1 = 6  # ... and frames after them
    delay: NonNegativeInt = 4  # dual: frames that audio lags behind text
    behind: NonNegativeInt = 2  # aligned: text ids read before the current one ...
    ahead: NonNegativeInt = 5  # ... and after it
    max_move: AtLeast1 = 4  # aligned: largest number of ids to move from frame to frame
    audio_history: bool = field(  # aligned: whether previous frames are an input; without, errors do not accumulate
        default=True, metadata={OLD_NAME: "hears"}
    )

    @property
    def text_width(self) -> int:
        """Largest number of text ids at one position."""
        return 1 + self.ahead + self.behind if self.design == "aligned" else 1

    @property
    def has_audio_history(self) -> bool:
        """Whether previous frames are an input."""
        return self.audio_history or self.design != "aligned"


@dataclass
class TTSConfig(Settings):
    """Backbone, head, vocabulary and codec; the defaults are the preset `small`.

    Raises:
        ValueError: a field is out of range or contradicts another; the message names it.
    """

    codec: str = "default"  # name for `codec.load`
    codec_fingerprint: str = ""  # of that codec; "" accepts any of the same shape
    semantic_codebook_size: AtLeast2 = 8192  # entries, as in the codec
    acoustic_dim: AtLeast2 = 36  # acoustic codebooks ...
    acoustic_levels: AtLeast2 = 21  # ... and codes of each, levels or entries
    vocab_size: AtLeast2 = 512  # of the text
    phonemes: bool = False  # whether it reads phonemes, which need espeak-ng and phonemizer
    languages: list[str] = field(default_factory=list)  # of the training texts, as "en"; empty: all supported
    max_voice_frames: NonNegativeInt = 0  # frames of a voice that are read, from its start; 0: all
    rope_theta: PositiveFloat = 1e6  # base of the rotary positions
    backbone: TransformerConfig = field(default_factory=TransformerConfig)
    head: str = "flow"  # acoustic head: flow, depth or maskgit
    acoustic_reads_semantic: bool = False  # whether the head also reads the semantic token, besides the hidden state
    acoustic_scale: PositiveFloat = 1.0  # flow: factor of values in [-1, 1]; best if their deviation becomes 1
    head_transformer: TransformerConfig = field(default_factory=lambda: TransformerConfig(n_layers=3))
    sequence: SequenceConfig = field(default_factory=SequenceConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = all(language in LANGUAGES for language in self.languages)
        require(known, "languages", self.languages, f"some of {', '.join(LANGUAGES)}")
        dim = self.head_transformer.dim
        require(dim == self.backbone.dim, "head_transformer.dim", dim, f"backbone.dim = {self.backbone.dim}")

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each codebook, the semantic one first."""
        return (self.semantic_codebook_size, *(self.acoustic_levels,) * self.acoustic_dim)

    @property
    def num_codebooks(self) -> int:
        return 1 + self.acoustic_dim

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2)

    def identity(self) -> str:
        """JSON for fingerprints: the `used_fields`, also of nested configs."""
        fields = used_fields(self, FIRST_FIELDS)
        fields.pop("languages", None)  # information about the weights only
        for name in ("backbone", "head_transformer"):
            fields[name] = used_fields(getattr(self, name), FIRST_TRANSFORMER_FIELDS)
        is_aligned = self.sequence.design == "aligned"
        fields["sequence"] = used_fields(self.sequence, FIRST_ALIGNED_FIELDS if is_aligned else FIRST_SEQUENCE_FIELDS)
        return json.dumps(fields, indent=2)

    @classmethod
    def from_json(cls, text: str) -> TTSConfig:
        """Parse `to_json`'s output; absent fields take their defaults.

        Raises:
            ValueError: not a JSON object, unknown fields, or invalid values.
        """
        try:
            fields: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"TTS config is not valid JSON: {error}") from error
        return read(cls, fields)


def padded(n: int) -> int:
    """Round `n` rows up to a multiple of `PADDING`."""
    return -(-n // PADDING) * PADDING


_VOXTRAL = {"dim": 3072, "n_heads": 32, "n_kv_heads": 8, "head_dim": 128, "hidden_dim": 9216}
_TINY = {"dim": 64, "n_heads": 4, "n_kv_heads": 2, "head_dim": 16, "hidden_dim": 128}

PRESETS: dict[str, TTSConfig] = {
    "voxtral": TTSConfig(
        codec="voxtral",
        vocab_size=131_072,
        backbone=TransformerConfig(n_layers=26, **_VOXTRAL),  # type: ignore[arg-type]
        head_transformer=TransformerConfig(n_layers=3, **_VOXTRAL),  # type: ignore[arg-type]
    ),
    "small": TTSConfig(),
    "tiny": TTSConfig(
        codec="tiny",
        semantic_codebook_size=64,
        acoustic_dim=8,
        vocab_size=300,
        backbone=TransformerConfig(n_layers=2, **_TINY),  # type: ignore[arg-type]
        head_transformer=TransformerConfig(n_layers=3, **_TINY),  # type: ignore[arg-type]
    ),
}

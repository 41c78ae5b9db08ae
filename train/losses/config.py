"""The settings of the losses: which count how much and when, and those of their parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from codec.settings import coerce, require


@dataclass
class TermConfig:
    """A row of the table of losses.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    module: str = ""  # what computes it: a file of train/losses, or the dotted name of another; "": called as the term
    weight: float = 0.0  # 0 leaves it out
    start: int = 0  # first step in which it counts
    ramp: int = 0  # steps, from that one on, over which the weight rises
    decay: float = 1.0  # factor with which the weight falls in each step ...
    decay_start: int = 0  # ... after this one

    def __post_init__(self) -> None:
        coerce(self)
        for name in ("weight", "start", "ramp", "decay_start"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require(0 < self.decay <= 1, "decay", self.decay, "a number in (0, 1]")

    def at(self, step: int) -> float:
        """The weight in a step."""
        if step < self.start:
            return 0.0
        rise = min(1.0, (step - self.start + 1) / (self.ramp + 1))
        return self.weight * rise * self.decay ** max(0, step - self.decay_start)


def paper_terms(**weights: float) -> dict[str, TermConfig]:
    """The paper's recipe with other `weights`, and what the paper does without at weight 0.

    `waveform` and `stft` fall by 0.9999 a step. The rows of a module are in the order in which it is asked.
    """
    terms = {
        "waveform": TermConfig("reconstruction", 1.0, decay=0.9999),
        "stft": TermConfig("reconstruction", 1.0, decay=0.9999),
        "log_mel": TermConfig("reconstruction"),
        "envelope": TermConfig("controls"),
        "motion": TermConfig("controls"),
        "periodicity": TermConfig("controls"),
        "pitch": TermConfig("controls"),
        "semantic": TermConfig("distill", 1.0),
        "commit": TermConfig("penalties", 0.1),
        "range": TermConfig("penalties"),
        "feature": TermConfig("adversarial", 1.0),
        "adversarial": TermConfig("adversarial"),
        "codes": TermConfig("codes"),
    }
    for name, weight in weights.items():
        terms[name].weight = weight
    return terms


@dataclass
class DiscriminatorConfig:
    """What tells speech from its reconstruction: the paper's eight resolutions and 256 channels; small runs take fewer.

    A step may show the discriminators less: some of them, drawn for each, and a crop of each clip. The gradient is
    that of the whole loss in the mean, at a fraction of the cost.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    fft_sizes: tuple[int, ...] = (2296, 1418, 876, 542, 334, 206, 126, 76)  # samples; an STFT discriminator each
    channels: int = 256  # of the first layers; EnCodec, HiFi-GAN and DAC have 32
    n_sampled: int = 0  # discriminators in a step; 0: all
    crop_s: float = 0.0  # seconds of each clip in a step; 0: all of it
    periods: tuple[int, ...] = ()  # samples; a period discriminator each, HiFi-GAN has (2, 3, 5, 7, 11)
    band_fft_sizes: tuple[int, ...] = ()  # samples; a multi-band discriminator each, DAC has (2048, 1024, 512)

    def __post_init__(self) -> None:
        coerce(self)
        require(self.n > 0, "fft_sizes", self.fft_sizes, "one or more sizes, or some periods or band_fft_sizes")
        for name in ("fft_sizes", "band_fft_sizes"):
            require(min(getattr(self, name), default=16) >= 16, name, getattr(self, name), "at least 16 samples each")
        require(min(self.periods, default=2) >= 2, "periods", self.periods, "at least 2 samples each")
        require(self.channels >= 1, "channels", self.channels, "at least 1")
        require(0 <= self.n_sampled <= self.n, "n_sampled", self.n_sampled, f"0 to {self.n}, the number of all")
        require(self.crop_s >= 0, "crop_s", self.crop_s, "0 or more")

    @property
    def n(self) -> int:
        """Number of discriminators."""
        return len(self.fft_sizes) + len(self.periods) + len(self.band_fft_sizes)


@dataclass
class DistillConfig:
    """How the semantic codebook learns meaning, see `train.losses.distill`.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    kind: Literal["none", "ctc", "whisper"] = "ctc"  # the teacher: nobody, transcripts, or Whisper
    steps_per_frame: int = 4  # CTC: steps in every frame; must exceed characters per frame, about 1.2 at 12.5 Hz
    whisper: str = ""  # Whisper: folder or hub name of a teacher, of any size, that listens to every batch
    width: int = 0  # Whisper: of the states that data.companions hold, 512 of base; in place of a teacher
    max_text_tokens: int = 128  # Whisper: where decoding stops; speech has about 4 tokens a second

    def __post_init__(self) -> None:
        coerce(self)
        for name in ("steps_per_frame", "max_text_tokens"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.width >= 0, "width", self.width, "0 or more")
        if self.whisper and self.width:
            raise ValueError(
                f"whisper = {self.whisper!r} and width = {self.width}: give whisper for a teacher that listens, or "
                "width to learn from data.companions"
            )


@dataclass
class CodecLossConfig:
    """The losses of a codec, and when its codebooks start. The defaults are the paper's recipe.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    terms: dict[str, TermConfig] = field(default_factory=paper_terms)  # by name
    fft_sizes: tuple[int, ...] = (2048, 1024, 512, 256, 128, 64)  # of stft and log_mel, in samples
    vq_starts: tuple[int, ...] = (200,)  # steps at which codebooks of entries are placed on latents; unused before
    vq_frames: int = 32_768  # frames they are placed on
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)

    def __post_init__(self) -> None:
        coerce(self)
        require(min(self.fft_sizes, default=1) >= 1, "fft_sizes", self.fft_sizes, "sizes of at least 1")
        good = len(self.vq_starts) > 0 and min(self.vq_starts) >= 0
        require(good, "vq_starts", self.vq_starts, "one or more steps, from 0 on")
        require(self.vq_frames >= 1, "vq_frames", self.vq_frames, "at least 1")


@dataclass
class TTSLossConfig:
    """Weights of the losses. An acoustic loss is a sum over 36 channels, some three times the semantic one in nats.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    semantic: float = 1.0  # weight of the cross-entropy of semantic tokens
    acoustic: float = 0.3  # weight of the acoustic head's loss
    move: float = 1.0  # weight of the cross-entropy of moves in the text, of the design "aligned"
    freeze_text: bool = False  # leave the text embeddings as they are, those of a language model
    dropout: float = 0.0  # share of what a branch of a block gives that training replaces by zeros

    def __post_init__(self) -> None:
        coerce(self)
        for name in ("semantic", "acoustic", "move"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "a number from 0 to below 1")


@dataclass
class DPOLossConfig(TTSLossConfig):
    """The paper's betas, and how much the pretraining losses count, which are weighed among themselves as there.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    pretraining: float = 1.0  # weight of the losses above, on other data
    semantic_beta: float = 0.1  # how hard semantic tokens are held to what they were: more is harder ...
    acoustic_beta: float = 0.5  # ... and acoustic values

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("pretraining", "semantic_beta", "acoustic_beta"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")

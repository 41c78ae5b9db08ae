"""Settings of the losses: their weights over the steps, and their parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from codec.settings import AtLeast1, NonNegativeFloat, NonNegativeInt, PositiveShare, Settings, require


@dataclass
class TermConfig(Settings):
    """One loss term: its module and its weight over the steps.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    module: str = ""  # a file of train/losses or a dotted name; "": the name of the term
    weight: NonNegativeFloat = 0.0  # 0 leaves it out
    start: NonNegativeInt = 0  # first step with the term
    ramp: NonNegativeInt = 0  # steps from there, over which the weight rises
    decay: PositiveShare = 1.0  # factor of the weight in each step ...
    decay_start: NonNegativeInt = 0  # ... after this one

    def at(self, step: int) -> float:
        """Weight in a step."""
        if step < self.start:
            return 0.0
        rise = min(1.0, (step - self.start + 1) / (self.ramp + 1))
        return self.weight * rise * self.decay ** max(0, step - self.decay_start)


def paper_terms(**weights: float) -> dict[str, TermConfig]:
    """Terms of the paper with other `weights`; terms that are not in the paper have weight 0.

    `waveform` and `stft` decay by 0.9999 per step.
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
class DiscriminatorConfig(Settings):
    """Discriminators; the defaults are the paper's eight resolutions with 256 channels.

    A step may use a random subset of them and a crop of each clip: the expected gradient is the same, at a fraction of
    the cost.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    fft_sizes: tuple[int, ...] = (2296, 1418, 876, 542, 334, 206, 126, 76)  # samples; one STFT discriminator each
    channels: AtLeast1 = 256  # of the first layers; 32 in EnCodec, HiFi-GAN and DAC
    n_sampled: int = 0  # discriminators in a step; 0: all
    crop_s: NonNegativeFloat = 0.0  # seconds of each clip in a step; 0: all of it
    periods: tuple[int, ...] = ()  # samples; one period discriminator each, (2, 3, 5, 7, 11) in HiFi-GAN
    band_fft_sizes: tuple[int, ...] = ()  # samples; one multi-band discriminator each, (2048, 1024, 512) in DAC

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.n > 0, "fft_sizes", self.fft_sizes, "one or more sizes, or some periods or band_fft_sizes")
        for name in ("fft_sizes", "band_fft_sizes"):
            require(min(getattr(self, name), default=16) >= 16, name, getattr(self, name), "at least 16 samples each")
        require(min(self.periods, default=2) >= 2, "periods", self.periods, "at least 2 samples each")
        require(0 <= self.n_sampled <= self.n, "n_sampled", self.n_sampled, f"0 to {self.n}, the number of all")

    @property
    def n(self) -> int:
        """Number of discriminators."""
        return len(self.fft_sizes) + len(self.periods) + len(self.band_fft_sizes)


@dataclass
class DistillConfig(Settings):
    """Distillation of the semantic codebook, see `train.losses.distill`.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    kind: Literal["none", "ctc", "whisper"] = "ctc"  # no teacher, transcripts, or Whisper
    steps_per_frame: AtLeast1 = 4  # CTC: steps per frame; more than characters per frame, about 1.2 at 12.5 Hz
    whisper: str = ""  # Whisper: folder or hub name of a teacher that runs on every batch
    width: NonNegativeInt = 0  # Whisper: width of the states in data.companions, 512 of base; without a teacher
    max_text_tokens: AtLeast1 = 128  # Whisper: limit of decoding; speech has about 4 tokens per second

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.whisper and self.width:
            raise ValueError(
                f"whisper = {self.whisper!r} and width = {self.width}: give whisper to run a teacher, or width "
                "to use the states in data.companions"
            )


@dataclass
class CodecLossConfig(Settings):
    """Losses of a codec, and the start of its codebooks; the defaults are those of the paper.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    terms: dict[str, TermConfig] = field(default_factory=paper_terms)  # by name
    fft_sizes: tuple[int, ...] = (2048, 1024, 512, 256, 128, 64)  # of stft and log_mel, in samples
    vq_starts: tuple[int, ...] = (
        200,
    )  # steps that initialise fresh VQ codebooks from latents; before the first they are off
    vq_frames: AtLeast1 = 32_768  # frames for that
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(min(self.fft_sizes, default=1) >= 1, "fft_sizes", self.fft_sizes, "sizes of at least 1")
        good = len(self.vq_starts) > 0 and min(self.vq_starts) >= 0
        require(good, "vq_starts", self.vq_starts, "one or more steps, from 0 on")


@dataclass
class TTSLossConfig(Settings):
    """Weights of the losses. The acoustic loss, a sum over 36 channels, is about three times the semantic one in nats.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    semantic: NonNegativeFloat = 1.0  # weight of the cross-entropy of semantic tokens
    acoustic: NonNegativeFloat = 0.3  # weight of the acoustic head's loss
    move: NonNegativeFloat = 1.0  # weight of the cross-entropy of moves in the text, of the design "aligned"
    freeze_text: bool = False  # keep the text embeddings of a language model
    dropout: float = 0.0  # of the branches of blocks

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.dropout < 1, "dropout", self.dropout, "a number from 0 to below 1")


@dataclass
class DPOLossConfig(TTSLossConfig):
    """Preference losses with the betas of the paper, beside the pretraining losses.

    Raises:
        ValueError: a field is out of range; the message names it.
    """

    pretraining: NonNegativeFloat = 1.0  # weight of the pretraining losses together
    semantic_beta: NonNegativeFloat = 0.1  # strength of the reference: of semantic tokens ...
    acoustic_beta: NonNegativeFloat = 0.5  # ... and of acoustic values

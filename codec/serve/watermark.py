"""A watermark of the operator's choice, put into all speech and sound before it is encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from torch import Tensor

from codec.serve.formats import Encoder, make_encoder

GROUP = "codec37.watermarks"  # of entry points

Watermark = Callable[[Tensor, int], Tensor]  # (waveform [L], sample_rate) -> waveform [L]


def load_watermark(name: str) -> Watermark:
    """The function of a name: `module:function`, or that of an entry point in the group `codec37.watermarks`.

    Raises:
        ValueError: there is none, or it cannot be called.
    """
    known = {point.name: point for point in entry_points(group=GROUP)}
    point = known.get(name) or EntryPoint(name, name, GROUP)
    try:
        function = point.load()
    except (ImportError, AttributeError) as error:
        choices = ", ".join(known) or "none are installed"
        raise ValueError(f"watermark {name!r}: {error}; give module:function or an entry point ({choices})") from error
    if not callable(function):
        raise ValueError(f"watermark {name!r}: a {type(function).__name__}; expected a function")
    watermark: Watermark = function
    return watermark


@dataclass(frozen=True)
class Encoders:
    """Makes the encoders of a server, each for one speech.

    Args:
        sample_rate: in Hz.
        watermark: gets each packet before it is encoded, if there is one.
    """

    sample_rate: int
    watermark: Watermark | None = None

    def make(self, format: str, comment: str) -> Encoder:
        """As `make_encoder`."""
        encoder = make_encoder(format, self.sample_rate, comment)
        return encoder if self.watermark is None else _Watermarked(encoder, self.watermark, self.sample_rate)


class _Watermarked:
    def __init__(self, encoder: Encoder, watermark: Watermark, sample_rate: int) -> None:
        self._encoder, self._watermark, self._sample_rate = encoder, watermark, sample_rate

    def push(self, waveform: Tensor) -> bytes:
        marked = self._watermark(waveform, self._sample_rate)
        if marked.shape != waveform.shape:
            raise RuntimeError(f"watermark: gave {tuple(marked.shape)} samples for {tuple(waveform.shape)}")
        return self._encoder.push(marked)

    def close(self) -> bytes:
        return self._encoder.close()

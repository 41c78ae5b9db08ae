"""How voice, text and audio share one sequence, the same for training and for speaking.

A sequence begins with the voice: BOS, BEGIN_AUDIO, the reference's frames and an END frame, NEXT. Then
one of four designs follows; each is a generator of `Step`s, which says what the backbone reads at a
position and whether a frame is predicted there. `ids` are those of the text; REPEAT marks its end.

    prefix       ids REPEAT BEGIN_AUDIO frame frame ...          all of the text before the audio (the paper's)
    interleaved  n ids, m frames, n ids, m frames, ... frames    for text that arrives piece by piece
    dual         at each position one id and one frame, the frames some positions later than the ids
    aligned      at each position one frame, the current id and those around it; beside each frame
                 the model predicts how many ids the text goes on, as VALL-E R does (arXiv 2406.07855); the frames
                 need not be read (`SequenceConfig.audio_history`), as the place in the text is known without them
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, count
from typing import NamedTuple

import torch
from torch import Tensor

from codec.tts.config import SequenceConfig
from codec.tts.text.tokenizer import SpecialIds

NONE = -1  # in place of a text id
NOT_YET = -2  # in place of a text id that is still to come


class Step(NamedTuple):
    """One position of the sequence."""

    text_id: int = NONE  # that is read
    context_ids: tuple[int, ...] = ()  # ids read with it: those after it, then those before it; NONE beyond the text
    reads_frame: bool = False  # whether the last frame is read
    predicts_frame: bool = False  # whether a frame is predicted from here
    may_end: bool = False  # whether that may be END: all of the text has been read


WAIT = Step()  # no position: the text that is due is not there yet


def voice_steps(special: SpecialIds, n_frames: int) -> Iterator[Step]:
    """The positions of a voice of `n_frames` frames, END included."""
    yield Step(special.bos)
    yield Step(special.begin_audio)
    for _ in range(n_frames):
        yield Step(reads_frame=True)
    yield Step(special.next_text)


def speech_steps(
    config: SequenceConfig, special: SpecialIds, ids: Iterable[int], moves: Iterable[int] = ()
) -> Iterator[Step]:
    """The positions after the voice, without end: the caller stops after the frame that ends the audio.

    Args:
        config: the design.
        special: the text tokenizer's markers.
        ids: read as late as the design allows; may wait for text that is still to come, or say NOT_YET, which gives
            the step WAIT.
        moves: aligned only: how many ids the text goes on after each frame, read when the next one is due.
    """
    text = chain(ids, [special.repeat])
    if config.design == "prefix":
        return _prefix(text, special)
    if config.design == "interleaved":
        return _interleaved(text, special.repeat, config.n_text, config.n_frames)
    if config.design == "dual":
        return _dual(text, special, config.delay)
    return _aligned(text, special.repeat, config, iter(moves))


def _next(text: Iterator[int]) -> Generator[Step, None, int]:
    while (i := next(text)) == NOT_YET:
        yield WAIT
    return i


def _prefix(text: Iterator[int], special: SpecialIds) -> Iterator[Step]:
    i = NONE
    while i != special.repeat:
        i = yield from _next(text)
        yield Step(i)
    yield Step(special.begin_audio, predicts_frame=True, may_end=True)
    while True:
        yield Step(reads_frame=True, predicts_frame=True, may_end=True)


def _interleaved(text: Iterator[int], last: int, n_text: int, n_frames: int) -> Iterator[Step]:
    for block in count():
        for place in range(n_text):
            i = yield from _next(text)
            reads_frame = place == 0 and block > 0  # the last frame of the block before, with the first id of this one
            predicts_frame = i == last or place == n_text - 1
            yield Step(i, reads_frame=reads_frame, predicts_frame=predicts_frame, may_end=i == last)
            if i == last:
                while True:
                    yield Step(reads_frame=True, predicts_frame=True, may_end=True)
        for _ in range(n_frames - 1):
            yield Step(reads_frame=True, predicts_frame=True)


def _dual(text: Iterator[int], special: SpecialIds, delay: int) -> Iterator[Step]:
    ended = False
    for position in count():
        i = special.pad if ended else (yield from _next(text))
        ended = ended or i == special.repeat
        yield Step(i, reads_frame=position > delay, predicts_frame=position >= delay, may_end=ended)


def _aligned(text: Iterator[int], last: int, config: SequenceConfig, moves: Iterator[int]) -> Iterator[Step]:
    read = [NONE] * config.behind
    place, reads_frame = config.behind, False
    while True:
        while len(read) <= place + config.ahead and read[-1:] != [last]:
            read.append((yield from _next(text)))
        place = min(place, len(read) - 1)
        after = read[place + 1 :] + [NONE] * (place + 1 + config.ahead - len(read))
        before = read[place - config.behind : place]
        yield Step(read[place], (*after, *before), reads_frame, predicts_frame=True, may_end=read[place] == last)
        reads_frame = config.audio_history
        place += next(moves)


def text_ids(steps: Sequence[Step], width: int) -> Tensor:
    """The text ids that are read at each of S positions, `[S, width]` int64, NONE where there are none."""
    nothing = [NONE] * width
    return torch.tensor([[step.text_id, *step.context_ids, *nothing][:width] for step in steps])

"""How voice, text and frames share a sequence."""

from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.tts.config import SequenceConfig
from codec.tts.sequence import NONE, speech_steps, text_ids, voice_steps
from codec.tts.text.tokenizer import SpecialIds

SPECIAL = SpecialIds(bos=1, begin_audio=25, next_text=36, repeat=35, pad=11)
configs = st.builds(
    SequenceConfig,
    design=st.sampled_from(["prefix", "interleaved", "dual"]),
    n_text=st.integers(1, 5),
    n_frames=st.integers(1, 5),
    delay=st.integers(0, 5),
)


def test_the_prompt_is_that_of_the_release():
    steps = [*voice_steps(SPECIAL, 3), *islice(speech_steps(SequenceConfig(), SPECIAL, [100, 101]), 6)]
    assert [s.text_id for s in steps] == [1, 25, NONE, NONE, NONE, 36, 100, 101, 35, 25, NONE, NONE]
    assert [s.reads_frame for s in steps] == [False, False, True, True, True, *[False] * 5, True, True]
    assert [s.predicts_frame for s in steps] == [False] * 9 + [True] * 3


def test_interleaved_blocks():
    config = SequenceConfig("interleaved", n_text=2, n_frames=3)
    steps = list(islice(speech_steps(config, SPECIAL, [100, 101, 102]), 8))
    assert [s.text_id for s in steps] == [100, 101, NONE, NONE, 102, 35, NONE, NONE]
    assert [s.reads_frame for s in steps] == [False, False, True, True, True, False, True, True]
    assert [s.predicts_frame for s in steps] == [False, True, True, True, False, True, True, True]
    assert [s.may_end for s in steps] == [False] * 5 + [True] * 3


def test_dual_streams():
    steps = list(islice(speech_steps(SequenceConfig("dual", delay=2), SPECIAL, [100]), 5))
    assert [s.text_id for s in steps] == [100, 35, 11, 11, 11]
    assert [s.reads_frame for s in steps] == [False, False, False, True, True]
    assert [s.predicts_frame for s in steps] == [False, False, True, True, True]


def test_aligned_text_goes_on_as_it_is_moved():
    config = SequenceConfig("aligned", behind=1, ahead=2)
    steps = list(islice(speech_steps(config, SPECIAL, [100, 101, 102], iter([0, 2, 3, 4])), 5))
    assert text_ids(steps, config.text_width).tolist() == [
        [100, 101, 102, NONE],  # the id, those after it, those before it
        [100, 101, 102, NONE],
        [102, 35, NONE, 101],
        [35, NONE, NONE, 102],
        [35, NONE, NONE, 102],
    ]
    assert [s.reads_frame for s in steps] == [False, True, True, True, True]
    assert all(s.predicts_frame for s in steps)
    assert [s.may_end for s in steps] == [False, False, False, True, True]
    without = list(
        islice(speech_steps(replace(config, audio_history=False), SPECIAL, [100, 101, 102], iter([0, 2, 3, 4])), 5)
    )
    assert without == [s._replace(reads_frame=False) for s in steps]


@given(st.lists(st.integers(100, 200), min_size=1, max_size=20), st.lists(st.integers(0, 4)), st.data())
def test_every_window_shows_the_text_around_its_place(ids, moves, data):
    config = SequenceConfig("aligned", behind=data.draw(st.integers(0, 3)), ahead=data.draw(st.integers(0, 3)))
    steps = list(islice(speech_steps(config, SPECIAL, ids, moves), len(moves) + 1))
    nothing, text = [NONE] * 3, [*ids, SPECIAL.repeat]
    place = 0
    for step, move in zip(steps, [*moves, 0], strict=True):
        assert step.text_id == text[place]
        padded = nothing + text + nothing
        assert step.context_ids == (
            *padded[place + 4 :][: config.ahead],
            *padded[place + 3 - config.behind : place + 3],
        )
        place = min(place + move, len(ids))


@given(configs, st.lists(st.integers(100, 200), min_size=1, max_size=20))
def test_every_design_reads_all_text_and_every_frame(config, ids):
    steps = list(islice(speech_steps(config, SPECIAL, ids), 200))
    read = [s.text_id for s in steps if s.text_id not in (NONE, SPECIAL.pad, SPECIAL.begin_audio)]
    assert read == [*ids, SPECIAL.repeat]
    n_predicted = n_read = 0
    for step in steps:
        assert n_read <= n_predicted  # a frame is read after it was predicted
        n_read += step.reads_frame
        if step.predicts_frame:
            assert n_read == n_predicted  # all frames so far are known
            n_predicted += 1
    ends = [s.may_end for s in steps if s.predicts_frame]
    assert ends == sorted(ends)
    assert ends[-1]


@pytest.mark.parametrize(("design", "n_read"), [("prefix", 9), ("interleaved", 2), ("dual", 1), ("aligned", 6)])
def test_text_is_read_as_late_as_the_design_allows(design, n_read):
    read = []

    def ids():
        for i in range(100, 109):
            read.append(i)
            yield i

    for step in speech_steps(SequenceConfig(design, n_text=2, delay=0), SPECIAL, ids()):
        if step.predicts_frame:
            break
    assert len(read) == n_read

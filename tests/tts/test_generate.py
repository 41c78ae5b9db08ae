"""The frame loop: caching, batching, slots, and where it stops."""

import itertools
import warnings
from dataclasses import replace

import pytest
import torch

from codec.tokens.layout import END
from codec.tts import generate
from codec.tts.config import DESIGNS
from codec.tts.generate import FrameLoop
from codec.tts.heads.base import HeadSampling
from codec.tts.model import end_frame
from codec.tts.sampling import Sampling
from codec.tts.sequence import NONE, NOT_YET, speech_steps, text_ids, voice_steps

GREEDY = Sampling(temperature=0, max_frames=12, min_frames=11)


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def run(loop, slots=(0,)):
    """Codes `[K, T]` of each slot, until all are free."""
    frames = {slot: [] for slot in slots}
    while len(loop.free) < len(loop.streams):
        for slot, (codes, _) in loop.advance().items():
            frames[slot].append(codes)
    return [torch.cat(f, dim=1) for f in frames.values()]


@pytest.mark.parametrize("design", DESIGNS)
def test_batch_equals_single(make_model, text_tokenizer, voice_codes, design):
    model = make_model(design)
    requests = [(text_tokenizer.encode(text), Sampling(max_frames=15 + i, min_frames=5 * i, seed=i))
                for i, text in enumerate(["the fox", "a voice says what it reads", "over the lazy dog"])]  # fmt: skip
    together = FrameLoop(model, text_tokenizer.special, 3)
    for slot, (ids, sampling) in enumerate(requests):
        together.start(slot, together.prefill(voice_codes[:, : 10 * (slot + 1)]), ids, sampling)
    batched = run(together, (0, 1, 2))
    for slot, (ids, sampling) in enumerate(requests):
        alone = FrameLoop(model, text_tokenizer.special)
        alone.start(0, alone.prefill(voice_codes[:, : 10 * (slot + 1)]), ids, sampling)
        assert torch.equal(run(alone)[0], batched[slot])


@pytest.mark.parametrize("reads", [False, True])
def test_frames_are_those_of_the_whole_sequence_at_once(make_model, text_tokenizer, voice_codes, reads):
    model, special, ids = make_model(reads=reads), text_tokenizer.special, text_tokenizer.encode("the lazy dog")
    if reads:
        model.semantic_condition[1].weight.normal_()
    loop = FrameLoop(model, special, 2)
    loop.start(1, loop.prefill(voice_codes), ids, GREEDY)
    codes = run(loop, (1,))[0]  # [K, T]
    steps = [*voice_steps(special, voice_codes.shape[1] + 1)]
    steps += itertools.islice(speech_steps(model.config.sequence, special, iter(ids)), len(ids) + 1 + codes.shape[1])
    end = end_frame(len(codes))[None]
    inputs = torch.cat([voice_codes.T + 2, end, codes.T + 2])
    frames = torch.full((1, len(steps), len(codes)), NONE)
    frames[0, torch.tensor([step.reads_frame for step in steps])] = inputs[:-1]
    h = model.backbone(model.embed(text_ids(steps, 1)[None], frames))[
        0, torch.tensor([step.predicts_frame for step in steps])
    ]
    semantic = codes[0] + 2
    assert torch.equal(model.semantic_logits(h).argmax(1), semantic)
    generator = torch.Generator().manual_seed(GREEDY.seed)
    noise = [(torch.rand(2, generator=generator), model.acoustic_head.draw(GREEDY.head, generator))[1] for _ in h]
    expected = model.acoustic_head.sample(model.condition(h, semantic), torch.stack(noise), GREEDY.head)
    assert torch.equal(expected.T, codes[1:])


def test_what_is_not_heard_changes_nothing(make_model, text_tokenizer, voice_codes):
    model, ids = make_model("aligned"), text_tokenizer.encode("the lazy dog")

    def speak(noise):
        loop = FrameLoop(model, text_tokenizer.special)
        sampling = Sampling(max_frames=12, min_frames=11, head=HeadSampling(temperature=noise))
        loop.start(0, loop.prefill(voice_codes), ids, sampling)
        return run(loop)[0]

    for history in (True, False):
        model.config.sequence.audio_history = history
        one, other = speak(0.0), speak(2.0)
        assert not torch.equal(one[1:], other[1:])
        assert torch.equal(one[0], other[0]) != history


@pytest.mark.parametrize("packet_frames", [5, 100])
def test_frames_without_history_are_the_same_many_at_once(make_model, text_tokenizer, voice_codes, packet_frames):
    model, ids = make_model("aligned", reads=True), text_tokenizer.encode("the lazy dog")
    model.config.sequence.audio_history = False

    def speak(packet_frames):
        loop = FrameLoop(model, text_tokenizer.special, 3, packet_frames=packet_frames)
        for slot, n_frames in enumerate((3, 9, 14)):
            head = HeadSampling(temperature=slot % 2)
            loop.start(slot, loop.prefill(voice_codes), ids, Sampling(max_frames=n_frames, seed=slot, head=head))
        return run(loop, (0, 1, 2))

    for one_by_one, at_once in zip(speak(1), speak(packet_frames), strict=True):
        assert torch.equal(one_by_one, at_once)


def test_frames_come_as_many_at_once_as_can_be_known(make_model, text_tokenizer, voice_codes):
    model = make_model("aligned")
    for history, sizes in ((True, [(1, False), (1, False)]), (False, [(8, False), (4, True)])):
        model.config.sequence.audio_history = history
        loop = FrameLoop(model, text_tokenizer.special, packet_frames=8)
        loop.start(0, loop.prefill(voice_codes), text_tokenizer.encode("fox"), GREEDY)
        parts = [loop.advance()[0] for _ in range(2)]
        assert [(part.codes.shape[1], part.is_last) for part in parts] == sizes


def test_a_request_can_join_later_and_slots_are_used_again(make_model, text_tokenizer, voice_codes):
    model, ids = make_model(), text_tokenizer.encode("the quick fox")
    loop = FrameLoop(model, text_tokenizer.special, 2)
    prefix = loop.prefill(voice_codes)
    loop.start(0, prefix, ids, GREEDY)
    expected = None
    for _ in range(5):
        loop.advance()
    loop.start(1, prefix, ids, GREEDY)
    with pytest.raises(ValueError, match="slot 1 is taken"):
        loop.start(1, prefix, ids, GREEDY)
    late = run(loop, (0, 1))[1]
    loop.start(0, prefix, ids, GREEDY)
    expected = run(loop)[0]
    assert torch.equal(late, expected)


def test_seeds_differ_and_repeat(make_model, text_tokenizer, voice_codes):
    model, ids = make_model(), text_tokenizer.encode("the lazy dog")

    def speak(seed):
        loop = FrameLoop(model, text_tokenizer.special)
        loop.start(0, loop.prefill(voice_codes), ids, Sampling(seed=seed, max_frames=15, min_frames=14))
        return run(loop)[0]

    assert torch.equal(speak(1), speak(1))
    assert not torch.equal(speak(1), speak(2))


def test_speech_that_does_not_end_is_cut_with_a_warning(make_model, text_tokenizer, voice_codes):
    model = make_model()
    model.semantic_head.weight[END] = 0  # never the likeliest
    loop = FrameLoop(model, text_tokenizer.special)
    ids = text_tokenizer.encode("fox")
    loop.start(0, loop.prefill(voice_codes), ids, Sampling(temperature=0, max_frames=9))
    with pytest.warns(UserWarning, match="cut after 9 frames"):
        assert run(loop)[0].shape[1] == 9
    loop.start(0, loop.prefill(voice_codes), ids, Sampling(temperature=0, frames_per_id=0.5))
    assert run(loop)[0].shape[1] == 25 + -(-len(ids) // 2)


def test_min_frames_holds_the_end_back(make_model, text_tokenizer, voice_codes):
    model = make_model()
    model.semantic_logits = lambda h: torch.zeros(len(h), 128).index_fill(1, torch.tensor([END]), 9.0)
    loop = FrameLoop(model, text_tokenizer.special)
    loop.start(0, loop.prefill(voice_codes), text_tokenizer.encode("fox"), Sampling(min_frames=4))
    assert run(loop)[0].shape[1] == 4


def test_room_grows_with_the_speech(make_model, text_tokenizer, voice_codes, monkeypatch):
    model, ids, capacity = make_model(), text_tokenizer.encode("the lazy dog"), 64
    monkeypatch.setattr(generate, "CAPACITY", capacity)
    long = Sampling(temperature=0, max_frames=capacity, min_frames=capacity - 1, frames_per_id=100)
    loop = FrameLoop(model, text_tokenizer.special)
    loop.start(0, loop.prefill(voice_codes), ids, long)
    roomy = FrameLoop(model, text_tokenizer.special)
    roomy.kv = model.backbone.init_state(1, 4 * capacity).kv
    roomy.start(0, roomy.prefill(voice_codes), ids, long)
    assert torch.equal(run(loop)[0], run(roomy)[0])
    assert loop.kv.shape[2] == 2 * capacity


def test_nothing_to_do_is_no_work(make_model, text_tokenizer):
    assert FrameLoop(make_model(), text_tokenizer.special).advance() == {}


def test_a_compiled_loop_speaks_the_same(make_model, text_tokenizer, voice_codes, monkeypatch):
    """The graph is run as it is: C++ of graphs is the matter of `test_compiled`, and takes half a minute."""
    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **kwargs: compiled(f, backend="aot_eager", **kwargs))
    model, ids = make_model(n_layers=1), text_tokenizer.encode("the lazy dog")
    spoken = []
    greedy = replace(GREEDY, head=HeadSampling(n_steps=1))  # quick to compile
    for mode in ("eager", "compile"):
        loop = FrameLoop(model, text_tokenizer.special, mode=mode)
        loop.start(0, loop.prefill(voice_codes), ids, greedy)
        spoken.append(run(loop)[0])
    assert torch.equal(*spoken)


def test_modes_are_checked(make_model, text_tokenizer):
    with pytest.raises(ValueError, match="mode = 'fast'"):
        FrameLoop(make_model(), text_tokenizer.special, mode="fast")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="NVIDIA GPU"):
            FrameLoop(make_model(), text_tokenizer.special, mode="graph")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_recorded_loop_speaks_the_same(make_model, text_tokenizer, voice_codes):
    model, ids = make_model().cuda(), text_tokenizer.encode("the lazy dog")
    spoken = []
    for mode in ("eager", "graph"):
        loop = FrameLoop(model, text_tokenizer.special, 2, mode)
        for slot in range(2):
            loop.start(slot, loop.prefill(voice_codes), ids, GREEDY)
        spoken.append(run(loop, (0, 1))[0])
    assert torch.equal(*spoken)


@pytest.mark.parametrize("design", DESIGNS)
def test_text_may_stall_and_streams_may_move(make_model, text_tokenizer, voice_codes, design):
    model, ids = make_model(design), text_tokenizer.encode("over the lazy dog")
    sampling = Sampling(max_frames=12, min_frames=11)

    def halting():
        for i in ids:
            yield from [NOT_YET, NOT_YET, i]

    alone = FrameLoop(model, text_tokenizer.special)
    alone.start(0, alone.prefill(voice_codes), ids, sampling)
    loop, frames, slot = FrameLoop(model, text_tokenizer.special, 3), [], 0
    loop.start(slot, loop.prefill(voice_codes), halting(), sampling)
    while slot not in loop.free:
        frames.append(loop.advance()[slot].codes)
        if slot not in loop.free:
            paused = loop.pause(slot)
            slot = (slot + 1) % 3
            loop.start((slot + 1) % 3, loop.prefill(voice_codes[:, :9]), ids, sampling)
            loop.advance()
            loop.stop((slot + 1) % 3)
            loop.resume(slot, paused)
    assert torch.equal(torch.cat(frames, dim=1), run(alone)[0])

"""The engine: requests side by side, as each would be alone, and what none of them may do to the others."""

import asyncio
import time

import pytest
import torch

from codec.serve.engine import Engine, Limits
from codec.serve.handle import BusyError, DeadlineError, SpeechError
from codec.serve.open_text import OpenText
from codec.tts import Sampling, TextError

TEXTS = ["One two. Three four!", "Five.", "Six seven, eight nine. One. Two."]
SHORT = [Sampling(max_frames=8, min_frames=3, seed=i) for i in range(3)]
LONG = Sampling(min_frames=1000)


@pytest.fixture
def make_engine(tts):
    engines = []

    def make(**limits):
        engines.append(Engine(tts, Limits(**limits)))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def request_of(tts, voice):
    return lambda text="One two.", sampling=LONG: tts.request(text, voice, sampling, "en")


async def read(handle):
    return torch.cat([packet async for packet in handle])


async def until(condition):
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")


@pytest.mark.parametrize("n_slots", [1, 2, 3])
def test_each_is_spoken_as_alone_whoever_comes_and_goes_beside_it(make_engine, request_of, tts, voice, n_slots):
    async def speak():
        engine = make_engine(n_slots=n_slots)
        left = engine.submit(request_of(), "leaves")
        first = engine.submit(request_of(TEXTS[0], SHORT[0]))
        await anext(left)
        rest = [engine.submit(request_of(text, sampling)) for text, sampling in zip(TEXTS[1:], SHORT[1:], strict=True)]
        left.cancel()
        return await asyncio.gather(*map(read, [first, *rest]))

    for spoken, text, sampling in zip(asyncio.run(speak()), TEXTS, SHORT, strict=True):
        torch.testing.assert_close(spoken, tts.speak(text, voice, sampling), atol=1e-5, rtol=0)


def test_packets_grow_with_what_each_listener_has(make_engine, request_of, tts):
    """The first is of one frame, also that of a request which joins others."""

    async def speak():
        engine = make_engine(n_slots=2, packet_frames=4)
        first = engine.submit(request_of())
        sizes = [len(await anext(first)) // tts.codec.config.hop_length for _ in range(5)]
        second = engine.submit(request_of())
        sizes.append(len(await anext(second)) // tts.codec.config.hop_length)
        first.cancel(), second.cancel()
        return sizes

    assert asyncio.run(speak()) == [1, 1, 2, 4, 4, 1]


def test_a_cancelled_request_frees_its_slot_within_a_frame(make_engine, request_of, tts):
    async def speak():
        engine = make_engine(n_slots=1)
        handle = engine.submit(request_of())
        await anext(handle)
        with engine._changed:
            handle.cancel()
            made = handle.n_samples
        await until(lambda: not engine.n_running)
        assert handle.n_samples <= made + tts.codec.config.hop_length
        assert len(await read(engine.submit(request_of("One.", SHORT[0]))))

    asyncio.run(speak())


def test_a_slow_reader_is_held_and_loses_nothing_while_others_go_on(make_engine, request_of, tts, voice):
    text, sampling = TEXTS[2], Sampling(min_frames=8, max_frames=10)

    async def speak():
        engine = make_engine(n_slots=2, buffer_seconds=0.25)
        slow = engine.submit(request_of(text, sampling))
        for _ in range(2):
            await read(engine.submit(request_of(TEXTS[0], sampling)))
        packet = engine.limits.packet_frames * tts.codec.config.hop_length
        assert slow.n_buffered < 0.25 * tts.sample_rate + packet
        return await read(slow)

    torch.testing.assert_close(asyncio.run(speak()), tts.speak(text, voice, sampling), atol=1e-5, rtol=0)


def test_clients_are_served_in_turn(make_engine, request_of):
    async def speak():
        engine = make_engine(n_slots=1)
        order = []

        async def one(name, handle):
            await read(handle)
            order.append(name)

        blocker = engine.submit(request_of(), "z")
        await anext(blocker)
        names = ["a", "a", "a", "b", "c", "b"]
        handles = [engine.submit(request_of("One.", SHORT[0]), name) for name in names]
        tasks = [asyncio.create_task(one(name, handle)) for name, handle in zip(names, handles, strict=True)]
        blocker.cancel()
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(speak()) == ["a", "b", "c", "a", "b", "a"]


def test_the_queue_is_bounded(make_engine, request_of):
    async def speak():
        engine = make_engine(n_slots=1, max_waiting=2)
        await anext(engine.submit(request_of()))
        for _ in range(2):
            waiting = engine.submit(request_of())
        with pytest.raises(BusyError, match="2 requests are waiting; ask again in 3 s"):
            engine.submit(request_of())
        waiting.cancel()
        await until(lambda: engine.n_waiting == 1)
        engine.submit(request_of())

    asyncio.run(speak())


def test_what_takes_too_long_is_ended_in_queue_and_slot(make_engine, request_of):
    async def speak():
        engine = make_engine(n_slots=1, max_seconds=0.3)
        handles = [engine.submit(request_of()) for _ in range(2)]
        for handle in handles:
            with pytest.raises(DeadlineError, match=r"within 0.3 s"):
                await read(handle)
        assert not engine.n_running

    asyncio.run(speak())


def test_a_request_that_fails_ends_alone(make_engine, request_of, tts, voice):
    def breaks():
        raise RuntimeError("broken")

    async def speak():
        engine = make_engine(n_slots=2)
        good, bad = engine.submit(request_of(TEXTS[0], SHORT[0])), request_of()
        bad.voice = property(breaks)  # no voice
        with pytest.raises(SpeechError):
            await read(engine.submit(bad))
        return await read(good)

    torch.testing.assert_close(asyncio.run(speak()), tts.speak(TEXTS[0], voice, SHORT[0]), atol=1e-5, rtol=0)


def test_the_engine_outlives_a_step_that_fails(make_engine, request_of, tts, voice, monkeypatch):
    async def speak():
        engine = make_engine(n_slots=2)
        handle = engine.submit(request_of())
        await anext(handle)
        with monkeypatch.context() as m:
            m.setattr(engine._loop.frames, "advance", lambda paused: 1 / 0)
            with pytest.raises(SpeechError, match="log"):
                await read(handle)
        return await read(engine.submit(request_of(TEXTS[0], SHORT[0])))

    torch.testing.assert_close(asyncio.run(speak()), tts.speak(TEXTS[0], voice, SHORT[0]), atol=1e-5, rtol=0)


def test_no_request_waits_for_an_engine_that_has_failed(make_engine, request_of, monkeypatch):
    async def speak():
        engine = make_engine(n_slots=1)
        running = engine.submit(request_of())
        await anext(running)
        with monkeypatch.context() as m:
            m.setattr(engine, "_renew", lambda: 1 / 0)
            m.setattr(engine, "_step", lambda paused: 1 / 0)
            waiting = engine.submit(request_of())
            for handle in (running, waiting):
                with pytest.raises(SpeechError, match="log"):
                    await read(handle)
        with pytest.raises(BusyError):
            engine.submit(request_of())
        assert engine.has_failed

    asyncio.run(speak())


def test_nothing_to_say_is_told_at_once(make_engine, tts, voice):
    with pytest.raises(TextError, match="at least one word"):
        make_engine().submit(tts.request("...", voice, LONG, "en"))


def test_closing_speaks_what_is_there_or_ends_it_in_time(make_engine, request_of):
    async def speak():
        engine = make_engine(n_slots=1)
        handle = engine.submit(request_of(TEXTS[0], SHORT[0]))
        await asyncio.to_thread(engine.close, 30)
        assert len(await read(handle))
        with pytest.raises(BusyError, match="closing"):
            engine.submit(request_of())
        engine = make_engine(n_slots=1)
        handle = engine.submit(request_of())
        start = time.monotonic()
        await asyncio.to_thread(engine.close, 0.1)
        assert time.monotonic() - start < 30
        with pytest.raises(BusyError, match="closing"):
            await read(handle)

    asyncio.run(speak())


def test_limits_are_positive():
    with pytest.raises(ValueError, match="n_slots = 0"):
        Limits(n_slots=0)


def test_text_that_is_still_being_written_is_spoken_as_if_it_were_whole(make_engine, tts, voice):
    pieces = ["One two thr", "ee, four five ", "six. Seven <break time='1s'/>", " eight nine.", " One."]

    async def speak():
        engine = make_engine(n_slots=1)
        texts = [OpenText(tts, voice, Sampling(seed=seed), "en") for seed in range(3)]
        handles = [engine.submit_open(text, f"{n}") for n, text in enumerate(texts)]
        readers = [asyncio.create_task(read(handle)) for handle in handles]
        for piece in pieces:
            for text in texts:
                text.append(piece)
                await until(lambda: not engine.n_waiting and all(h.request.is_stalled for h in handles))
        assert engine.n_paused >= 2  # all have stalled, in mid-word, and only one can have the slot
        for text in texts:
            text.close()
        return await asyncio.gather(*readers)

    for seed, spoken in enumerate(asyncio.run(speak())):
        alone = torch.cat([*tts.stream(iter(pieces), voice, Sampling(seed=seed))])
        torch.testing.assert_close(spoken, alone, atol=1e-5, rtol=0)


def test_readers_that_are_behind_leave_their_slots_to_others(make_engine, request_of, tts, voice):
    text, sampling = TEXTS[2], Sampling(min_frames=8, max_frames=10)

    async def speak():
        engine = make_engine(n_slots=1, buffer_seconds=0.25)
        slow = engine.submit(request_of(text, sampling))
        await read(engine.submit(request_of(TEXTS[0], sampling)))
        return await read(slow)

    torch.testing.assert_close(asyncio.run(speak()), tts.speak(text, voice, sampling), atol=1e-5, rtol=0)


def test_open_text_without_words_or_that_cannot_be_read_ends(make_engine, tts, voice):
    async def speak(piece):
        engine = make_engine(n_slots=1)
        text = OpenText(tts, voice, LONG, "hi")
        handle = engine.submit_open(text)
        text.append(piece)
        text.close()
        return [packet async for packet in handle]

    assert asyncio.run(speak("...")) == []
    with pytest.raises(TextError, match="digits"):
        asyncio.run(speak("5 one"))

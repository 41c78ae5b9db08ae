"""A server under clients that misbehave: does it leak, hang, or fail?

    python benchmarks/serve_soak.py --minutes 30

Random clients speak, leave, cancel, send garbage, read slowly, vanish and upload too much. Every few seconds memory and
open files are written down. It fails if one of them grows, if a request is answered with a status of 500 or above, or
if anything is left in the server after the last client.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import random
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import soundfile
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from eval.server import codec_serve

KEY = "a-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}
TEXT = "one two three four five six seven eight nine ten, yes. no! what? 17 5kg <break time='1s'/> \U0001f600"
WORDS = TEXT.split()
N_CLIENTS = 6
SAMPLE_SECONDS = 1.0
WARM_SHARE = 0.3  # of the time, after which nothing grows
MEMORY_SLACK = 64 * 2**20  # bytes, of allocators and caches
FILES_SLACK = 8
SETTLE_SECONDS = 60.0
ANSWER_SECONDS = 2.0  # for garbage
PATIENCE_SECONDS = 400.0  # longer than the server's own deadline for a request


class Soak:
    """Clients of one server.

    Args:
        address: host and port.
        voice: that they speak with.
        model: name of the served model.
        rng: decides what they do.
    """

    def __init__(self, address: str, model: str, voice: str, rng: random.Random) -> None:
        self.address, self.model, self.voice, self.rng = address, model, voice, rng
        self.counts: Counter[str] = Counter()
        self.bad: list[str] = []
        self.http = httpx.AsyncClient(base_url=f"http://{address}", headers=HEADERS, timeout=PATIENCE_SECONDS)

    async def run(self, seconds: float) -> None:
        """Misbehave for a time."""
        end = time.monotonic() + seconds
        await asyncio.gather(*(self._client(end) for _ in range(N_CLIENTS)))

    async def _client(self, end: float) -> None:
        kinds: list[Callable[[], Awaitable[None]]] = [
            self.speak, self.leave, self.read_slowly, self.send_garbage, self.send_too_much,
            self.talk, self.cancel, self.vanish, self.send_garbage_frames, self.encode,
        ]  # fmt: skip
        while time.monotonic() < end:
            kind = self.rng.choice(kinds)
            self.counts[kind.__name__] += 1
            try:
                await asyncio.wait_for(kind(), PATIENCE_SECONDS)
            except TimeoutError:
                self.bad.append(f"{kind.__name__}: no end after {PATIENCE_SECONDS:g} s")
            except (httpx.HTTPError, WebSocketException, OSError) as error:
                self.counts[type(error).__name__] += 1

    async def speak(self) -> None:
        self._check(await self.http.post("/v1/audio/speech", json=self._speech(10)))

    async def leave(self) -> None:
        async with self.http.stream("POST", "/v1/audio/speech", json=self._speech(200)) as response:
            self._check(response)
            async for _ in response.aiter_bytes():
                return

    async def read_slowly(self) -> None:
        async with self.http.stream("POST", "/v1/audio/speech", json=self._speech(20)) as response:
            self._check(response)
            async for _ in response.aiter_bytes():
                await asyncio.sleep(0.05)

    async def send_garbage(self) -> None:
        path = self.rng.choice(["/v1/audio/speech", "/v1/codec/decode", "/v1/codec/encode", "/v1/audio/voices", "/x"])
        kinds = ["application/json", "application/octet-stream", "multipart/form-data; boundary=b", "?"]
        content = self.rng.choice([b"", b"{", b'{"codes": [[', b"\x89C37\r\n"]) + self.rng.randbytes(300)
        self._check(await self.http.post(path, content=content, headers={"Content-Type": self.rng.choice(kinds)}))

    async def send_too_much(self) -> None:
        if self.rng.random() < 0.5:
            self._check(await self.http.post("/v1/codec/decode", content=_pieces(100)))
        else:
            self._check(await self.http.post("/v1/codec/encode", files={"file": BOMB}))

    async def encode(self) -> None:
        answer = await self.http.post("/v1/codec/encode", files={"file": CLIP})
        self._check(answer)
        self._check(await self.http.post("/v1/codec/decode?response_format=opus", content=answer.content))

    async def talk(self) -> None:
        async with self._socket() as socket:
            await self._write(socket, 10)
            await socket.send(json.dumps({"type": "session.close"}))
            async for _ in socket:
                pass

    async def cancel(self) -> None:
        async with self._socket() as socket:
            await self._write(socket, 100)
            await socket.recv()
            await socket.send(json.dumps({"type": "response.cancel"}))
            async for frame in socket:
                if not isinstance(frame, bytes) and json.loads(frame)["type"] == "session.done":
                    return

    async def vanish(self) -> None:
        async with self._socket() as socket:
            await self._write(socket, 100)
            socket.transport.abort()

    async def send_garbage_frames(self) -> None:
        path = self.rng.choice(["/v1/audio/speech/stream", "/v1/codec/stream"])
        async with self._socket(path) as socket:
            for _ in range(5):
                await socket.send(self.rng.randbytes(99))
                await socket.send(self.rng.choice(["{", "[]", '{"type": "input.text"}', '{"type": "session.config"}']))
                with contextlib.suppress(TimeoutError):  # what is allowed by chance has no answer
                    await asyncio.wait_for(socket.recv(), ANSWER_SECONDS)

    def _socket(self, path: str = "/v1/audio/speech/stream") -> connect:
        return connect(f"ws://{self.address}{path}", additional_headers=HEADERS)

    async def _write(self, socket: ClientConnection, n_words: int) -> None:
        await socket.send(json.dumps({"type": "session.config", "voice": self.voice, "word_timestamps": True}))
        for word in self._text(n_words).split():
            await socket.send(json.dumps({"type": "input.text", "text": f"{word} "}))

    def _speech(self, n_words: int) -> dict[str, Any]:
        format = self.rng.choice(["pcm", "wav", "opus", "mp3", "flac"])
        return {"model": self.model, "voice": self.voice, "input": self._text(n_words), "response_format": format}

    def _text(self, n_words: int) -> str:
        return "one " + " ".join(self.rng.choices(WORDS, k=n_words))

    def _check(self, response: httpx.Response) -> None:
        self.counts[str(response.status_code)] += 1
        if response.status_code >= 500:
            self.bad.append(f"{response.request.method} {response.request.url.path}: {response.status_code}")


async def _pieces(n_mebibytes: int):  # of a length that is not told
    for _ in range(n_mebibytes):
        yield bytes(2**20)


def _flac(n_seconds: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(round(n_seconds * 24_000), np.int16), 24_000, format="FLAC")
    return file.getvalue()


CLIP, BOMB = _flac(1.0), _flac(3 * 3600.0)  # the second is small, and has a gigabyte of samples


async def soak(server: psutil.Process, clients: Soak, seconds: float) -> list[tuple[int, int]]:
    """Bytes of memory and number of open files of the server, while the clients are there."""
    samples = []

    async def watch() -> None:
        while True:
            samples.append((server.memory_info().rss, server.num_fds()))
            await asyncio.sleep(SAMPLE_SECONDS)

    watcher = asyncio.create_task(watch())
    await clients.run(seconds)
    watcher.cancel()
    return samples


async def left_over(clients: Soak) -> dict[str, float]:
    """What is still in the server some time after its last client; nothing, if all is well."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        metrics = (await clients.http.get("/metrics")).text
        names = ("running_requests", "waiting_requests", "paused_requests", "sessions")
        found = {name: float(re.search(rf"^codec_{name} (\S+)", metrics, re.MULTILINE)[1]) for name in names}  # type: ignore[index]
        left = {name: n for name, n in found.items() if n}
        if not left or time.monotonic() > end:
            return left
        await asyncio.sleep(0.2)


def growth(samples: list[tuple[int, int]]) -> tuple[int, int]:
    """How far memory (bytes) and open files rose above their highest values of the first part."""
    n_warm = max(1, int(WARM_SHARE * len(samples)))
    warm, rest = np.array(samples[:n_warm]), np.array(samples[n_warm:] or samples[-1:])
    more = np.median(rest[-max(1, len(rest) // 4) :], axis=0) - warm.max(axis=0)
    return int(more[0]), int(more[1])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--model", default="default", help="as for codec serve")
    parser.add_argument("--voice", default="kathleen")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        (keys := Path(folder, "keys")).write_text(KEY)
        settings = ["--model", options.model, "--voices", folder, "--key-file", str(keys)]
        with codec_serve(settings) as (process, url):
            problems = asyncio.run(_run(process.pid, url.removeprefix("http://"), options))
            process.terminate()
            if process.wait(timeout=60) not in (0, -signal.SIGTERM):
                problems.append(f"exit code {process.returncode} on SIGTERM")
    if problems:
        raise SystemExit("\n".join(problems))


async def _run(pid: int, address: str, options: argparse.Namespace) -> list[str]:
    clients = Soak(address, Path(options.model).name, options.voice, random.Random(options.seed))
    samples = await soak(psutil.Process(pid), clients, 60 * options.minutes)
    left = await left_over(clients)
    memory, files = growth(samples)
    print("| what | times |\n| --- | ---: |")
    print("\n".join(f"| {name} | {n} |" for name, n in sorted(clients.counts.items())))
    print(
        f"\nmemory {samples[-1][0] / 2**20:.0f} MiB ({memory / 2**20:+.0f}), open files {samples[-1][1]} ({files:+d})"
    )
    problems = clients.bad + [f"left in the server: {n:g} {name}" for name, n in left.items()]
    if memory > MEMORY_SLACK:
        problems.append(f"memory grew by {memory / 2**20:.0f} MiB")
    if files > FILES_SLACK:
        problems.append(f"open files grew by {files}")
    return problems


if __name__ == "__main__":
    main()

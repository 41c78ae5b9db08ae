"""What Prometheus reads of a server."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from codec.serve.connection import Sessions
from codec.serve.engine import Engine
from codec.serve.handle import Handle

SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.3, 2.0, 5.0, 10.0, 30.0)  # bounds of waiting


class Metrics:
    """Counts of one server."""

    def __init__(self, engine: Engine, sessions: Sessions) -> None:
        self.sample_rate = engine.tts.sample_rate
        self.registry = r = CollectorRegistry()
        ProcessCollector(registry=r)  # processor time, memory, open files; on Linux
        self.requests = Counter("codec_requests", "Requests answered", ["path", "status"], registry=r)
        self.first_audio = Histogram(
            "codec_first_audio_seconds", "From a request for speech to its first packet", buckets=SECONDS, registry=r
        )
        self.audio = Counter("codec_audio_seconds", "Speech made, in seconds of sound", registry=r)
        running = Gauge("codec_running_requests", "Requests being spoken", registry=r)
        running.set_function(lambda: engine.n_running)
        waiting = Gauge("codec_waiting_requests", "Requests in the queue", registry=r)
        waiting.set_function(lambda: engine.n_waiting)
        paused = Gauge("codec_paused_requests", "Requests whose text or reader is behind, without a slot", registry=r)
        paused.set_function(lambda: engine.n_paused)
        connected = Gauge("codec_sessions", "WebSocket connections", registry=r)
        connected.set_function(lambda: sessions.n)

    def count(self, handle: Handle) -> None:
        """Add what was made for a request."""
        self.audio.inc(handle.n_samples / self.sample_rate)

    def text(self) -> bytes:
        """All of them, in Prometheus's format."""
        return generate_latest(self.registry)

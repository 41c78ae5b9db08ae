"""Several replicas of the server behind one address, on a Ray cluster.

    pip install -c constraints.txt 'codec37[ray]'
    serve run deploy.ray_serve:application replicas=2 voices=/shared/voices

Each replica has an engine of its own, which `codec.serve` describes, on a CPU or a GPU of its own. Ray sends a request
to the replica with fewer of them. Speech is not resumed: with a replica, its streams end, before their end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application

import codec.tts
from codec.serve.access import read_keys
from codec.serve.app import make_app
from codec.serve.engine import Engine, Limits
from codec.serve.voices import VoiceStore
from codec.settings import DEFAULT

DRAIN_SECONDS = 30.0  # for what is being spoken when a replica is told to end


class Settings(BaseModel):
    """What follows the application's name on the command line, as `name=value`."""

    model_config = ConfigDict(extra="forbid")

    model: str = DEFAULT  # as of `codec serve`
    voices: Path | None = None  # a folder that all replicas see
    key_file: Path | None = None
    device: str = "cpu"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    slots: int = 8
    replicas: int = 2
    cpus: float = 1.0  # of a replica
    gpus: float = 0.0  # of a replica


@serve.deployment
@serve.ingress()
class Replica:
    """One engine and its application."""

    def __init__(self, settings: Settings) -> None:
        torch.set_flush_denormal(True)
        self.settings, self.keys = settings, read_keys(settings.key_file)
        tts = codec.tts.load(settings.model, settings.device, getattr(torch, settings.dtype))
        self.engine = Engine(tts, Limits(n_slots=settings.slots))

    def __serve_build_asgi_app__(self) -> FastAPI:
        store = VoiceStore(self.engine.tts, self.settings.voices)
        return make_app(self.engine, store, Path(self.settings.model).name, self.keys)

    def check_health(self) -> None:
        """Ray replaces a replica for which this raises."""
        if not self.engine.is_open:
            raise RuntimeError("the engine has ended")


def application(settings: Settings) -> Application:
    """The deployment, for `serve run`."""
    limits = Limits(n_slots=settings.slots)
    return Replica.options(
        num_replicas=settings.replicas,
        max_ongoing_requests=limits.n_slots + limits.max_waiting,
        max_queued_requests=limits.max_waiting,
        graceful_shutdown_timeout_s=DRAIN_SECONDS,
        ray_actor_options={"num_cpus": settings.cpus, "num_gpus": settings.gpus},
    ).bind(settings)

"""The command serve: speech and tokens over HTTP and WebSockets."""

from __future__ import annotations

import ipaddress
import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from codec.cli.common import Device, Model, Precision, check_precision, open_model, told
from codec.extras import needs
from codec.malloc import share_arenas
from codec.settings import DEFAULT

DRAIN_SECONDS = 30  # for requests that are running when the server is asked to end
MAX_MESSAGE_BYTES = 2**20  # of a WebSocket
N_ARENAS = 2

Host = Annotated[str, typer.Option(help="address to listen on; by default only this machine can connect")]
Port = Annotated[int, typer.Option(help="port to listen on; 0 takes a free one", min=0, max=65535)]
Voices = Annotated[Path | None, typer.Option(help="folder of voice files, to which clients may add")]
KeyFile = Annotated[Path | None, typer.Option(help="file of API keys, one a line; without, none are asked for")]
Mark = Annotated[str | None, typer.Option("--watermark", help="module:function or entry point that marks all sound")]
Recognizer = Annotated[
    str | None, typer.Option(help="Whisper for faster-whisper that transcribes: size, hub id or folder")
]
Threads = Annotated[int, typer.Option(help="CPU threads for each operation; a small model is fastest with one", min=1)]
Slots = Annotated[int, typer.Option(help="requests that are spoken side by side", min=1)]


def serve(
    model: Model = DEFAULT,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    voices: Voices = None,
    key_file: KeyFile = None,
    slots: Slots = 8,
    threads: Threads = 1,
    watermark: Mark = None,
    recognizer: Recognizer = None,
    device: Device = "cpu",
    dtype: Precision = "float32",
) -> None:
    """Serve speech over HTTP, as OpenAI's clients ask for it, and tokens; ends on SIGTERM once all is spoken."""
    check_precision(dtype)
    share_arenas(N_ARENAS)  # before PyTorch starts threads
    with told():
        if voices is not None and not voices.is_dir():
            raise ValueError(f"--voices {voices}: no such folder; create it first")
        import torch

        with needs("fastapi uvicorn", "serving", "serve"):
            import uvicorn

            from codec.serve.access import read_keys
            from codec.serve.app import make_app
            from codec.serve.engine import Engine, Limits
            from codec.serve.recognition import load_recognizer
            from codec.serve.voices import VoiceStore
            from codec.serve.watermark import load_watermark
        from codec import tts

        keys = read_keys(key_file)
        mark = None if watermark is None else load_watermark(watermark)
        recognizers = {} if recognizer is None else {Path(recognizer).name: load_recognizer(recognizer)}
    if not keys and not _is_loopback(host):
        typer.echo(f"warning: whoever reaches {host} may use this server; give --key-file", err=True)
    torch.set_num_threads(threads)
    network = open_model(tts.load, model, device, dtype)
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    engine, store = Engine(network, Limits(n_slots=slots)), VoiceStore(network, voices)
    app = make_app(engine, store, Path(model).name, keys, mark, recognizers)
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        ws_max_size=MAX_MESSAGE_BYTES,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _JsonFormatter(logging.Formatter):
    """A record of the log as a line of JSON, with the fields that it was given as `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record), "level": record.levelname, "message": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)

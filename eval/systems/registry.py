"""Systems by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from codec.tokenizer import load
from eval.systems.anchors import Lowpass, MuLaw
from eval.systems.base import System, split_n_q
from eval.systems.files import Files
from eval.systems.huggingface import Dac, Encodec, Mimi
from eval.systems.lyra import Lyra
from eval.systems.ours import CodecSystem, FileSystem
from eval.systems.programs import Codec2, opus, speex
from eval.systems.snac import Snac

ANCHORS: dict[str, Callable[[], System]] = {
    "identity": partial(Lowpass, "identity"),
    "lowpass-8k": partial(Lowpass, "lowpass-8k", 8_000),
    "lowpass-12k": partial(Lowpass, "lowpass-12k", 12_000),
    "lowpass-16k": partial(Lowpass, "lowpass-16k", 16_000),
    "mulaw": MuLaw,
}

BASELINES: dict[str, Callable[[], System]] = {
    **{f"codec2-{mode}": partial(Codec2, mode) for mode in ("700C", "1600", "2400", "3200")},
    "speex-nb-0": partial(speex, "speex-nb-0", "narrowband", 0),
    "speex-nb-1": partial(speex, "speex-nb-1", "narrowband", 1),
    "speex-wb-1": partial(speex, "speex-wb-1", "wideband", 1),
    "opus-6-60ms": partial(opus, "opus-6-60ms", 6, 60),
    **{f"opus-{rate}": partial(opus, f"opus-{rate}", rate) for rate in (6, 9, 12, 16, 24)},
}

# Each is called with name, source of the weights, number of codebooks and device.
PRETRAINED: dict[str, Callable[[str, str, int | None, str], System]] = {
    **{kind.family: kind for kind in (Encodec, Dac, Mimi, Snac)},
    "lyra": lambda name, source, n_q, device: Lyra(name, source, n_q),  # always on the CPU
}

FILES = "files="  # precedes the folder of outputs made elsewhere
STREAMS = "c37="  # precedes a codec of ours whose rate is that of `.c37` files


def make_system(spec: str, device: str = "cpu") -> System | Files:
    """Make the system called `spec`.

    Args:
        spec: a name in `ANCHORS` or `BASELINES`; a name in `PRETRAINED`, optionally with its weights as in
            `mimi=FOLDER_OR_HUB_ID` or `lyra=FOLDER`; or a checkpoint folder, hub id or preset of ours, after `c37=`
            with the rate of its files. A number of codebooks may follow the last two: `mimi:8`. `files=FOLDER` are
            outputs made elsewhere (see `Files`).
        device: of neural codecs.

    Raises:
        MissingDependencyError: a baseline's program is not installed.
        MissingDependencyError: a pretrained codec's package or weights are not on this machine.
        ValueError: no such baseline, checkpoint or files, or not so many codebooks.
    """
    if spec in ANCHORS or spec in BASELINES:
        return (ANCHORS | BASELINES)[spec]()
    if spec.startswith(FILES):
        return Files(spec, Path(spec.removeprefix(FILES)))
    model, n_q = split_n_q(spec)
    family, _, source = model.partition("=")
    if family in PRETRAINED:
        return PRETRAINED[family](spec, source, n_q, device)
    try:
        tokenizer = load(model.removeprefix(STREAMS), device)
    except ValueError as error:
        known = " ".join([*BASELINES, *PRETRAINED, *ANCHORS, f"{FILES}FOLDER"])
        raise ValueError(f"system {spec}: {error}; the baselines are {known}") from error
    return (FileSystem if model.startswith(STREAMS) else CodecSystem)(tokenizer, n_q, spec)

"""SQUIM: STOI, PESQ-WB and SI-SDR, estimated from the output alone by torchaudio's network.

For outputs without a reference, such as synthesized speech; with a reference, measure the three themselves.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torchaudio.models import squim_objective_base

from codec.extras import MissingDependencyError
from eval.digest import digest
from eval.metrics.base import Column, Metric, Pair, at_rate

RATE = 16_000  # Hz
MIN_SAMPLES = 64  # the width of the network's first convolution
WEIGHTS = "squim_objective_dns2020.pth"  # 28 MB, CC BY 4.0
COLUMNS = (
    Column("squim_stoi", "SQUIM STOI", True, 3),
    Column("squim_pesq", "SQUIM PESQ", True, 2),
    Column("squim_si_sdr", "SQUIM SI-SDR", True, 1, "dB"),
)


def make_squim(option: str) -> Metric:
    """Make the metric from weights on disk.

    Args:
        option: path of the weights; empty: torchaudio's place, `torchaudio/models` in torch's hub folder.

    Raises:
        MissingDependencyError: there are no weights. `measure` raises ValueError for an output that is silent or
            shorter than 4 ms.
        ValueError: the file is no such weights.
    """
    path = Path(option) if option else Path(torch.hub.get_dir()) / "torchaudio" / "models" / WEIGHTS
    if not path.is_file():
        url = f"https://download.pytorch.org/torchaudio/models/{WEIGHTS}"
        raise MissingDependencyError(f"squim: {path} not found; put {url} there, or name its place: squim:PATH")
    network = squim_objective_base()
    try:
        network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    except Exception as error:  # torch raises many kinds for files that are not its own
        raise ValueError(f"squim: {path}: {error}; expected torchaudio's {WEIGHTS}") from error
    network.eval()

    def measure(pair: Pair) -> list[float]:
        output = at_rate(pair.output, pair.sample_rate, RATE, "output")
        if len(output) < MIN_SAMPLES:
            raise ValueError(f"output: {len(output)} samples at 16 kHz; SQUIM needs {MIN_SAMPLES}")
        with torch.inference_mode():
            return [float(score) for score in network(torch.from_numpy(output)[None])]

    return Metric(COLUMNS, measure, digest(path))

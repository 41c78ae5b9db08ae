"""DNSMOS: the quality of an output without its reference, predicted by Microsoft's networks (MIT licence).

An output with other words in a clean voice scores high.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np

from codec.extras import needs
from eval.metrics.base import Column, Metric, Pair, at_rate

RATE = 16_000  # Hz
KEYS = ("sig_mos", "bak_mos", "ovrl_mos", "p808_mos")  # in the package's results, in the order of `COLUMNS`
COLUMNS = (
    Column("dnsmos_sig", "DNSMOS SIG", True, 2),  # P.835: of the speech, of the background, overall
    Column("dnsmos_bak", "DNSMOS BAK", True, 2),
    Column("dnsmos_ovrl", "DNSMOS OVRL", True, 2),
    Column("dnsmos_p808", "DNSMOS P.808", True, 2),
)


def make_dnsmos() -> Metric:
    """Scores of about 1 to 5, means over windows of 9 s that start a second apart; shorter outputs are repeated.

    The networks are in the package `speechmos`. Their input is 16 kHz, clipped to full scale.

    Raises:
        MissingDependencyError: a package is not installed. `measure` raises ValueError for a silent output.
    """
    with needs("speechmos onnxruntime librosa requests", "dnsmos"):
        import onnxruntime
        from speechmos import dnsmos
    folder = Path(dnsmos.__file__).parent / "dnsmos_models"
    judge = dnsmos.DNSMOS(str(folder / "sig_bak_ovr.onnx"), str(folder / "model_v8.onnx"))
    # The package's own sessions start a thread for each core, in every worker.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    judge.onnx_sess = onnxruntime.InferenceSession(folder / "sig_bak_ovr.onnx", options)
    judge.p808_onnx_sess = onnxruntime.InferenceSession(folder / "model_v8.onnx", options)

    def measure(pair: Pair) -> list[float]:
        output = np.clip(at_rate(pair.output, pair.sample_rate, RATE, "output"), -1, 1)
        scores = judge(output, RATE, False)  # False: not the variant for one speaker among others
        return [float(scores[key]) for key in KEYS]

    return Metric(COLUMNS, measure, version("speechmos"))

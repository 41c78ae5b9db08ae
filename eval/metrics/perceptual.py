"""PESQ and STOI: predicted quality and intelligibility of an output, between equally long waveforms `[L]`.

A pair that cannot be measured raises ValueError; it never becomes a low score.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from pesq import PesqError, pesq

from eval.metrics.base import Waveform, at_rate, check_pair

PESQ_RATES = {"nb": 8_000, "wb": 16_000}  # Hz
STOI_RATE = 10_000  # Hz
PESQ_MAX_SECONDS = 30  # beyond about 50 utterances in a file, the reference code writes past its arrays
STOI_SAMPLES = 256 + 29 * 128  # the 30 frames of 10 kHz speech that STOI correlates


def pesq_wb(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> float:
    """Wideband PESQ (ITU-T P.862.2) as a listening score, 1.02 to 4.64.

    Raises:
        ValueError: a waveform is silent, holds no speech, is too short or over 30 s; see also `check_pair`.
    """
    return _pesq(reference, output, sample_rate, "wb")


def pesq_nb(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> float:
    """Narrowband PESQ (ITU-T P.862) as a listening score (P.862.1), 1.02 to 4.55; up to 4 kHz.

    Raises:
        ValueError: as `pesq_wb`.
    """
    return _pesq(reference, output, sample_rate, "nb")


def stoi(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> float:
    """Short-time objective intelligibility, up to 1.

    Raises:
        ValueError: a waveform is silent, or there is less than 0.4 s of speech; see also `check_pair`.
    """
    return _stoi(reference, output, sample_rate, extended=False)


def estoi(reference: Waveform, output: Waveform, sample_rate: int = 24_000) -> float:
    """Extended STOI: compares spectra as well as envelopes, so it also suits distortions that vary in time.

    Raises:
        ValueError: as `stoi`.
    """
    return _stoi(reference, output, sample_rate, extended=True)


def _pesq(reference: Waveform, output: Waveform, sample_rate: int, mode: str) -> float:
    rate = PESQ_RATES[mode]
    pair = _resampled(reference, output, sample_rate, rate)
    if (seconds := len(pair[0]) / rate) > PESQ_MAX_SECONDS:
        raise ValueError(f"PESQ: {seconds:.1f} s; cut it to at most {PESQ_MAX_SECONDS} s")
    try:
        value = float(pesq(rate, *pair, mode))
    except (PesqError, ValueError) as error:
        reason = error.args[0] if error.args else error
        raise ValueError(f"PESQ: {reason.decode() if isinstance(reason, bytes) else reason}") from error
    if not np.isfinite(value):
        raise ValueError(f"PESQ: came out as {value}")
    return value


def _stoi(reference: Waveform, output: Waveform, sample_rate: int, extended: bool) -> float:
    from pystoi import stoi as pystoi  # loads scipy.signal, which is slow

    pair = _resampled(reference, output, sample_rate, STOI_RATE)
    if len(pair[0]) < STOI_SAMPLES:
        raise ValueError(f"STOI: {len(pair[0]) / STOI_RATE:.2f} s; it needs 0.4 s of speech")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # pystoi warns and returns 1e-5 for too little speech
        try:
            value = float(pystoi(*pair, STOI_RATE, extended=extended))
        except (RuntimeWarning, ValueError) as error:
            raise ValueError(f"STOI: {str(error).partition('. ')[0]}") from error
    if not np.isfinite(value):
        raise ValueError(f"STOI: came out as {value}")
    return value


def _resampled(reference: Waveform, output: Waveform, sample_rate: int, rate: int) -> list[NDArray[np.float32]]:
    """Both at `rate`, neither silent."""
    pair = zip(("reference", "output"), check_pair(reference, output), strict=True)
    return [at_rate(x, sample_rate, rate, name) for name, x in pair]

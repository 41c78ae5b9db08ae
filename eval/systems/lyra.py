"""Lyra v2: Google's published networks, run by LiteRT frame by frame on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codec.extras import MissingDependencyError, needs
from eval.digest import digest
from eval.systems.base import SAMPLE_RATE, Coded, System, check_n_q, resample

RATE = 16_000  # Hz
FRAME = 320  # samples, 20 ms
N_QUANTIZERS = 46
CODE_BITS = 4
UNUSED = -1  # code of a quantizer that is not in use
ENCODER, QUANTIZER, DECODER = "soundstream_encoder.tflite", "quantizer.tflite", "lyragan.tflite"
FILES = (ENCODER, QUANTIZER, DECODER)


class Lyra(System):
    """Lyra v2 with its first `n_q` quantizers; its own settings are 16, 30 and 46 for 3.2, 6.0 and 9.2 kbit/s.

    Bits are those of the codes; the length of the waveform, which cuts the last frame, is not counted.

    Args:
        name: as in tables.
        source: folder with the three networks.
        n_q: quantizers in use; all 46 if None.

    Raises:
        MissingDependencyError: package or networks are not there; the message says how to get them.
        ValueError: the files are something else, or `n_q` is none of 1 to 46.
    """

    lag = 0  # within a sample, by correlating outputs at 46 quantizers with recordings of seven corpora

    def __init__(self, name: str, source: str = "", n_q: int | None = None) -> None:
        self.n_q = check_n_q(name, n_q, N_QUANTIZERS)
        with needs("ai-edge-litert", "lyra"):
            from ai_edge_litert.interpreter import Interpreter
        missing = [file for file in FILES if not source or not (Path(source) / file).is_file()]
        if missing:
            raise MissingDependencyError(
                f"{name}: {missing[0]} not found; copy {', '.join(FILES)} from lyra/model_coeffs of "
                "github.com/google/lyra, and name their folder: lyra=FOLDER"
            )
        self.interpreter = Interpreter
        self.models = {file: (Path(source) / file).read_bytes() for file in FILES}
        self.name, self.version = name, digest(*self.models.values())
        self.codebook_sizes = (2**CODE_BITS,) * self.n_q
        try:
            self.decode(self.encode(torch.zeros(FRAME)))
        except (ValueError, RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{source}: {reason}; expected the networks of Lyra v2 in {', '.join(FILES)}") from error

    def encode(self, waveform: Tensor) -> Coded:
        x = resample(waveform, SAMPLE_RATE, RATE)
        frames = torch.nn.functional.pad(x, (0, -len(x) % FRAME)).view(-1, 1, FRAME).numpy(force=True)
        encoder, quantizer = self._start(ENCODER), self._start(QUANTIZER, "encode")
        codes = []
        for frame in frames:
            latents = encoder(input_audio=frame)["output_0"]
            codes.append(quantizer(input_frames=latents, num_quantizers=np.int32(self.n_q))["output_0"])
        used = torch.from_numpy(np.stack(codes)[:, : self.n_q, 0, 0].T.astype(np.int64))
        return Coded(float(CODE_BITS * used.numel()), (used, len(x)), used)

    def decode(self, coded: Coded) -> Tensor:
        used, n_samples = coded.data
        codes = np.full((used.shape[1], N_QUANTIZERS, 1, 1), UNUSED, np.int32)
        codes[:, : self.n_q, 0, 0] = used.T.numpy()
        quantizer, decoder = self._start(QUANTIZER, "decode"), self._start(DECODER)
        frames = [decoder(input_audio=quantizer(encoding_indices=c)["output_0"])["output_0"] for c in codes]
        return resample(torch.from_numpy(np.stack(frames).flatten()[:n_samples]), RATE, SAMPLE_RATE)

    def _start(self, file: str, signature: str = "serving_default") -> Any:
        """Load a network as a function of one frame, in its initial state: LiteRT cannot reset it."""
        return self.interpreter(model_content=self.models[file], num_threads=1).get_signature_runner(signature)

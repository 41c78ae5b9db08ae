"""A codec under Codec-SUPERB's base class, as its scripts use it."""

from abc import ABC, abstractmethod

import numpy as np
import soundfile
import torch

from eval.boards.codec_superb import UnitCodec


class BaseCodec(ABC):
    """What matters of theirs."""

    def __init__(self):
        self.device, self.sampling_rate = "cpu", None
        self.config()

    @abstractmethod
    def config(self): ...

    @abstractmethod
    def extract_unit(self, data): ...

    @abstractmethod
    def decode_unit(self, stuff_for_synth): ...


def test_their_scripts_get_codes_and_audio(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "codec")

    class Codec(UnitCodec, BaseCodec):
        model = str(tmp_path / "codec")

    codec = Codec()
    assert codec.sampling_rate == 24_000
    speech = soundfile.read("tests/data/kathleen.flac", dtype="float64")[0][:30_000]
    extracted = codec.extract_unit({"id": "a", "audio": {"array": speech, "sampling_rate": 24_000}})
    expected = tokenizer.encode(speech, 24_000)
    assert torch.equal(extracted.unit, expected.codes[0])
    audio = codec.decode_unit(extracted.stuff_for_synth)
    assert (audio.dtype, audio.shape) == (np.float32, speech.shape)
    np.testing.assert_array_equal(audio, tokenizer.decode(expected)[0].numpy())
    half = codec.extract_unit({"audio": {"array": speech[::2], "sampling_rate": 12_000}})
    assert half.unit.shape == extracted.unit.shape

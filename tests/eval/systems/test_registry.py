"""Our codecs as systems."""

import math

import pytest
import torch
from tiny import make_codec

from codec.audio.io import read_audio
from codec.tokenizer import Tokenizer
from eval.systems.ours import CodecSystem
from eval.systems.registry import make_system


@pytest.mark.parametrize("n_q", [None, 1, 3])
def test_bits_are_frames_times_log2_of_sizes(tokenizer, n_q):
    c = tokenizer.config
    x = 0.1 * torch.randn(3 * c.hop_length + 1)
    system = CodecSystem(tokenizer, n_q)
    coded = system.encode(x)
    y = system.decode(coded)
    assert y.shape == x.shape
    assert coded.codes.shape == (len(system.codebook_sizes), 4)
    assert coded.bits == pytest.approx(4 * sum(math.log2(size) for size in c.codebook_sizes[:n_q]))
    torch.testing.assert_close(y, tokenizer.decode(tokenizer.encode(x, 24_000).prefix(n_q or c.num_codebooks))[0])


def test_other_sample_rates():
    tokenizer = Tokenizer(make_codec("16 kHz"))
    x = 0.1 * torch.randn(24_000)
    system = CodecSystem(tokenizer)
    coded = system.encode(x)
    assert abs(len(system.decode(coded)) - len(x)) <= 1
    assert coded.bits == pytest.approx(
        math.ceil(16_000 / tokenizer.config.hop_length) * tokenizer.config.bitrate() / tokenizer.config.frame_rate
    )


@pytest.mark.parametrize("n_q", [2, 5, 37])
def test_bits_of_files_are_those_of_whole_files(n_q):
    x = read_audio("tests/data/kathleen.flac", None, 24_000)[:48_000]
    nominal, files = make_system(f"default:{n_q}"), make_system(f"c37=default:{n_q}")
    coded = files.encode(x)
    torch.testing.assert_close(files.decode(coded), nominal.decode(nominal.encode(x)))
    header = 8 * 100
    assert coded.bits % 8 == 0
    assert 0.5 * nominal.encode(x).bits < coded.bits < nominal.encode(x).bits + header
    assert files.version != nominal.version, "sizes change with the token model"


def test_specs(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "model")
    whole, part = make_system(f"{tmp_path}/model"), make_system(f"{tmp_path}/model:2")
    assert (whole.n_q, part.n_q) == (tokenizer.config.num_codebooks, 2)
    assert part.name.endswith("model:2")
    assert part.version == whole.version == tokenizer.fingerprint
    assert whole.lag == 0
    with pytest.raises(ValueError, match=r"n_q = 99; it has 1 to"):
        make_system(f"{tmp_path}/model:99")
    with pytest.raises(ValueError, match=r"system opus-7: .* the baselines are .* opus-6"):
        make_system("opus-7")

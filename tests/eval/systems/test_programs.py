"""Codecs that are programs, with fakes on PATH that cost a known number of bits and delay by a known time."""

import numpy as np
import pytest
import torch

from codec.extras import MissingDependencyError
from eval.systems.programs import Codec2
from eval.systems.registry import BASELINES, make_system

DELAY = 100  # samples at 8 kHz
# c2enc keeps the samples beside itself and writes 8 bytes for each 20 ms; c2dec gives them back, late.
FAKES = {
    "c2enc": 'n=$(wc -c < "$2"); head -c $((n / 320 * 8)) /dev/zero > "$3"; cp "$2" "$0.pcm"',
    "c2dec": f'head -c {2 * DELAY} /dev/zero > "$3"; cat "${{0%dec}}enc.pcm" >> "$3"',
}


@pytest.fixture
def fake_codec2(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in FAKES.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def sine() -> torch.Tensor:
    return 0.5 * torch.sin(2 * torch.pi * 440 / 24_000 * torch.arange(24_000 + 300))


def test_output_delay_and_bits(fake_codec2):
    x = sine()
    system = Codec2("3200")
    coded = system.encode(x)
    y = system.decode(coded)
    assert coded.bits == 50 * 64  # 1.0125 s hold 50 whole frames
    late = 3 * DELAY
    torch.testing.assert_close(y[late + 200 : len(x) - 200], x[200 : len(x) - 200 - late], atol=2e-3, rtol=0)


def test_padding_of_frames_is_no_payload(fake_codec2):
    (fake_codec2 / "c2enc").write_text('#!/bin/sh\nhead -c 100 /dev/zero > "$3"\n')
    assert Codec2("700C").encode(sine()).bits == 25 * 28


def test_a_failing_program_says_why(fake_codec2):
    (fake_codec2 / "c2enc").write_text("#!/bin/sh\necho starting; echo no such mode >&2; exit 3\n")
    with pytest.raises(RuntimeError, match="c2enc failed with status 3: no such mode"):
        Codec2("3200").encode(sine())


@pytest.mark.parametrize("name", BASELINES)
def test_a_missing_program_names_its_package(name, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    package = {"c": "codec2", "s": "speex", "o": "opus-tools"}[name[0]]
    with pytest.raises(MissingDependencyError, match=f"install the Debian package {package}$"):
        make_system(name)


@pytest.mark.parametrize("name", BASELINES)
def test_real_programs(name):
    try:
        system = make_system(name)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    assert system.name == name
    x = 0.1 * torch.from_numpy(np.random.default_rng(0).standard_normal(48_000, dtype=np.float32))
    coded = system.encode(x)
    y = system.decode(coded)
    assert y.dtype == torch.float32
    assert abs(len(y) - len(x)) < 0.1 * 24_000
    nominal = {"700C": 700, "nb-0": 2400, "nb-1": 4000, "wb-1": 6000, "60ms": 6000}
    tail = name.partition("-")[2]
    expected = nominal.get(tail) or nominal.get(tail[2:]) or float(tail) * (1000 if name[0] == "o" else 1)
    assert coded.bits / 2 == pytest.approx(expected, rel=0.6 if name[0] == "o" else 0.05)

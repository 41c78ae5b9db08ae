"""The command line, as a user sees it: files that appear, messages, exit statuses."""

import io
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

import codec.cli
from codec.audio.io import read_audio
from codec.tokens.tokens import Tokens

CLIP = Path(__file__).parent / "data" / "kathleen.flac"


@pytest.fixture(scope="session")
def model(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "model"
    tokenizer.save(folder)
    return folder


@pytest.fixture
def run(model, tmp_path, monkeypatch):
    """`run("encode", "x.wav")` in an empty folder, with the tiny model."""
    monkeypatch.chdir(tmp_path)

    def run(command, *args):
        extra = [] if command == "info" else ["--model", str(model)]
        return CliRunner().invoke(codec.cli.app, [command, *map(str, args), *extra])

    return run


def write_tone(path, seconds=0.3, rate=24_000, hertz=300):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate), rate)
    return path


def test_encode_then_decode_a_clip(run, tokenizer):
    shutil.copy(CLIP, "clip.flac")
    assert run("encode", "clip.flac").exit_code == 0
    tokens = Tokens.load("clip.tokens")
    assert torch.equal(tokens.codes, tokenizer.encode(CLIP).codes)
    assert tokens.fingerprint == tokenizer.fingerprint
    assert run("decode", "clip.tokens").exit_code == 0
    expected = tokenizer.decode(tokens)[0].clamp(-1, 1)
    assert soundfile.info("clip.wav").frames == soundfile.info(CLIP).frames
    torch.testing.assert_close(read_audio("clip.wav", None, 24_000), expected, atol=1e-4, rtol=0)


def test_roundtrip_is_encode_and_decode(run, tokenizer, tmp_path):
    shutil.copy(CLIP, "clip.flac")
    write_tone("low.wav", rate=16_000)
    assert run("roundtrip", "clip.flac", "low.wav", "-o", "out").exit_code == 0
    for source in ("clip.flac", "low.wav"):
        got, rate = soundfile.read((tmp_path / "out" / source).with_suffix(".codec.wav"), dtype="float32")
        expected = tokenizer.decode(tokenizer.encode(source))[0].clamp(-1, 1).numpy()
        assert rate == 24_000
        np.testing.assert_allclose(got, expected, atol=2e-4)


def test_roundtrip_of_a_folder_leaves_its_own_outputs_alone(run, tmp_path):
    write_tone("a.wav")
    for _ in range(2):
        assert run("roundtrip", ".", "--overwrite").exit_code == 0
        assert {f.name for f in tmp_path.iterdir()} == {"a.wav", "a.codec.wav"}


def test_folders_and_patterns(run, tmp_path):
    for i, name in enumerate(
        ("in/a.wav", "in/deep/er/b.flac", "in/deep/c.d.ogg", "in/E.WAV", "x1.wav", "x2.wav", "y.wav")
    ):
        write_tone(name, seconds=0.1 + i / 30)
    Path("in/notes.txt").write_text("no audio")
    assert run("encode", "in", "x?.wav", "--out", "out").exit_code == 0
    written = {str(f.relative_to(tmp_path / "out")) for f in Path(tmp_path, "out").rglob("*") if f.is_file()}
    assert written == {"a.tokens", "deep/er/b.tokens", "deep/c.d.tokens", "E.tokens", "x1.tokens", "x2.tokens"}
    for name in written - {"x1.tokens", "x2.tokens"}:
        source = next(Path("in", name).parent.glob(f"{Path(name).stem}.[!t]*"))
        assert Tokens.load(Path("out", name)).n_samples.tolist() == [soundfile.info(source).frames]
    assert run("decode", "out", "--out", "back").exit_code == 0
    assert len(list(Path("back").rglob("*.wav"))) == 6


def test_batches_give_what_single_files_give(run, tokenizer, monkeypatch):
    names = [write_tone(f"{i}.wav", seconds=0.05 + 0.11 * i, hertz=200 + 50 * i) for i in range(5)]
    monkeypatch.setattr(codec.cli.files, "BATCH_SECONDS", 1.0)
    assert run("encode", *names).exit_code == 0
    for name in names:
        tokens = Tokens.load(name.with_suffix(".tokens"))
        assert torch.equal(tokens.codes, tokenizer.encode(name).codes)


def test_outputs_are_redone_only_on_request(run):
    write_tone("a.wav")
    write_tone("b.wav")
    Path("a.tokens").write_text("mine")
    result = run("encode", "a.wav", "b.wav")
    assert result.exit_code == 0
    assert "skipped 1 of 2" in result.stderr
    assert Path("a.tokens").read_text() == "mine"
    assert len(Tokens.load("b.tokens")) == 1
    assert run("encode", "a.wav", "--overwrite").exit_code == 0
    assert len(Tokens.load("a.tokens")) == 1


def test_a_bad_file_does_not_stop_the_good_ones(run, tmp_path):
    for name in "abc":
        write_tone(f"{name}.wav")
    whole = Path("b.wav").read_bytes()
    Path("b.wav").write_bytes(whole[: len(whole) // 2])
    Path("empty.wav").write_bytes(b"")
    soundfile.write("nan.wav", np.full(4000, np.nan), 24_000, subtype="FLOAT")
    result = run("encode", ".", "missing.wav")
    assert result.exit_code == 1
    errors = result.stderr.splitlines()
    for name in ("b.wav", "empty.wav", "nan.wav", "missing.wav"):
        assert sum(name in line for line in errors) == 1, errors
    assert not any(name in result.stderr for name in ("a.wav", "c.wav"))
    assert sorted(f.name for f in tmp_path.glob("*.tokens")) == ["a.tokens", "c.tokens"]
    assert not [f for f in tmp_path.iterdir() if f.name.startswith(".")]


def test_decode_refuses_tokens_of_another_codec(run):
    Tokens(torch.zeros(1, 9, 2, dtype=torch.int64), torch.tensor([3000]), 24_000, 1920, "beef").save("x.tokens")
    Path("y.tokens").write_bytes(b"nothing")
    result = run("decode", "x.tokens", "y.tokens")
    assert result.exit_code == 1
    assert "x.tokens: tokens: made by codec beef" in result.stderr
    assert "y.tokens: not a tokens file" in result.stderr
    assert not Path("x.wav").exists()


@pytest.mark.parametrize("inputs", [["empty"], ["*.wav"], ["empty", "empty/*"]])
def test_no_files(inputs, run):
    Path("empty").mkdir()
    result = run("encode", *inputs)
    assert result.exit_code == 2
    assert "no files found" in result.stderr


def test_two_inputs_for_one_output(run, tmp_path):
    for name in ("x/a.wav", "y/a.wav", "x/a.flac"):
        write_tone(name)
    for inputs in (["x/a.wav", "y/a.wav", "-o", "out"], ["x"]):
        result = run("encode", *inputs)
        assert result.exit_code == 2
        assert "would both become" in result.stderr
    assert not list(tmp_path.rglob("*.tokens"))
    assert run("encode", "x/a.wav", "x/a.wav").exit_code == 0  # named twice, done once


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--model", "missing"], "missing: no such folder"),
        (["--dtype", "int8"], "dtype"),
        (["--dtype", "float"], None),
        (["--dtype", "Tensor"], "--dtype Tensor"),
        (["--device", "nowhere"], "nowhere"),
    ],
)
def test_options(args, message, run, model):
    write_tone("a.wav")
    args = args if "--model" in args else [*args, "--model", str(model)]
    result = CliRunner().invoke(codec.cli.app, ["encode", "a.wav", *args])
    assert result.exit_code == (2 if message else 0)
    assert (message or "") in result.stderr
    assert Path("a.tokens").exists() is (message is None)


def test_n_q(run, tokenizer):
    write_tone("a.wav")
    full = tokenizer.encode("a.wav")
    assert run("encode", "a.wav", "--n-q", 3).exit_code == 0
    assert torch.equal(Tokens.load("a.tokens").codes, full.codes[:, :3])
    assert run("decode", "a.tokens", "--n-q", 1, "--overwrite").exit_code == 0
    expected = tokenizer.decode(full.prefix(1))[0].clamp(-1, 1)
    got = read_audio("a.wav", None, 24_000)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)
    for n_q in (0, 99):
        result = run("encode", "a.wav", "--n-q", n_q, "--overwrite")
        assert result.exit_code == 1
        assert f"n_q = {n_q}" in result.stderr


def test_info(run, model, tokenizer):
    write_tone("a.wav")
    run("encode", "a.wav")
    result = run("info", "a.tokens", model, "tiny")
    assert result.exit_code == 0
    for part in ("1 x 9 x 4", "0.300 s", tokenizer.fingerprint, "24000 Hz", "12.5 Hz", "random weights"):
        assert part in result.stdout
    result = run("info", "a.wav", "missing", "tiny")
    assert result.exit_code == 1
    assert "a.wav: not a tokens file" in result.stderr
    assert "missing: no such folder" in result.stderr
    assert "random weights" in result.stdout


def test_preset_warns_that_it_is_untrained(run):
    write_tone("a.wav")
    result = CliRunner().invoke(codec.cli.app, ["encode", "a.wav", "--model", "tiny"])
    assert result.exit_code == 0
    assert "warning: preset 'tiny' is untrained" in result.stderr


class Pipe(io.BytesIO):
    """Input that arrives in pieces that split values and frames."""

    def read1(self, size=-1):
        return super().read1(min(size, 1537))


@pytest.fixture
def stream(model, monkeypatch):
    """`stream("encode", data)` with the tiny model: the result and what was written."""

    def stream(direction, data):
        stdin, stdout = SimpleNamespace(buffer=Pipe(data)), SimpleNamespace(buffer=io.BytesIO())
        monkeypatch.setattr(codec.cli.common, "sys", SimpleNamespace(stdin=stdin, stdout=stdout))
        result = CliRunner().invoke(codec.cli.app, ["stream", direction, "--model", str(model)])
        return result, stdout.buffer.getvalue()

    return stream


@pytest.mark.parametrize("n_samples", [0, 1, 1920, 1921, 13_000])
def test_stream_equals_files(n_samples, stream, tokenizer):
    pcm = (8000 * np.sin(0.07 * np.arange(n_samples))).astype("<i2")
    result, encoded = stream("encode", pcm.tobytes())
    assert result.exit_code == 0
    codes = np.frombuffer(encoded, "<u2").reshape(-1, 9).T
    assert codes.shape[1] == -(-n_samples // 1920)
    if not n_samples:
        return
    tokens = tokenizer.encode(pcm.astype(np.int16), 24_000)
    np.testing.assert_array_equal(codes, tokens.codes[0].numpy())
    result, decoded = stream("decode", encoded)
    assert result.exit_code == 0
    got = np.frombuffer(decoded, "<i2") / 32767
    np.testing.assert_allclose(got, tokenizer.decode(tokens.codes)[0].clamp(-1, 1).numpy(), atol=1e-4)


def test_stream_of_a_cut_input(stream):
    whole = np.full(1921, 100, "<i2").tobytes()
    result, _ = stream("encode", whole + b"x")
    assert result.exit_code == 2
    assert "1 bytes are left over" in result.stderr
    codes = np.zeros(2 * 9, "<u2").tobytes()
    for data, message in ((codes[:-1], "1 bytes are left over"), (codes[:-4], "ends within a frame, 7 of 9 codes")):
        result, decoded = stream("decode", data)
        assert result.exit_code == 2
        assert message in result.stderr
        assert len(decoded) == 1920 * 2  # the frame that was whole


def test_stream_of_impossible_codes(stream):
    result, _ = stream("decode", np.full(9, 999, "<u2").tobytes())
    assert result.exit_code == 2
    assert "= 999: codebook 0 has codes 0 to 63" in result.stderr


def test_export_voxtral(run, tokenizer):
    assert run("export-voxtral", "--out", "released").exit_code == 0
    codes = torch.ones(1, 9, 3, dtype=torch.int64)
    expected = tokenizer.decode(codes)[0]
    torch.testing.assert_close(codec.load("released").decode(codes)[0], expected, atol=1e-6, rtol=1e-5)

"""The command line, as a user sees it: files that appear, messages, exit statuses."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

import codec.cli
from codec.audio.io import read_audio
from codec.bitstream import load
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
    tokens = load("clip.c37")
    assert torch.equal(tokens.codes, tokenizer.encode(CLIP).codes)
    assert tokens.fingerprint == tokenizer.fingerprint
    assert run("decode", "clip.c37").exit_code == 0
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


def test_files_of_a_folder_that_take_ffmpeg_are_named(run):
    write_tone("in/a.wav")
    Path("in/b.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    result = run("encode", "in", "--out", "out")
    assert result.exit_code == 0
    assert f"1 files that need ffmpeg are left out; the first: {Path('in/b.m4a')}" in result.stderr
    assert [path.name for path in Path("out").iterdir()] == ["a.c37"]


def test_folders_and_patterns(run, tmp_path):
    for i, name in enumerate(
        ("in/a.wav", "in/deep/er/b.flac", "in/deep/c.d.ogg", "in/E.WAV", "x1.wav", "x2.wav", "y.wav")
    ):
        write_tone(name, seconds=0.1 + i / 30)
    Path("in/notes.txt").write_text("no audio")
    assert run("encode", "in", "x?.wav", "--out", "out").exit_code == 0
    written = {str(f.relative_to(tmp_path / "out")) for f in Path(tmp_path, "out").rglob("*") if f.is_file()}
    assert written == {"a.c37", "deep/er/b.c37", "deep/c.d.c37", "E.c37", "x1.c37", "x2.c37"}
    for name in written - {"x1.c37", "x2.c37"}:
        source = next(Path("in", name).parent.glob(f"{Path(name).stem}.[!t]*"))
        assert load(Path("out", name)).n_samples.tolist() == [soundfile.info(source).frames]
    assert run("decode", "out", "--out", "back").exit_code == 0
    assert len(list(Path("back").rglob("*.wav"))) == 6


def test_batches_give_what_single_files_give(run, tokenizer, monkeypatch):
    names = [write_tone(f"{i}.wav", seconds=0.05 + 0.11 * i, hertz=200 + 50 * i) for i in range(5)]
    monkeypatch.setattr(codec.cli.files, "BATCH_SECONDS", 1.0)
    assert run("encode", *names).exit_code == 0
    for name in names:
        tokens = load(name.with_suffix(".c37"))
        assert torch.equal(tokens.codes, tokenizer.encode(name).codes)


def test_outputs_are_redone_only_on_request(run):
    write_tone("a.wav")
    write_tone("b.wav")
    Path("a.c37").write_text("mine")
    result = run("encode", "a.wav", "b.wav")
    assert result.exit_code == 0
    assert "skipped 1 of 2" in result.stderr
    assert Path("a.c37").read_text() == "mine"
    assert len(load("b.c37")) == 1
    assert run("encode", "a.wav", "--overwrite").exit_code == 0
    assert len(load("a.c37")) == 1


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
    assert sorted(f.name for f in tmp_path.glob("*.c37")) == ["a.c37", "c.c37"]
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


def test_inputs_that_differ_by_their_suffix_keep_it(run, tokenizer):
    for i, name in enumerate(("x/u.ogg", "x/u.mp3", "x/v.wav", "x/deep/u.wav")):
        write_tone(name, 0.2 + 0.1 * i)
    assert run("encode", "x").exit_code == 0
    written = {str(path) for path in Path("x").rglob("*.c37")}
    assert written == {"x/u.ogg.c37", "x/u.mp3.c37", "x/v.c37", "x/deep/u.c37"}
    assert torch.equal(load("x/u.ogg.c37").codes, tokenizer.encode("x/u.ogg").codes)
    assert "skipped 4 of 4" in run("encode", "x").stderr
    assert run("roundtrip", "x", "-o", "back").exit_code == 0
    assert {path.name for path in Path("back").rglob("*")} == {
        "u.ogg.codec.wav",
        "u.mp3.codec.wav",
        "v.codec.wav",
        "deep",
        "u.codec.wav",
    }


def test_two_inputs_for_one_output(run, tmp_path):
    for name in ("x/a.wav", "y/a.wav", "y/b.wav"):
        write_tone(name)
    result = run("encode", "x/a.wav", "y", "-o", "out")
    assert result.exit_code == 1
    assert "error: y/a.wav and x/a.wav would both become out/a.wav.c37; the first is left out" in result.stderr
    assert sorted(path.name for path in tmp_path.rglob("*.c37")) == ["a.wav.c37", "b.c37"]
    assert run("encode", "x/a.wav", "x/a.wav").exit_code == 0  # named twice, done once


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize("command", ["decode", "roundtrip"])
def test_what_was_not_decoded_here_is_never_replaced(command, overwrite, run):
    """As by `codec encode speech.wav`, then `codec decode speech.c37`."""
    write_tone("speech.wav")
    write_tone("other.wav")
    assert run("encode", "speech.wav", "other.wav").exit_code == 0
    target = "speech.wav" if command == "decode" else "speech.codec.wav"
    if command == "roundtrip":
        write_tone(target, hertz=500)
    before = Path(target).read_bytes()
    source = {"decode": "speech.c37", "roundtrip": "speech.wav"}[command]
    result = run(command, source, *overwrite)
    assert result.exit_code == 1
    assert f"{target} was not decoded by codec, so it is kept; give a folder with --out" in result.stderr
    assert "skipped" not in result.stderr
    assert Path(target).read_bytes() == before
    Path("text").mkdir()
    Path("text", target).write_text("a text")
    assert run(command, source, "-o", "text", *overwrite).exit_code == 1
    assert Path("text", target).read_text() == "a text"


@pytest.mark.parametrize("command", ["decode", "roundtrip"])
def test_what_was_decoded_here_is_redone_on_request(command, run):
    write_tone("in/speech.wav")
    run("encode", "in", "-o", "tokens")
    source = "tokens" if command == "decode" else "in"
    for extra, message in (([], ""), ([], "skipped 1 of 1"), (["--overwrite"], "")):
        result = run(command, source, "-o", "out", *extra)
        assert result.exit_code == 0
        assert message in result.stderr


def test_names_of_any_kind(run, tmp_path):
    """Names that are not UTF-8, and those that are as long as can be, are files like others."""
    names = ["caf\udce9.wav", "\udce9/é.wav", "ü.wav", "line\nbreak.wav", 245 * "x" + ".wav"]
    for i, name in enumerate(names):
        write_tone("plain.wav", 0.1 + 0.05 * i)
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.move("plain.wav", os.path.join("in", name))
    result = run("encode", "in", "-o", "out")
    assert result.exit_code == 0, result.stderr
    for i, name in enumerate(names):
        tokens = load(Path("out", name).with_suffix(".c37"))
        assert tokens.n_samples.tolist() == [round((0.1 + 0.05 * i) * 24_000)]
    assert run("decode", "out", "-o", "back").exit_code == 0
    assert run("roundtrip", "back", "-o", "again").exit_code == 0
    assert len([path for path in Path("again").rglob("*") if path.is_file()]) == len(names)


def test_a_name_that_gets_too_long_is_one_error(run):
    write_tone("good.wav")
    write_tone(252 * "x" + ".au")
    result = run("encode", ".")
    assert result.exit_code == 1
    assert result.stderr.count("error:") == 1
    assert "File name too long" in result.stderr
    assert Path("good.c37").exists()


def test_names_that_the_locale_does_not_know(model, tmp_path):
    shutil.copy(CLIP, tmp_path / "über.flac")
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONPATH": os.getcwd(),
    }
    command = [sys.executable, "-c", "from codec.cli import main; main()", "encode", ".", "--model", str(model)]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert len(load(tmp_path / "über.c37")) == 1


def test_linked_folders_and_files(run, tmp_path):
    write_tone("elsewhere/deep/a.wav")
    write_tone("in/b.wav")
    write_tone("in/real/c.wav")
    Path("in/link").symlink_to(tmp_path / "elsewhere")
    Path("in/linked.wav").symlink_to(tmp_path / "elsewhere/deep/a.wav")
    Path("in/again").symlink_to("real")  # the same files by another name
    Path("in/round").symlink_to(".")
    assert run("encode", "in", "-o", "out").exit_code == 0
    written = {str(path.relative_to("out")) for path in Path("out").rglob("*.c37")}
    assert written == {"b.c37", "linked.c37", "real/c.c37", "link/deep/a.c37"}
    Path("way").symlink_to("in")
    assert run("encode", "way", "-o", "out2").exit_code == 0
    assert {str(path.relative_to("out2")) for path in Path("out2").rglob("*.c37")} == written


def test_warnings_name_the_file(run):
    content = bytearray(write_tone("a.wav").read_bytes())
    content[4:8] = content[40:44] = bytes(4)
    Path("a.wav").write_bytes(content)
    result = run("encode", "a.wav")
    assert result.exit_code == 0
    assert result.stderr.count("warning: a.wav: the header is unfinished") == 1
    assert load("a.c37").n_samples.tolist() == [7200]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--model", "missing"], "missing: no such folder"),
        (["--dtype", "int8"], "--dtype int8: expected one of float32, bfloat16, float16"),
        (["--dtype", "float32"], None),
        (["--dtype", "Tensor"], "--dtype Tensor"),
        (["--device", "nowhere"], "device = 'nowhere': not available, use cpu, cuda"),
        (["--out", "a.wav"], "a.wav: File exists; choose another name"),
    ],
)
def test_options(args, message, run, model):
    write_tone("a.wav")
    args = args if "--model" in args else [*args, "--model", str(model)]
    result = CliRunner().invoke(codec.cli.app, ["encode", "a.wav", *args])
    assert result.exit_code == (2 if message else 0)
    assert (message or "") in result.stderr
    assert Path("a.c37").exists() is (message is None)


def test_n_q(run, tokenizer):
    write_tone("a.wav")
    full = tokenizer.encode("a.wav")
    assert run("encode", "a.wav", "--n-q", 3).exit_code == 0
    assert torch.equal(load("a.c37").codes, full.codes[:, :3])
    assert run("decode", "a.c37", "--n-q", 1, "-o", "out").exit_code == 0
    expected = tokenizer.decode(full.prefix(1))[0].clamp(-1, 1)
    got = read_audio("out/a.wav", None, 24_000)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)
    for n_q in (0, 99):
        result = run("encode", "a.wav", "--n-q", n_q, "--overwrite")
        assert result.exit_code == 1
        assert f"n_q = {n_q}" in result.stderr


def test_info(run, model, tokenizer):
    write_tone("a.wav")
    run("encode", "a.wav")
    result = run("info", "a.c37", model, "tiny")
    assert result.exit_code == 0
    for part in ("(9) kbit/s (codebooks) of 9", "1 of 50 frames, 0 copies", "0.300 s", tokenizer.fingerprint):
        assert part in result.stdout
    for part in ("24000 Hz", "12.5 Hz", "random weights"):
        assert part in result.stdout
    result = run("info", "a.wav", "missing", "tiny")
    assert result.exit_code == 1
    assert "a.wav: starts with b'RIFF" in result.stderr
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

    def stream(direction, data, *options):
        stdin, stdout = SimpleNamespace(buffer=Pipe(data)), SimpleNamespace(buffer=io.BytesIO())
        monkeypatch.setattr(codec.cli.common, "sys", SimpleNamespace(stdin=stdin, stdout=stdout))
        result = CliRunner().invoke(codec.cli.app, ["stream", direction, "--model", str(model), *options])
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


def test_stream_of_few_codebooks(stream, tokenizer):
    pcm = (8000 * np.sin(0.07 * np.arange(13_000))).astype("<i2")
    _, encoded = stream("encode", pcm.tobytes(), "--n-q", "4")
    tokens = tokenizer.encode(pcm.astype(np.int16), 24_000).prefix(4)
    np.testing.assert_array_equal(np.frombuffer(encoded, "<u2").reshape(-1, 4).T, tokens.codes[0].numpy())
    _, decoded = stream("decode", encoded, "--n-q", "4")
    got = np.frombuffer(decoded, "<i2") / 32767
    np.testing.assert_allclose(got, tokenizer.decode(tokens.codes)[0].clamp(-1, 1).numpy(), atol=1e-4)
    result, _ = stream("decode", encoded, "--n-q", "10")
    assert result.exit_code == 2
    assert "--n-q = 10: expected 1 to 9" in result.stderr


def test_stream_of_a_cut_input(stream):
    whole = np.full(1921, 100, "<i2").tobytes()
    result, _ = stream("encode", whole + b"x")
    assert result.exit_code == 2
    assert "1 bytes are left over" in result.stderr
    codes = np.zeros(2 * 9, "<u2").tobytes()
    for data, message in (
        (codes[:-1], "1 bytes are left over"),
        (codes[:-4], "ends within a frame, with 7 of 9 codes"),
    ):
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


def test_version_is_that_of_the_package():
    result = CliRunner().invoke(codec.cli.app, ["--version"])
    assert (result.exit_code, result.stdout.strip()) == (0, codec.__version__)

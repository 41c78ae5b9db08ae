"""`codec speak`, as a user meets it: files and pipes that hold speech and its provenance, and refusals."""

import io
import json
import sys
import warnings
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from forks import fork_code
from typer.testing import CliRunner

import codec.cli
import codec.tts
from codec.audio.io import read_audio, read_comment
from codec.tts.checkpoint import save_tts
from codec.tts.config import PRESETS
from codec.tts.model import TTSModel
from codec.tts.text.tokenizer import BPETokenizer

RATE = 24_000
NOTE = "Ada agreed by mail"
TEXT = "Two words."
MAX_FRAMES = 6


@pytest.fixture(scope="session")
def model(tokenizer, tmp_path_factory):
    """The folder of a tiny voice model, untrained."""
    folder = tmp_path_factory.mktemp("speak")
    tokenizer.save(folder / "codec")
    config = replace(PRESETS["tiny"], codec=str(folder / "codec"), codec_fingerprint=tokenizer.fingerprint)
    torch.manual_seed(0)
    network = TTSModel(config)
    with torch.no_grad():  # so that it is sensitive to what it reads
        for layer in network.backbone.layers:
            layer.attention.qkv.weight *= 10
            layer.attention.out.weight *= 10
        network.semantic_head.weight *= 30
    save_tts(folder / "tts", config, network.state_dict(), BPETokenizer.train([], config.vocab_size))
    return folder / "tts"


@pytest.fixture(scope="session")
def tts(model):
    return codec.tts.load(model)


@pytest.fixture
def folder(tts, tmp_path, monkeypatch):
    """A working folder with a recording and the voice made of it; speech is cut after `MAX_FRAMES`."""
    monkeypatch.setattr(codec.tts, "Sampling", partial(codec.tts.Sampling, max_frames=MAX_FRAMES))
    monkeypatch.chdir(tmp_path)
    soundfile.write("ref.wav", np.random.default_rng(0).normal(0, 0.1, 3 * RATE), RATE)
    tts.voice("ref.wav", NOTE).save("ada.safetensors")
    return tmp_path


@pytest.fixture
def run(model, folder):
    def run(*args, stdin=None):
        return CliRunner().invoke(codec.cli.app, ["speak", *map(str, args), "--model", str(model)], input=stdin)

    return run


@pytest.fixture
def pipe(run, monkeypatch):
    """`pipe(b"text", ...)` with standard input in pieces: the result and each block that went to stdout."""

    def pipe(data, *args):
        blocks = []
        stdin = io.BytesIO(data)
        monkeypatch.setattr(
            codec.cli.common,
            "sys",
            SimpleNamespace(
                stdin=SimpleNamespace(buffer=SimpleNamespace(read1=lambda _: stdin.read(3))),
                stdout=SimpleNamespace(buffer=SimpleNamespace(write=blocks.append, flush=lambda: None)),
            ),
        )
        return run(*args), blocks

    return pipe


def expected(tts, text=TEXT, language="en", **sampling):
    voice = codec.tts.Voice.load("ada.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tts.speak(text, voice, codec.tts.Sampling(**sampling), language).clamp(-1, 1)


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "deep/x.OGG"])
def test_file(name, run, folder, tts):
    (folder / "deep").mkdir()
    result = run(TEXT, "--voice", "ref.wav", "--consent", NOTE, "-o", name)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    got = read_audio(name, None, RATE)
    if not name.endswith("OGG"):
        torch.testing.assert_close(got, expected(tts), atol=1e-4, rtol=0)
    fields = json.loads(read_comment(name))
    assert "synthetic speech" in fields["notice"]
    assert fields["consent"] == NOTE
    assert fields["voice_sha256"] == codec.tts.Voice.load("ada.safetensors").provenance.sha256
    assert not [f for f in folder.rglob("*") if f.name.startswith(".")]


def test_voice_file_speaks_as_its_recording_does(run, tts):
    assert run(TEXT, "--voice", "ada.safetensors", "-o", "x.wav").exit_code == 0
    torch.testing.assert_close(read_audio("x.wav", None, RATE), expected(tts), atol=1e-4, rtol=0)
    assert json.loads(read_comment("x.wav"))["consent"] == NOTE


def test_stdout_gets_a_header_then_each_packet_as_it_is_made(pipe, folder, tts):
    result, blocks = pipe(b"", TEXT, "--voice", "ada.safetensors", "-o", "-")
    assert result.exit_code == 0, result.stderr
    speech = expected(tts)
    assert [len(block) for block in blocks[1:]] == [2 * 1920] * MAX_FRAMES
    (folder / "piped.wav").write_bytes(b"".join(blocks))
    torch.testing.assert_close(read_audio("piped.wav", None, RATE), speech, atol=1e-4, rtol=0)
    assert json.loads(read_comment("piped.wav"))["consent"] == NOTE
    assert result.stdout == ""


def test_text_from_stdin_in_pieces(pipe, tts):
    text = "Où est Jürgen? Here."
    result, _ = pipe(text.encode(), "-", "--voice", "ada.safetensors", "-o", "x.wav")
    assert result.exit_code == 0, result.stderr
    torch.testing.assert_close(read_audio("x.wav", None, RATE), expected(tts, text), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"fine, then \xff", "stdin: the text is not UTF-8"), (b"", "nothing to say"), (b" ...\n", "nothing to say")],
)
def test_stdin_that_is_no_text(data, message, pipe, folder):
    result, _ = pipe(data, "-", "--voice", "ada.safetensors", "-o", "x.wav")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (folder / "x.wav").exists()


@pytest.mark.parametrize(
    ("options", "sampling"),
    [
        (["--seed", 1], {"seed": 1}),
        (["--temperature", 2], {"temperature": 2.0}),
        (["--cfg-scale", 3], {"head": codec.tts.HeadSampling(cfg_scale=3.0)}),
        (["--acoustic-temperature", 0.9], {"head": codec.tts.HeadSampling(temperature=0.9)}),
    ],
)
def test_options_change_the_speech(options, sampling, run, tts):
    assert run(TEXT, "--voice", "ada.safetensors", "-o", "x.wav", *options).exit_code == 0
    got, changed, plain = read_audio("x.wav", None, RATE), expected(tts, **sampling), expected(tts)
    torch.testing.assert_close(got, changed, atol=1e-4, rtol=0)
    assert changed.shape != plain.shape or float((changed - plain).abs().max()) > 1e-3


def test_a_text_may_begin_with_a_minus(run, tts):
    assert run("-5 degrees.", "--voice", "ada.safetensors", "-o", "x.wav").exit_code == 0
    said = read_audio("x.wav", None, RATE)
    torch.testing.assert_close(said, expected(tts, "minus five degrees."), atol=1e-4, rtol=0)


def test_language(run, tts):
    result = run("15", "--voice", "ada.safetensors", "-o", "x.wav", "--language", "de")
    assert result.exit_code == 0
    english, german = (expected(tts, "15", language) for language in ("en", "de"))
    torch.testing.assert_close(read_audio("x.wav", None, RATE), german, atol=1e-4, rtol=0)
    assert not torch.equal(english, german)


def test_a_text_is_enough(run, tts):
    for text in (TEXT, "Again."):  # the second replaces the first
        result = run(text)
        assert result.exit_code == 0, result.stderr
        assert result.stdout == ""
        assert result.stderr.splitlines()[:2] == ["voice: kathleen (en-US), CC0-1.0", "to: speech.wav"]
        voice = tts.voice("kathleen")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spoken = tts.speak(text, voice, codec.tts.Sampling()).clamp(-1, 1)
        torch.testing.assert_close(read_audio("speech.wav", None, RATE), spoken, atol=1e-4, rtol=0)
        fields = json.loads(read_comment("speech.wav"))
        assert (fields["consent"], fields["voice_sha256"]) == (voice.provenance.consent, voice.provenance.sha256)


@pytest.mark.parametrize("content", ["a recording", "a text"])
def test_only_speech_is_replaced_unasked(content, run, folder):
    path = folder / "speech.wav"
    path.write_bytes((folder / "ref.wav").read_bytes() if content == "a recording" else b"text")
    before = path.read_bytes()
    result = run(TEXT)
    assert result.exit_code == 2
    assert "speech.wav exists and is not an output of this command: give --out FILE" in result.stderr
    assert path.read_bytes() == before
    assert run(TEXT, "-o", "speech.wav").exit_code == 0


def test_language_and_shipped_voice_choose_each_other(run, tts):
    texts = {}
    for args in (["--language", "de"], ["--voice", "kerstin"], ["--language", "en", "--voice", "kerstin"]):
        result = run("15", *OUT, *args)
        assert result.exit_code == 0, result.stderr
        assert result.stderr.splitlines()[0] == "voice: kerstin (de-DE), CC0-1.0"
        assert "to:" not in result.stderr
        texts[" ".join(args)] = read_audio("x.wav", None, RATE)
    german, named, english = texts.values()
    assert torch.equal(german, named)
    assert not torch.equal(german, english)


def test_a_file_wins_over_a_shipped_voice_of_its_name(run, folder):
    (folder / "kathleen").write_bytes((folder / "ref.wav").read_bytes())
    result = run(TEXT, *OUT, "--voice", "kathleen")
    assert result.exit_code == 2
    assert "--consent: say who agreed to the use of the voice in kathleen" in result.stderr
    result = run(TEXT, *OUT, "--voice", "kathleen", "--consent", NOTE)
    assert result.exit_code == 0
    assert "CC0" not in result.stderr
    assert json.loads(read_comment("x.wav"))["consent"] == NOTE
    assert run(TEXT, *OUT).stderr.startswith("voice: kathleen (en-US), CC0-1.0")  # nobody named the file


def test_voices_are_listed():
    result = CliRunner().invoke(codec.cli.app, ["voices"])
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert [row[:3] for row in rows] == [[v.name, v.language, v.licence] for v in codec.tts.shipped_voices()]
    assert ["kathleen", "en-US", "CC0-1.0"] in [row[:3] for row in rows]


OUT, VOICE = ["-o", "x.wav"], ["--voice", "ada.safetensors"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            [TEXT, "--voice", "kathlen", *OUT],
            "voice 'kathlen': no such file or shipped voice; give one of kathleen",
        ),
        ([TEXT, "--voice", "kathleen", "--consent", NOTE, *OUT], "--consent: kathleen already has a note"),
        ([TEXT, "--consent", NOTE, *OUT], "--consent: kathleen already has a note"),
        ([TEXT, "--language", "fr", *OUT], "language 'fr': no shipped voice for it"),
        ([TEXT, "--language", "tlh", *OUT], "language 'tlh' is not known"),
        ([TEXT, *VOICE, "-o", "x.mp3"], "--out x.mp3: expected a name in .wav, .flac, .ogg"),
        ([TEXT, *VOICE, "-o", "none/x.wav"], "--out none/x.wav: there is no folder none"),
        ([TEXT, "--voice", "ref.wav", *OUT], "--consent: say who agreed to the use of the voice in ref.wav"),
        ([TEXT, "--voice", "ref.wav", "--consent", " ", *OUT], "--consent: say who agreed"),
        ([TEXT, *VOICE, "--consent", NOTE, *OUT], "--consent: ada.safetensors already has a note"),
        ([TEXT, "--voice", "none.safetensors", *OUT], "voice 'none.safetensors': no such file"),
        ([TEXT, "--voice", "bad.safetensors", *OUT], "bad.safetensors: not a voice file"),
        ([TEXT, "--voice", "none.wav", "--consent", NOTE, *OUT], "or a recording of 3 to 30 s"),
        ([TEXT, "--voice", "short.wav", "--consent", NOTE, *OUT], "short.wav: 1.00 s"),
        (["", *VOICE, *OUT], "text: empty"),
        (["--langauge=de", *VOICE, *OUT], "--langauge=de: no such option"),
        (["👍", *VOICE, *OUT], "no letter or digit"),
        ([TEXT, *VOICE, *OUT, "--language", "tlh"], "tlh"),
        ([TEXT, *VOICE, *OUT, "--seed", "-1"], "seed = -1"),
        ([TEXT, *VOICE, *OUT, "--dtype", "int8"], "--dtype int8"),
        ([TEXT, *VOICE, *OUT, "--dtype", "half-ish"], "--dtype half-ish"),
    ],
)
def test_refusals(args, message, run, folder):
    soundfile.write("short.wav", np.random.default_rng(0).normal(0, 0.1, RATE), RATE)
    (folder / "bad.safetensors").write_text("{}")
    before = sorted(folder.iterdir())
    result = run(*args)
    assert result.exit_code == 2, result.stderr
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert sorted(folder.iterdir()) == before


def test_missing_model_is_named(folder):
    result = CliRunner().invoke(codec.cli.app, ["speak", TEXT, *VOICE, *OUT, "--model", "nobody"])
    assert result.exit_code == 2
    assert "nobody: no such folder" in result.stderr


def test_warnings_are_lines_on_stderr(run):
    result = run(TEXT, *VOICE, *OUT)
    assert result.exit_code == 0
    assert any(line.startswith("warning: speech did not end by itself") for line in result.stderr.splitlines())
    assert soundfile.info("x.wav").frames == MAX_FRAMES * 1920


FAKE_DEVICE = """
class PortAudioError(Exception): pass

class OutputStream:
    played = []
    def __init__(self, rate, channels, dtype):
        if {broken}: raise PortAudioError("Error querying device -1")
        assert (rate, channels, dtype) == (24_000, 1, "float32")
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def write(self, samples): self.played.append(samples)
"""


@pytest.fixture
def sounddevice(tmp_path, monkeypatch):
    """`sounddevice(source)`: that module in place of the installed one."""

    def install(source):
        (tmp_path / "modules").mkdir()
        (tmp_path / "modules" / "sounddevice.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path / "modules")
        monkeypatch.delitem(sys.modules, "sounddevice", raising=False)

    yield install
    sys.modules.pop("sounddevice", None)


def test_play_and_write(run, sounddevice, tts):
    sounddevice(FAKE_DEVICE.format(broken=False))
    result = run(TEXT, *VOICE, *OUT, "--play")
    assert result.exit_code == 0, result.stderr
    played = np.concatenate(sys.modules["sounddevice"].OutputStream.played)
    np.testing.assert_allclose(played, expected(tts).numpy(), atol=1e-6)
    torch.testing.assert_close(read_audio("x.wav", None, RATE), torch.from_numpy(played), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise ImportError('no module')", "playing needs sounddevice: pip install 'codec37[play]'"),
        ("raise OSError('PortAudio library not found')", "playing needs PortAudio"),
        (FAKE_DEVICE.format(broken=True), "the sound device does not play 24000 Hz mono (Error querying device -1)"),
    ],
)
def test_play_without_a_device(source, message, run, sounddevice):
    sounddevice(source)
    result = run(TEXT, *VOICE, "--play")
    assert result.exit_code == 2
    assert message in result.stderr


def test_without_the_packages_of_tts_the_command_says_so_and_the_others_work(tmp_path):
    code = """
import sys
sys.modules.update(tokenizers=None, num2words=None)
import codec.cli
from typer.testing import CliRunner
run = lambda *args: CliRunner().invoke(codec.cli.app, args)
assert run("info", "tiny").exit_code == 0
result = run("speak", "x", "--voice", "x.wav", "-o", "x.wav")
assert result.exit_code == 2 and "pip install" in result.stderr, result
"""
    assert fork_code(code, tmp_path).wait() == 0, (tmp_path / "log").read_text()

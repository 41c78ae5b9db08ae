"""A voice model that was trained here, in the released layout: it speaks as before, and servers find its voices."""

import json
from dataclasses import replace

import pytest
import torch
from tiny_tts import write_tts
from tokenizers import Tokenizer
from typer.testing import CliRunner

import codec.cli
import codec.tts
from codec.checkpoint.voxtral import PARAMS
from codec.checkpoint.voxtral_tts import VOICES
from codec.tts.checkpoint import TEKKEN
from codec.tts.export import export_voxtral
from codec.tts.text.tekken import TekkenTokenizer, as_tekken
from codec.tts.text.tokenizer import BPETokenizer

pytest.importorskip("mistral_common")
TEXTS = [
    "one two three",
    "It's 7 o'clock,  isn't it?",
    "ÜBERGROSS\n\tnaïve — 你好 🎈",
    "  a\u00a0b  ",
    "'ll 've 12345 x9y",
]


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    tokenizer.save(folder / "codec")
    write_tts(folder / "tiny", tokenizer, codec=str(folder / "codec"))
    return folder


@pytest.fixture(scope="module")
def tts(folder):
    return codec.tts.load(folder / "tiny")


@pytest.fixture(scope="module")
def voice(tts):
    noise = 0.1 * torch.randn(4 * tts.sample_rate, generator=torch.Generator().manual_seed(0))
    return tts.voice(noise, consent="a random number generator", sample_rate=tts.sample_rate)


@pytest.fixture(scope="module")
def exported(tts, voice, folder):
    out = folder / "released"
    export_voxtral(out, tts.model, tts.text_tokenizer, tts.codec, {"ada": voice})
    return out


@pytest.mark.filterwarnings("ignore")
def test_it_speaks_as_before(exported, tts, voice):
    sampling = codec.tts.Sampling(max_frames=12)
    again = codec.tts.load(exported)
    same = replace(voice, provenance=replace(voice.provenance, codec=again.codec.fingerprint))
    spoken, expected = again.speak("One two.", same, sampling), tts.speak("One two.", voice, sampling)
    torch.testing.assert_close(spoken, expected, atol=1e-5, rtol=0)


def test_a_tekken_says_what_the_bpe_said(tmp_path):
    ours = BPETokenizer.train(TEXTS + 5 * ["the other theatre"], 320)
    content, before = as_tekken(ours)
    (tmp_path / TEKKEN).write_text(json.dumps(content))
    tekken = TekkenTokenizer(tmp_path / TEKKEN)
    for text in [*TEXTS, "never seen: \u0085\u2028 zebra"]:
        ids = tekken.encode(text)
        assert [before[i - 1000] for i in ids] == ours.encode(text)
        assert tekken.decode(ids) == text
    assert tekken.vocab_size == 1000 + len(before)


def test_a_bpe_of_others_is_refused(tts, tmp_path):
    content = json.loads(tts.text_tokenizer._tokenizer.to_str())
    content["pre_tokenizer"] = {"type": "Whitespace"}
    other = BPETokenizer(Tokenizer.from_str(json.dumps(content)))
    with pytest.raises(ValueError, match="expected one that was trained here"):
        export_voxtral(tmp_path / "out", tts.model, other, tts.codec)
    assert not (tmp_path / "out").exists()


def test_a_server_finds_the_voices(exported, tts, voice):
    """Rows that replace the embeddings of as many audio ids, and where a reader looks for their number."""
    n = voice.codes.shape[1] + 1
    rows = torch.load(exported / VOICES / "ada.pt", weights_only=True)
    assert rows.shape == (n, tts.model.config.backbone.dim)
    assert rows.dtype == torch.bfloat16
    table, offsets = tts.model.audio_embedding.weight, torch.tensor(tts.model.layout.offsets)
    first = table[offsets + voice.codes[:, 0] + 2].sum(0)
    torch.testing.assert_close(rows[0].float(), first.detach(), atol=0.02, rtol=0.02)
    params = json.loads((exported / PARAMS).read_text())
    assert params["multimodal"]["audio_tokenizer_args"]["voice"] == {"ada": 0}
    audio = json.loads((exported / TEKKEN).read_text())["audio"]
    assert audio["voice_num_audio_tokens"] == {"ada": n}
    assert audio["frame_rate"] == tts.codec.config.frame_rate


def test_the_prompt_is_that_of_mistral_common(exported, tts, voice):
    speech = pytest.importorskip("mistral_common.protocol.speech.request")
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    tokenizer = MistralTokenizer.from_file(str(exported / TEKKEN))
    prompt = tokenizer.encode_speech_request(speech.SpeechRequest(input="one two", voice="ada")).tokens
    text = TekkenTokenizer(exported / TEKKEN).encode("one two")
    assert prompt == [1, 25, *[24] * (voice.codes.shape[1] + 1), 36, *text, 35, 25]


def test_the_command(folder, voice, tmp_path):
    voice.save(tmp_path / "ada.safetensors")

    def run(*arguments):
        return CliRunner().invoke(codec.cli.app, ["export-voxtral", "-o", str(tmp_path / "out"), *map(str, arguments)])

    result = run("--tts", "-m", folder / "tiny", "--voice", tmp_path / "ada.safetensors", "--voice", "kathleen")
    assert result.exit_code == 0, result.output
    assert {path.stem for path in (tmp_path / "out" / VOICES).iterdir()} == {"ada", "kathleen"}
    assert "give --tts as well" in run("--voice", "kathleen").output


def test_the_shipped_voice_is_refused(tmp_path):
    result = CliRunner().invoke(codec.cli.app, ["export-voxtral", "--tts", "-o", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "the released layout supports only" in result.output
    assert not (tmp_path / "out").exists()

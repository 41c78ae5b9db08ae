"""Text to speech as users call it."""

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import codec.tts
from codec.checkpoint.store import CheckpointError
from codec.extras import MissingDependencyError
from codec.tokenizer import load as load_codec
from codec.tts.checkpoint import resolve_tts, save_tts
from codec.tts.config import DESIGNS, TTSConfig
from codec.tts.speech import TTS

SHORT = codec.tts.Sampling(max_frames=8, min_frames=3)
TEXT = "The quick brown fox jumps over the lazy dog. It does so again, and nobody knows why! Does it matter at all?"


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def tiny_codec():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_codec("tiny")


@pytest.fixture
def make_tts(make_model, text_tokenizer, tiny_codec):
    return lambda design="prefix": TTS(make_model(design), text_tokenizer, tiny_codec)


@pytest.fixture
def voice(make_tts):
    noise = 0.1 * torch.randn(24_000 * 4, generator=torch.Generator().manual_seed(0))
    return make_tts().voice(noise, consent="a random number generator", sample_rate=24_000)


@pytest.mark.parametrize("design", DESIGNS)
def test_packets_make_the_whole_and_are_frames(make_tts, voice, design):
    tts = make_tts(design)
    packets = list(tts.stream(TEXT, voice, SHORT))
    assert {len(p) for p in packets} == {1920}
    whole = tts.speak(TEXT, voice, SHORT)
    assert torch.equal(torch.cat(packets), whole)
    # Decoded at once, as one piece: there is no seam between sentences.
    together = tts.speak_batch([TEXT], [voice], [SHORT])[0]
    torch.testing.assert_close(together, whole, atol=1e-5, rtol=0)


def test_a_model_that_does_not_hear_itself_speaks_the_same_frame_by_frame(make_tts, voice):
    tts = make_tts("aligned")
    tts.model.config.sequence.audio_history = False
    whole = tts.speak(TEXT, voice, SHORT)
    for packet_frames, sizes in ((1, {1}), (4, {1, 2, 3, 4})):
        packets = list(tts.stream(TEXT, voice, SHORT, packet_frames=packet_frames))
        assert {len(p) // 1920 for p in packets} <= sizes
        torch.testing.assert_close(torch.cat(packets), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(tts.speak_batch([TEXT], [voice], [SHORT])[0], whole, atol=1e-5, rtol=0)


def test_no_more_of_a_voice_is_read_than_in_training(make_tts, voice):
    tts, short = make_tts(), replace(voice, codes=voice.codes[:, :20])
    tts.model.config.max_voice_frames = 20
    assert torch.equal(tts.speak(TEXT, voice, SHORT), tts.speak(TEXT, replace_source(short), SHORT))


def replace_source(voice):
    """The voice as if of another recording, so that nothing cached is taken for it."""
    return replace(voice, provenance=replace(voice.provenance, sha256="0" * 64))


@pytest.mark.parametrize("design", DESIGNS)
def test_text_may_arrive_in_any_pieces(make_tts, voice, design):
    tts = make_tts(design)
    pieces = [TEXT[i : i + 7] for i in range(0, len(TEXT), 7)]
    in_one = TEXT if design == "prefix" else [TEXT]  # a string is read by sentences, pieces word by word
    expected = torch.cat(list(tts.stream(in_one, voice, SHORT)))
    assert torch.equal(torch.cat(list(tts.stream(iter(pieces), voice, SHORT))), expected)


@pytest.mark.parametrize("design", ["interleaved", "dual", "aligned"])
def test_speech_begins_before_the_text_is_complete(make_tts, voice, design):
    arrived = []

    def source():
        for word in TEXT.split():
            arrived.append(word)
            yield word + " "

    packets = make_tts(design).stream(source(), voice, codec.tts.Sampling(min_frames=20))
    next(packets)
    assert len(arrived) < len(TEXT.split()) / 2


def test_the_first_packet_needs_one_frame(make_tts, voice, monkeypatch):
    tts = make_tts()
    steps = []
    step = tts.model.backbone.step
    monkeypatch.setattr(tts.model.backbone, "step", lambda *a: steps.append(1) or step(*a))
    next(tts.stream("The fox jumps.", voice, SHORT))
    assert len(steps) == 2  # the voice, and the text with the first frame
    steps.clear()
    next(tts.stream("The dog sleeps.", voice, SHORT))
    assert len(steps) == 1  # the voice is remembered


def test_a_batch_is_as_each_alone(make_tts, voice):
    tts = make_tts()
    texts = [TEXT, "One.", "The dog sleeps. The fox does not."]
    samplings = [codec.tts.Sampling(max_frames=8, min_frames=3, seed=i) for i in range(3)]
    for text, sampling, spoken in zip(texts, samplings, tts.speak_batch(texts, [voice] * 3, samplings), strict=True):
        torch.testing.assert_close(spoken, tts.speak(text, voice, sampling), atol=1e-5, rtol=0)


def test_long_text_is_spoken_in_constant_memory(make_tts, voice, monkeypatch):
    tts = make_tts()
    capacities = []
    step = tts.model.backbone.step
    monkeypatch.setattr(tts.model.backbone, "step", lambda x, s, *a: capacities.append(s.capacity) or step(x, s, *a))
    sentence = "The lazy dog sleeps " + "and sleeps " * 15 + "all day long. "  # 200 characters
    n = sum(1 for _ in tts.stream(51 * sentence, voice, codec.tts.Sampling(max_frames=4, min_frames=3)))
    assert n >= 3 * 51
    assert len(51 * sentence) >= 10_000
    assert max(capacities) <= 512


@pytest.mark.parametrize("text", ["", "   \n", "\U0001f600\U0001f680", "... !?"])
def test_nothing_to_say_is_an_error(make_tts, voice, text):
    with pytest.raises(codec.tts.TextError, match="at least one word"):
        make_tts().stream(text, voice)  # before anything is asked of the stream
    with pytest.raises(codec.tts.TextError, match="nothing to say"):
        list(make_tts().stream(iter([text]), voice))


def test_emoji_between_words_are_left_out(make_tts, voice):
    tts = make_tts()
    assert torch.equal(tts.speak("The fox \U0001f98a jumps.", voice, SHORT), tts.speak("The fox jumps.", voice, SHORT))


@pytest.mark.parametrize("design", ["prefix", "aligned"])
def test_breaks_are_as_long_as_they_say(make_tts, voice, design):
    tts = make_tts(design)
    text = 'The fox <break time="1.2s"/> jumps.'
    (speech,) = tts.generate_codes([text], [voice], [SHORT])
    silent = (speech.codes == tts._cache.silent_frame).all(dim=0).tolist()
    assert sum(silent) >= 15
    assert silent[silent.index(True) :][:15] == [True] * 15
    packets = list(tts.stream(list(text), voice, SHORT))
    assert len(packets) == speech.codes.shape[1]


def test_what_is_no_text_is_told_at_once(make_tts, voice):
    for text in (None, b"hello", 5):
        with pytest.raises(codec.tts.TextError, match=f"text: {type(text).__name__}"):
            make_tts().stream(text, voice)


def test_languages_that_the_model_does_not_read_are_refused(make_tts, voice, monkeypatch):
    tts = make_tts()
    monkeypatch.setattr(tts.model.config, "languages", ["en", "de"])
    tts.stream("Hallo.", voice, language="de-AT")
    with pytest.raises(ValueError, match=r"language 'fr': this model reads en, de; give"):
        tts.stream("Bonjour.", voice, language="fr")
    with pytest.raises(ValueError, match=r"language: NoneType None; expected a tag"):
        tts.stream("Bonjour.", voice, language=None)


def test_a_missing_phonemizer_is_told_at_once(make_tts, voice, monkeypatch):
    tts = make_tts()
    monkeypatch.setattr(tts.model.config, "phonemes", True)

    def absent(language):
        raise MissingDependencyError("pip install phonemizer")

    monkeypatch.setattr("codec.tts.speech.check_phonemes", absent)
    with pytest.raises(MissingDependencyError, match="pip install phonemizer"):
        tts.stream("Hello.", voice)


def test_the_name_of_a_language_is_checked_in_configs():
    with pytest.raises(ValueError, match=r"languages = \['english'\]"):
        TTSConfig(languages=["english"])


def test_languages_are_no_part_of_a_model_identity():
    assert TTSConfig(languages=["en"]).identity() == TTSConfig().identity()


def test_unknown_languages_are_named(make_tts, voice):
    with pytest.raises(ValueError, match="tlh"):
        make_tts().stream("nuqneH", voice, language="tlh")


def test_a_voice_of_another_codec_is_refused(make_tts, voice):
    tts = make_tts()
    tts.codec.__dict__["fingerprint"] = "0" * 16
    try:
        with pytest.raises(codec.tts.VoiceError, match="codec"):
            tts.stream("Hello.", voice)
    finally:
        del tts.codec.__dict__["fingerprint"]


def test_a_codec_of_another_model_is_refused(make_model, text_tokenizer, tiny_codec):
    model = make_model()
    model.config.codec_fingerprint = "f" * 16
    with pytest.raises(ValueError, match="fffffff"):
        TTS(model, text_tokenizer, tiny_codec)


def test_saved_models_speak_the_same(make_tts, voice, tmp_path):
    tts = make_tts("dual")
    save_tts(tmp_path / "model", tts.model.config, tts.model.state_dict(), tts.text_tokenizer)
    again = codec.tts.load(tmp_path / "model")
    assert torch.equal(again.speak(TEXT, voice, SHORT), tts.speak(TEXT, voice, SHORT))


@pytest.fixture
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("head", ["flow", "depth", "maskgit"])
def test_the_default_dtype_changes_nothing(make_model, text_tokenizer, tiny_codec, voice, tmp_path, head, request):
    tts = TTS(make_model("aligned", head=head), text_tokenizer, tiny_codec)
    save_tts(tmp_path / "model", tts.model.config, tts.model.state_dict(), text_tokenizer)
    expected = tts.speak(TEXT, voice, SHORT)
    request.getfixturevalue("float64_by_default")
    for name in (tmp_path / "model", "tiny"):
        again = codec.tts.load(name)
        tensors = [*again.model.parameters(), *again.model.buffers(), *again.codec.model.parameters()]
        assert {t.dtype for t in tensors if t.is_floating_point()} == {torch.float32}
    again = codec.tts.load(tmp_path / "model").speak(TEXT, voice, SHORT)
    assert again.dtype == torch.float32
    assert torch.equal(again, expected)


def test_what_leaves_can_be_trained_on(make_tts, voice):
    tts = make_tts()
    tensors = [voice.codes, *tts.stream(TEXT, voice, SHORT), tts.generate_codes([TEXT], [voice], [SHORT])[0].codes]
    for tensor in tensors:
        assert not tensor.is_inference()
        assert not tensor.requires_grad
        tensor += 0
    torch.nn.Linear(1, 1)(tts.speak(TEXT, voice, SHORT)[:, None]).sum().backward()


def test_the_default_has_a_name_for_training_too():
    assert resolve_tts("default") == Path(codec.tts.__file__).parent / "weights"


def test_a_model_may_bring_its_codec(make_tts, tmp_path):
    tts = make_tts()
    config = replace(tts.model.config, codec="somewhere/else")
    save_tts(tmp_path / "model", config, tts.model.state_dict(), tts.text_tokenizer)
    with pytest.raises(CheckpointError, match="somewhere/else"):
        codec.tts.load(tmp_path / "model")
    tts.codec.save(tmp_path / "model" / "codec")
    assert codec.tts.load(tmp_path / "model").codec.fingerprint == tts.codec.fingerprint


def test_damaged_checkpoints_are_named(make_tts, tmp_path):
    tts = make_tts()
    folder = tmp_path / "model"
    save_tts(folder, tts.model.config, tts.model.state_dict(), tts.text_tokenizer)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        codec.tts.load(folder)
    with pytest.raises(CheckpointError, match="no such folder"):
        codec.tts.load(tmp_path / "nowhere")

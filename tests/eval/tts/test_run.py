"""Models beside what bounds them: values by text, means over seeds, failures, and lines for every utterance."""

import json
from dataclasses import replace

import pytest
import soundfile
from tiny import make_codec
from tiny_tts import write_tts

import eval.score
from codec.extras import MissingDependencyError
from codec.tokenizer import Tokenizer
from codec.tts.speech import TTS
from eval.metrics import registry
from eval.metrics.base import Column, Metric
from eval.results import Results
from eval.store import file_of
from eval.tts.run import RECORDINGS, ROUND_TRIP, evaluate


def lines(out):
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def test_models_stand_beside_their_bounds(folder, items, metrics, config, tmp_path, tokenizer):
    """The recording of "One two." is read rightly, as is its round trip; 0.4 s of babble are not."""
    results = evaluate([f"{folder}/one"], items, metrics, tmp_path, config)
    recorded, coded, model = results.systems
    assert [s.system for s in results.systems] == [
        RECORDINGS, f"{ROUND_TRIP} ({tokenizer.fingerprint})", f"{folder}/one"
    ]  # fmt: skip
    assert [s.values["cer"] for s in results.systems] == [{"a1": 0}, {"a1": 0}, {"a1": 1}]
    assert [s.failures for s in results.systems] == 3 * [{"b1": {"asr": "language nl-BE: not known"}}]
    assert recorded.values.keys() == {"wer", "cer", "speaker_sim", "chars_per_s"}
    length = soundfile.info(folder / "a1.wav").duration
    assert recorded.values["chars_per_s"]["a1"] == pytest.approx(len("One two.") / length)
    assert model.values["chars_per_s"] == {"a1": pytest.approx(8 / 0.4), "b1": pytest.approx(10 / 0.4)}
    assert model.values["cut"] == {"a1": 1, "b1": 1}
    assert model.values["first_audio"].keys() == model.values["rtf"].keys() == {"a1", "b1"}
    assert soundfile.info(file_of(tmp_path, "audio", coded.system, "a1")).duration == pytest.approx(length)
    assert Results.load(tmp_path) == results
    assert results.groups == {"en": ["a1"], "nl": ["b1"]}


def test_similarity_is_with_the_recording_of_the_voice(folder, items, metrics, config, tmp_path):
    same = replace(items[0], voices=(folder / "a1.wav",))
    other = replace(items[0], id="other")
    recorded, *_ = evaluate([f"{folder}/one"], [same, other], metrics[1:], tmp_path, config).systems
    assert recorded.values["speaker_sim"] == {"a1": 1, "other": 0}


def test_other_voices_are_those_of_other_speakers_of_the_language(folder, items, config, tmp_path, monkeypatch):
    def measure(pair):
        return [sum(len(other) for other in pair.others)]

    count = Metric((Column("own_voice", "own voice", True),), measure)
    monkeypatch.setitem(registry.METRICS, "own_voice", lambda option: count)
    registry.make_metric.cache_clear()
    ann, bob = items
    cid = replace(ann, id="c1", speaker="cid", voices=(folder / "lone.wav",))
    again = replace(cid, id="c2", text="Ten.")
    *_, model = evaluate([f"{folder}/one"], [ann, bob, cid, again], ["own_voice"], tmp_path, config).systems
    lengths = {name: soundfile.info(folder / f"{name}.wav").frames for name in ("a2", "lone")}
    assert model.values["own_voice"] == {"a1": lengths["lone"], "b1": 0, "c1": lengths["a2"], "c2": lengths["a2"]}
    registry.make_metric.cache_clear()


def test_every_utterance_has_a_line(folder, items, metrics, config, tmp_path):
    evaluate([f"{folder}/one"], items, metrics, tmp_path, replace(config, seeds=(3, 4)))
    found = lines(tmp_path)
    assert [(line["system"], line["seed"], line["id"]) for line in found[4:]] == [
        (f"{folder}/one", seed, name) for seed in (3, 4) for name in ("a1", "b1")
    ]
    assert [line["seed"] for line in found[:4]] == 4 * [None]
    spoken = found[4]
    assert (spoken["text"], spoken["voice"], spoken["seconds"]) == ("One two.", f"{folder}/a2.wav", pytest.approx(0.4))
    assert (spoken["cer"], spoken["cut"], spoken["failures"]) == (1, 1, {})
    assert found[5]["failures"] == {"asr": "language nl-BE: not known"}
    assert "cer" not in found[5]


def test_values_are_means_over_seeds(folder, items, metrics, config, tmp_path, monkeypatch):
    generate_codes = TTS.generate_codes

    def longer_by_seed(tts, texts, voices, samplings, languages):
        speeches = generate_codes(tts, texts, voices, samplings, languages)
        return [replace(s, codes=s.codes[:, : 1 + samplings[0].seed]) for s in speeches]

    monkeypatch.setattr(TTS, "generate_codes", longer_by_seed)
    *_, model = evaluate([f"{folder}/two"], items[:1], metrics, tmp_path, replace(config, seeds=(0, 1, 3))).systems
    assert [line["seconds"] for line in lines(tmp_path)[2:]] == pytest.approx([0.08, 0.16, 0.32])
    assert model.values["chars_per_s"]["a1"] == pytest.approx(8 * (1 / 0.08 + 1 / 0.16 + 1 / 0.32) / 3)


def test_what_is_known_is_not_done_again(folder, items, metrics, config, tmp_path, monkeypatch):
    first = evaluate([f"{folder}/one"], items, metrics, tmp_path, config)
    kept, audio = (tmp_path / "results.jsonl").read_text(), sorted((tmp_path / "audio").rglob("*.flac"))
    times = [path.stat().st_mtime_ns for path in audio]
    judged, score_each = [], eval.score.score_each
    monkeypatch.setattr(TTS, "generate_codes", lambda *args: pytest.fail("spoken again"))
    monkeypatch.setattr(
        eval.score, "score_each",
        lambda jobs, workers: score_each((judged.append((j.name, j.metrics)) or j for j in jobs), workers),
    )  # fmt: skip
    assert evaluate([f"{folder}/one"], items, metrics, tmp_path, config) == first
    assert judged == 3 * [("b1", ("asr",))]
    assert (tmp_path / "results.jsonl").read_text() == kept
    assert [path.stat().st_mtime_ns for path in audio] == times


def test_metrics_that_need_the_same_words_are_refused(folder, items, tmp_path, config):
    with pytest.raises(
        ValueError, match="metric stoi: it compares recordings of the same words; there are asr speaker"
    ):
        evaluate([f"{folder}/one"], items, ["speaker", "stoi"], tmp_path / "out", config)
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_said(folder, items, metrics, config, tmp_path, monkeypatch):
    def needs_weights(option):
        raise MissingDependencyError("put weights there")

    monkeypatch.setitem(registry.METRICS, "dnsmos", needs_weights)
    no_voice = replace(items[1], voices=(folder / "none.wav",))
    no_recording = replace(items[0], id="gone", recording=folder / "none.wav")
    results = evaluate(
        ["nothing/there", f"{folder}/one"], [items[0], no_voice, no_recording], ["dnsmos", *metrics], tmp_path, config
    )
    assert results.not_measured == {"dnsmos": "put weights there"}
    recorded, coded, absent, model = results.systems
    assert "nothing/there" in absent.not_measured
    assert recorded.failures == coded.failures == {"gone": {"speech": f"{folder}/none.wav: no such file"}}
    assert "none.wav: no such file" in model.failures["b1"]["voice"]
    assert model.values["cer"].keys() == {"a1", "gone"}


def test_each_codec_bounds_its_models(folder, items, metrics, config, tmp_path):
    other = Tokenizer(make_codec(seed=1))
    other.save(tmp_path / "codec")
    write_tts(tmp_path / "three", other, codec=str(tmp_path / "codec"))
    models = [f"{folder}/one", f"{tmp_path}/three", f"{folder}/two", f"{folder}/one"]
    results = evaluate(models, items[:1], metrics[1:], tmp_path / "out", config)
    names = [s.system for s in results.systems]
    assert [name.partition(" (")[0] for name in names[:3]] == [RECORDINGS, ROUND_TRIP, ROUND_TRIP]
    assert names[3:] == models[:3]


def test_texts_without_recordings_have_no_bounds(folder, items, metrics, config, tmp_path):
    (model,) = evaluate([f"{folder}/one"], [replace(items[0], recording=None)], metrics, tmp_path, config).systems
    assert model.values["cer"] == {"a1": 1}

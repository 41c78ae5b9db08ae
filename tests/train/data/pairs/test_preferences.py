"""Making pairs: speeches are the model's, the measures choose, and a killed run ends as if it had not been."""

import itertools
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import make_codec
from tiny_tts import TEXTS, write_tokens, write_tts
from tqdm import tqdm

from codec.tokenizer import Tokenizer
from codec.tts.checkpoint import load_tts
from codec.tts.generate import FrameLoop, SequenceRequest, generate_frames
from codec.tts.sampling import Sampling
from eval.metrics.base import Column, Metric
from train.data.pairs import preferences, ranking
from train.data.pairs.dataset import PairSet
from train.data.pairs.preferences import PairMaker, PreferenceConfig, main, write_preferences
from train.data.tokens.shards import TokenSet

N_SPOKEN = len(TEXTS) - 1  # one has no words
WEIGHTS = {"speaker_sim": 0.0, "dnsmos_ovrl": 0.0}
REFERENCE_S = (0.3, 0.4)


ERRORS = Metric((Column("cer", "CER", False),), lambda pair: [round(float(abs(pair.output).mean()), 3)])


@pytest.fixture(scope="module", autouse=True)
def recogniser():
    """No recogniser hears words in what a random model says; this one counts what is loud as wrong."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "make_metric", lambda spec: ERRORS)
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tokenizer):
    """Model and tokens."""
    folder = tmp_path_factory.mktemp("speech")
    tokenizer.save(folder / "codec")
    return write_tts(folder / "model", tokenizer), write_tokens(folder / "tokens", tokenizer, folder / "codec")


def make_config(**changes):
    weights = {"speaker_sim": 0.0, "dnsmos_ovrl": 0.0}
    return PreferenceConfig(
        **{"weights": weights, "reference_s": REFERENCE_S, "shard_texts": 2, "n_candidates": 3, **changes}
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, folders):
    out = tmp_path_factory.mktemp("finished") / "pairs"
    n_pairs, n_texts = write_preferences(*folders, out, make_config())
    assert n_texts == N_SPOKEN
    assert 3 <= n_pairs == len(PairSet(out))
    return out


def test_winners_are_better_than_losers(finished):
    for pair in PairSet(finished):
        winner, loser = pair.line.winner_scores, pair.line.loser_scores
        assert winner.keys() == loser.keys() == {"cer", "loudness"}
        assert winner["cer"] <= loser["cer"]
        assert winner != loser


def test_a_pair_is_what_the_model_says_in_the_voice_of_another_recording(finished, folders):
    recordings = list(TokenSet(folders[1]))
    for pair in PairSet(finished):
        (own,) = [u for u in recordings if u.id == pair.line.id]
        assert pair.line.text == own.text.replace("4", "four")
        assert pair.line.language == own.language
        (heard,) = [u for u in recordings if contains(u.codes, pair.voice)]
        assert heard.speaker == own.speaker
        assert heard.id != own.id
    model, tokenizer = load_tts(folders[0])
    loop = FrameLoop(model, tokenizer.special, 3)
    prefix, ids = loop.prefill(pair.voice.long()), tokenizer.encode(pair.line.text)
    seeds = np.random.SeedSequence((0, [u.id for u in recordings].index(own.id))).generate_state(3)
    requests = [SequenceRequest(prefix, ids, make_config().sampling(int(seed), own.codes.shape[1])) for seed in seeds]
    generated = [candidate.codes for candidate in generate_frames(loop, requests)]
    for codes in (pair.winner, pair.loser):
        assert any(torch.equal(codes.long(), other) for other in generated)


def test_words_are_compared_with_words_where_the_model_reads_phonemes(monkeypatch, folders):
    maker = PairMaker(*folders, make_config())
    monkeypatch.setattr(maker.speech, "text", lambda target: "\u0283" * (target + 1))
    heard = []

    def measure(pair):
        heard.append(pair.text)
        return ERRORS.measure(pair)

    errors = Metric(ERRORS.columns, measure)
    maker.measures = {name: replace(measure, metric=errors) for name, measure in maker.measures.items()}
    list(maker.pairs([1], tqdm(disable=True)))
    assert set(heard) == {"three four five"}


def test_no_more_of_a_voice_is_paired_than_the_model_reads(monkeypatch, folders):
    maker = PairMaker(*folders, make_config())
    monkeypatch.setattr(maker.tts.config, "max_voice_frames", 3)
    assert {pair.voice.shape[1] for pair in maker.pairs(maker.targets, tqdm(disable=True))} == {3}


def contains(codes, piece):
    n = piece.shape[1]
    return any(torch.equal(codes[:, i : i + n], piece) for i in range(codes.shape[1] - n + 1))


def test_speeches_do_not_depend_on_how_many_are_made_at_a_time(folders):
    model, tokenizer = load_tts(folders[0])
    voice = TokenSet(folders[1])[0].codes.long()

    def made(n_slots):
        loop = FrameLoop(model, tokenizer.special, n_slots)
        prefix, ids = loop.prefill(voice), tokenizer.encode("one two")
        samplings = [Sampling(temperature=0.9, seed=seed, max_frames=15) for seed in range(8)]
        return generate_frames(loop, (SequenceRequest(prefix, ids, sampling) for sampling in samplings))

    alone, together = made(1), made(3)
    assert len({c.codes.shape[1] for c in alone}) > 2
    assert {c.ended for c in alone} == {True, False}
    for a, b in zip(alone, together, strict=True):
        assert torch.equal(a.codes, b.codes)
        assert a.ended == b.ended
        assert a.ended or a.codes.shape[1] == 15


@pytest.mark.filterwarnings("error")
def test_a_speech_without_end_is_no_cause_for_a_warning(folders):
    model, tokenizer = load_tts(folders[0])
    loop = FrameLoop(model, tokenizer.special)
    prefix = loop.prefill(TokenSet(folders[1])[0].codes.long())
    (frames,) = generate_frames(loop, [SequenceRequest(prefix, [9], Sampling(min_frames=4, max_frames=5))])
    assert frames.codes.shape[1] in (4, 5)


def test_a_killed_run_goes_on(tmp_path, monkeypatch, folders, finished):
    calls = itertools.count()
    write_pairs = preferences.write_pairs

    def write_or_die(*args):
        if next(calls) == 1:
            raise KeyboardInterrupt
        write_pairs(*args)

    out = tmp_path / "pairs"
    with monkeypatch.context() as patch:
        patch.setattr(preferences, "write_pairs", write_or_die)
        with pytest.raises(KeyboardInterrupt):
            write_preferences(*folders, out, make_config())
    times = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert len(times) == 3, "the index and the two files of a shard"
    write_preferences(*folders, out, make_config())
    assert contents(out) == contents(finished)
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_candidates", 4), ("acoustic_temperature", 0.8), ("cfg_scale", 1.5), ("reference_s", (0.3, 0.5))],
)
def test_a_folder_made_otherwise_is_refused(folders, finished, name, value):
    before = contents(finished)
    with pytest.raises(ValueError, match=f"made with {name} = .* another folder"):
        write_preferences(*folders, finished, make_config(**{name: value}))
    with pytest.raises(ValueError, match=r"made with measures = .* another folder"):
        write_preferences(*folders, finished, make_config(weights=WEIGHTS | {"cer": 1.0}))
    assert contents(finished) == before


def test_other_texts_and_models_are_refused_but_folders_may_move(tmp_path, tokenizer, folders, finished):
    with pytest.raises(ValueError, match="source_digest"):
        write_preferences(*folders, finished, make_config(n_texts=4))
    other = write_tts(tmp_path / "other", tokenizer, seed=1)
    with pytest.raises(ValueError, match="model_fingerprint"):
        write_preferences(other, folders[1], finished, make_config())
    moved = write_tts(tmp_path / "moved", tokenizer)
    assert write_preferences(moved, folders[1], finished, make_config())[1] == N_SPOKEN


def test_a_codec_that_made_other_tokens_is_refused(tmp_path, folders):
    Tokenizer(make_codec(seed=1)).save(tmp_path / "other")
    with pytest.raises(ValueError, match=r"its fingerprint is .* give that codec"):
        write_preferences(*folders, tmp_path / "out", make_config(codec=str(tmp_path / "other")))
    other = write_tts(tmp_path / "model", Tokenizer(make_codec(seed=1)))
    with pytest.raises(ValueError, match=r"tokens of codec .*speaks through .*; give tokens of the model's codec"):
        write_preferences(other, folders[1], tmp_path / "out", make_config())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "value"), [("n_candidates", 1), ("shard_texts", 0), ("n_slots", 0), ("temperature", -1.0), ("seed", -1)]
)
def test_bad_settings_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name} = .*expected"):
        PreferenceConfig(**{name: value})


def test_the_command(tmp_path, monkeypatch, capsys, folders):
    model, tokens = folders
    options = [
        "--n-texts",
        "4",
        "--n-candidates",
        "3",
        "--weights",
        "speaker_sim=0",
        "dnsmos_ovrl=0",
        "--reference-s",
        "0.3",
        "0.4",
    ]
    monkeypatch.setattr(sys, "argv", ["preferences", str(model), str(tokens), "--out", str(tmp_path / "out"), *options])
    assert main() == 0
    assert "pairs of 4 texts" in capsys.readouterr().out
    index = json.loads((tmp_path / "out/index.json").read_text())
    assert index["n_candidates"] == 3
    assert index["measures"]["cer"] == ["1", 2.0]
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--seed", "1"])
    assert main() == 2
    assert "error: " in capsys.readouterr().err

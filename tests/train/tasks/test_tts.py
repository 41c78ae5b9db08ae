"""Training a voice model: learning, resuming, exporting, by every design."""

import json
import signal
from dataclasses import replace

import pytest
import torch
from tts_tokens import write_tokens

import codec.tts
from codec.checkpoint.store import CheckpointError
from codec.dataset.folder import INDEX
from codec.tts.checkpoint import load_tts
from codec.tts.config import DESIGNS, PRESETS, SequenceConfig, TTSConfig
from codec.tts.heads import HEADS
from train.data.tokens.sequences import SpeechDataConfig
from train.dist import World
from train.log import Logger
from train.loop import Trainer
from train.losses.config import TTSLossConfig
from train.settings.config import OptimConfig, TrainerConfig
from train.tasks.tts import TTSTask

WORLD = World(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    return write_tokens(tmp_path_factory.mktemp("tokens"))


def make_task(tokens, design="prefix", head="flow", init="random", n_valid=0, reads=False, **loss):
    config = TTSConfig.from_json(PRESETS["tiny"].to_json())
    config.sequence = SequenceConfig(design, n_text=4, n_frames=4, delay=2)
    config.backbone.n_layers = config.head_transformer.n_layers = 1
    config.head = head
    config.acoustic_reads_semantic = reads
    data = SpeechDataConfig(str(tokens), str(tokens), row_steps=160, batch_size=2, num_workers=0)
    return TTSTask(config, data, TTSLossConfig(**loss), seed=0, init=init, n_valid=n_valid)


def losses(task, n=3):
    with torch.no_grad():
        batch = next(task.batches(0, 0, 1))
        generator = torch.Generator().manual_seed(0)
        return {k: float(v.mean()) for k, v in vars(task.model(batch, generator)).items()}


def train(task, folder, steps, stop_at=None):
    config = TrainerConfig(steps=steps, validate_every=0, save_every=1000, log_every=5, device="cpu", best="none")
    trainer = Trainer(task, config, OptimConfig(lr=6e-3, warmup_steps=5), 0, folder, WORLD)
    backward = task.backward

    def interrupted(batch, step, scale, generator):
        trainer.stop = signal.SIGTERM if step + 1 == stop_at else 0
        return backward(batch, step, scale, generator)

    task.backward = interrupted
    assert trainer.fit(Logger()) == (signal.SIGTERM if stop_at else 0)


@pytest.mark.parametrize(("design", "head"), [*((d, "flow") for d in DESIGNS), *(("prefix", h) for h in [*HEADS][1:])])
@pytest.mark.parametrize("reads", [False, True])
def test_both_losses_fall(tokens, tmp_path, design, head, reads):
    task = make_task(tokens, design, head, reads=reads)
    before = losses(task)
    train(task, tmp_path / "run", 25)
    after = losses(task)
    assert after["semantic"] < 0.7 * before["semantic"]
    assert after["acoustic"] < before["acoustic"]


def test_validation_of_another_codec_is_refused(tokens, tmp_path):
    """Its codes mean something else, so its losses would choose best/ by chance."""
    write_tokens(tmp_path)
    index = json.loads((tmp_path / INDEX).read_text())
    (tmp_path / INDEX).write_text(json.dumps(index | {"fingerprint": "ab12"}))
    data = SpeechDataConfig(str(tokens), str(tmp_path))
    with pytest.raises(ValueError, match="made by different codecs; encode both with one"):
        TTSTask(TTSConfig.from_json(PRESETS["tiny"].to_json()), data, TTSLossConfig(), seed=0)


def test_a_codec_that_has_changed_does_not_speak_in_validation(tokens, tmp_path):
    write_tokens(tmp_path)
    index = json.loads((tmp_path / INDEX).read_text())
    (tmp_path / INDEX).write_text(json.dumps(index | {"fingerprint": "ab12"}))
    with pytest.raises(ValueError, match=r"made by codec ab12, .* is .* now; encode the recordings again, or validate"):
        make_task(tmp_path, n_valid=1)
    assert make_task(tmp_path, n_valid=0).codec is None


def test_a_resumed_run_is_an_undisturbed_one(tokens, tmp_path):
    whole, stopped, resumed = (make_task(tokens, dropout=0.2) for _ in range(3))
    train(whole, tmp_path / "whole", 10)
    train(stopped, tmp_path / "stopped", 10, stop_at=4)
    train(resumed, tmp_path / "stopped", 10)
    for name, p in whole.model.state_dict().items():
        assert torch.equal(p, resumed.model.state_dict()[name]), name


def test_dropout_is_part_of_training_alone(tokens):
    kept, dropped = make_task(tokens), make_task(tokens, dropout=0.2)
    assert losses(kept) != losses(dropped)
    kept.model.eval(), dropped.model.eval()
    assert losses(kept) == losses(dropped)


def test_an_export_speaks(tokens, tmp_path):
    task = make_task(tokens)
    task.export(tmp_path / "model", task.model.state_dict())
    with pytest.warns(UserWarning, match="untrained"):  # its codec
        tts = codec.tts.load(tmp_path / "model")
    voice = tts.voice(0.1 * torch.randn(24_000 * 4), consent="noise", sample_rate=24_000)
    assert len(tts.speak("The fox.", voice, codec.tts.Sampling(max_frames=5, min_frames=4))) >= 4 * 1920


def test_training_goes_on_from_a_checkpoint_with_its_tokenizer(tokens, tmp_path):
    task = make_task(tokens)
    task.export(tmp_path / "model", task.model.state_dict())
    again = make_task(tokens, design="dual", init=str(tmp_path / "model"))
    assert again.tokenizer.encode("the fox") == task.tokenizer.encode("the fox")
    for name, p in task.model.state_dict().items():
        assert torch.equal(p, again.model.state_dict()[name])
    assert load_tts(tmp_path / "model")[0].config.sequence.design == "prefix"


def test_another_kind_of_text_is_learned_anew_around_the_same_weights(tokens, tmp_path):
    task = make_task(tokens)
    task.export(tmp_path / "model", task.model.state_dict())
    again = make_task(tokens, design="aligned", init=str(tmp_path / "model"))
    ours, theirs = again.model.state_dict(), task.model.state_dict()
    assert {name for name in ours if name not in theirs} == {"move_head.weight"}
    for name in theirs.keys() - {"text_embedding.weight"}:
        assert torch.equal(ours[name], theirs[name])
    reading = make_task(tokens, reads=True, init=str(tmp_path / "model"))
    assert losses(reading) == losses(task)  # until it has learned to
    with pytest.raises(CheckpointError, match="do not match"):
        make_task(tokens, head="depth", init=str(tmp_path / "model"))


def test_the_loss_of_moves_falls(tokens, tmp_path):
    task = make_task(tokens, "aligned")
    before = losses(task)["move"]
    train(task, tmp_path / "run", 25)
    assert losses(task)["move"] < 0.7 * before
    metrics = task.validate().metrics
    parts = metrics["semantic"] + 0.3 * metrics["acoustic"] + metrics["move"]
    assert metrics["score"] == pytest.approx(-parts, rel=1e-5)


def test_a_scale_that_does_not_fit_the_data_is_pointed_out(tokens, recwarn):
    task = make_task(tokens)
    assert not [w for w in recwarn if "acoustic_scale" in str(w.message)]
    config = task.config
    config.acoustic_scale = 0.01
    with pytest.warns(UserWarning, match=r"model.acoustic_scale = 0.01: .* have deviation .*; give [12]"):
        TTSTask(config, task.data, TTSLossConfig(), seed=0)


def test_frozen_text_stays(tokens, tmp_path):
    task = make_task(tokens, freeze_text=True)
    before = task.model.text_embedding.weight.clone()
    train(task, tmp_path / "run", 5)
    assert torch.equal(task.model.text_embedding.weight, before)


def test_validation_speaks_and_scores(tokens):
    task = make_task(tokens, n_valid=2)
    task.valid.tokens.lines = [replace(line, id=f"wavs/{line.id}.flac") for line in task.valid.tokens.lines]
    validation = task.validate()
    assert [*validation.pictures] == ["00_ann0", "01_bob4"]
    assert validation.metrics["score"] == pytest.approx(
        -(validation.metrics["semantic"] + 0.3 * validation.metrics["acoustic"]), rel=1e-5
    )
    assert len(validation.audio) == 4
    assert len(validation.pictures) == 2
    assert make_task(tokens, n_valid=0).validate().metrics == validation.metrics


def test_what_the_context_explains_of_the_acoustic_values(tokens, monkeypatch):
    task = make_task(tokens)
    assert task.validate().metrics["explained"] < 0.1  # nothing is learned yet
    assert "explained" not in make_task(tokens, head="depth").validate().metrics
    known = []  # what the head is asked to expect, in the order of the rows
    draw = task.model.acoustic_head.draw_path

    def draw_path(codes, generator=None):
        path = draw(codes, generator)
        known.append(path.x1)
        return path

    monkeypatch.setattr(task.model.acoustic_head, "draw_path", draw_path)
    monkeypatch.setattr(task.model.acoustic_head, "expected", lambda h, noise: known[-1])
    assert task.validate().metrics["explained"] == 1


def test_tokens_of_another_codec_are_refused(tokens):
    config = TTSConfig.from_json(PRESETS["tiny"].to_json())
    config.acoustic_dim = 7
    data = SpeechDataConfig(str(tokens), row_steps=160, num_workers=0)
    with pytest.raises(ValueError, match="acoustic_dim"):
        TTSTask(config, data, TTSLossConfig(), seed=0)


def test_codes_that_are_entries_need_another_head_than_flow(tmp_path):
    folder = write_tokens(tmp_path)
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"ordinal": [False] * len(index["codebook_sizes"])}))
    with pytest.raises(ValueError, match=r"model\.head = 'flow': .*are entries.* give depth or maskgit"):
        make_task(folder)
    assert losses(make_task(folder, head="depth"))


def test_half_precision_weights_load_as_float32(tokens, tmp_path):
    task = make_task(tokens)
    state = {name: t.half() for name, t in task.model.state_dict().items()}
    task.export(tmp_path / "model", state)
    assert next(load_tts(tmp_path / "model")[0].parameters()).dtype == torch.float32


def test_phonemes_are_read_in_training_and_speaking(tokens, tmp_path, monkeypatch):
    read = []

    def spell(text, language):
        read.append((text, language))
        return text.upper()

    for module in ("phonemes", "feed"):
        monkeypatch.setattr(f"codec.tts.text.{module}.to_phonemes", spell)
    monkeypatch.setattr("codec.tts.speech.check_phonemes", lambda language: None)
    config = TTSConfig.from_json(PRESETS["tiny"].to_json())
    config.phonemes = True
    data = SpeechDataConfig(str(tokens), row_steps=160, batch_size=2, num_workers=0)
    task = TTSTask(config, data, TTSLossConfig(), seed=0)
    assert ("a lazy dog", "en") in read
    text = task.dataset[0][0].text
    assert task.tokenizer.decode([i for i in text.flatten().tolist() if i > 4]).isupper()
    task.export(tmp_path / "model", task.model.state_dict())
    with pytest.warns(UserWarning, match="untrained"):
        tts = codec.tts.load(tmp_path / "model")
    voice = tts.voice(0.1 * torch.randn(24_000 * 4), consent="noise", sample_rate=24_000)
    next(tts.stream("The 3 foxes.", voice, language="en-GB"))
    assert read[-1] == ("The three foxes.", "en-GB")

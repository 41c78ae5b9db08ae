"""What is frozen stays to the bit: weights, averages, codebooks; what is not learns."""

from pathlib import Path

import pytest
import torch
from tts_tokens import write_tokens

from codec.config import preset
from codec.model import Codec
from codec.tts.config import PRESETS, TTSConfig
from train import checkpoint
from train.data.audio.crops import DataConfig
from train.data.tokens.sequences import SpeechDataConfig
from train.dist import World
from train.init.freeze import freeze, is_frozen
from train.log import Logger
from train.loop import Trainer
from train.losses.config import CodecLossConfig, DistillConfig, TTSLossConfig, paper_terms
from train.settings.config import OptimConfig, TrainerConfig
from train.tasks.codec import CodecTask
from train.tasks.tts import TTSTask

CLIPS = str(Path(__file__).parents[2] / "data")


def make_codec_task():
    data = DataConfig(CLIPS, crop_s=0.64, batch_size=2, num_workers=0)
    loss = CodecLossConfig(
        paper_terms(feature=0.0, range=1.0),
        fft_sizes=(256,),
        vq_frames=100,
        vq_starts=(1,),
        distill=DistillConfig("none"),
    )
    return CodecTask(preset("tiny"), data, loss, seed=0)


def train_task(task, folder, freeze, steps=4):
    config = TrainerConfig(steps=steps, validate_every=0, save_every=2, device="cpu", freeze=freeze, best="none")
    optim = OptimConfig(lr=1e-2, warmup_steps=0, weight_decay=0.1, ema_decay=0.5)
    trainer = Trainer(task, config, optim, 0, folder, World(0, 1, torch.device("cpu")))
    before = {name: t.clone() for name, t in task.networks[task.main].state_dict().items()}
    assert trainer.fit(Logger()) == 0
    after = task.networks[task.main].state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    averages = {name for name in before if not torch.equal(before[name], trainer.average.tensors[name])}
    assert changed == averages
    return trainer, changed


def names_in(network, *prefixes):
    return {name for name in network.state_dict() if name.startswith(prefixes)}


@pytest.mark.parametrize(
    ("parts", "prefixes"),
    [
        (("encoder", "quantizer"), ("_encoder.", "quantizer.")),
        (("decoder", "quantizer.semantic"), ("decoder.", "quantizer.")),
        (("decoder.stack.layers.0",), ("decoder.stack.layers.0.",)),
    ],
)
def test_parts_of_a_codec_stay(tmp_path, parts, prefixes):
    task = make_codec_task()
    trainer, changed = train_task(task, tmp_path, parts)
    codec = task.codec
    assert changed == set(codec.state_dict()) - names_in(codec, *prefixes)
    learning = {id(p) for group in trainer.optimizers["codec"].param_groups for p in group["params"]}
    for name, p in codec.named_parameters():
        assert (id(p) in learning) == (p in trainer.optimizers["codec"].state) == (not name.startswith(prefixes))


def test_parts_of_a_voice_model_stay(tmp_path):
    config = TTSConfig.from_json(PRESETS["tiny"].to_json())
    data = SpeechDataConfig(str(write_tokens(tmp_path)), row_steps=160, batch_size=2, num_workers=0)
    task = TTSTask(config, data, TTSLossConfig(), seed=0, n_valid=0)
    _, changed = train_task(task, tmp_path / "run", ("backbone", "text_embedding"))
    assert changed == set(task.model.state_dict()) - names_in(task.model, "backbone.", "text_embedding.")
    assert changed


def test_another_choice_on_resuming(tmp_path):
    """What is frozen later stays as it was then, its average too; what is free again learns again."""
    trainer, _ = train_task(make_codec_task(), tmp_path, ("decoder",))
    task = make_codec_task()
    trainer, changed = train_task(task, tmp_path, ("encoder", "quantizer"), steps=8)
    assert trainer.progress.step == 8
    assert changed == names_in(task.codec, "decoder.")
    _, parts = checkpoint.load(list(checkpoint.checkpoints(tmp_path / "checkpoints"))[-1])
    assert {name.split(".")[0] for name in parts["optimizer.codec"]} == {"decoder"}


def test_unknown_parts_are_listed():
    codec = Codec(preset("tiny"))
    with pytest.raises(ValueError, match="no 'encodr'; the parts of the network are encoder, quantizer, decoder"):
        freeze(codec, ["encodr"])
    with pytest.raises(ValueError, match=r"no 'decoder\.stack\.layer'; the parts of decoder\.stack are layers"):
        freeze(codec, ["decoder.stack.layer"])
    with pytest.raises(ValueError, match="the parts of the network are quantizer, decoder"):
        freeze(Codec(preset("tiny"), with_encoder=False), ["encoder"])
    with pytest.raises(ValueError, match="is left to train"):
        freeze(codec, ["encoder", "decoder"])
    with pytest.raises(ValueError, match=r"freeze = 'encoder': expected a list"):
        TrainerConfig(freeze="encoder")


def test_parts_of_frozen_modules_are_frozen():
    codec = Codec(preset("tiny"))
    freeze(codec, ["quantizer"])
    assert is_frozen(codec.quantizer.semantic)
    assert not is_frozen(codec.decoder)
    assert all(p.requires_grad for p in codec.parameters())

"""Misspelt settings: the nearest name, among those that the other overrides make."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

import train.__main__  # noqa: F401  registers the base settings
from train.settings.suggest import CONF, advice


def advise(*overrides):
    with pytest.raises(HydraException) as error, initialize_config_dir(str(CONF), version_base="1.3"):
        compose("train", [*overrides, "run_dir=''"])
    return advice(error.value, ["--cfg", *overrides])


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("trainer.stpes=10", "trainer.steps"),
        ("loss.distil.kind=none", "loss.distill.kind"),
        ("modle=tiny", "model"),
        ("sed=1", "seed"),
        ("experimnt=codec_small", "experiment"),
        ("data.crop=1", "data.crop_s"),
    ],
)
def test_the_nearest_name_is_suggested(override, meant):
    message = advise("experiment=codec_tiny_cpu", override)
    assert f"{override.partition('=')[0]}: no such setting" in message
    assert f"did you mean {meant}?" in message


def test_names_are_those_of_the_chosen_task():
    assert "did you mean data.row_steps?" in advise("experiment=tts_small", "data.row_step=1")
    assert "did you mean data.crop_s?" in advise("experiment=codec_small", "data.crops=1", "trainer.stesp=1")


def test_other_mistakes_are_said_as_they_are():
    assert "codec_small" in advise("experiment=codec_smal")
    assert "no such setting" not in advise("experiment=codec_small", "optim.lr_scale={codec:2.0}")

"""What a training calculates in: as asked for, or by the machine, and always said."""

import pytest

from train import dist
from train.dist import Precision, choose_precision, init_world

SLOW = "no instructions for it"


@pytest.mark.parametrize(
    ("setting", "reason", "name", "note"),
    [
        ("auto", "", "bfloat16", "precision: bfloat16"),
        ("auto", SLOW, "float32", f"precision: float32: {SLOW}"),
        ("bfloat16", "", "bfloat16", "precision: bfloat16"),
        ("bfloat16", SLOW, "bfloat16", f"warning: precision: bfloat16 may be slower than float32 here: {SLOW}"),
        ("float32", "", "float32", "precision: float32"),
        ("float32", SLOW, "float32", "precision: float32"),
    ],
)
def test_precision_by_the_machine(monkeypatch, setting, reason, name, note):
    monkeypatch.setattr(dist, "emulates_bfloat16", lambda device: reason)
    assert choose_precision(setting, init_world("cpu")) == Precision(name, note)


def test_one_slow_process_decides_for_all(monkeypatch):
    monkeypatch.setattr(dist, "emulates_bfloat16", lambda device: "")
    monkeypatch.setattr(dist, "max_over_ranks", lambda value, device: 1)
    found = choose_precision("auto", init_world("cpu"))
    assert found == Precision("float32", "precision: float32: another process's device may be slow in bfloat16")

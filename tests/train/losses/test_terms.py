"""The table of losses: how much a term counts when, and that every weight has a term and every term a weight."""

import sys
from types import ModuleType

import pytest
import torch

from codec.config import preset
from train.losses.config import CodecLossConfig, DistillConfig, TermConfig, paper_terms
from train.losses.terms import Setup, Term, make_terms


def setup(terms, **changes):
    return Setup(preset("tiny", **changes), CodecLossConfig(terms, fft_sizes=(64,), distill=DistillConfig("none")))


def test_weights_start_rise_and_fall():
    row = TermConfig(weight=2.0, start=10, ramp=3, decay=0.5, decay_start=12)
    assert [row.at(step) for step in (0, 9, 10, 11, 12, 13, 14, 15)] == [0, 0, 0.5, 1.0, 1.5, 1.0, 0.5, 0.25]
    assert TermConfig(weight=2.0).at(0) == TermConfig(weight=2.0).at(10**6) == 2.0


def test_the_paper_counts_its_decay_from_where_it_is_told():
    row = TermConfig(weight=1.0, decay=0.99, decay_start=100)
    assert row.at(0) == row.at(100) == 1.0
    assert row.at(169) == pytest.approx(0.99**69)


def test_terms_are_computed_together_and_only_if_they_have_a_weight():
    terms = make_terms(setup(paper_terms(feature=0.0, stft=0.0)))
    assert [term.names for term in terms] == [("waveform", "stft", "log_mel"), ("semantic",), ("commit", "range")]
    assert [term.uses_waveform for term in terms] == [True, False, False]


def test_networks_of_terms_are_named():
    small = CodecLossConfig(paper_terms(), discriminator={"fft_sizes": [76], "channels": 2})
    terms = make_terms(Setup(preset("tiny"), small))
    assert [name for term in terms for name in term.networks] == ["distillation", "discriminators"]


@pytest.fixture
def loudness(monkeypatch):
    """A loss that someone has written in a module of their own."""
    module = ModuleType("loudness")
    module.make = lambda setup: Term(("loudness",), lambda x: {"loudness": x.waveform.abs().mean()}, uses_waveform=True)
    monkeypatch.setitem(sys.modules, "my.loudness", module)
    monkeypatch.setitem(sys.modules, "my", ModuleType("my"))
    monkeypatch.setitem(sys.modules, "train.losses.loudness", module)


def test_a_new_term_is_a_module_and_a_row(loudness):
    for row in (TermConfig(weight=0.5), TermConfig("my.loudness", 0.5)):
        *_, term = make_terms(setup(paper_terms() | {"loudness": row, "feature": TermConfig("adversarial")}))
        assert term.names == ("loudness",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"wavefrom": TermConfig(weight=1.0)}, r"no module train\.losses\.wavefrom"),
        ({"loud": TermConfig("config", 1.0)}, r"module train\.losses\.config has no function make"),
        ({"loud": TermConfig("reconstruction", 1.0)}, r"terms\.loud\.weight = 1\.0: .*has no such term .*set it to 0"),
        ({"pitch": TermConfig("controls", 1.0)}, "need the head source_filter; set their weights to 0"),
        ({"codes": TermConfig("codes", 1.0)}, r"no synthetic pairs; give data\.made_share"),
        ({"stft": TermConfig("controls")}, r"module 'reconstruction' also has the terms stft; give each that module"),
    ],
)
def test_a_weight_without_a_term_and_a_term_without_a_weight_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        make_terms(setup(paper_terms(feature=0.0) | rows))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"weight": -1.0}, "weight"),
        ({"start": -1}, "start"),
        ({"ramp": -1}, "ramp"),
        ({"decay": 0.0}, "decay"),
        ({"decay": 1.5}, "decay"),
        ({"decay_start": 1.5}, "decay_start = 1.5: expected a whole number"),
        ({"weight": torch.nan}, "weight"),
    ],
)
def test_bad_rows(changes, named):
    with pytest.raises(ValueError, match=f"^{named}"):
        TermConfig(**changes)

"""The configuration: what it refuses, what it derives, and that JSON keeps it."""

import dataclasses
import hashlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.config import FIRST_FIELDS, FIRST_QUANTIZER_FIELDS, PRESETS, CodecConfig, preset
from codec.quant.fsq import FSQConfig
from codec.settings import used_fields

STAGES = ("strides", "kernel_sizes", "windows", "encoder_layers", "decoder_layers")


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name):
    assert CodecConfig.from_json(preset(name).to_json()) == preset(name)


@st.composite
def valid_changes(draw):
    n = draw(st.integers(1, 6))
    strides = (*draw(st.lists(st.integers(1, 4), min_size=n - 1, max_size=n - 1)), 1)
    n_kv_heads, acoustic_dim = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    levels = st.integers(2, 99)
    quantize = draw(st.floats(0, 1))
    per_stage = st.lists(st.integers(1, 30), min_size=n, max_size=n)
    return {
        "sample_rate": draw(st.integers(1, 96_000)),
        "strides": strides,
        "kernel_sizes": [stride * draw(st.integers(1, 3)) for stride in strides],
        **{name: draw(per_stage) for name in ("windows", "encoder_layers", "decoder_layers")},
        "n_kv_heads": n_kv_heads,
        "n_heads": n_kv_heads * draw(st.integers(1, 3)),
        "norm_eps": draw(st.floats(1e-9, 1)),
        "proj_weight_norm": draw(st.booleans()),
        "quantizer": {
            "semantic": {"init": draw(st.sampled_from(["kmeans", "first_batch"]))},
            "acoustic": {
                "n_channels": acoustic_dim,
                "levels": draw(levels | st.lists(levels, min_size=acoustic_dim, max_size=acoustic_dim)),
                "round_prob": quantize,
                "noise_prob": (1 - quantize) / 2,
            },
        },
    }


@given(valid_changes())
def test_any_valid_config_survives_json(changes):
    config = preset("tiny", **changes)
    assert CodecConfig.from_json(config.to_json()) == config
    assert config.num_codebooks == len(config.codebook_sizes) == 1 + config.quantizer.acoustic_dim
    assert config.frame_rate * config.hop_length == pytest.approx(config.sample_rate)
    assert config.bitrate() == pytest.approx(sum(map(math.log2, config.codebook_sizes)) * config.frame_rate)


@pytest.mark.parametrize(
    ("name", "expected"), [("voxtral", "7457341c19e9b5ef"), ("small", "11f7ce5c23e8e310"), ("tiny", "83bc2f1b905fb8aa")]
)
def test_identities_never_change(name, expected):
    """They are part of the fingerprints of all codecs that were ever saved."""
    assert hashlib.sha256(preset(name).identity().encode()).hexdigest()[:16] == expected


def test_a_later_field_is_part_of_the_identity_once_it_is_used():
    later = dataclasses.make_dataclass(
        "Later", [("strength", float, 0.5), ("sizes", tuple[int, ...], (1, 2))], bases=(CodecConfig,)
    )
    before = preset("small").identity()
    assert later(**PRESETS["small"]).identity() == before
    assert later(**PRESETS["small"], strength=0.5, sizes=[1, 2]).identity() == before
    used = later(**PRESETS["small"], strength=0.25, sizes=(1, 3))
    assert json.loads(used.identity()) == json.loads(before) | {"strength": 0.25, "sizes": [1, 3]}
    assert later.from_json(used.to_json()) == used
    assert later.from_json(used.to_json()).identity() == used.identity()


@given(valid_changes())
def test_what_is_left_out_of_the_identity_is_default(changes):
    config = preset("tiny", **changes)
    assert CodecConfig.from_json(config.identity()) == config
    assert used_fields(config, FIRST_FIELDS).keys() >= set(FIRST_FIELDS)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dim": "32"}, "dim = '32'"),
        ({"dim": True}, "dim = True"),
        ({"dim": 0}, "dim = 0"),
        ({"sample_rate": 24_000.5}, "sample_rate"),
        ({"proj_weight_norm": 1}, "proj_weight_norm"),
        ({"norm_eps": math.nan}, "norm_eps"),
        ({"norm_eps": math.inf}, "norm_eps"),
        ({"qk_norm_eps": -1e-6}, "qk_norm_eps"),
        ({"n_kv_heads": 3}, "n_kv_heads"),
        ({"strides": 2}, "strides"),
        ({"strides": (2, 2.0, 2, 1)}, "strides"),
        ({"strides": (2, 0, 2, 1)}, "strides"),
        ({"strides": (2, 2, 2, 2), "kernel_sizes": (4, 4, 4, 4)}, "strides"),
        (dict.fromkeys(STAGES, ()), "strides"),
        ({"kernel_sizes": (4, 4, 5, 3)}, "kernel_sizes"),
        ({"kernel_sizes": (4, 4, 3)}, "kernel_sizes"),
        ({"windows": (16, 8, 4)}, "windows"),
        ({"windows": (16, 8, 4, 0)}, "windows"),
        ({"encoder_layers": (1, 1, 1, 1, 1)}, "encoder_layers"),
        ({"decoder_layers": (1, 1, 1, -1)}, "decoder_layers"),
    ],
)
def test_invalid_fields_are_named(changes, named):
    with pytest.raises(ValueError, match=f"^{named}"):
        preset("tiny", **changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"semantic": {"codebook_size": 1}}, "semantic.codebook_size = 1"),
        ({"semantic": {"init": "random"}}, "semantic.init"),
        ({"semantic": {"init": None}}, "semantic.init"),
        ({"semantic": {"decay": 1.0}}, "semantic.decay"),
        ({"semantic": {"revive_below": -1.0}}, "semantic.revive_below"),
        ({"semantic": {"quantize_prob": 1.1}}, "semantic.quantize_prob"),
        ({"dropout": -0.1}, "dropout"),
        ({"acoustic": {"round_prob": 0.8, "noise_prob": 0.3}}, "acoustic.noise_prob"),
        ({"acoustic": {"levels": 1}}, "acoustic.levels"),
        ({"acoustic": {"levels": (21, 21)}}, "acoustic.levels"),
        ({"acoustic": {"levels": "21"}}, r"acoustic.levels = '21': expected a whole number or a list \[a whole"),
        ({"acoustic": {"n_channels": 0}}, "acoustic.n_channels"),
        ({"acoustic": {"dropout": 0.5}}, "acoustic.dropout"),
        ({"acoustic": 36}, "acoustic = 36: expected settings by name"),
        ({"kind": "residual_vq", "n_q": 0}, "n_q"),
        ({"kind": "vq"}, "kind = 'vq': expected one of split, fsq, residual_vq"),
        ({"acoustic": {"kind": "split"}}, "acoustic.kind = 'split': expected one of fsq, residual_vq"),
    ],
)
def test_invalid_fields_of_the_quantizer_are_named(changes, named):
    with pytest.raises(ValueError, match=rf"^quantizer\.{named}"):
        preset("tiny", quantizer=changes)


def test_another_kind_of_quantizer_keeps_what_it_has_a_field_for():
    config = preset("tiny", quantizer={"kind": "fsq", "n_channels": 5})
    assert config.quantizer == FSQConfig(n_channels=5, dropout=0.5)
    with pytest.raises(ValueError, match=r"quantizer\.semantic: no such setting; there are kind, dropout, n_channels"):
        preset("tiny", quantizer={"kind": "fsq", "semantic": {"dim": 5}})


@pytest.mark.parametrize(
    "changes",
    [{"kind": "fsq"}, {"kind": "residual_vq", "n_q": 3}, {"acoustic": {"kind": "residual_vq", "n_q": 3}}],
)
def test_other_quantizers_survive_json_and_have_identities_of_their_own(changes):
    config = preset("tiny", quantizer=changes)
    assert CodecConfig.from_json(config.to_json()) == config
    assert config.num_codebooks == len(config.quantizer.ordinal)
    assert config.identity() != preset("tiny").identity()
    more = preset("tiny", quantizer={**changes, "dropout": 0.25})
    assert more.identity() != config.identity()
    assert "levels" not in config.identity()  # at its default: a later field would not be there either


def test_files_of_the_first_version_are_read():
    """They had the settings of the only quantizer among their own."""
    config = preset("tiny", quantizer={"acoustic": {"levels": (3,) * 8}})
    flat = json.loads(config.identity())
    assert flat.keys() >= FIRST_QUANTIZER_FIELDS.keys()
    assert "quantizer" not in flat
    assert CodecConfig.from_json(json.dumps(flat)) == config
    with pytest.raises(ValueError, match="acoustic_dim: no such setting"):
        CodecConfig.from_json(json.dumps({"acoustic_dim": 8, "quantizer": {}}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected settings by name"),
        (json.dumps({"dims": 32}), r"dims: no such setting; did you mean dim\?"),
        (json.dumps({"dim": None}), "dim = None"),
    ],
)
def test_bad_json(text, message):
    with pytest.raises(ValueError, match=message):
        CodecConfig.from_json(text)


def test_unknown_preset_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'huge'.*voxtral.*tiny"):
        preset("huge")


def test_voxtral_numbers():
    config = preset("voxtral")
    assert (config.frame_rate, config.hop_length, config.num_codebooks) == (12.5, 1920, 37)
    assert config.bitrate() == pytest.approx(12.5 * (13 + 36 * math.log2(21)))
    assert config.bitrate(1) == 162.5
    for n_q in (0, 38):
        with pytest.raises(ValueError, match=f"n_q = {n_q}"):
            config.bitrate(n_q)


@pytest.mark.parametrize("frame_rate", [6.25, 12.5, 25, 50])
def test_frame_rate_follows_from_strides(frame_rate):
    n = int(math.log2(100 / frame_rate))
    others = dict.fromkeys(("windows", "encoder_layers", "decoder_layers"), (1,) * (n + 1))
    config = preset("tiny", strides=(2,) * n + (1,), kernel_sizes=(4,) * n + (3,), **others)
    assert config.frame_rate == frame_rate
    assert config.lead_frames * config.patches_per_frame >= config.proj_kernel_size

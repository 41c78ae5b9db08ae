"""The TTS network: embeddings, masks, and its training losses."""

import hashlib
import json
from dataclasses import make_dataclass, replace

import pytest
import torch

from codec.tokens.layout import END
from codec.tts.config import DESIGNS, PRESETS, SequenceConfig, TransformerConfig, TTSConfig
from codec.tts.heads import make_head
from codec.tts.model import TTSBatch, end_frame
from codec.tts.sequence import NONE


def frames(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    codes = [torch.randint(size, (n,), generator=generator) for size in PRESETS["tiny"].codebook_sizes]
    return torch.stack(codes, dim=1) + 2


def test_an_embedding_is_the_sum_of_what_is_read(make_model):
    model = make_model()
    tokens = frames(1)[None]
    nothing = torch.full_like(tokens, NONE)
    text, silence = torch.tensor([[[5]]]), torch.tensor([[[NONE]]])
    rows = model.audio_embedding.weight[tokens[0, 0] + torch.tensor(model.layout.offsets)]
    torch.testing.assert_close(model.embed(silence, tokens)[0, 0], rows.sum(0))
    torch.testing.assert_close(model.embed(text, nothing)[0, 0], model.text_embedding.weight[5])
    torch.testing.assert_close(model.embed(text, tokens)[0, 0], rows.sum(0) + model.text_embedding.weight[5])
    assert not model.embed(silence, nothing).any()


def test_only_tokens_have_logits(make_model):
    logits = make_model().semantic_logits(torch.randn(3, 64))
    allowed = logits.isfinite().nonzero()[:, 1].unique()
    assert allowed.tolist() == list(range(END, 64 + 2))
    assert logits.shape == (3, 128)


def test_a_frame_that_ends_has_no_codes(make_model):
    model = make_model()
    frame = model.make_frames(torch.tensor([END, 7]), torch.full((2, 8), 5))
    assert frame.tolist() == [[END, *[2] * 8], [7, *[7] * 8]]
    assert end_frame(9).tolist() == [END, *[0] * 8]


def batch(targets, weights=None):
    n = len(targets)
    text = torch.randint(5, 300, (1, n, 1), generator=torch.Generator().manual_seed(0))
    frames = torch.full((1, n, 9), NONE)
    return TTSBatch(
        text, frames, torch.arange(n)[None], torch.arange(n), targets, torch.full((n,), NONE), torch.ones(n)
    )


def test_losses_are_those_of_the_heads(make_model):
    model = make_model()
    targets = torch.cat([frames(4), end_frame(9)[None]])
    b = batch(targets)
    losses = model(b, torch.Generator().manual_seed(1))
    h = model.backbone(model.embed(b.text, b.frames))[0]
    expected = -model.semantic_logits(h).log_softmax(-1).gather(1, targets[:, :1])[:, 0]
    torch.testing.assert_close(losses.semantic, expected)
    assert losses.acoustic[-1] == 0  # END has no acoustic codes
    assert (losses.acoustic[:4] > 0).all()


def test_a_head_that_reads_the_semantic_token_knows_which_it_is(make_model):
    plain, reading = make_model(), make_model(reads=True)
    h, semantic = torch.randn(2, 64).repeat(2, 1), torch.tensor([3, 3, 4, 4])
    assert plain.condition(h, semantic) is h
    assert torch.equal(reading.condition(h, semantic), h)
    reading.semantic_condition[1].weight.normal_()
    a, b = reading.condition(h, semantic).chunk(2)
    assert ((a - b).abs() > 1e-3).all()
    torch.testing.assert_close(a[0] - b[0], a[1] - b[1])  # of the token alone


@pytest.mark.parametrize("design", DESIGNS)
def test_config_round_trip(design):
    config = TTSConfig.from_json(PRESETS["tiny"].to_json())
    config.sequence.design = design
    config.sequence.audio_history = design != "aligned"
    assert TTSConfig.from_json(config.to_json()) == config
    assert TTSConfig.from_json(config.identity()) == config


@pytest.mark.parametrize(
    ("sequence", "changes", "expected"),
    [
        (SequenceConfig("prefix"), {}, "e801093a00331546"),
        (SequenceConfig("interleaved"), {}, "be3e52853d020e43"),
        (SequenceConfig("dual"), {}, "3d18344165d4242a"),
        (SequenceConfig("aligned"), {}, "a10fae54dec8df60"),
        (SequenceConfig("aligned", audio_history=False), {}, "2b7736c2b31e02db"),
        (SequenceConfig("dual"), {"acoustic_scale": 4.0, "max_voice_frames": 38}, "0a0d749bc20eb451"),
        (SequenceConfig("prefix"), {"acoustic_reads_semantic": True, "phonemes": True}, "0a1a3d337c7a4ec4"),
    ],
)
def test_identities_never_change(sequence, changes, expected):
    """They are part of the fingerprints of all models that were ever saved."""
    config = TTSConfig(sequence=sequence, **changes)
    assert hashlib.sha256(config.identity().encode()).hexdigest()[:16] == expected


def test_the_old_name_of_audio_history_is_read():
    config = TTSConfig.from_json('{"sequence": {"design": "aligned", "hears": false}}')
    assert config == TTSConfig(sequence=SequenceConfig("aligned", audio_history=False))
    assert '"audio_history": false' in config.to_json()


@pytest.mark.parametrize("part", ["", "backbone", "head_transformer", "sequence"])
@pytest.mark.parametrize("design", DESIGNS)
def test_a_later_field_is_part_of_the_identity_once_it_is_used(part, design):
    config = TTSConfig(sequence=SequenceConfig(design))
    kind = {"": TTSConfig, "sequence": SequenceConfig}.get(part, TransformerConfig)
    later = make_dataclass("Later", [("strength", float, 0.5)], bases=(kind,))

    def extended(**changes):
        old = getattr(config, part) if part else config
        new = later(**vars(old), **changes)
        return replace(config, **{part: new}) if part else new

    assert extended().identity() == config.identity()
    fields = json.loads(config.identity())
    (fields[part] if part else fields)["strength"] = 0.25
    assert json.loads(extended(strength=0.25).identity()) == fields


def test_the_scale_of_acoustic_values_is_part_of_the_config():
    config = TTSConfig(acoustic_scale=4.0)
    assert TTSConfig.from_json(config.to_json()) == config
    assert make_head(config).scale == 4.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "expected settings by name"),
        ("{", "not valid JSON"),
        ('{"colour": 1}', "colour: no such setting; there are codec, "),
        ('{"backbone": {"n_heads": 5, "n_kv_heads": 2}}', "n_kv_heads"),
        ('{"sequence": {"design": "duplex"}}', "design"),
        ('{"vocab_size": "many"}', "vocab_size = 'many': expected a whole number"),
        ('{"head_transformer": {"dim": 100}}', "backbone.dim"),
    ],
)
def test_bad_configs_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        TTSConfig.from_json(text)


def test_small_has_about_thirty_million_parameters():
    from codec.tts.model import TTSModel

    with torch.device("meta"):
        model = TTSModel(PRESETS["small"])
    assert 25e6 < sum(p.numel() for p in model.parameters()) < 35e6

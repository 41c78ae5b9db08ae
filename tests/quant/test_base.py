"""What holds for quantizers of all kinds: their settings agree with what they do."""

import dataclasses
from typing import get_args

import pytest
import torch

from codec.quant import AnyQuantizerConfig
from codec.quant.base import NO_CODE
from codec.quant.split import SplitConfig

KINDS = [kind() for kind in get_args(AnyQuantizerConfig)]
KINDS.append(SplitConfig(acoustic={"kind": "residual_vq"}))


@pytest.fixture(params=KINDS, ids=lambda c: f"{c.kind} {getattr(getattr(c, 'acoustic', None), 'kind', '')}")
def config(request):
    return request.param


def test_settings_say_what_the_quantizer_does(config):
    torch.manual_seed(0)
    quantizer, z = config.make().train(), torch.randn(3, 5, config.latent_dim)
    q = quantizer(z)
    n = len(config.codebook_sizes)
    assert q.z.shape == z.shape
    assert q.codes.shape == (3, n, 5)
    assert all(int(q.codes[:, k].max()) < size for k, size in enumerate(config.codebook_sizes))
    assert set(q.penalties) == set(config.penalties)
    assert len(config.ordinal) == n
    assert len(quantizer.books) == config.ordinal.count(False)
    assert quantizer.started == all(config.ordinal)
    assert config.semantic_dim + config.acoustic_dim == config.latent_dim


def test_any_prefix_decodes_and_use_is_what_encoding_says(config):
    torch.manual_seed(0)
    quantizer, z = config.make().eval(), torch.randn(2, 4, config.latent_dim)
    q, codes = quantizer(z), quantizer.encode(z)
    assert torch.equal(q.codes, codes)
    torch.testing.assert_close(q.z, quantizer.decode(codes), atol=1e-5, rtol=1e-5)
    for n_q in range(1, len(config.codebook_sizes)):
        kept = quantizer.quantize(z, torch.full((2,), n_q), None).z
        prefix = quantizer.decode(codes[:, :n_q])
        torch.testing.assert_close(kept, prefix, atol=1e-5, rtol=1e-5)
        unused = codes.index_fill(1, torch.arange(n_q, codes.shape[1]), NO_CODE)
        assert torch.equal(quantizer.decode(unused), prefix)


def test_fields_of_one_name_mean_the_same():
    """So a default of one kind is never taken for a choice when another is asked for by its name."""
    defaults: dict[str, object] = {}
    for config in (kind() for kind in get_args(AnyQuantizerConfig)):
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            assert field.name == "kind" or defaults.setdefault(field.name, value) == value, field.name

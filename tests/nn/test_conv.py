"""Convolutions against PyTorch's, with the padding of the released model."""

import pytest
import torch
import torch.nn.functional as F

from codec.nn import conv
from codec.nn.conv import CausalConv1d, CausalConvTranspose1d
from codec.nn.state import Span

FRESH = Span(torch.zeros(2, dtype=torch.int64), None)


@pytest.mark.parametrize(("kernel_size", "stride"), [(1, 1), (3, 1), (4, 2), (6, 3), (2, 2)])
def test_replicate(kernel_size, stride):
    torch.manual_seed(0)
    layer = CausalConv1d(5, 7, kernel_size, stride)
    x = torch.randn(2, 12, 5)
    y, tail = layer(x, torch.full((2, kernel_size - stride, 5), 9.0), FRESH)
    padded = torch.cat([x[:, :1].expand(-1, kernel_size - stride, -1), x], dim=1).transpose(1, 2)
    expected = F.conv1d(padded, layer.weight.transpose(1, 2), stride=stride).transpose(1, 2)
    torch.testing.assert_close(y, expected)
    assert tail.shape == (2, *layer.tail_shape)


def test_reflect_is_mirrored_without_the_edge():
    torch.manual_seed(0)
    layer = CausalConv1d(5, 7, 4, padding="reflect")
    x = torch.randn(2, 9, 5)
    y, _ = layer(x, torch.zeros(2, 3, 5), FRESH)
    padded = F.pad(x.transpose(1, 2), (3, 0), mode="reflect")
    torch.testing.assert_close(y, F.conv1d(padded, layer.weight.transpose(1, 2)).transpose(1, 2))


def test_reflect_of_a_short_stream_mirrors_zeros():
    layer = CausalConv1d(1, 1, 7, padding="reflect")
    layer.weight.data.zero_()[0, :, 0] = torch.arange(1.0, 8.0)
    x = torch.tensor([[[1.0], [2.0], [5.0]]])  # of which two are real
    y, _ = layer(x, torch.zeros(1, 6, 1), Span(torch.zeros(1, dtype=torch.int64), torch.tensor([2])))
    assert y[0, 0].item() == 6 * 2 + 7 * 1  # ... 0 0 0 0 2 | 1


def test_strided_end_repeats_the_last_step():
    layer = CausalConv1d(1, 1, 2, 2)
    layer.weight.data = torch.tensor([[[1.0], [10.0]]])
    x = torch.tensor([[[1.0], [2.0], [3.0], [77.0]]])
    y, _ = layer(x, torch.zeros(1, 0, 1), Span(torch.zeros(1, dtype=torch.int64), torch.tensor([3])))
    assert y.flatten().tolist() == [21.0, 33.0]


@pytest.mark.parametrize(("kernel_size", "stride"), [(1, 1), (4, 2), (2, 2), (6, 3), (6, 2)])
def test_transposed(kernel_size, stride):
    torch.manual_seed(0)
    layer = CausalConvTranspose1d(5, 7, kernel_size, stride)
    x = torch.randn(2, 6, 5)
    y, _ = layer(x, torch.full((2, kernel_size // stride - 1, 5), 9.0), FRESH)
    weight = layer.weight.permute(3, 1, 2, 0).flip(2).flatten(2)  # [in, out, kernel]
    expected = F.conv_transpose1d(x.transpose(1, 2), weight, stride=stride)[..., : 6 * stride]
    torch.testing.assert_close(y, expected.transpose(1, 2))


def test_disputed_constants():
    assert (conv.PROJ_PADDING, conv.BLOCK_PADDING) == ("reflect", "replicate")

"""The root mean square norm with and without gradients, and in every type, is PyTorch's."""

import pytest
import torch

from codec.nn.norm import RMSNorm


@pytest.mark.parametrize("eps", [1e-2, 1e-6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_equals_torch(eps, dtype):
    norm, theirs = RMSNorm(12, eps).to(dtype), torch.nn.RMSNorm(12, eps).to(dtype)
    x = torch.randn(3, 5, 12, generator=torch.Generator().manual_seed(0)).to(dtype)
    x[0, 0] = 0
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        theirs.weight.copy_(norm.weight)
        torch.testing.assert_close(norm(x), theirs(x))
    x.requires_grad_(True)
    norm(x).square().sum().backward()
    assert x.grad.isfinite().all()

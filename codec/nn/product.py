"""Products of rows with a weight matrix, and how loaded weights are stored for few rows, as streams have them.

A product of few rows takes as long as its weights are read. Shipped weights are float16 numbers, so half of the memory
holds them, and the product computes with the same float32 values.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_QUANTIZED = torch.ops._quantized
MOST_ROWS = 64  # of a product with packed weights; with more, PyTorch's own is as fast


class Product(nn.Module):
    """A layer with one matrix: the first `n_row_dims` dimensions of `weight` are its rows, the others its columns."""

    weight: Tensor
    n_row_dims = 1
    _packed: torch.ScriptObject | None = None  # float16 copy of the matrix, in the order in which it is read
    _packed_version = 0  # of the weight
    _frozen: Tensor | None = None  # points to such a copy, for compiled code

    @property
    def matrix(self) -> Tensor:
        """The weight as `[rows, columns]`."""
        return self.weight.flatten(self.n_row_dims).flatten(0, self.n_row_dims - 1)

    def product(self, x: Tensor) -> Tensor:
        """`[..., columns]` times the transposed matrix, `[..., rows]`."""
        if self._frozen is not None and torch.compiler.is_dynamo_compiling() and _is_small(x):
            return _QUANTIZED.wrapped_fbgemm_linear_fp16_weight(x, self._frozen, None, len(self.matrix))  # type: ignore[no-any-return]
        if self._packed is not None and self._is_packed_for(x):
            return torch.ops.quantized.linear_dynamic_fp16(x, self._packed)  # type: ignore[no-any-return]
        return F.linear(x, self.matrix)

    def store_for_streams(self) -> None:
        """Keep a packed copy of a float32 matrix on a CPU, for streams, if it is exact; else store it by columns.

        Other devices and types are left alone. A changed, moved or trained weight is read itself.
        """
        if self.weight.device.type != "cpu" or self.weight.dtype != torch.float32:
            return
        matrix = self.matrix.detach()
        if can_pack() and torch.equal(matrix.half().float(), matrix):
            self._packed = torch.ops.quantized.linear_prepack_fp16(matrix, None)
            self._packed_version = _version(self.weight)
        else:  # read twice as fast by few rows
            shape, n = self.weight.shape, self.n_row_dims
            self.weight.data = matrix.T.contiguous().T.unflatten(1, shape[n:]).unflatten(0, shape[:n])

    def freeze_for_streams(self) -> None:
        """Keep a packed copy that compiled code can use, too; the weight must not change afterwards."""
        if self._packed is not None and hasattr(_QUANTIZED, "wrapped_fbgemm_linear_fp16_weight"):
            self._frozen = _QUANTIZED.wrapped_fbgemm_pack_gemm_matrix_fp16(self.matrix.detach().contiguous())

    def _is_packed_for(self, x: Tensor) -> bool:
        return (
            _is_small(x)
            and not (self.weight.requires_grad or torch.compiler.is_compiling())
            and self._packed_version == _version(self.weight)
        )

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_packed": None, "_frozen": None}  # of this process, and nothing to export

    def _apply(self, *args: object, **kwargs: object) -> nn.Module:
        self._packed = self._frozen = None
        return super()._apply(*args, **kwargs)  # type: ignore[arg-type]


class Linear(Product, nn.Linear):
    """`[..., in_dim] -> [..., out_dim]`. No bias."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__(in_dim, out_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.product(x)


def can_pack() -> bool:
    """Whether PyTorch has products with packed float16 weights on this processor."""
    return torch.backends.quantized.engine in ("x86", "fbgemm")


def _is_small(x: Tensor) -> bool:
    return x.numel() <= MOST_ROWS * x.shape[-1] and x.dtype == torch.float32 and not x.requires_grad


def store_for_streams(module: nn.Module) -> None:
    """Store all matrices in `module` as `Product.store_for_streams` does; values, names and shapes stay."""
    for layer in module.modules():
        if isinstance(layer, Product):
            layer.store_for_streams()


def freeze_for_streams(module: nn.Module) -> None:
    """Let compiled code use packed copies of all matrices in `module`, as `Product.freeze_for_streams` does."""
    for layer in module.modules():
        if isinstance(layer, Product):
            layer.store_for_streams()
            layer.freeze_for_streams()


def _version(weight: Tensor) -> int:
    """How often the numbers changed; unknown of tensors from inference mode."""
    return 0 if weight.is_inference() else weight._version

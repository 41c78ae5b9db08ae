"""The devices of a machine, and which of them compute in bfloat16."""

from __future__ import annotations

import warnings

import torch


def check_device(device: torch.device | str, name: str = "device") -> None:
    """Check that tensors can be made on a device.

    Args:
        device: of PyTorch.
        name: of the setting, for the error.

    Raises:
        ValueError: PyTorch does not know the device, or this machine does not have it.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter of builds for CPUs alone
        is_missing = str(device).startswith("cuda") and not torch.cuda.is_available()
        reason = "no GPU is visible" if is_missing else str(error).splitlines()[0]
        raise ValueError(f"{name} = {str(device)!r}: not available, use cpu, cuda, cuda:1 or mps ({reason})") from error


def emulates_bfloat16(device: torch.device | str) -> str:
    """Reason why bfloat16 may be slower than float32 on a device; "" if it is not.

    A processor without such instructions converts every number to float32 and back.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "" if native else f"{torch.cuda.get_device_name(device)} emulates bfloat16, which needs Ampere or later"
    if kind != "cpu":
        return f"bfloat16 is untested on {kind}"
    query = getattr(torch.cpu, "get_capabilities", dict[str, bool])  # missing in torch 2.6
    features = query()
    known = "avx512_bf16", "amx_bf16", "bf16"  # the last of ARM
    return "" if any(features.get(name) for name in known) else f"this processor has none of {', '.join(known)}"


def warn_if_emulated(dtype: torch.dtype, device: torch.device | str) -> None:
    """Warn if bfloat16 may be slower than float32 on a device."""
    if dtype == torch.bfloat16 and (reason := emulates_bfloat16(device)):
        warnings.warn(f"bfloat16 may be slower than float32 here: {reason}", stacklevel=3)

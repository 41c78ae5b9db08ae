"""What a frame's acoustic codes cost with each acoustic head: parameters, evaluations of the network, and time.

    python benchmarks/tts_heads.py

Weights are random: time depends on shapes alone. The heads take turns and each keeps its best time, so
that a busy moment of the machine hurts nobody.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch
from torch import Tensor
from tqdm import tqdm

from codec.tts.config import PRESETS
from codec.tts.heads import HEADS, make_head
from codec.tts.heads.base import AcousticHead, HeadSampling
from eval.speed import timed
from eval.tables import table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small", choices=PRESETS)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16], help="frames that are drawn side by side")
    parser.add_argument("--steps", type=int, default=7, help="of the flow head's solver, and rounds of MaskGIT")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    config, sampling, dtype = PRESETS[args.preset], HeadSampling(n_steps=args.steps), getattr(torch, args.dtype)
    heads = {
        name: make_head(replace(config, head=name)).eval().requires_grad_(False).to(args.device, dtype)
        for name in HEADS
    }

    def inputs(head: AcousticHead, size: int) -> tuple[Tensor, Tensor]:
        h = torch.randn(size, config.head_transformer.dim, device=args.device, dtype=dtype)
        return h, torch.stack([head.draw(sampling) for _ in range(size)]).to(args.device)

    evaluations = {name: count_evaluations(head, *inputs(head, 1), sampling) for name, head in heads.items()}
    best: dict[tuple[str, int], float] = {}
    cases = [(name, size) for _ in range(args.rounds) for size in args.batch for name in heads]
    for name, size in tqdm(cases, disable=None, leave=False):
        seconds, _ = timed(args.device, sample, heads[name], *inputs(heads[name], size), sampling)
        best[name, size] = min(seconds, best.get((name, size), seconds))
    print(f"{args.preset}, {args.device}, {args.dtype}, {args.threads} threads, PyTorch {torch.__version__}.\n")
    header = ["head", "parameters, millions", "evaluations", *(f"ms a frame, batch of {n}" for n in args.batch)]
    rows = []
    for name, head in heads.items():
        n_parameters = sum(p.numel() for p in head.parameters())
        times = [f"{1000 * best[name, size] / size:.2f}" for size in args.batch]
        rows.append([name, f"{n_parameters / 1e6:.2f}", str(evaluations[name]), *times])
    print(table(header, rows))


@torch.inference_mode()
def sample(head: AcousticHead, h: Tensor, noise: Tensor, sampling: HeadSampling) -> Tensor:
    return head.sample(h, noise, sampling)


def count_evaluations(head: AcousticHead, h: Tensor, noise: Tensor, sampling: HeadSampling) -> int:
    """Passes through the blocks; guidance doubles the rows of a pass, not their number."""
    passes: list[None] = []
    handle = head.norm.register_forward_hook(lambda *args: passes.append(None))
    sample(head, h, noise, sampling)
    handle.remove()
    return len(passes)


if __name__ == "__main__":
    main()

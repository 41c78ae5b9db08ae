"""How often does float32 rounding change a code? Compares ways to encode the same audio that are equal in theory.

python benchmarks/exactness.py --minutes 2
"""

from __future__ import annotations

import argparse

import torch
from tqdm import tqdm

from codec import Codec, EncoderStream, Tokens, preset
from codec.audio.io import read_audio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--audio", help="a recording to repeat; noise by default")
    args = parser.parse_args()

    torch.set_num_threads(2)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    model = Codec(preset(args.preset)).eval().requires_grad_(False)
    n_samples = int(args.minutes * 60 * model.config.sample_rate)
    x = torch.randn(n_samples) * 0.1
    if args.audio:
        clip = read_audio(args.audio, None, model.config.sample_rate)
        x = clip.repeat(-(-n_samples // len(clip)))[:n_samples]
    with torch.inference_mode():  # random weights give tiny latents; spread them over the codes as training does
        z = model.latents(x[None, : model.config.sample_rate * 10])
        model.encoder.stack.layers[-1].weight /= z.std()
        model.quantizer.start(z / z.std())
        whole = model.encode(x[None])
    print("| pushed samples | codes | different from offline |\n|---|---|---|")
    for size in (1920, 4800, 24_000, 240_000):
        stream = EncoderStream(model)
        parts = [stream.push(chunk) for chunk in tqdm(x.split(size), disable=None, leave=False)]
        codes = Tokens.join([*parts, stream.flush()]).codes
        print(f"| {size} | {codes.numel()} | {int((codes != whole).sum())} |")


if __name__ == "__main__":
    main()

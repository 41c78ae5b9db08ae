"""How small are `.c37` streams, how fast is their coding, and what is left of speech when packets are lost?

    OMP_NUM_THREADS=1 python benchmarks/bitstream.py eval/bench12/bench12.jsonl --out benchmarks/bitstream
    python benchmarks/bitstream.py test.jsonl --ids bench60.txt --tables rate files speed --out results

Takes any manifest or folder of recordings. `--metrics pesq_wb estoi asr:whisper=FOLDER` counts word errors too.
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from codec.audio.io import read_audio
from codec.bitstream import Header, TokenModel, load, save
from codec.bitstream.coding import make_coding
from codec.bitstream.header import default_layer_ends
from codec.files import atomic_file
from codec.recordings.utterance import Utterance
from codec.tokenizer import Tokenizer
from codec.tokenizer import load as load_codec
from codec.tokens.tokens import Tokens
from eval.metrics.base import Pair
from eval.metrics.registry import make_metric
from eval.packet_loss import PATTERNS, RECEIVERS
from eval.probes.codes import entropy
from eval.systems.libopus import OpusPackets
from eval.tables import table
from eval.testsets import read_testset

FRAMES_PER_PACKET = 50  # of a file
LOSS_RATES = (0.01, 0.05, 0.1, 0.2)
ENCODEC = "EnCodec at 3 kbit/s, by its language model (arXiv 2210.13438: 1.9 kbit/s)", 1 - 1.9 / 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", help="manifest or folder")
    parser.add_argument("--ids", help="file with the ids to take")
    parser.add_argument("--model", default="default", help="codec with a token model")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--metrics", nargs="+", default=["pesq_wb", "estoi"], help="of losses")
    parser.add_argument("--out", type=Path, required=True, help="folder for table.md")
    args = parser.parse_args()
    torch.set_flush_denormal(True)
    tokenizer = load_codec(args.model)
    if tokenizer.token_model is None:
        parser.error(f"{args.model}: has no token model; train one with python -m train.token_model")
    recordings = read_testset(args.recordings, args.ids)
    tokens = [tokenizer.encode(r.path) for r in tqdm(recordings, "encoding", disable=None)]
    seconds = sum(float(t.durations[0]) for t in tokens)
    parts = [f"{len(tokens)} recordings, {seconds:.0f} s, codec {tokenizer.fingerprint}."]
    for name in args.tables:
        make = partial(losses, recordings, args.metrics) if name == "loss" else TABLES[name]
        parts.append(make(tokenizer, tokenizer.token_model, tokens))
        print(parts[-1], flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    with atomic_file(args.out / "table.md") as new:
        new.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def rates(tokenizer: Tokenizer, model: TokenModel, tokens: Sequence[Tokens]) -> str:
    """Bits per frame by way of coding, and by codebook."""
    sizes = torch.tensor(tokenizer.config.codebook_sizes).float()
    codes = torch.cat([t.codes[0] for t in tokens], dim=1)
    fixed, order_0 = sizes.log2(), torch.tensor([entropy(row) for row in codes])
    modelled = by_model(model, tokens)
    ways = {"mixed radix": fixed.sum(), "order-0 entropy of each codebook": order_0.sum()}
    if shutil.which("zstd"):
        data = codes.T.to(torch.int16).numpy().tobytes()
        squeezed = subprocess.run(["zstd", "-19", "-c"], input=data, capture_output=True, check=True).stdout
        ways["zstd -19 of the codes as int16, all recordings in one"] = 8 * len(squeezed) / codes.shape[1]
    ways["token model"] = modelled.sum()
    rows = [[way, f"{float(bits):.1f}", f"{1 - float(bits / fixed.sum()):.1%}"] for way, bits in ways.items()]
    rows.append([ENCODEC[0], "-", f"{ENCODEC[1]:.1%}"])
    by_book = [
        [str(k), *(f"{x[k]:.2f}" for x in (fixed, order_0, modelled)), f"{1 - modelled[k] / fixed[k]:.0%}"]
        for k in range(len(fixed))
    ]
    return (
        f"#### Rate\n\nPackets of {FRAMES_PER_PACKET} frames, each coded for itself.\n\n"
        f"{table(['coding', 'bits a frame', 'saved'], rows)}\n\n"
        f"{table(['codebook', 'fixed', 'order-0 entropy', 'token model', 'saved'], by_book)}"
    )


def files(tokenizer: Tokenizer, model: TokenModel, tokens: Sequence[Tokens]) -> str:
    """Sizes of real files by number of codebooks."""
    sizes, rows = tokenizer.config.codebook_sizes, []
    seconds = sum(float(t.durations[0]) for t in tokens)
    for n_q in default_layer_ends(len(sizes)):
        n_bytes = []
        for coded_by in (None, model):
            with tempfile.TemporaryDirectory() as folder:
                for i, item in enumerate(tokens):
                    save(path := Path(folder, f"{i}.c37"), item.prefix(n_q), sizes, coded_by)
                    assert torch.equal(load(path, model).codes, item.codes[:, :n_q]), "not a code may change"
                n_bytes.append(sum(path.stat().st_size for path in Path(folder).iterdir()))
        nominal = sum(map(math.log2, sizes[:n_q])) * tokenizer.config.frame_rate / 1000
        kbits = [8 * n / seconds / 1000 for n in n_bytes]
        rows.append([str(n_q), f"{nominal:.2f}", *(f"{x:.2f}" for x in kbits), f"{1 - kbits[1] / kbits[0]:.1%}"])
    header = ["codebooks", "nominal kbit/s", "files, fixed rate", "files, token model", "smaller"]
    return f"#### Files\n\nWhole files with header, checksums and index.\n\n{table(header, rows)}"


def speeds(tokenizer: Tokenizer, model: TokenModel, tokens: Sequence[Tokens]) -> str:
    """Processor time of coding over audio time, without the codec."""
    c, rows = tokenizer.config, []
    codes = torch.cat([t.codes[0] for t in tokens], dim=1).numpy()
    packets = [codes[:, i : i + FRAMES_PER_PACKET] for i in range(0, codes.shape[1], FRAMES_PER_PACKET)]
    for name, coded_by in (("fixed rate", None), ("token model", model)):
        header = Header(
            c.codebook_sizes,
            c.sample_rate,
            c.hop_length,
            layer_ends=model.layer_ends,
            token_model=coded_by.fingerprint() if coded_by else "",
        )
        coding = make_coding(header, coded_by)
        begun = time.process_time()
        coded = [coding.encode(packet) for packet in packets]
        between = time.process_time()
        for layers, packet in zip(coded, packets, strict=True):
            assert np.array_equal(coding.decode(layers, packet.shape[1]), packet)
        seconds = codes.shape[1] / c.frame_rate
        spans = (between - begun) / seconds, (time.process_time() - between) / seconds
        rows.append([name, *(f"{x:.4f}" for x in spans)])
    return f"#### Speed\n\nReal-time factors of one thread.\n\n{table(['coding', 'encode', 'decode'], rows)}"


def losses(
    recordings: Sequence[Utterance],
    metrics: Sequence[str],
    tokenizer: Tokenizer,
    model: TokenModel,
    tokens: Sequence[Tokens],
) -> str:
    """Scores after losses of packets, of a frame each, beside Opus at its lowest rate with its own concealment."""
    rate = tokenizer.config.sample_rate
    references = [read_audio(r.path, None, rate) for r in recordings]
    opus = OpusPackets()
    packets = [opus.encode(x) for x in references]
    bits = by_model(model, tokens)
    names = [r.name + (f" (+{bits[: r.copied].sum() / bits.sum():.1%})" if r.copied else "") for r in RECEIVERS]
    opus_kbits = 8 * sum(len(p) for sent, _ in packets for p in sent) / sum(len(x) for x in references) * rate / 1000
    names.append(f"Opus, {opus_kbits:.1f} kbit/s")
    rows = []
    cases = [("none", 0.0), *((pattern, loss) for pattern in PATTERNS for loss in LOSS_RATES)]
    for pattern, loss in tqdm(cases, "losing", disable=None):
        outputs: list[list[Tensor]] = [[] for _ in names]
        for seed, (item, reference, (sent, delay)) in enumerate(zip(tokens, references, packets, strict=True)):
            lost = PATTERNS.get(pattern, PATTERNS["independent"])(loss, item.codes.shape[2], seed)
            for receiver, played in zip(RECEIVERS, outputs, strict=False):
                played.append(receiver.play(tokenizer, item, lost))
            gone = PATTERNS.get(pattern, PATTERNS["independent"])(loss, len(sent), seed)
            left = [None if is_gone else packet for packet, is_gone in zip(sent, gone, strict=True)]
            outputs[-1].append(opus.decode(left, delay, len(reference)))
        for name, played in zip(names, outputs, strict=True):
            scores = score(metrics, references, played, recordings)
            rows.append([pattern, f"{loss:.0%}", name, *scores])
    header = ["losses", "rate", "receiver", *(c.title for m in metrics for c in make_metric(m).columns)]
    return (
        f"#### Losses\n\nPackets of a frame of ours, of {opus.packet_ms} ms of Opus; means over recordings.\n\n"
        f"{table(header, rows)}"
    )


def score(
    metrics: Sequence[str], references: Sequence[Tensor], outputs: Sequence[Tensor], recordings: Sequence[Utterance]
) -> list[str]:
    """Mean of each column of the metrics over the recordings that can be measured."""
    cells = []
    for metric in map(make_metric, metrics):
        values = []
        for reference, output, r in zip(references, outputs, recordings, strict=True):
            try:
                values.append(metric.measure(Pair(reference, output, text=r.text or "", language=r.language or "")))
            except ValueError as error:
                print(f"{r.id}: {error}")
        columns = zip(*values, strict=True)
        cells += [f"{fmean(x):.{c.decimals}f}" for c, x in zip(metric.columns, columns, strict=False)]
    return cells


def by_model(model: TokenModel, tokens: Sequence[Tokens]) -> Tensor:
    """Mean bits of each codebook by the token model, `[K]`, in packets of `FRAMES_PER_PACKET`."""
    bits = []
    for packet in (part for t in tokens for part in t.codes[0].split(FRAMES_PER_PACKET, dim=1)):
        frames = torch.cat([model.padding(), packet], dim=1)
        bits.append(torch.cat([model.bits(frames, layer) for layer in range(len(model.layers))]))
    return torch.cat(bits, dim=1).mean(dim=1)


TABLES = {"rate": rates, "files": files, "speed": speeds, "loss": losses}


if __name__ == "__main__":
    main()

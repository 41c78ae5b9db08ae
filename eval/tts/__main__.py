"""`python -m eval.tts MODEL...`: measure intelligibility, voice and speed of speech models."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from codec.files import write_text
from codec.tts.heads.base import HeadSampling
from codec.tts.sampling import Sampling
from eval.boards.seed_tts import read_meta
from eval.command import command, reports_errors
from eval.provenance import environment
from eval.testsets import read_testset
from eval.tts.items import Item, items_of_lines, items_of_testset
from eval.tts.run import METRICS, SynthesisConfig, evaluate
from eval.tts.tables import markdown

TABLE = "table.md"


@reports_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Measure speech models, print a table and write it; exit status 1 if anything could not be measured."""
    args = _arguments(argv)
    items, left_out = _items(args)
    head = HeadSampling(cfg_scale=args.cfg_scale, temperature=args.acoustic_temperature)
    sampling = Sampling(temperature=args.temperature, head=head)
    config = SynthesisConfig(tuple(dict.fromkeys(args.seeds)), args.batch, sampling, args.consent, args.device)
    results = evaluate(args.models, items, args.metrics, args.out, config, args.workers, environment())
    text = markdown(results, args.models, left_out)
    write_text(args.out / TABLE, text)
    print(text, end="")
    return int(bool(results.not_measured) or any(s.not_measured or s.failures for s in results.systems))


def _items(args: argparse.Namespace) -> tuple[list[Item], dict[str, str]]:
    """Read the texts and voices, and by id why recordings of a test set are left out.

    Raises:
        ValueError: no texts, or options that do not go together.
        OSError: a file cannot be read.
    """
    if args.texts:
        if not args.voices:
            raise ValueError("--texts: say in whose voices, with --voices")
        return items_of_lines(args.texts, args.voices, args.language), {}
    if args.seed_tts:
        return read_meta(args.seed_tts, args.language), {}
    utterances = read_testset(args.testset, args.ids)
    items, left_out = items_of_testset(utterances, read_testset(args.references or args.testset), args.language)
    if not items:
        raise ValueError(f"{args.testset}: nothing to say: {next(iter(left_out.values()))}")
    return items, left_out


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command(
        "eval.tts",
        main.__doc__,
        out="folder of the run; what it has is not made again",
        workers="score in this many processes; 0: in this one",
        device="run models and codecs on this device",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="checkpoint folder, hub id, preset, or default")
    texts = parser.add_mutually_exclusive_group(required=True)
    texts.add_argument("--testset", type=Path, help="manifest of recordings with texts and speakers")
    texts.add_argument("--texts", type=Path, help="file with a text a line, each to be spoken in all of --voices")
    texts.add_argument(
        "--seed-tts", type=Path, metavar="META", help="meta.lst of seed-tts-eval, with texts and their voices"
    )
    parser.add_argument("--ids", type=Path, help="use only the ids in this file, one a line")
    parser.add_argument(
        "--references", type=Path, help="take voices of the speakers from this manifest; default: TESTSET"
    )
    parser.add_argument("--voices", type=Path, help="folder of voice files, or manifest or folder of recordings")
    parser.add_argument("--language", default="en", help="for texts without a language of their own")
    consent = "note of who agreed to voices made from recordings, and how; kept in the audio"
    parser.add_argument("--consent", default=SynthesisConfig.consent, help=consent)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED")
    parser.add_argument("--temperature", type=float, default=Sampling.temperature, help="of semantic codes")
    parser.add_argument(
        "--acoustic-temperature", type=float, default=HeadSampling.temperature, help="of acoustic codes"
    )
    parser.add_argument("--cfg-scale", type=float, default=HeadSampling.cfg_scale, help="guidance of acoustic codes")
    parser.add_argument("--batch", type=int, default=8, help="texts synthesized together; RTF is that of such a batch")
    parser.add_argument(
        "--metrics", nargs="+", default=["asr", "speaker", "dnsmos"], metavar="METRIC",
        help=f"among {' '.join(METRICS)}, as for python -m eval; asr compares with the text",
    )  # fmt: skip
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

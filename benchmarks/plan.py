"""What tokenizing many hours takes, from measured rates: files, bytes, processor and GPU hours, cost.

    python benchmarks/plan.py --core-speed 50 --mb-per-hour 1.5 --core-price 0.04 --gpu-price 3 [--gpu-speed SPEED]

`benchmarks/tokenize_speed.py` measures the speeds, in times real time, and the bytes. Without `--gpu-speed` the rows of
a GPU say "not measured yet".
"""

from __future__ import annotations

import argparse

from codec.config import preset

UNKNOWN = "not measured yet"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1e6, help="of audio")
    parser.add_argument("--core-speed", type=float, required=True, help="times real time of a processor core")
    parser.add_argument("--gpu-speed", type=float, help="times real time of a GPU")
    parser.add_argument("--mb-per-hour", type=float, required=True, help="of Parquet for an hour of audio")
    parser.add_argument("--kbps", type=float, default=64.0, help="bitrate of the recordings that are read")
    parser.add_argument("--shard-hours", type=float, default=100.0)
    parser.add_argument("--cores", type=int, default=1000)
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--core-price", type=float, required=True, help="of an hour of a core")
    parser.add_argument("--gpu-price", type=float, required=True, help="of an hour of a GPU")
    args = parser.parse_args()
    print("| | |\n|---|---:|")
    for name, value in plan(args).items():
        print(f"| {name} | {value} |")


def plan(a: argparse.Namespace) -> dict[str, str]:
    """The rows of the table."""
    c = preset("source_filter")  # the architecture of the default
    frames = a.hours * 3600 * c.frame_rate
    rows = {
        "audio": f"{a.hours:,.0f} h",
        f"recordings at {a.kbps:g} kbit/s": _bytes(a.hours * 3600 * a.kbps * 125),
        "frames": f"{frames / 1e9:,.1f} billion",
        "codes": f"{frames * c.num_codebooks / 1e12:,.2f} trillion",
        "codes as int16": _bytes(2 * frames * c.num_codebooks),
        "codes at the codec's bitrate": _bytes(a.hours * 3600 * c.bitrate() / 8),
        "Parquet shards": _bytes(a.hours * a.mb_per_hour * 1e6),
        f"shards of {a.shard_hours:g} h": f"{a.hours / a.shard_hours:,.0f}",
        "a shard": _bytes(a.shard_hours * a.mb_per_hour * 1e6),
        "memory for its codes": _bytes(2 * a.shard_hours * 3600 * c.frame_rate * c.num_codebooks),
    }
    machines = (("core", a.core_speed, a.cores, a.core_price), ("GPU", a.gpu_speed, a.gpus, a.gpu_price))
    for name, speed, n, price in machines:
        rows |= {
            f"{name}: speed": f"{speed:,.0f} times real time" if speed else UNKNOWN,
            f"{name}: a shard": f"{a.shard_hours / speed * 60:,.1f} min" if speed else UNKNOWN,
            f"{name}: hours": f"{a.hours / speed:,.0f}" if speed else UNKNOWN,
            f"{name}: days on {n}": f"{a.hours / speed / n / 24:,.1f}" if speed else UNKNOWN,
            f"{name}: read by {n}": f"{_bytes(speed * n * a.kbps * 125)}/s" if speed else UNKNOWN,
            f"{name}: cost at {price:g} an hour": f"{a.hours / speed * price:,.0f}" if speed else UNKNOWN,
        }
    return rows


def _bytes(n: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if n < 1000:
            return f"{n:,.1f} {unit}"
        n /= 1000
    return f"{n:,.1f} TB"


if __name__ == "__main__":
    main()

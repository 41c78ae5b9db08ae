#!/usr/bin/env bash
# Train the voice model `small` on one GPU, for MINUTES (7) in all, of which a call takes at most 8.5.
#
#     bash benchmarks/gpu/tts_small.sh OUTPUT_FOLDER TRAIN DEV [RUN_FOLDER] [setting=value ...]
#
# TRAIN and DEV are folders of token shards (`python -m train.data.tokens.tokenize`, then `python -m
# train.data.tokens.align --phonemes`), or such folders as .tar.gz. The run goes on from the last checkpoint in RUN_FOLDER,
# else from scratch; `model.init=FOLDER` starts from a checkpoint. OUTPUT_FOLDER gets metrics.jsonl, config.yaml, and
# the best weights in half precision, in pieces of less than 16 MB: `cat best.part-* | tar x`.
set -euo pipefail

out=${1:?usage: tts_small.sh OUTPUT_FOLDER TRAIN DEV [RUN_FOLDER] [setting=value ...]}
train=$(realpath "${2:?TRAIN is missing}")
dev=$(realpath "${3:?DEV is missing}")
run=${4:-$out/run}
shift $(($# < 4 ? $# : 4))
mkdir -p "$out" "$run"
out=$(realpath "$out")
run=$(realpath "$run")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} HF_HUB_OFFLINE=1
python=${PYTHON:-python3}

"$python" -c 'import hydra, babel, tokenizers, num2words, einops, safetensors, tqdm, soundfile, soxr, matplotlib'

unpacked() { # a folder of shards, out of an archive if it is one
    case $1 in
    *.tar.gz)
        mkdir -p "$run/tokens/$2"
        tar -xzf "$1" -C "$run/tokens/$2" --strip-components=1
        echo "$run/tokens/$2"
        ;;
    *) echo "$1" ;;
    esac
}

timeout -s TERM 510 "$python" -m train experiment=tts_small_gpu data.train="$(unpacked "$train" train)" \
    data.valid="$(unpacked "$dev" dev)" run_dir="$run" resume=force logger=none trainer.minutes="${MINUTES:-7}" "$@"

cp "$run/metrics.jsonl" "$run/config.yaml" "$out"
"$python" - "$run" "$out" <<'PY'
import json, sys
from pathlib import Path

from train.ship import save_half

run, out = map(Path, sys.argv[1:])
save_half(run / "best", out / "half", "tts")
print("| step | semantic, nats | acoustic | move, nats | explained |\n|---|---|---|---|---|")
for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
    if "valid/semantic" in line:  # only the design "aligned" has moves, only the flow head explains
        names = ("semantic", "acoustic", "move", "explained")
        values = (line.get(f"valid/{name}", float("nan")) for name in names)
        print(f"| {line['step']} |", " | ".join(f"{value:.3f}" for value in values), "|")
PY
tar -C "$out" -cf - half | split -b 15000000 - "$out/best.part-"
rm -r "$out/half"

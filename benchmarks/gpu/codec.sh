#!/usr/bin/env bash
# Train the codec that ships on one GPU, from the shipped weights, for about eight minutes.
#
#     bash benchmarks/gpu/codec.sh OUTPUT_FOLDER TRAIN DEV COMPANIONS [RUN_FOLDER] [setting=value ...]
#
# TRAIN and DEV are manifests, folders or tar shards, COMPANIONS the folder of `train.data.audio.companions`. The run goes on from RUN_FOLDER's last checkpoint if there is
# one, else from the weights in codec/weights if they are there, else from scratch. OUTPUT_FOLDER gets metrics.jsonl,
# config.yaml, and the best weights in half precision, in pieces of less than 16 MB: `cat best.part-* | tar x`.
set -euo pipefail

out=${1:?usage: codec.sh OUTPUT_FOLDER TRAIN DEV COMPANIONS [RUN_FOLDER] [setting=value ...]}
train=$(realpath "${2:?TRAIN is missing}")
dev=$(realpath "${3:?DEV is missing}")
companions=$(realpath "${4:?COMPANIONS is missing}")
run=${5:-$out/run}
shift $(($# < 5 ? $# : 5))
mkdir -p "$out"
out=$(realpath "$out")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} HF_HUB_OFFLINE=1
python=${PYTHON:-python3}
init=transform
[ -f codec/weights/model.safetensors ] && init=codec/weights

"$python" -c 'import hydra, pesq, pystoi, librosa, soundfile, soxr, jiwer, einops, torchaudio, matplotlib, safetensors, tqdm'

timeout -s TERM 530 "$python" -m train experiment=codec_source_filter_gpu data.train="$train" data.valid="$dev" \
    data.companions="$companions" run_dir="$run" resume=force model.init="$init" logger=none trainer.minutes="${MINUTES:-7.5}" "$@"

cp "$run/metrics.jsonl" "$run/config.yaml" "$out"
"$python" - "$run" "$out" <<'PY'
import json, sys
from pathlib import Path

from train.ship import save_half

run, out = map(Path, sys.argv[1:])
save_half(run / "best", out / "half", "codec")
print("| step | PESQ-WB | ESTOI | mel | STFT |\n|---|---|---|---|---|")
for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
    if "valid/pesq_wb" in line:
        print(f"| {line['step']} |", " | ".join(f"{line['valid/' + n]:.3f}" for n in ("pesq_wb", "estoi", "mel", "stft")), "|")
PY
tar -C "$out" -cf - half | split -b 15000000 - "$out/best.part-"
rm -r "$out/half"

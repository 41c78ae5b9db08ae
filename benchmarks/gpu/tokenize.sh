#!/usr/bin/env bash
# Speed of `codec tokenize` on one GPU, beside the codec alone, and of the command on the same recordings.
#
#     bash benchmarks/gpu/tokenize.sh OUTPUT_FOLDER
#
# Needs a CUDA GPU with 16 GB, and these packages: torch (with CUDA), torchaudio, pyarrow, einops, safetensors, constriction,
# numpy, soundfile, soxr, tqdm, typer, huggingface-hub. Downloads nothing.
set -euo pipefail

out=${1:?usage: tokenize.sh OUTPUT_FOLDER}
mkdir -p "$out"
out=$(realpath "$out")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} HF_HUB_OFFLINE=1
python=${PYTHON:-python3}

"$python" -c 'import torch, pyarrow, einops, safetensors, constriction, soundfile, soxr, tqdm, typer
assert torch.cuda.is_available(), "no CUDA device"'

# The 55 s of speech in the repository 64 times: an hour in the shard of each measurement.
for dtype in float32 bfloat16; do
    for seconds in 60 300 1200; do
        timeout 80 "$python" benchmarks/tokenize_speed.py --device cuda --dtype $dtype --batch-seconds $seconds \
            --repeat 64 --rounds 3 || echo "$dtype, batches of $seconds s: failed"
    done
done 2> >(tee "$out/tokenize.log" >&2) | tee "$out/tokenize.md"

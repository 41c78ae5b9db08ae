#!/usr/bin/env bash
# Speed of the voice model at the size of the release, with random weights: eager, compiled and as CUDA graphs.
#
#     bash benchmarks/gpu/tts_speed.sh OUTPUT_FOLDER
#
# Needs a CUDA GPU with 24 GB, and torch (with CUDA), einops, safetensors, numpy, soundfile, soxr, tqdm,
# huggingface-hub, babel, tokenizers, num2words. Downloads nothing.
set -euo pipefail

out=${1:?usage: tts_speed.sh OUTPUT_FOLDER}
mkdir -p "$out"
out=$(realpath "$out")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PYTHONPATH=$PWD HF_HUB_OFFLINE=1
python=${PYTHON:-python3}

timeout 530 "$python" benchmarks/tts_speed.py --preset voxtral --device cuda --dtype bfloat16 --streams 1 16 32 \
    --modes eager compile graph --out "$out" 2> >(tee "$out/tts_speed.log" >&2)
timeout 300 "$python" benchmarks/tts_heads.py --preset voxtral --device cuda --dtype bfloat16 | tee "$out/tts_heads.md"

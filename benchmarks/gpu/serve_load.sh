#!/usr/bin/env bash
# The server under load at the size of the release, with random weights: 1, 16 and 32 streams at once.
#
#     bash benchmarks/gpu/serve_load.sh OUTPUT_FOLDER
#
# Needs a CUDA GPU with 24 GB, 32 GB of memory, and torch (with CUDA), einops, safetensors, numpy, soundfile, soxr, tqdm,
# huggingface-hub, constriction, typer, babel, tokenizers, num2words, fastapi, uvicorn, python-multipart,
# prometheus-client, httpx. Downloads nothing, and listens on the loopback address only.
set -euo pipefail

out=${1:?usage: serve_load.sh OUTPUT_FOLDER}
mkdir -p "$out"
out=$(realpath "$out")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PYTHONPATH=$PWD HF_HUB_OFFLINE=1
python=${PYTHON:-python3}

"$python" -c 'import typer, constriction, fastapi, uvicorn, multipart, prometheus_client, httpx, babel, tokenizers, num2words'

timeout 530 "$python" benchmarks/serve_load.py --model voxtral --device cuda --dtype bfloat16 --slots 32 \
    --max-concurrency 1 16 32 --num-prompts 1 --out "$out" 2> >(tee "$out/serve_load.log" >&2)

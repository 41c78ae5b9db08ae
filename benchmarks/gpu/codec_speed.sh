#!/usr/bin/env bash
# Speed and memory of the codec on one GPU, beside EnCodec, DAC and Mimi.
#
#     bash benchmarks/gpu/codec_speed.sh OUTPUT_FOLDER
#
# Needs a CUDA GPU with 24 GB, and these packages: torch (with CUDA), transformers, einops, safetensors, and
# what the codec package imports besides: numpy, soundfile, soxr, tqdm, huggingface-hub. Downloads nothing.
set -euo pipefail

out=${1:?usage: codec_speed.sh OUTPUT_FOLDER}
mkdir -p "$out"
out=$(realpath "$out")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PYTHONPATH=$PWD HF_HUB_OFFLINE=1
python=${PYTHON:-python}

"$python" - <<'PY'
import importlib.util, sys

needed = "torch transformers einops safetensors numpy soundfile soxr tqdm huggingface_hub".split()
missing = [name for name in needed if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(f"missing packages: {' '.join(missing)}")
import torch

if not torch.cuda.is_available():
    sys.exit(f"torch {torch.__version__} sees no CUDA device")
PY

# A little under nine minutes at most; on a data-centre GPU it takes a fraction of that.
timeout 530 "$python" benchmarks/codec_speed.py --device cuda --seconds 1 10 60 600 --out "$out" 2> >(tee "$out/codec_speed.log" >&2)

"""The structure the README draws: imports point one way, files stay small, nothing heavy loads by itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "codec").rglob("*.py"))
ALL_FILES = sorted(path for part in ("codec", "eval", "train") for path in (ROOT / part).rglob("*.py"))

# Each part may import itself and what stands before it.
ORDER = [
    {"config", "files"},
    {"tensors"},
    {"audio"},
    {"nn"},
    {"quant"},
    {"encoder", "decoder"},
    {"model"},
    {"tokens", "checkpoint"},
    {"stream", "export"},
    {"tokenizer"},
    {"tts"},
    {"serve"},
    {"cli", "__init__"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
CORE = ["config", "encoder", "decoder", "model", "quant/fsq", "quant/vq", "quant/split", "quant/result"]


def part(path: Path) -> str:
    return path.relative_to(ROOT / "codec").parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    names = []
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "codec":
            names += [f"codec.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    for name in imports(path):
        top, *rest = name.split(".")
        assert top not in ("train", "eval"), f"{path}: the library imports {name}"
        if top == "codec" and rest[0] != part(path):
            assert RANK[rest[0]] < RANK[part(path)], f"{path}: {name} stands above it"


def test_eval_never_imports_train():
    for path in (ROOT / "eval").rglob("*.py"):
        assert not any(name.split(".")[0] == "train" for name in imports(path)), path


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_small(path):
    assert len(path.read_text().splitlines()) <= 400


def test_the_core_reads_in_one_sitting():
    assert sum(len((ROOT / f"codec/{name}.py").read_text().splitlines()) for name in CORE) < 1_500


def test_import_is_light():
    """`import codec` loads no training, export, web or plotting package."""
    code = "import codec, sys; print(*{m.split('.')[0] for m in sys.modules})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert not loaded & {"hydra", "wandb", "onnx", "onnxscript", "transformers", "librosa", "fastapi", "matplotlib"}

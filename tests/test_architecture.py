"""The structure the README draws: imports point one way, files stay small, nothing heavy loads by itself."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import codec

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "codec").rglob("*.py"))
ALL_FILES = sorted(path for part in ("codec", "eval", "train") for path in (ROOT / part).rglob("*.py"))

# Each part may import itself and what stands before it.
ORDER = [
    {"settings", "extras", "files", "autocast", "lazy", "malloc", "__version__"},
    {"tensors"},
    {"quant"},
    {"config"},
    {"audio"},
    {"recordings"},
    {"nn"},
    {"encoder", "decoder"},
    {"model"},
    {"tokens", "checkpoint"},
    {"bitstream"},
    {"step"},
    {"stream", "export"},
    {"tokenizer", "onnx"},
    {"compiled", "dataset"},
    {"tts", "hf"},
    {"serve"},
    {"cli", "__init__"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
QUANT = [f"quant/{name}" for name in ("base", "fsq", "residual", "split", "vq")]
CORE = ["settings", "config", "encoder", "decoder", "model", *QUANT]


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


def test_imports_point_one_way():
    for path in FILES:
        for name in imports(path):
            top, *rest = name.split(".")
            assert top not in ("train", "eval"), f"{path}: the library imports {name}"
            if top == "codec" and rest[0] != part(path):
                assert RANK[rest[0]] < RANK[part(path)], f"{path}: {name} stands above it"


def test_eval_never_imports_train():
    for path in (ROOT / "eval").rglob("*.py"):
        assert not any(name.split(".")[0] == "train" for name in imports(path)), path


def test_files_are_small():
    assert not [str(path) for path in ALL_FILES if len(path.read_text().splitlines()) > 400]


def test_the_core_reads_in_one_sitting():
    assert sum(len((ROOT / f"codec/{name}.py").read_text().splitlines()) for name in CORE) < 1_500


LOADED = """
import os, sys

def tell(name):
    print("loaded:", name, *{module.split(".")[0] for module in sys.modules}, flush=True)

import codec; codec.__version__; dir(codec); codec.AudioError
tell("codec")
codec.load
tell("codec.load")
for name in ("train.__main__", "eval.demo", "eval.metrics.registry"):
    if not os.fork():
        __import__(name)
        tell(name)
        break
    assert os.wait()[1] == 0, name
"""


@pytest.fixture(scope="module")
def loaded():
    """Top-level packages that a fresh process has imported with a name; those of commands after `codec.load`."""
    result = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    lines = [line.split()[1:] for line in result.stdout.splitlines() if line.startswith("loaded:")]
    return {name: set(packages) for name, *packages in lines}


def test_import_is_light(loaded):
    """`import codec` loads nothing that takes long, and using it no training, export, web or plotting package."""
    heavy = {"torch", "numpy", "safetensors", "soundfile"}
    others = {
        "huggingface_hub",
        "hydra",
        "wandb",
        "onnx",
        "onnxscript",
        "transformers",
        "librosa",
        "fastapi",
        "matplotlib",
        "scipy",
    }
    assert not loaded["codec"] & heavy
    assert heavy <= loaded["codec.load"]
    assert not loaded["codec.load"] & others


LIGHT_COMMANDS = [
    ["--help"],
    ["--version"],
    *(
        [command, "--help"]
        for command in ("encode", "decode", "stream", "tokenize", "speak", "voices", "serve", "info", "export-onnx")
    ),
    ["encode"],
    ["encode", "no*where"],
    ["encode", "README.md", "--dtype", "int8"],
    ["decode", "--n-q", "many", "x"],
    ["speak", "Hello.", "--out", "x.mp3"],
    ["speak", "Hello.", "--temperature", "-1"],
    ["stream", "sideways"],
    ["serve", "--voices", "no/where"],
]
RUN_LIGHT_COMMANDS = f"""
import sys
from codec.cli import main
for arguments in {LIGHT_COMMANDS}:
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit:
        pass
    loaded = {{"torch", "huggingface_hub", "soundfile", "transformers"}} & set(sys.modules)
    assert not loaded, f"codec {{arguments}} loads {{loaded}}"
"""


def test_help_and_refusals_come_at_once():
    """Without torch, and what else takes seconds to load; one process runs them all, as none may load it."""
    result = subprocess.run([sys.executable, "-c", RUN_LIGHT_COMMANDS], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr


def test_a_training_waits_for_nothing_that_it_may_not_need(loaded):
    """Such as pictures, which come with validation."""
    later = {"matplotlib", "scipy", "wandb", "transformers", "librosa", "huggingface_hub", "parselmouth"}
    assert not loaded["train.__main__"] & later


def test_the_demo_needs_only_what_it_installs(loaded):
    """`make demo` installs the extra `demo`, not training, evaluation and development."""
    others = {"hydra", "jiwer", "librosa", "num2words", "parselmouth", "pytest", "tokenizers", "transformers", "wandb"}
    assert not loaded["eval.demo"] & others


def test_what_only_some_metrics_need_loads_with_them(loaded):
    heavy = {"librosa", "parselmouth", "transformers", "speechmos", "distillmos", "onnxruntime"}
    assert not loaded["eval.metrics.registry"] & heavy


def test_lazy_names_are_all_there():
    """What is named for type checkers, in `__all__` and in the table of homes is the same."""
    assert {name for name in dir(codec) if not name.startswith("_")} >= set(codec.__all__)
    tree = ast.parse((ROOT / "codec/__init__.py").read_text())
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    declared = {alias.name for node in typed.body for alias in node.names}
    assert declared == set(codec.__all__)
    for node in typed.body:
        module = importlib.import_module(node.module)
        assert all(getattr(codec, alias.name) is getattr(module, alias.name) for alias in node.names)
    assert codec.files.find_files  # modules are attributes, imported or not
    with pytest.raises(AttributeError, match="module 'codec' has no attribute 'decoed'"):
        codec.decoed  # noqa: B018

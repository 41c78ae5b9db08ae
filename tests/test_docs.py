"""The documentation: its Python examples run as printed, and what it adds to the library trains."""

import re
import shlex
import shutil
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from forks import Fork
from tts_tokens import write_tokens

ROOT = Path(__file__).parent.parent
CODE = ("codec", "train", "eval", "conf")
EXTENDING = (ROOT / "docs/extending.md").read_text()
PAGES = [
    ROOT / "README.md",
    *(
        ROOT / f"docs/{name}.md"
        for name in ("tutorials/tokenize", "tutorials/speak", "howto/stream", "evaluation", "tokenizing")
    ),
]
STEPS = ("trainer.steps=2", "trainer.validate_every=0", "data.batch_size=2", "logger.progress=false", "run_dir=run")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run(page, tmp_path, monkeypatch):
    for folder in ("tests", "eval"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / "LibriSpeech/test-clean/1/2").mkdir(parents=True)
    (tmp_path / "LibriSpeech/test-clean/1/2/1-2.trans.txt").write_text("1-2-0000 WE HAD BEEN CHASED\n")
    shutil.copy(ROOT / "tests/data/kathleen.flac", tmp_path / "LibriSpeech/test-clean/1/2/1-2-0000.flac")
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    assert examples
    if not find_spec("datasets"):  # not among what CI installs
        examples = [example for example in examples if "datasets" not in example]
    module = ModuleType("example")  # so that worker processes find its functions
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for example in examples:
            exec(example, vars(module))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the code, with all that the page adds and changes."""
    copy = tmp_path_factory.mktemp("checkout")
    for folder in CODE:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
    (copy / "tests").symlink_to(ROOT / "tests")
    for name, source in re.findall(r'```python title="(.*?)"\n(.*?)```', EXTENDING, flags=re.DOTALL):
        assert not (copy / name).exists()
        (copy / name).write_text(source)
    for name, change in re.findall(r'```diff title="(.*?)"\n(.*?)```', EXTENDING, flags=re.DOTALL):
        source = (copy / name).read_text()
        for old, new in re.findall(r"^-(.*)\n\+(.*)$", change, flags=re.MULTILINE):
            assert source.count(old) == 1, old
            source = source.replace(old, new)
        added = [line for before, line in re.findall(r"(^-.*\n)?^\+(.*)$", change, flags=re.MULTILINE) if not before]
        imports = [line for line in added if line.startswith("from")]
        (copy / name).write_text("\n".join([*imports, source, *(line for line in added if line not in imports)]))
    (copy / "clips.txt").write_text("tests/data/kathleen.flac\ntests/data/kerstin.flac\n")
    (copy / "tokens").mkdir()
    write_tokens(copy / "tokens")
    return copy


COMMANDS = [
    shlex.split(line.replace("\\\n", "")) for line in re.findall(r"```sh\n(.*?)```", EXTENDING, flags=re.DOTALL)
]


@pytest.mark.parametrize("command", COMMANDS, ids=[command[4] for command in COMMANDS])
def test_extensions_train(command, checkout):
    shutil.rmtree(checkout / "run", ignore_errors=True)
    log = checkout / "log"
    assert command[:2] == ["python", "-m"]
    assert Fork(*command[2:], *STEPS, log=log, cwd=checkout).wait() == 0, log.read_text()
    assert (checkout / "run/last/model.safetensors").is_file()


def test_extensions_take_two_files_at_most():
    for section in EXTENDING.split("\n## ")[1:]:
        assert 1 <= len(re.findall(r'title="', section)) <= 2


def test_the_drawing_of_imports_is_that_of_the_code():
    drawn = subprocess.run(
        [sys.executable, ROOT / "docs/imports.py"], capture_output=True, text=True, check=True
    ).stdout
    assert (ROOT / "docs/imports.svg").read_text() == drawn, "run python docs/imports.py > docs/imports.svg"


def test_every_folder_is_in_the_tree():
    tree = (ROOT / "docs/architecture.md").read_text()
    folders = [path.parent for part in ("codec", "train", "eval") for path in (ROOT / part).rglob("*.py")]
    assert not [str(f) for f in {*folders} if f"{f.name}/" not in tree]

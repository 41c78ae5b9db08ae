"""`python -m train --help`: list every setting with its meaning and range.

Both come from the source of the dataclasses: the comment of a field, and its type and calls of `require`. The modules
are not imported, as torch takes seconds.
"""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_origin

import codec.settings

ROOT = Path(__file__).parents[2]
WIDTH, COLUMN = 120, 40
SECTIONS = (  # group, task if it matters, and dataclass
    ("trainer", "", "train.settings.config.TrainerConfig"),
    ("optim", "", "train.settings.config.OptimConfig"),
    ("logger", "", "train.settings.config.LoggerConfig"),
    ("model", "codec", "codec.config.CodecConfig"),
    ("data", "codec", "train.data.audio.synthetic.SyntheticDataConfig"),
    ("loss", "codec", "train.losses.config.CodecLossConfig"),
    ("model", "tts or dpo", "codec.tts.config.TTSConfig"),
    ("data", "tts", "train.data.tokens.sequences.SpeechDataConfig"),
    ("loss", "tts", "train.losses.config.TTSLossConfig"),
    ("data", "dpo", "train.data.pairs.dataset.PreferenceDataConfig"),
    ("loss", "dpo", "train.losses.config.DPOLossConfig"),
)
INIT = {  # additional settings of `model`, by task
    "codec": {
        "init": "weights to start from: transform, random, a checkpoint folder or a hub id",
        "init_encoder": "transform or random, for a fresh encoder with the decoder of a checkpoint",
    },
    "tts or dpo": {"init": "weights to start from: random, a checkpoint folder, or hf:NAME for a language model"},
}
USAGE = """python -m train [experiment=NAME] [GROUP=CHOICE] [SETTING=VALUE ...]

Write lists as [1,2] and no value as null; put a + before settings that the chosen groups do not have. Values below are
the defaults of the dataclasses, which presets and experiments change: --cfg job prints the values of a run instead of
training. --hydra-help explains --multirun and other options of Hydra."""


@dataclass(frozen=True)
class Setting:
    """A field of a settings dataclass, or of a nested one."""

    name: str  # with its parents, as "discriminator.channels"
    kind: str  # its annotation
    default: str  # as in the source; empty if required
    meaning: str
    expected: str  # its range, in words


def text() -> str:
    """Format the whole help."""
    parts = [USAGE, "Experiments:\n" + "\n".join(_experiments()), "Groups:\n" + "\n".join(_groups())]
    parts.append("The run:\n" + "\n".join(_format_line(name, value, about) for name, value, about in _run_settings()))
    for group, task, path in SECTIONS:
        module, _, cls = path.rpartition(".")
        lines = [_format_setting(f"{group}.{s.name}", s) for s in settings(module, cls)]
        if group == "model":
            lines = [*(_format_line(f"model.{name}", "", about) for name, about in INIT[task].items()), *lines]
        title = f"{group}{f', task {task}' if task else ''}: {_summary(module, cls)}"
        parts.append("\n".join([*textwrap.wrap(title, WIDTH), *lines]))
    return "\n\n".join(parts)


def settings(module: str, cls: str) -> list[Setting]:
    """List the settings of a dataclass, with inherited and nested ones."""
    tree, comments, constants = _source(module)
    node = _classes(tree)[cls]
    found: dict[str, Setting] = {}
    for base in reversed(node.bases):  # the order of fields in dataclasses
        for home in _find_dataclasses(module, ast.unparse(base)):
            found |= {s.name: s for s in settings(*home)}
    expected = _expected(node)
    for field in node.body:
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        name, kind = field.target.id, ast.unparse(field.annotation)
        kind = ast.unparse(constants[kind]) if kind in constants else kind
        if homes := _find_dataclasses(module, kind):
            changes, prefix = _changes(field.value), f"{name}.NAME" if kind.startswith("dict") else name
            for setting in _merge_kinds([settings(*home) for home in homes]):
                found[f"{prefix}.{setting.name}"] = _nest(setting, prefix, changes.get(setting.name))
        else:
            lines = range(field.lineno, (field.end_lineno or field.lineno) + 1)
            meaning = " ".join(comments[line] for line in lines if line in comments)
            own = Setting(name, kind, _default(field.value), meaning, "; ".join(expected[name]) or _choices(kind))
            found[name] = _inherit(own, found.get(name, own))
    return list(found.values())


def _inherit(setting: Setting, base: Setting) -> Setting:
    """Take an empty meaning or range from the overridden setting."""
    return replace(setting, meaning=setting.meaning or base.meaning, expected=setting.expected or base.expected)


def _merge_kinds(options: list[list[Setting]]) -> list[Setting]:
    """Merge the settings of dataclasses that `kind` selects; the meaning names the kinds if not all have it."""
    if len(options) == 1:
        return options[0]
    kinds = [next(s.default for s in option if s.name == "kind") for option in options]
    found: dict[str, Setting] = {}
    for setting in (s for option in options for s in option):
        having = [k for k, option in zip(kinds, options, strict=True) if setting.name in {s.name for s in option}]
        only = "" if len(having) == len(kinds) else f"of kind {' and '.join(having)}: "
        found.setdefault(setting.name, replace(setting, meaning=only + setting.meaning))
    found["kind"] = replace(found["kind"], expected=", ".join(kinds))
    return list(found.values())


def _nest(setting: Setting, name: str, default: str | None) -> Setting:
    return replace(setting, name=f"{name}.{setting.name}", default=setting.default if default is None else default)


def _changes(value: ast.expr | None) -> dict[str, str]:
    """Defaults that the field of a nested dataclass sets: `default_factory=lambda: Config(n=3)`."""
    lambdas = [node for node in ast.walk(value) if isinstance(node, ast.Lambda)] if value else []
    calls = [node.body for node in lambdas if isinstance(node.body, ast.Call)]
    return {str(keyword.arg): _default(keyword.value) for call in calls for keyword in call.keywords}


def _format_setting(name: str, setting: Setting) -> str:
    known = f" ({setting.expected})" if setting.expected else ""
    return _format_line(name, setting.default, setting.meaning + known)


def _choices(kind: str) -> str:
    choices = re.fullmatch(r"Literal\[(.*)\]", kind)
    return choices.group(1).replace("'", "") if choices else ""


def _format_line(name: str, value: str, about: str) -> str:
    head = f"  {name}={value}" if value else f"  {name}"
    lines = textwrap.wrap(about, WIDTH - COLUMN)
    if len(head) < COLUMN and lines:
        head = f"{head:<{COLUMN}}{lines.pop(0)}"
    return "\n".join([head, *(" " * COLUMN + line for line in lines)])


def _experiments() -> Iterator[str]:
    for path in sorted((ROOT / "conf/experiment").glob("*.yaml")):
        comments = re.findall(r"^# (?!@)(.*)$", path.read_text(), flags=re.MULTILINE)
        yield _format_line(path.stem, "", " ".join(comments).partition(". ")[0].partition("    ")[0].rstrip("."))


def _groups() -> Iterator[str]:
    registered = {
        "model": [*_keys("codec.config"), *(f"tts_{name}" for name in _keys("codec.tts.config"))],
        "data": ["base", "speech", "preferences"],
        "loss": ["base", "tts", "dpo"],
        "logger": ["base"],
    }
    for group, names in registered.items():
        yield _format_line(
            group, "", ", ".join([*names, *(p.stem for p in sorted((ROOT / "conf" / group).glob("*.yaml")))])
        )


def _run_settings() -> list[tuple[str, str, str]]:
    """Settings of conf/train.yaml with their comments."""
    return re.findall(r"^(\w+): (\S+) +# (.*)$", (ROOT / "conf/train.yaml").read_text(), flags=re.MULTILINE)


@cache
def _source(module: str) -> tuple[ast.Module, dict[int, str], dict[str, ast.expr]]:
    """Tree of a module, its comments by line, and its constants by name."""
    path = ROOT / Path(*module.split("."))
    source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    tree = ast.parse(source)
    constants: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            constants[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            constants[node.target.id] = node.value
    return tree, comments, constants


def _classes(tree: ast.Module) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _find_dataclasses(module: str, kind: str) -> list[tuple[str, str]]:
    """Module and name of the settings dataclasses in an annotation; empty for other annotations."""
    inner = re.fullmatch(r"dict\[str, (\w+)\]", kind)
    names = (inner.group(1) if inner else kind).split(" | ")
    if not all(name.endswith("Config") for name in names):
        return []
    return [home for name in names for home in _find_dataclass(module, name)]


def _find_dataclass(module: str, name: str) -> list[tuple[str, str]]:
    tree, _, constants = _source(module)
    if name in _classes(tree):
        return [(module, name)]
    if name in constants:
        return _find_dataclasses(module, ast.unparse(constants[name]))
    imports = (node for node in tree.body if isinstance(node, ast.ImportFrom))
    return _find_dataclass(next(str(node.module) for node in imports if name in {a.name for a in node.names}), name)


def _summary(module: str, cls: str) -> str:
    return (ast.get_docstring(_classes(_source(module)[0])[cls]) or "").partition("\n\n")[0].replace("\n", " ")


def _keys(module: str) -> list[str]:
    presets = _source(module)[2]["PRESETS"]
    assert isinstance(presets, ast.Dict)
    return [str(key.value) for key in presets.keys if isinstance(key, ast.Constant)]


def _default(value: ast.expr | None) -> str:
    """Format a default as on the command line; empty if there is none."""
    if isinstance(value, ast.Call):  # of field()
        keywords = {keyword.arg: keyword.value for keyword in value.keywords}
        if "default_factory" in keywords:
            return {"dict": "{}", "list": "[]"}[ast.unparse(keywords["default_factory"])]
        value = keywords.get("default")
    if value is None:
        return ""
    shown = ast.unparse(value).replace("None", "null").replace("True", "true").replace("False", "false")
    shown = shown.replace("(", "[").replace(",)", "]").replace(")", "]").replace(", ", ",")
    return shown if shown == "''" else shown.strip("'")


def _expected(node: ast.ClassDef) -> dict[str, list[str]]:
    """Expectations of types with a range, and of calls `require(condition, name, value, expected)`, by field."""
    found: dict[str, list[str]] = defaultdict(list)
    for field in node.body:
        if isinstance(field, ast.AnnAssign):
            hint: Any = getattr(codec.settings, ast.unparse(field.annotation), None)
            if get_origin(hint) is Annotated:
                found[ast.unparse(field.target)].append(hint.__metadata__[0].words)

    def visit(node: ast.AST, names: dict[str, list[str]]) -> None:
        if isinstance(node, ast.For) and isinstance(node.target, ast.Name):
            names = {**names, node.target.id: _strings(node.iter)}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "require":
            name, words = node.args[1], _words(node.args[3])
            fields = names.get(name.id, []) if isinstance(name, ast.Name) else _strings(name)
            for field in fields if words else []:
                found[field].append(words)
        for child in ast.iter_child_nodes(node):
            visit(child, names)

    visit(node, {})
    return found


def _strings(node: ast.expr) -> list[str]:
    """Strings of a literal; empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    return [s for item in node.elts for s in _strings(item)] if isinstance(node, ast.Tuple) else []


def _words(node: ast.expr) -> str:
    """A string, or an f-string with names of fields for their values; empty for anything else."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if not isinstance(node, ast.JoinedStr):
        return ""
    words = "".join(str(v.value) if isinstance(v, ast.Constant) else f"<{_expression(v)}>" for v in node.values)
    words = re.sub(r"<(\w+)>", r"\1", re.sub(r"(\w+) = <\1>", r"\1", words))
    return "" if "<" in words else words


def _expression(node: ast.expr) -> str:
    return ast.unparse(node.value).removeprefix("self.") if isinstance(node, ast.FormattedValue) else ""

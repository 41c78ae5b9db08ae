"""`python docs/imports.py > docs/imports.svg`: draw which part of the library imports which, without what follows.

A part is a file or folder of `codec`, or all of `eval` or `train`. Parts stand above what they import; an arrow that is
implied by others is left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
LEAVES = {
    "settings",
    "files",
    "extras",
    "lazy",
    "autocast",
    "malloc",
    "tensors",
    "__init__",
}  # imported from everywhere
WIDTH, HEIGHT, GAP_X, GAP_Y = 104, 30, 16, 34  # of boxes and between them, in pixels


def parts() -> dict[str, list[Path]]:
    """The files of each part."""
    found = {}
    for path in sorted((ROOT / "codec").iterdir()):
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.suffix == ".py" else []
        if files and path.stem not in LEAVES:
            found[path.stem] = files
    return found | {name: sorted((ROOT / name).rglob("*.py")) for name in ("eval", "train")}


def imported(path: Path) -> Iterator[str]:
    """The parts that a file imports, for types alone too."""
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [f"codec.{a.name}" for a in node.names] if node.module == "codec" else [node.module]
        for module in modules:
            top, _, rest = module.partition(".")
            if top in ("codec", "eval", "train"):
                yield rest.partition(".")[0] if top == "codec" else top


def graph() -> dict[str, set[str]]:
    """What each part imports of the others."""
    known = parts()
    return {part: {m for f in files for m in imported(f)} & known.keys() - {part} for part, files in known.items()}


def drawing(edges: dict[str, set[str]]) -> str:
    """An SVG; raises RecursionError where parts import each other in a circle."""

    @cache
    def level(part: str) -> int:
        return 1 + max(map(level, edges[part]), default=-1)

    @cache
    def below(part: str) -> frozenset[str]:
        return frozenset(edges[part]).union(*map(below, edges[part]))

    rows: dict[int, list[str]] = {}
    for part in edges:
        rows.setdefault(level(part), []).append(part)
    place = {part: (i, row) for row, names in rows.items() for i, part in enumerate(names)}
    widest, top = max(map(len, rows.values())), max(rows)
    total = widest * (WIDTH + GAP_X) + GAP_X, (top + 1) * (HEIGHT + GAP_Y) + GAP_Y

    def corner(part: str) -> tuple[float, float]:
        i, row = place[part]
        x = (total[0] - len(rows[row]) * (WIDTH + GAP_X) + GAP_X) / 2 + i * (WIDTH + GAP_X)
        return x, GAP_Y / 2 + (top - row) * (HEIGHT + GAP_Y)

    lines = []
    for part, others in edges.items():
        for other in sorted(others - {deep for o in others for deep in below(o)}):
            (x, y), (u, v) = corner(part), corner(other)
            path = f"M{x + WIDTH / 2:g} {y + HEIGHT:g} C{x + WIDTH / 2:g} {y + HEIGHT + GAP_Y:g}"
            lines.append(f'<path d="{path} {u + WIDTH / 2:g} {v - GAP_Y:g} {u + WIDTH / 2:g} {v:g}"/>')
    for part in edges:
        x, y = corner(part)
        lines.append(f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="5"/>')
        lines.append(f'<text x="{x + WIDTH / 2:g}" y="{y + HEIGHT / 2 + 4:g}">{part}</text>')
    style = "path{fill:none;stroke:#888}rect{fill:#eef2ff;stroke:#4051b5}text{font:13px sans-serif;text-anchor:middle}"
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total[0]} {total[1]}"><style>{style}</style>'
    return "\n".join([start, *lines, "</svg>"])


if __name__ == "__main__":
    print(drawing(graph()))

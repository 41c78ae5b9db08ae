"""HTML pages without other files or a network."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).parent / "assets"
SHARED_STYLES = (ASSETS / "base.css",)
SHARED_SCRIPTS = (ASSETS / "dom.js", ASSETS / "player.js")


def render(
    template: Path, styles: Sequence[Path], scripts: Sequence[Path], data: Any, blobs: Iterable[tuple[str, bytes]]
) -> str:
    """Fill in the template's `<!-- styles -->`, `<!-- scripts -->` and `<!-- data -->`.

    Args:
        template: HTML with these three comments.
        styles: CSS files, after `SHARED_STYLES`.
        scripts: JavaScript files, after `SHARED_SCRIPTS`; all of them become one module.
        data: for JSON, in a script element `data`. No text in it can end that element.
        blobs: base64 in script elements of these ids, which browsers keep but do not run.
    """
    texts = [f'<script type="application/json" id="data">{_json(data)}</script>']
    texts += [f'<script type="text/plain" id="{name}">{b64encode(x).decode()}</script>' for name, x in blobs]
    parts = {
        "styles": f"<style>\n{_join(SHARED_STYLES, styles)}</style>",
        "data": "\n".join(texts),
        "scripts": f'<script type="module">\n{_join(SHARED_SCRIPTS, scripts)}</script>',
    }
    page = template.read_text(encoding="utf-8")
    for name, part in parts.items():
        page = page.replace(f"<!-- {name} -->", part)
    return page


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _join(*groups: Sequence[Path]) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for group in groups for path in group)

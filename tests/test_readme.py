"""The README's Python examples run as printed."""

import re
import warnings
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_examples(tmp_path, monkeypatch):
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "eval").symlink_to(ROOT / "eval")
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert len(examples) >= 2
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for example in examples:
            exec(example, names)
    assert (tmp_path / "kathleen.tokens").is_file()

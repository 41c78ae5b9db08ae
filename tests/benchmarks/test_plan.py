"""The plan of many hours is what its command prints."""

import re
import runpy
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/planning.md").read_text()


def test_the_table_of_the_page_is_that_of_its_command(monkeypatch, capsys):
    (command,) = re.findall(r"^python (benchmarks/plan\.py .*?[^\\])$", PAGE, flags=re.MULTILINE | re.DOTALL)
    monkeypatch.setattr(sys, "argv", shlex.split(command.replace("\\\n", "")))
    runpy.run_path(str(ROOT / sys.argv[0]), run_name="__main__")
    assert capsys.readouterr().out.strip() in PAGE

"""The command that writes report.html."""

import re

from eval.report.__main__ import main
from eval.results import Results


def test_one_file_without_a_network(run, capsys):
    assert main([str(run)]) == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert re.search(r"report\.html: \d+\.\d MB", capsys.readouterr().out)
    outside = re.findall(r"""(?:src|href)=["']?(?!#|\$)[^"'>]+|@import|https?://\S+""", page)
    assert outside == ['http://www.w3.org/2000/svg",']  # a name, not an address


def test_what_is_wrong_is_said(run, tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "expected the folder of a run of python -m eval" in capsys.readouterr().err
    results = Results.load(run)
    results.columns = []
    results.save(run)
    assert main([str(run)]) == 2
    assert "no metric is measured" in capsys.readouterr().err
    assert not (run / "report.html").exists()

"""A page is one file, and no text of its data becomes part of it."""

import base64
import json
import re

import pytest
from pages import NASTY

from eval.report.page import render


@pytest.fixture
def template(tmp_path):
    (tmp_path / "t.html").write_text("<head><!-- styles --></head><body><!-- data --><!-- scripts --></body>")
    (tmp_path / "a.css").write_text("main { color: red }")
    (tmp_path / "a.js").write_text("first();")
    (tmp_path / "b.js").write_text("second();")
    return tmp_path


def test_all_in_one(template):
    page = render(template / "t.html", [template / "a.css"], [template / "a.js", template / "b.js"], {}, [])
    assert "main { color: red }" in page
    assert page.index("function el(") < page.index("first();") < page.index("second();")
    assert "<!-- " not in page


def test_data_stays_data(template):
    data = {NASTY: [NASTY, "\u2028ü"]}
    page = render(template / "t.html", [], [], data, [("x", b"\x00\xff<")])
    (content,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert json.loads(content) == data
    assert page.count("<script") == page.count("</script>") == 3
    (blob,) = re.findall(r'<script type="text/plain" id="x">(.*?)</script>', page)
    assert base64.b64decode(blob) == b"\x00\xff<"


def test_values_that_json_lacks_are_refused(template):
    with pytest.raises(ValueError, match="JSON"):
        render(template / "t.html", [], [], {"x": float("nan")}, [])

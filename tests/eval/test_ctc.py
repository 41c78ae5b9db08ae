"""Text as symbols: one spelling for any text, and how many steps it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.ctc import CHARSET, normalise, steps_needed, symbols_to_text, text_to_symbols


@given(st.text(alphabet=CHARSET))
def test_symbols_round_trip(text: str) -> None:
    assert symbols_to_text(text_to_symbols(text)) == normalise(text)


@given(st.text())
def test_any_text_is_written_in_the_charset_once_and_for_all(text: str) -> None:
    once = normalise(text)
    assert set(once) <= set(CHARSET)
    assert normalise(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Größe, STRASSE!", "grosse strasse"),
        ("naïve café — élan", "naive cafe elan"),
        ("It\u2019s 5 o'clock", "it's o'clock"),
        ("Ærø Łódź İstanbul", "aero lodz istanbul"),
        ("ﬁn", "fin"),
        ("привет", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(("text", "n"), [("", 0), ("no", 2), ("hello", 6), ("aaa", 5)])
def test_a_doubled_letter_takes_a_blank_more(text: str, n: int) -> None:
    assert steps_needed(text_to_symbols(text)) == n

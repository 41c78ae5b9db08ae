"""Rewritten text says the same: digits and words are each other's reading."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.tts.text.numbers import spell
from train.data.tokens.rewrite import rewrite


def forms(text: str, language: str = "en", n: int = 200) -> set[str]:
    return {rewrite(text, language, np.random.default_rng(seed)) for seed in range(n)}


@pytest.mark.parametrize(
    ("language", "spoken", "written"),
    [
        ("en", "five minus four", "5 - 4"),
        ("en-US", "TWENTY ONE people", "21 people"),
        ("en", "two minus one equals one", "2 - 1 = 1"),
        ("en", "two hundred and five or three point five", "205 or 3.5"),
        ("en", "since nineteen ninety-nine", "since 1999"),
        ("de-DE", "zweiundzwanzig mal drei, drei Komma fünf", "22 \u00d7 3, 3,5"),
        ("nl-BE", "vijfentwintig plus twee", "25 + 2"),
        ("fr", "quatre-vingt-dix-neuf ans", "99 ans"),
        ("es", "treinta y dos casas", "32 casas"),
    ],
)
def test_words_become_digits_and_digits_words(language, spoken, written):
    assert {spoken, written} <= forms(spoken, language)
    assert spell(spoken, language) == spoken
    assert spell(written, language).lower() in {spoken.lower(), spoken.lower().replace("y one", "y-one")}
    assert spell(written, language) in forms(written, language)


@given(
    numbers=st.lists(st.integers(0, 1_000) | st.integers(1_100, 2_099), max_size=4),
    language=st.sampled_from(["en", "en-IN", "de", "fr", "es", "pt", "it", "nl"]),
    link=st.sampled_from(["; ", " hm ", ", "]),
    seed=st.integers(0, 1_000),
)
@settings(max_examples=300, deadline=None)
def test_it_sounds_the_same(numbers, language, link, seed):
    text = link.join(spell(str(number), language) for number in numbers)
    assert spell(rewrite(text, language, np.random.default_rng(seed)), language) == text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "one of them; no one"),
        ("en", "five and six, a twenty-minute walk, one two three, three point one four"),
        ("en", "often, tensed; a hundred thousand"),
        ("fr", "un livre neuf"),
        ("it", "tu sei"),
        ("hi", "3 लोग"),
        ("hu", "3 ember"),
    ],
)
def test_what_stays(language, text):
    assert forms(text, language) == {text}


def test_each_number_has_its_own_luck_and_a_seed_its_own_text():
    assert {"2 cats, 3 dogs", "2 cats, three dogs", "two cats, 3 dogs"} <= forms("two cats, three dogs")
    assert len({rewrite("two cats, three dogs", "en", np.random.default_rng(3)) for _ in range(5)}) == 1

"""What of Markdown, HTML and SSML is read, and where it pauses; whatever the pieces."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.tts.text.markup import Markup
from codec.tts.text.normalise import normalise

MARK = "\ue000"  # of silence
READ = {
    "**Never** again, _ever_, ~~no~~ `yes`": "Never again, ever, no yes",
    "***all*** __three__ *a* **b**, 3*4 and 5 * 3": "all three a b, 3*4 and 5 * 3",
    "# Heading\nText": "Heading.\n\nText",
    "# Why?\n## What": "Why?\n\nWhat",
    "Title\n=====\nText\n\n---\n\nMore": "Title.\n\nText.\n\nMore",
    "Fruits:\nApple\nBanana": "Fruits: Apple, Banana",
    "Fruits:\n- Apple\n- **Big** banana\n\nDone": "Fruits: Apple.\n\nBig banana.\n\nDone",
    "Two:\n* [ ] buy\n* [x] sell\n": "Two: buy.\n\nsell",
    "1. First\n2. Second": "1. First.\n\n2. Second",
    "> quoted\n> text": "quoted text",
    "| a | b |\n|---|---|\n| 1 | 2 |\nend": "a, b.\n\n1, 2.\n\nend",
    'See [the **docs**](https://a.b/c_d(e) "t")[1].': "See the docs.",
    "![a cat](cat.png) and [ref][1]": "a cat and ref",
    "<https://a.b/c> or <me@a.b>": "https://a.b/c or me@a.b",
    "```python\nx = 5\n```\nthen": "x = 5.\n\nthen",
    "snake_case, 2**3, \\*stars\\*": "snake case, 2^3, *stars*",
    "<b>Stop</b> now, <a href='x' class=\"y\">h<i>er</i>e</a>": "Stop now, here",
    "<p>One</p><p>Two</p><ul><li>a</li><li>b</li></ul>": "One.\n\nTwo.\n\na.\n\nb",
    "one<br/>two<!-- not this --> three": "one, two three",
    "<style>p { color: red }</style><script>if (a < b) x();</script>Hi": "Hi",
    '<speak>Hi <emphasis level="strong">you</emphasis></speak>': "Hi you",
    'Wait <break time="1s"/> here': f"Wait.\n\n{MARK}1000{MARK}\n\nhere",
    "Wait <break time='200ms'/> here <break strength=\"weak\"/> so": "Wait, here, so",
    "Tom &amp; Anna &#39;s &lt;b&gt; &copy;&nbsp;x AT&T": "Tom & Anna 's <b> © x AT&T",
    "2 < 3, a<b, I <3 you, 5 > 3": "2 < 3, a<b, I <3 you, 5 > 3",
    "> 5 apples, #5 and #tag": "> 5 apples, #5 and #tag",
    "First line, which is long enough to have been wrapped here\nBy a program.": "First line, which is long enough "
    "to have been wrapped here By a program.",
    "Dear Ann,\nhow are you\ntoday?": "Dear Ann, how are you today?",
    "para one\n\n\n  para two": "para one.\n\npara two",
    "wow! [no link] (so) &c": "wow! [no link] (so) &c",
}
PIECES = [
    "*",
    "**",
    "_",
    "`",
    "```",
    "#",
    "# ",
    "- ",
    "> ",
    "|",
    "\n",
    "\n\n",
    " ",
    "<b>",
    "</b>",
    "<br",
    "/>",
    "<",
    ">",
]
PIECES += [
    "&amp;",
    "&",
    ";",
    "[",
    "](",
    ")",
    "!",
    "\\",
    "1. ",
    "word",
    "x",
    "5",
    "<break time='1s'/>",
    "<!--",
    "-->",
    "==",
]


def read(pieces):
    markup = Markup()
    return "".join([*map(markup.push, pieces), markup.flush()])


@pytest.mark.parametrize("text", READ)
def test_as_it_is_read(text):
    assert read([text]) == READ[text]


@pytest.mark.parametrize("text", READ)
def test_as_it_is_read_letter_by_letter(text):
    assert read(text) == READ[text]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=40), st.data())
@settings(max_examples=500, deadline=None)
def test_pieces_do_not_matter(text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    assert read(text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)) == read([text])


@given(st.text(st.characters(categories=["L", "N", "Zs"]), max_size=40))
def test_text_without_marks_stays(text):
    assert read([text]).split() == text.split()


def test_words_are_not_kept_back():
    markup = Markup()
    assert markup.push("some **bold** text, ") == "some bold text,"
    assert markup.push("and [a li") == " and"
    assert markup.push("nk](x) ") == " a link"


@pytest.mark.parametrize(
    "text",
    ["<" + "a" * 5_000, "[" * 5_000, "<!--" + " x" * 5_000, "&" * 5_000, "`" * 5_000, "| " * 5_000, "\n" * 9_000],
)
def test_nothing_is_waited_for_without_end(text):
    markup = Markup()
    out = "".join(map(markup.push, text + " end. "))
    assert len(out) >= len(text.strip("<[&`| \n")) - 500
    assert normalise(text + " end.", "en").endswith("end.")


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        (
            "en",
            "## Result\n\n* **Speed:** 5 km/h\n* *Cost*: $5\n",
            "Result. Speed: five kilometers per hour. Cost: five dollars",
        ),
        (
            "de",
            "# Der 2. Weltkrieg\n- z. B. **1939**\n- 5 &lt; 7",
            "Der zweite Weltkrieg. zum Beispiel neunzehnhundertneununddreißig. fünf kleiner als sieben",
        ),
        ("nl", "<p>Bel <b>020-1234567</b></p><p>Nu</p>", "Bel nul twee nul, één twee drie vier vijf zes zeven. Nu"),
    ],
)
def test_markup_in_words(language, text, said):
    assert normalise(text, language) == said

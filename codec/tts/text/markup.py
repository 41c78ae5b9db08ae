"""Removes Markdown, HTML, SSML and entities from text that arrives piece by piece.

Headings, items and rows become sentences of their own, line breaks and `<break>` pauses; marks, the addresses of links,
notes and comments are left out.
"""

# ruff: noqa: RUF001  marks of many scripts

from __future__ import annotations

import html
import re
from enum import IntEnum

_LONGEST = 400  # characters to wait for the end of a tag, link or line of marks; longer ones are text
_WRAPPED = 50  # characters of a line that probably goes on in the next one
_SHORT_BREAK = 0.4  # seconds of a pause within a sentence, at most
_LONGEST_BREAK = 10.0  # seconds, as in SSML
# Around the milliseconds of a silence: a private character, which is no longer in any text here.
_SILENCE = "\ue000"

_MARKS = ".,;:!?…。！？।؟،؛"
_CLOSERS = "\"'’”»)"

_ATTRIBUTE = r"""\s+[\w:.-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>=/]+)"""
_TAG = re.compile(rf"<(?P<close>/?)(?P<name>[A-Za-z][\w:.-]*)(?P<attributes>(?:{_ATTRIBUTE})*)\s*/?>")
_COMMENT = re.compile(r"<!--.*?-->|<![A-Za-z][^<>]*>|<\?[^<>]*>", re.DOTALL)
_ADDRESS = re.compile(r"<(?:mailto:)?([^\s<>]+(?:://|@)[^\s<>]+)>")
_LINK = re.compile(r"!?\[([^\[\]\n]*)\](?:\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)|\[[^\[\]\n]*\])")
_NOTE = re.compile(r"\[\^?\d+\](?!\()")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[A-Za-z][A-Za-z\d]{1,31});")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_PENDING = re.compile(  # the start of one of them
    r"<(?:/?(?:[A-Za-z][^<>]*)?|!(?:-?|--.*|[A-Za-z][^<>]*)|\?[^<>]*|[^\s<>]*)|!?\[[^\[\]\n]*(?:\](?:\([^\n]*|\[[^\[\]\n]*)?)?|!|"
    r"&#?\w{0,31}|\\",
    re.DOTALL,
)
_WORD = re.compile(rf"[^\s<&\\\[!]{{1,{_LONGEST}}}|[<&\\\[!]")

# At the start of a line; the last is the start of one of them.
_HEADING = re.compile(r"#{1,6}\s+")
_ITEM = re.compile(r"[-*+•‣◦–—](?:\s+\[[ xX]\])?\s+")
_NUMBER = re.compile(r"\(?\d{1,3}[.)](?=\s)")
_QUOTE = re.compile(r">+(?:[^\S\n]+(?!\d)|(?=\n))")
_RULE = re.compile(r"(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}|=+[ \t]*|-+[ \t]*|[|: -]*--[|: -]*)(?=\n|$)")
_FENCE = re.compile(r"(?:```+|~~~+)(?:[^\n`]*(?=\n)|[ \t]*$)")
_OPEN_LINE = re.compile(r"[-*_=|:+•‣◦–—#>~` \t]*|(?:```+|~~~+)[^\n`]*|\(?\d{0,3}[.)]?|[-*+]\s+\[[ xX]?\]?\s*")

# Elements that end a sentence, that are a pause, and whose text is not read.
_BLOCKS = (
    "address article aside blockquote body caption dd div dl dt figcaption figure footer form h1 h2 h3 h4 h5 h6 "
    "header hr html li main nav ol p paragraph pre section sentence speak summary table tbody tfoot thead title "
    "tr ul"
)
_PAUSES = ("br", "td", "th")
_UNREAD = ("audio", "head", "lexicon", "metadata", "script", "style", "template")


class Gap(IntEnum):
    """What separates two words, in order of strength."""

    NONE = 0
    SPACE = 1
    PAUSE = 2
    END = 3


class Markup:
    """Removes markup from text that arrives piece by piece; it keeps back a word or a tag at most."""

    def __init__(self) -> None:
        self._text = ""  # not read yet
        self._last = ""  # character that was returned
        self._gap = Gap.NONE  # before the next word
        self._at_start = True  # of a line
        self._newlines = 0  # before this line
        self._is_block = False  # whether this line is a heading, an item or a row
        self._length = 0  # of this line
        self._unread = ""  # element whose text is not read
        self._silence = 0.0  # seconds before the next word

    @property
    def is_between(self) -> bool:
        """Whether the last word is complete: more text begins another one."""
        return self._gap > Gap.NONE and not self._text

    def push(self, piece: str) -> str:
        """Take more text; return what is certain of it."""
        self._text += piece
        return self._read(is_last=False)

    def flush(self) -> str:
        """End the text; return the rest."""
        return self._read(is_last=True)

    def _read(self, is_last: bool) -> str:
        out: list[str] = []
        place = 0
        while place < len(self._text):
            window = self._text[place : place + _LONGEST]
            is_whole = is_last or len(window) == _LONGEST
            is_end = is_last and place + len(window) == len(self._text)
            step = self._line_start(window, is_whole, is_end) if self._at_start else self._inline(window, is_whole, out)
            if step is None:
                break
            taken, instead = step
            place += taken
            if instead:
                self._text, place = instead + self._text[place:], 0
        self._text = self._text[place:]
        return "".join(out)

    def _line_start(self, window: str, is_whole: bool, is_end: bool) -> tuple[int, str] | None:
        """Read marks at the start of a line; return as `_inline` does."""
        if blank := len(window) - len(window.lstrip()):
            self._newlines += window[:blank].count("\n")
            return blank, ""
        if not is_whole and _OPEN_LINE.fullmatch(window):
            return None
        match = _FENCE.match(window) or _RULE.match(window)
        if match and (match.end() < len(window) or is_end):
            self._close_line(Gap.END)
            return match.end(), ""
        if match := _QUOTE.match(window):
            return match.end(), ""
        marks = _HEADING.match(window) or _ITEM.match(window)
        is_block = bool(marks or _NUMBER.match(window) or window.startswith("|"))
        if is_block or self._newlines > 1:
            self._close_line(Gap.END)
        elif self._newlines:
            self._close_line(self._line_break(goes_on=window[0].islower()))
        self._at_start, self._newlines, self._is_block, self._length = False, 0, is_block, 0
        return marks.end() if marks else 0, ""

    def _line_break(self, goes_on: bool) -> Gap:
        """Gap of a single line break: a space if the text was only wrapped."""
        if self._is_block:
            return Gap.END
        return Gap.SPACE if goes_on or self._length >= _WRAPPED else Gap.PAUSE

    def _inline(self, window: str, is_whole: bool, out: list[str]) -> tuple[int, str] | None:
        """Read the start of the window; return the number of its characters and what to read in their place.

        None if more characters may change it.
        """
        if window[0].isspace():
            self._close_line(Gap.SPACE)
            self._at_start = window[0] == "\n"
            self._newlines = int(self._at_start)
            return 1, ""
        if match := _TAG.match(window):
            self._tag(match)
            return match.end(), ""
        if match := _COMMENT.match(window) or _NOTE.match(window):
            return match.end(), ""
        if match := _ADDRESS.match(window) or _LINK.match(window):
            return match.end(), match[1]
        if match := _ENTITY.match(window):
            self._say(html.unescape(match[0]), out)
            return match.end(), ""
        if match := _ESCAPE.match(window):
            self._say(match[1], out)
            return match.end(), ""
        if not is_whole and _PENDING.fullmatch(window):
            return None
        word = _WORD.match(window)
        assert word
        if word.end() == len(window) and not is_whole:
            return None
        self._word(word[0], out)
        return word.end(), ""

    def _word(self, word: str, out: list[str]) -> None:
        """Say a word without marks of emphasis and code; "*" and "**" between digits are signs."""
        word = re.sub(r"(?<=\d)\*\*(?=\d)", "^", word)
        word = word if word == "*" else re.sub(r"(?<!\d)\*+|\*+(?!\d)|`+|~~+", "", word)
        word = re.sub(r"(?<=[^\W_])_+(?=[^\W_])", " ", word)
        for number, part in enumerate(re.sub(r"(?<![^\W_])_+|_+(?![^\W_])", "", word).split("|")):
            if number:
                self._close_line(Gap.PAUSE)
            self._say(part, out)

    def _tag(self, tag: re.Match[str]) -> None:
        name = tag["name"].lower()
        if self._unread or (name in _UNREAD and not tag[0].endswith("/>")):
            is_end = tag["close"] and name == self._unread
            self._unread = "" if is_end else self._unread or name
        elif name == "break":
            gap, seconds = _break(tag["attributes"])
            self._silence += seconds
            self._close_line(gap)
        elif name in _BLOCKS.split():
            self._close_line(Gap.END)
        elif name in _PAUSES:
            self._close_line(Gap.PAUSE)

    def _close_line(self, gap: Gap) -> None:
        self._gap = max(self._gap, gap)

    def _say(self, text: str, out: list[str]) -> None:
        """Return characters after the gap before them; a pause has a mark, unless one is there."""
        if self._unread or not text:
            return
        if not text.strip():
            self._close_line(Gap.SPACE)
            return
        if self._silence:
            self._gap = Gap.END
        if self._last and self._gap:
            is_marked = self._last in _MARKS
            mark = "" if is_marked else ("", "", ",", ".")[self._gap]
            is_end = self._gap == Gap.END and self._last not in ",;:"
            out.append(mark + ("\n\n" if is_end else " "))
        if self._silence:
            out.append(f"{_SILENCE}{1000 * self._silence:.0f}{_SILENCE}\n\n")
            self._silence = 0.0
        out.append(text)
        ends = text.rstrip(_CLOSERS)
        self._length += len(text) + (self._gap > 0)
        self._last, self._gap = (ends or self._last or text)[-1], Gap.NONE


def silence(text: str) -> float:
    """Seconds of silence, if `Markup` wrote this for one, else 0."""
    return int(text.strip(_SILENCE)) / 1000 if text.startswith(_SILENCE) else 0.0


def _break(attributes: str) -> tuple[Gap, float]:
    """Read SSML's `<break>` by its time or strength: the gap, and the seconds of silence if it is long."""
    if match := re.search(r"time\s*=\s*[\"']?(\d*\.?\d+)(m?)s", attributes):
        seconds = min(float(match[1]) / (1000 if match[2] else 1), _LONGEST_BREAK)
        if seconds > _SHORT_BREAK:
            return Gap.END, seconds
        return (Gap.PAUSE if seconds else Gap.SPACE), 0.0
    strength = re.search(r"strength\s*=\s*[\"']?([\w-]+)", attributes)
    weak = {"none": Gap.SPACE, "x-weak": Gap.SPACE, "weak": Gap.PAUSE}
    return (weak.get(strength[1], Gap.END) if strength else Gap.END), 0.0

"""What holds for the spans of any text tokenizer."""

from codec.tts.text.tokenizer import TextTokenizer


def check_spans(tokenizer: TextTokenizer, text: str) -> None:
    """They cover the text in order, one for each id."""
    spans = tokenizer.spans(text)
    assert len(spans) == len(tokenizer.encode(text))
    reached = 0
    for start, stop in spans:
        assert start < stop
        assert reached - 1 <= start <= reached <= stop  # the bytes of one character may be several ids
        reached = stop
    assert reached == len(text)

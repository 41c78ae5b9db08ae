"""Whole texts in sentences."""

from codec.tts.text.sentences import SentenceSplitter


def split_sentences(text: str, language: str) -> list[str]:
    """Split a whole text into sentences, without the whitespace between them.

    A sentence ends at its mark or at an empty line, not after "Dr." or within "3.14".

    Args:
        text: any.
        language: a key of `LANGUAGES`.
    """
    splitter = SentenceSplitter(language)
    sentences, open_sentence = [], ""
    for part in splitter.push(text) + splitter.flush():
        open_sentence += part.text + " " * (not part.is_cut)
        if part.is_end:
            sentences.append(open_sentence.strip())
            open_sentence = ""
    return sentences

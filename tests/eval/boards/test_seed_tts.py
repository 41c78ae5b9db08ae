"""A meta.lst becomes texts, each in the voice of its prompt."""

import pytest

from eval.boards.seed_tts import read_meta


def test_texts_and_voices(tmp_path):
    path = tmp_path / "meta.lst"
    path.write_text("one|They asked.|prompt-wavs/p.wav|Hello, you.\n\ntwo.wav|Ja.|/abs/q.wav|Good bye.|wavs/two.wav\n")
    first, second = read_meta(path, "en")
    assert (first.id, first.text, first.language, first.recording) == ("one", "Hello, you.", "en", None)
    assert (first.voices, first.speaker) == ((tmp_path / "prompt-wavs/p.wav",), f"{tmp_path}/prompt-wavs/p.wav")
    assert (second.id, second.text, str(second.voices[0])) == ("two", "Good bye.", "/abs/q.wav")
    assert second.recording == tmp_path / "wavs/two.wav"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one|Hello", r"meta\.lst:1: 'one\|Hello'; expected name\|"),
        ("\none|a|b.wav| ", r"meta\.lst:2: .*; expected name\|"),
        ("one|a|b.wav|c\none|a|b.wav|d", r"meta\.lst:2: one occurs twice"),
        ("\n", r"meta\.lst: no lines"),
    ],
)
def test_what_is_no_meta(text, message, tmp_path):
    (tmp_path / "meta.lst").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_meta(tmp_path / "meta.lst", "en")

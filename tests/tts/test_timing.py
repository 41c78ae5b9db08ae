"""When words are spoken."""

from codec.tts.timing import Word, WordClock

WORDS = [(0, "one"), (2, "two"), (5, "of"), (5, "three"), (7, "")]


def test_words_last_from_their_first_id_to_that_of_the_next():
    clock = WordClock(WORDS, 10)
    moves = [1, 1, 0, 3, 1, 1, 0, 0]  # after frames 10 to 17, at ids 0 1 2 2 5 6 7 7
    assert clock.advance(moves[:2], 12, False) == []
    assert clock.advance(moves[:5], 15, False) == [Word("one", 10, 12), Word("two", 12, 14), Word("of", 14, 14)]
    assert clock.advance(moves, 18, True) == [Word("three", 14, 16)]


def test_words_may_come_while_they_are_spoken():
    words = WORDS[:1]
    clock = WordClock(words, 0)
    clock.advance([1], 1, False)
    words += WORDS[1:]
    assert clock.advance([1, 2, 1], 3, False) == [Word("one", 0, 2)]


def test_words_that_are_passed_over_at_the_end_have_no_length():
    assert WordClock(WORDS[:3], 0).advance([4, 4, 4], 1, True) == [Word("one", 0, 1), Word("two", 1, 1)]


def test_words_that_were_not_reached_are_not_reported():
    assert WordClock(WORDS, 0).advance([1, 1], 1, True) == [Word("one", 0, 1)]

"""What written text sounds like, language by language, and what normalised text never has."""

# ruff: noqa: RUF001  signs of many kinds

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codec.tts.text.languages import LANGUAGES
from codec.tts.text.normalise import normalise

READ = {
    "en-US": {
        "Dr. Müller paid $5…": "Doctor Müller paid five dollars...",
        "5 - 4 = 1, 3*4": "five minus four equals one, three times four",
        "$12.50, $0.99, $1, £1.01, €1,234.5": "twelve dollars and fifty cents, ninety-nine cents, one dollar, "
        "one pound and one penny, one thousand two hundred and thirty-four point five euros",
        "$5 million or -$3.5bn": "five million dollars or minus three point five billion dollars",
        "in 1999, the 1990s and the 80s": "in nineteen ninety-nine, the nineteen nineties and the eighties",
        "1st, 22nd, 103rd": "first, twenty-second, one hundred and third",
        "10:30, 10:05pm, 9:00": "ten thirty, ten oh five P M, nine o'clock",
        "At 10 a.m. He left, at 10 a.m. today.": "At ten A M. He left, at ten A M today.",
        "50%, and 3.14 or 20 °C": "fifty percent, and three point one four or twenty degrees Celsius",
        "pages 5–10, 555-123-4567, 1.2.3": "pages five to ten, five five five, one two three, four five six seven, "
        "one dot two dot three",
        "007, (-3)": "zero zero seven, (minus three)",
        "B2B, 2½ cups, 10² m": "B two B, two and one half cups, ten squared m",
        "No. 5? no. Apples, etc. Then": "Number five? no. Apples, et cetera. Then",
        "word—word “quoted” ‘it’s’": "word, word \"quoted\" 'it's'",
        "hi😀there 👍🏽 ❤️ 🇩🇪 1️⃣ !": "hi there one!",
        "a\x00b\u200bc\td": "a bc d",
        "１２ ٣ R&D": "twelve three R and D",
    },
    "de-DE": {
        "Am 3. Mai, der 3. Mai, im 20. Jahrhundert": "Am dritten Mai, der dritte Mai, im zwanzigsten Jahrhundert",
        "10:30 Uhr, 1 Uhr": "zehn Uhr dreißig, ein Uhr",
        "1.234,56 € und 5 Mio. €": "eintausendzweihundertvierunddreißig Euro und sechsundfünfzig Cent "
        "und fünf Millionen Euro",
        "z. B. Hr. Meyer usw. Dann 5 %": "zum Beispiel Herr Meyer und so weiter. Dann fünf Prozent",
        "Nr. 5 auf S. 7": "Nummer fünf auf Seite sieben",
    },
    "fr-FR": {
        "M. Dupont, 1er, 1re, 21e": "Monsieur Dupont, premier, première, vingt et unième",
        "10h30, 1h": "dix heures trente, une heure",
        "1 234,5 et 1\u202f000 €": "mille deux cent trente-quatre virgule cinq et mille euros",
        "n° 5 à 80 %": "numéro cinq à quatre-vingts pour cent",
    },
    "fr-CH": {"80 et 90": "huitante et nonante"},
    "es": {
        "Sr. García 1º, 3ª, n.º 5": "señor García primero, tercera, número cinco",
        "12,50 €, 1:30": "doce euros y cincuenta céntimos, una treinta",
    },
    "pt-BR": {"2:15, R$ 12,50": "duas horas e quinze, doze reais e cinquenta centavos"},
    "it": {"Sig.ra Rossi, 10:30": "signora Rossi, dieci e trenta"},
    "nl-BE": {"dhr. Jansen 1e, 10:30 uur": "de heer Jansen eerste, tien uur dertig"},
    "ar": {"٣٫٥": "ثلاثة فاصلة خمسة"},
    "hi": {"डॉ. शर्मा": "डॉक्टर शर्मा"},
}


@pytest.mark.parametrize(("language", "written"), [(language, text) for language in READ for text in READ[language]])
def test_as_it_is_read(language, written):
    assert normalise(written, language) == READ[language][written]


signs = st.sampled_from(
    [*"0123456789.,:-–—$€%°+=&@½²º٣١٬\u00a0 \n'\"“", "1st", "Dr.", "a.m.", "No.", "Uhr", " million", "😀"]
)


@given(
    st.lists(signs, max_size=25).map("".join) | st.text(max_size=40), st.sampled_from(sorted(LANGUAGES.keys() - {"hi"}))
)
@example("0XV", "ar")
@example("XX0", "fr")
@settings(max_examples=500, deadline=None)
def test_no_digits_or_signs_are_left_and_plain_text_stays(text, language):
    plain = normalise(text, language)
    assert not any(c.isdecimal() or unicodedata.category(c)[0] in "SC" for c in plain)
    assert plain == unicodedata.normalize("NFKC", plain) == " ".join(plain.split()) == normalise(plain, language)


@pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {"hi"}))
def test_numbers_of_any_length(language):
    for n_digits in range(1, 20):
        number = "9" * n_digits
        assert normalise(f"{number} {number}th {number}º {number}e $ {number}", language)


def test_unknown_languages_are_told_the_known_ones():
    with pytest.raises(ValueError, match=r"'xx-YY' is not known.* en, fr"):
        normalise("hello", "xx-YY")


def test_digits_in_a_language_without_number_words():
    with pytest.raises(ValueError, match=r"has digits.* hi"):
        normalise("3 घंटे", "hi-IN")

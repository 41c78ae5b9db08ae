"""Italian."""

from __future__ import annotations

from codec.tts.text.languages.entry import Clock, Dates, Fractions, Language, symbols
from codec.tts.text.languages.romance import ORDINALS, one

ENTRY = Language(
    ",",
    r"\.",
    "virgola",
    "a",
    "punto",
    "barra",
    "a",
    "per",
    ("al quadrato", "al cubo", "elevato a"),
    symbols(
        "più, meno, per, diviso, più o meno, uguale a, diverso da, minore di, maggiore di, "
        "minore o uguale a, maggiore o uguale a, circa, e, chiocciola, per cento, "
        "gradi Celsius, gradi Fahrenheit, gradi"
    ),
    {
        "$": ("un dollaro", "dollari", "un centesimo", "centesimi"),
        "€": ("un euro", "euro", "un centesimo", "centesimi"),
        "£": ("una sterlina", "sterline", "un penny", "penny"),
        "¥": ("uno yen", "yen"),
        "₹": ("una rupia", "rupie"),
        "¢": ("un centesimo", "centesimi"),
    },
    Fractions(
        {"1/2": "un mezzo", "1/4": "un quarto", "3/4": "tre quarti"},
        {2: ("mezzo", "mezzi")},
        "un",
        many=lambda part: part[:-1] + "i",
    ),
    {
        "Sig.": "signor",
        "Sig.ra": "signora",
        "Dott.": "dottor",
        "Dott.ssa": "dottoressa",
        "Prof.": "professor",
        "Ing.": "ingegner",
        "Avv.": "avvocato",
        "ad es.": "ad esempio",
    },
    closing={"ecc.": "eccetera"},
    before_number={"n.": "numero", "n°": "numero", "pag.": "pagina"},
    scales=("mila", "milione di", "milioni di", "miliardo di", "miliardi di"),
    scale_letters={"M": "milioni di"},
    one=one("un", "una"),
    ordinals=ORDINALS,
    numbered="Guerra|Parte|Capitolo|Tomo|Atto|Secolo|Tipo",
    reign=("{ordinal}", "{ordinal}"),
    dates=Dates(first="primo"),
    clock=Clock(hours={1: "una"}, joint=" e "),
)

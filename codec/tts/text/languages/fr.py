"""French."""

from __future__ import annotations

import re

from codec.tts.text.languages.entry import Clock, Dates, Fractions, Language, symbols

_FEMININE = re.compile(r"(?:heure|minute|seconde|tonne|once|livre|calorie|kilocalorie)\b")

ENTRY = Language(
    ",",
    "[. ]",
    "virgule",
    "à",
    "point",
    "barre oblique",
    "contre",
    "par",
    ("au carré", "au cube", "puissance"),
    symbols(
        "plus, moins, fois, divisé par, plus ou moins, égale, différent de, inférieur à, supérieur à, "
        "inférieur ou égal à, supérieur ou égal à, environ, et, arobase, pour cent, "
        "degrés Celsius, degrés Fahrenheit, degrés"
    ),
    {
        "$": ("un dollar", "dollars", "un cent", "cents"),
        "€": ("un euro", "euros", "un centime", "centimes"),
        "£": ("une livre", "livres", "un penny", "pence"),
        "¥": ("un yen", "yens"),
        "₹": ("une roupie", "roupies"),
        "¢": ("un cent", "cents"),
    },
    Fractions(
        {"1/2": "un demi", "1/4": "un quart", "3/4": "trois quarts"},
        {2: ("demi", "demis"), 3: ("tiers", "tiers"), 4: ("quart", "quarts")},
        "un",
        many=lambda part: part + "s",
    ),
    {
        "M.": "Monsieur",
        "MM.": "Messieurs",
        "Mme": "Madame",
        "Mlle": "Mademoiselle",
        "Dr": "Docteur",
        "Dr.": "Docteur",
        "Pr.": "Professeur",
        "p. ex.": "par exemple",
        "c.-à-d.": "c'est-à-dire",
        "env.": "environ",
    },
    closing={"etc.": "et cetera"},
    before_number={"n°": "numéro", "N°": "Numéro", "p.": "page"},
    after_number={"h": "heures"},
    scales=("mille", "million", "millions", "milliard", "milliards"),
    scale_letters={"k": "mille", "M": "millions"},
    one=lambda unit: "une" if _FEMININE.match(unit) else "un",
    ordinals={r"(?<!\d)(1)(?:re|ère)\b": lambda _: "première", r"(?<!\d)(\d+)(?:er|e|ème|nde?)\b": str},
    numbered="Guerre|Partie|Chapitre|Tome|Acte|Scène|Phase|Type",
    dates=Dates(first="premier"),
    clock=Clock("[:h]", ("heure", "heures"), {1: "une", 21: "vingt et une"}),
)

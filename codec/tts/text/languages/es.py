"""Spanish."""

from __future__ import annotations

from codec.tts.text.languages.entry import Clock, Dates, Fractions, Language, symbols
from codec.tts.text.languages.romance import ORDINALS, one

ENTRY = Language(
    ",",
    r"\.",
    "coma",
    "a",
    "punto",
    "barra",
    "a",
    "por",
    ("al cuadrado", "al cubo", "elevado a"),
    symbols(
        "más, menos, por, dividido por, más o menos, igual a, distinto de, menor que, mayor que, "
        "menor o igual que, mayor o igual que, aproximadamente, y, arroba, por ciento, "
        "grados Celsius, grados Fahrenheit, grados"
    ),
    {
        "$": ("un dólar", "dólares", "un centavo", "centavos"),
        "€": ("un euro", "euros", "un céntimo", "céntimos"),
        "£": ("una libra", "libras", "un penique", "peniques"),
        "¥": ("un yen", "yenes"),
        "₹": ("una rupia", "rupias"),
        "¢": ("un centavo", "centavos"),
    },
    Fractions(
        {"1/2": "un medio", "1/4": "un cuarto", "3/4": "tres cuartos"},
        {2: ("medio", "medios"), 3: ("tercio", "tercios")},
        "un",
        many=lambda part: part + "s",
    ),
    {
        "Sr.": "señor",
        "Sra.": "señora",
        "Srta.": "señorita",
        "Dr.": "doctor",
        "Dra.": "doctora",
        "Prof.": "profesor",
        "p. ej.": "por ejemplo",
        "aprox.": "aproximadamente",
    },
    closing={"etc.": "etcétera", "EE. UU.": "Estados Unidos", "Ud.": "usted", "Uds.": "ustedes"},
    before_number={"núm.": "número", "n.º": "número", "N.º": "Número", "pág.": "página"},
    scales=("mil", "millón", "millones"),
    scale_letters={"M": "millones"},
    one=one("un", "una"),
    ordinals=ORDINALS,
    numbered="Guerra|Parte|Capítulo|Tomo|Acto|Siglo|Tipo",
    reign=("{ordinal}", "{ordinal}"),
    dates=Dates(numeric="{cardinal} de {month}", of_year=" de "),
    clock=Clock(hours={1: "una", 21: "veintiuna"}),
)

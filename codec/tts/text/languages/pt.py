"""Portuguese."""

from __future__ import annotations

from codec.tts.text.languages.entry import Clock, Dates, Fractions, Language, symbols
from codec.tts.text.languages.romance import ORDINALS, one

ENTRY = Language(
    ",",
    r"\.",
    "vírgula",
    "a",
    "ponto",
    "barra",
    "para",
    "por",
    ("ao quadrado", "ao cubo", "elevado a"),
    symbols(
        "mais, menos, vezes, dividido por, mais ou menos, igual a, diferente de, menor que, maior que, "
        "menor ou igual a, maior ou igual a, aproximadamente, e, arroba, por cento, "
        "graus Celsius, graus Fahrenheit, graus"
    ),
    {
        "R$": ("um real", "reais", "um centavo", "centavos"),
        "$": ("um dólar", "dólares", "um centavo", "centavos"),
        "€": ("um euro", "euros", "um cêntimo", "cêntimos"),
        "£": ("uma libra", "libras", "um péni", "pence"),
        "¥": ("um iene", "ienes"),
        "₹": ("uma rupia", "rupias"),
        "¢": ("um centavo", "centavos"),
    },
    Fractions(
        {"1/2": "meio", "1/4": "um quarto", "3/4": "três quartos"},
        {2: ("meio", "meios"), 3: ("terço", "terços")},
        "um",
        many=lambda part: part + "s",
    ),
    {
        "Sr.": "senhor",
        "Sra.": "senhora",
        "Dr.": "doutor",
        "Dra.": "doutora",
        "Prof.": "professor",
        "p. ex.": "por exemplo",
        "aprox.": "aproximadamente",
    },
    closing={"etc.": "et cetera"},
    before_number={"n.º": "número", "N.º": "Número", "pág.": "página"},
    scales=("mil", "milhão", "milhões", "bilhão", "bilhões"),
    scale_letters={"M": "milhões"},
    one=one("um", "uma"),
    ordinals=ORDINALS,
    numbered="Guerra|Parte|Capítulo|Tomo|Ato|Século|Tipo",
    reign=("{ordinal}", "{ordinal}"),
    dates=Dates(numeric="{cardinal} de {month}", of_year=" de "),
    clock=Clock(
        noun=("hora", "horas"), hours={1: "uma", 2: "duas", 21: "vinte e uma", 22: "vinte e duas"}, joint=" e "
    ),
)

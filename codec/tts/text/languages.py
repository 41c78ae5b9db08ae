"""What the languages of the released TTS say for the signs of written text: a table, one entry a language."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_SIGNS = ("+", "-", "\u00d7", "=", "&", "@", "%", "°C", "°F", "°", "½", "¼", "¾")


@dataclass(frozen=True)
class Clock:
    """How "10:30" is read: the hour, its noun, what joins the minutes to it, the minutes."""

    sign: str = ":"  # pattern of what stands between hour and minutes
    noun: tuple[str, str] = ("", "")  # after one hour, after more
    hours: dict[int, str] = field(default_factory=dict)  # those that differ from plain numbers
    joint: str = " "
    oh: str = ""  # before minutes below 10
    sharp: str = ""  # in place of no minutes


@dataclass(frozen=True)
class Language:
    """One language; signs that it has no word for are dropped."""

    decimal: str  # the sign before decimals
    group: str  # pattern of what groups thousands
    point: str  # the word for the decimal sign
    to: str  # the word for the dash of a range
    symbols: dict[str, str]
    money: dict[str, tuple[str, ...]]  # one unit, many units, one hundredth, many hundredths
    abbreviations: dict[str, str]
    closing: dict[str, str] = field(default_factory=dict)  # abbreviations that are likely to end a sentence
    before_number: dict[str, str] = field(default_factory=dict)  # abbreviations in front of digits
    after_number: dict[str, str] = field(default_factory=dict)
    scales: tuple[str, ...] = ()  # that stand between an amount and its unit, in the order of speech
    ordinals: dict[str, Callable[[str], str]] = field(default_factory=dict)  # pattern to form of the ordinal number
    clock: Clock = Clock()
    has_years: bool = False  # 1999 is read otherwise than a number of things
    decades: str = "(?!)"  # pattern of "1990s"; the default matches nothing


def primary_language(tag: str) -> str:
    """The key in `LANGUAGES` of a BCP-47 tag in any case: "en" for "en-US".

    Raises:
        ValueError: a language that is not in the table.
    """
    language = primary_tag(tag)
    if language not in LANGUAGES:
        raise ValueError(f"language {tag!r} is not known; expected one of {', '.join(LANGUAGES)}, with any region")
    return language


def primary_tag(tag: str) -> str:
    """The language of a tag without its region, script and variant."""
    return tag.replace("_", "-").partition("-")[0].lower()


def _symbols(words: str) -> dict[str, str]:
    """Words in the order of `_SIGNS`, separated by commas."""
    return dict(zip(_SIGNS, words.split(", "), strict=True))


def _feminine(ordinal: str) -> str:
    return re.sub(r"o\b", "a", ordinal)


# In German they make an ordinal number of the "3." before them, centuries too.
MONTHS_DE = ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober"]
MONTHS_DE += ["November", "Dezember", "Jahrhundert"]
_DATE_DE = rf"\.(?=\s(?:{'|'.join(MONTHS_DE)})\b)"
_ROMANCE_ORDINALS: dict[str, Callable[[str], str]] = {
    r"(?<!\d)(\d+)\.?º(?![\w°])": str,
    r"(?<!\d)(\d+)\.?ª(?!\w)": _feminine,
}

LANGUAGES = {
    "en": Language(
        ".",
        ",",
        "point",
        "to",
        _symbols(
            "plus, minus, times, equals, and, at, percent, degrees Celsius, degrees Fahrenheit, degrees, "
            "one half, one quarter, three quarters"
        ),
        {
            "$": ("one dollar", "dollars", "one cent", "cents"),
            "€": ("one euro", "euros", "one cent", "cents"),
            "£": ("one pound", "pounds", "one penny", "pence"),
            "¥": ("one yen", "yen"),
            "₹": ("one rupee", "rupees", "one paisa", "paise"),
        },
        {
            "Dr.": "Doctor",
            "Mr.": "Mister",
            "Mrs.": "Missus",
            "Ms.": "Miss",
            "Prof.": "Professor",
            "Capt.": "Captain",
            "Gen.": "General",
            "Lt.": "Lieutenant",
            "Sgt.": "Sergeant",
            "Rev.": "Reverend",
            "Gov.": "Governor",
            "Sen.": "Senator",
            "Mt.": "Mount",
            "vs.": "versus",
            "e.g.": "for example",
            "i.e.": "that is",
            "approx.": "approximately",
        },
        closing={
            "etc.": "et cetera",
            "a.m.": "A M",
            "p.m.": "P M",
            "Jr.": "Junior",
            "Sr.": "Senior",
            "Inc.": "Incorporated",
            "Ltd.": "Limited",
            "Ave.": "Avenue",
        },
        before_number={
            "No.": "Number",
            "no.": "number",
            "p.": "page",
            "pp.": "pages",
            "Fig.": "Figure",
            "fig.": "figure",
        },
        after_number={"am": "A M", "pm": "P M", "AM": "A M", "PM": "P M", "bn": "billion"},
        scales=("hundred", "thousand", "million", "billion", "trillion"),
        ordinals={r"(?<!\d)(\d+)(?:st|nd|rd|th)\b": str},
        clock=Clock(oh="oh ", sharp=" o'clock"),
        has_years=True,
        decades=r"(?<!\d)(\d*0)s\b",
    ),
    "fr": Language(
        ",",
        "[. ]",
        "virgule",
        "à",
        _symbols(
            "plus, moins, fois, égale, et, arobase, pour cent, degrés Celsius, degrés Fahrenheit, degrés, "
            "un demi, un quart, trois quarts"
        ),
        {
            "$": ("un dollar", "dollars", "un cent", "cents"),
            "€": ("un euro", "euros", "un centime", "centimes"),
            "£": ("une livre", "livres", "un penny", "pence"),
            "¥": ("un yen", "yens"),
            "₹": ("une roupie", "roupies"),
        },
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
        ordinals={r"(?<!\d)(1)(?:re|ère)\b": lambda _: "première", r"(?<!\d)(\d+)(?:er|e|ème|nde?)\b": str},
        clock=Clock("[:h]", ("heure", "heures"), {1: "une", 21: "vingt et une"}),
    ),
    "es": Language(
        ",",
        r"\.",
        "coma",
        "a",
        _symbols(
            "más, menos, por, igual a, y, arroba, por ciento, grados Celsius, grados Fahrenheit, grados, "
            "un medio, un cuarto, tres cuartos"
        ),
        {
            "$": ("un dólar", "dólares", "un centavo", "centavos"),
            "€": ("un euro", "euros", "un céntimo", "céntimos"),
            "£": ("una libra", "libras", "un penique", "peniques"),
            "¥": ("un yen", "yenes"),
            "₹": ("una rupia", "rupias"),
        },
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
        ordinals=_ROMANCE_ORDINALS,
        clock=Clock(hours={1: "una", 21: "veintiuna"}),
    ),
    "pt": Language(
        ",",
        r"\.",
        "vírgula",
        "a",
        _symbols(
            "mais, menos, vezes, igual a, e, arroba, por cento, graus Celsius, graus Fahrenheit, graus, "
            "meio, um quarto, três quartos"
        ),
        {
            "R$": ("um real", "reais", "um centavo", "centavos"),
            "$": ("um dólar", "dólares", "um centavo", "centavos"),
            "€": ("um euro", "euros", "um cêntimo", "cêntimos"),
            "£": ("uma libra", "libras", "um péni", "pence"),
            "¥": ("um iene", "ienes"),
            "₹": ("uma rupia", "rupias"),
        },
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
        ordinals=_ROMANCE_ORDINALS,
        clock=Clock(
            noun=("hora", "horas"), hours={1: "uma", 2: "duas", 21: "vinte e uma", 22: "vinte e duas"}, joint=" e "
        ),
    ),
    "it": Language(
        ",",
        r"\.",
        "virgola",
        "a",
        _symbols(
            "più, meno, per, uguale a, e, chiocciola, per cento, gradi Celsius, gradi Fahrenheit, gradi, "
            "un mezzo, un quarto, tre quarti"
        ),
        {
            "$": ("un dollaro", "dollari", "un centesimo", "centesimi"),
            "€": ("un euro", "euro", "un centesimo", "centesimi"),
            "£": ("una sterlina", "sterline", "un penny", "penny"),
            "¥": ("uno yen", "yen"),
            "₹": ("una rupia", "rupie"),
        },
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
        ordinals=_ROMANCE_ORDINALS,
        clock=Clock(hours={1: "una"}, joint=" e "),
    ),
    "nl": Language(
        ",",
        r"\.",
        "komma",
        "tot",
        _symbols(
            "plus, min, keer, is, en, at, procent, graden Celsius, graden Fahrenheit, graden, "
            "een half, een kwart, drie kwart"
        ),
        {
            "$": ("één dollar", "dollar", "één cent", "cent"),
            "€": ("één euro", "euro", "één cent", "cent"),
            "£": ("één pond", "pond", "één penny", "pence"),
            "¥": ("één yen", "yen"),
            "₹": ("één roepie", "roepie"),
        },
        {
            "dhr.": "de heer",
            "mevr.": "mevrouw",
            "mw.": "mevrouw",
            "dr.": "dokter",
            "prof.": "professor",
            "bijv.": "bijvoorbeeld",
            "d.w.z.": "dat wil zeggen",
            "o.a.": "onder andere",
            "i.p.v.": "in plaats van",
            "ca.": "circa",
        },
        closing={"enz.": "enzovoort", "etc.": "et cetera"},
        before_number={"nr.": "nummer", "blz.": "bladzijde"},
        scales=("duizend", "miljoen", "miljard"),
        ordinals={r"(?<!\d)(\d+)(?:ste|de|e)\b": str},
        clock=Clock(noun=("uur", "uur")),
        has_years=True,
    ),
    "de": Language(
        ",",
        r"\.",
        "Komma",
        "bis",
        _symbols(
            "plus, minus, mal, gleich, und, at, Prozent, Grad Celsius, Grad Fahrenheit, Grad, "
            "ein halb, ein Viertel, drei Viertel"
        ),
        {
            "$": ("ein Dollar", "Dollar", "ein Cent", "Cent"),
            "€": ("ein Euro", "Euro", "ein Cent", "Cent"),
            "£": ("ein Pfund", "Pfund", "ein Penny", "Pence"),
            "¥": ("ein Yen", "Yen"),
            "₹": ("eine Rupie", "Rupien"),
        },
        {
            "Dr.": "Doktor",
            "Prof.": "Professor",
            "Hr.": "Herr",
            "Fr.": "Frau",
            "z. B.": "zum Beispiel",
            "d. h.": "das heißt",
            "u. a.": "unter anderem",
            "bzw.": "beziehungsweise",
            "ca.": "circa",
            "evtl.": "eventuell",
            "ggf.": "gegebenenfalls",
            "inkl.": "inklusive",
            "vgl.": "vergleiche",
            "St.": "Sankt",
            "Mio.": "Millionen",
            "Mrd.": "Milliarden",
        },
        closing={"usw.": "und so weiter", "etc.": "et cetera", "v. Chr.": "vor Christus", "n. Chr.": "nach Christus"},
        before_number={"Nr.": "Nummer", "S.": "Seite", "Abb.": "Abbildung"},
        scales=("Millionen", "Milliarden"),
        ordinals={
            rf"(?<=\b[Dd](?:er|ie|as)\s)(\d{{1,2}}){_DATE_DE}": str,
            rf"(?<!\d)(\d{{1,2}}){_DATE_DE}": lambda ordinal: ordinal + "n",
        },
        clock=Clock(noun=("Uhr", "Uhr"), hours={1: "ein"}),
        has_years=True,
    ),
    "ar": Language(
        ".",
        ",",
        "فاصلة",
        "إلى",
        _symbols("زائد, ناقص, ضرب, يساوي, و, آت, بالمئة, درجة مئوية, درجة فهرنهايت, درجة, نصف, ربع, ثلاثة أرباع"),
        {
            "$": ("دولار واحد", "دولار", "سنت واحد", "سنت"),
            "€": ("يورو واحد", "يورو", "سنت واحد", "سنت"),
            "£": ("جنيه واحد", "جنيه"),
            "¥": ("ين واحد", "ين"),
            "₹": ("روبية واحدة", "روبية"),
        },
        {"د.": "دكتور"},
        clock=Clock(joint=" و "),
    ),
    "hi": Language(
        ".",
        ",",
        "दशमलव",
        "से",
        _symbols("धन, ऋण, गुणा, बराबर, और, एट, प्रतिशत, डिग्री सेल्सियस, डिग्री फ़ारेनहाइट, डिग्री, आधा, चौथाई, पौन"),
        {"$": ("एक डॉलर", "डॉलर"), "€": ("एक यूरो", "यूरो"), "£": ("एक पाउंड", "पाउंड"), "₹": ("एक रुपया", "रुपये")},
        {"डॉ.": "डॉक्टर"},
    ),
}

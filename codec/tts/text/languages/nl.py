"""Dutch."""

from __future__ import annotations

from codec.tts.text.languages.entry import Clock, Dates, Fractions, Language, symbols, words

ENTRY = Language(
    ",",
    r"\.",
    "komma",
    "tot",
    "punt",
    "slash",
    "op",
    "per",
    ("kwadraat", "tot de derde", "tot de macht"),
    symbols(
        "plus, min, keer, gedeeld door, plus of min, is, is niet gelijk aan, kleiner dan, groter dan, "
        "kleiner dan of gelijk aan, groter dan of gelijk aan, ongeveer, en, at, procent, "
        "graden Celsius, graden Fahrenheit, graden"
    ),
    {
        "$": ("één dollar", "dollar", "één cent", "cent"),
        "€": ("één euro", "euro", "één cent", "cent"),
        "£": ("één pond", "pond", "één penny", "pence"),
        "¥": ("één yen", "yen"),
        "₹": ("één roepie", "roepie"),
        "¢": ("één cent", "cent"),
    },
    Fractions(
        {"1/2": "een half", "1/4": "een kwart", "3/4": "drie kwart"},
        {2: ("half", "halve"), 4: ("kwart", "kwart")},
        "een",
        mixed=lambda number: {"één": "anderhalf"}.get(
            number, number + ("ën" if number.endswith("e") else "en") + "half"
        ),
    ),
    {
        "dhr.": "de heer",
        "mevr.": "mevrouw",
        "mw.": "mevrouw",
        "dr.": "dokter",
        "drs.": "doctorandus",
        "ir.": "ingenieur",
        "ing.": "ingenieur",
        "mr.": "meester",
        "prof.": "professor",
        "bijv.": "bijvoorbeeld",
        "bv.": "bijvoorbeeld",
        "d.w.z.": "dat wil zeggen",
        "m.a.w.": "met andere woorden",
        "m.b.t.": "met betrekking tot",
        "t.o.v.": "ten opzichte van",
        "t.a.v.": "ter attentie van",
        "o.a.": "onder andere",
        "o.m.": "onder meer",
        "i.p.v.": "in plaats van",
        "i.v.m.": "in verband met",
        "z.s.m.": "zo snel mogelijk",
        "a.u.b.": "alstublieft",
        "evt.": "eventueel",
        "incl.": "inclusief",
        "excl.": "exclusief",
        "zgn.": "zogenaamd",
        "max.": "maximaal",
        "ca.": "circa",
        "t/m": "tot en met",
        "tel.": "telefoon",
        "St.": "Sint",
    },
    closing={"enz.": "enzovoort", "etc.": "et cetera", "e.d.": "en dergelijke", "v.Chr.": "voor Christus"},
    before_number={
        "nr.": "nummer",
        "blz.": "bladzijde",
        "art.": "artikel",
        "afb.": "afbeelding",
        "hfst.": "hoofdstuk",
        "#": "nummer",
        "§": "paragraaf",
    },
    in_context={
        r"(\w)str\.(?=\s\d|,|\s[a-z]|$)": r"\1straat",
        r"\b([A-G])#(?!\d)": r"\1 sharp",
        r"\bv\.?\s?(?=\d+\.\d)": "versie ",
    },
    unended=r"\w*str\.",
    scales=("duizend", "miljoen", "miljard"),
    scale_letters={"K": "duizend", "M": "miljoen", "B": "miljard"},
    units={"u": ("uur", "uur"), "h": ("uur", "uur")},
    ordinals={r"(?<!\d)(\d+)(?:ste|de|e)\b": str},
    numbered="Wereldoorlog|Deel|Hoofdstuk|Band|Boek|Bedrijf|Akte|Fase|Klasse|Type|Niveau|Artikel|Bijlage",
    reign=("de {Ordinal}", "de {Ordinal}"),
    dates=Dates(),
    clock=Clock(sign="[:u]", noun=("uur", "uur")),
    has_years=True,
    decades=r"(?<![\w'])'(\d0)()\b",
    starters=words(
        "de het een hij zij ze het we wij ik jij je jullie dit dat deze die er hier daar dan toen en maar of want als "
        "terwijl wat wie waarom hoe waar mijn jouw zijn haar ons onze hun in op aan bij voor met na van uit ja nee "
        "niet nu vandaag morgen gisteren ook men"
    ),
)

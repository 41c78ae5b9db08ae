"""German."""

from __future__ import annotations

import re

from codec.tts.text.languages.entry import Clock, Dates, Fractions, Language, Ordinals, symbols, words

_MONTHS = "Januar Jänner Februar März April Mai Juni Juli August September Oktober November Dezember"
_POSSESSIVES = "(?:[mds]ein|k?ein|ihr|unse?r|eue?r)"
# Words between which an adjective ends in -e, and all others that show case, after which it ends in -en.
_ENDS_IN_E = re.compile(
    rf"(?:die|das|diese[s]?|jene[s]?|jede[s]?|welche[s]?|ins|ans|aufs|fürs|ums|durchs|{_POSSESSIVES}e)"
)
_SHOWS_CASE = rf"(?:de[mnrs]|am|im|zu[mr]|vom|beim|(?:dies|jen|jed|welch)e[mnrs]|{_POSSESSIVES}e[mnrs])"
_DER = re.compile(r"(?:der|dieser|jener|jeder|welcher)")  # the subject's, or a woman's after a preposition
_DATIVE = re.compile(r"(?:in|an|auf|bei|mit|nach|seit|von|zu|aus|vor|über|unter|neben|zwischen|ab|während|wegen|trotz)")
_NEUTER = re.compile(  # nouns, or their ends
    r"(?:kind|mal|jahr|haus|buch|spiel|semester|tor|album|bein|bier|glas|auto|quartal|kapitel|jahrhundert|lied|bild|"
    r"stück|zimmer|fenster|tier|land|leben|wort|ziel|projekt|drittel|viertel|leg|match|finale|chen|lein|um|ment)\b",
    re.IGNORECASE,
)


def _form(ordinal: str, before: str, after: str) -> str:
    """ "dritte" with the ending that it has between these words."""
    *earlier, last = ["", *before.lower().split()]
    if _ENDS_IN_E.fullmatch(last) or (_DER.fullmatch(last) and not _DATIVE.fullmatch(earlier[-1])):
        return ordinal
    if re.fullmatch(rf"{_SHOWS_CASE}|{_DATIVE.pattern}|bis|um|gegen", last):
        return ordinal + "n"
    return ordinal + ("s" if _NEUTER.search(after) else "r")


ENTRY = Language(
    ",",
    r"\.",
    "Komma",
    "bis",
    "Punkt",
    "Schrägstrich",
    "zu",
    "pro",
    ("hoch zwei", "hoch drei", "hoch"),
    symbols(
        "plus, minus, mal, geteilt durch, plus minus, gleich, ungleich, kleiner als, größer als, "
        "kleiner oder gleich, größer oder gleich, ungefähr, und, at, Prozent, Grad Celsius, Grad Fahrenheit, Grad"
    ),
    {
        "$": ("ein Dollar", "Dollar", "ein Cent", "Cent"),
        "€": ("ein Euro", "Euro", "ein Cent", "Cent"),
        "£": ("ein Pfund", "Pfund", "ein Penny", "Pence"),
        "¥": ("ein Yen", "Yen"),
        "₹": ("eine Rupie", "Rupien"),
        "¢": ("ein Cent", "Cent"),
    },
    Fractions(
        {"1/2": "ein halb", "1/4": "ein Viertel", "3/4": "drei Viertel"},
        {2: ("halb", "halbe")},
        "ein",
        form=lambda ordinal: ordinal[:-2].capitalize() + "tel",
        mixed=lambda number: ("ein" if number == "eins" else number) + "einhalb",
    ),
    {
        "Dr.": "Doktor",
        "Prof.": "Professor",
        "Hr.": "Herr",
        "Fr.": "Frau",
        "z. B.": "zum Beispiel",
        "z. T.": "zum Teil",
        "d. h.": "das heißt",
        "u. a.": "unter anderem",
        "u. U.": "unter Umständen",
        "v. a.": "vor allem",
        "i. d. R.": "in der Regel",
        "m. E.": "meines Erachtens",
        "s. o.": "siehe oben",
        "s. u.": "siehe unten",
        "bzw.": "beziehungsweise",
        "bzgl.": "bezüglich",
        "ca.": "circa",
        "evtl.": "eventuell",
        "ggf.": "gegebenenfalls",
        "inkl.": "inklusive",
        "exkl.": "exklusive",
        "zzgl.": "zuzüglich",
        "max.": "maximal",
        "sog.": "sogenannt",
        "vgl.": "vergleiche",
        "geb.": "geboren",
        "gest.": "gestorben",
        "St.": "Sankt",
        "Mio.": "Millionen",
        "Mrd.": "Milliarden",
        "Jh.": "Jahrhundert",
        "Tel.": "Telefon",
    },
    closing={
        "usw.": "und so weiter",
        "etc.": "et cetera",
        "u. Ä.": "und Ähnliches",
        "v. Chr.": "vor Christus",
        "n. Chr.": "nach Christus",
    },
    before_number={
        "Nr.": "Nummer",
        "S.": "Seite",
        "Abb.": "Abbildung",
        "Kap.": "Kapitel",
        "Bd.": "Band",
        "Art.": "Artikel",
        "Abs.": "Absatz",
        "#": "Nummer",
        "§": "Paragraph",
    },
    after_number={"Std.": "Stunden", "Min.": "Minuten", "Sek.": "Sekunden"},
    in_context={
        r"([Ss])tr\.": r"\1traße",
        r"\b([A-G])#(?!\d)": r"\1 sharp",
        r"\bv\.?\s?(?=\d+\.\d)": "Version ",
    },  # Hauptstr., Berliner Str.
    unended=r"\w*str\.",
    scales=("Tausend", "Million", "Millionen", "Milliarde", "Milliarden"),
    scale_letters={"K": "tausend", "M": "Millionen", "B": "Milliarden"},
    units={"Std": ("Stunde", "Stunden"), "Min": ("Minute", "Minuten"), "Sek": ("Sekunde", "Sekunden")},
    one=lambda unit: "eine" if unit.endswith("e") else "ein",
    dotted=Ordinals(
        rf"(?:de[rmsn]|die|das|am|im|zu[mr]|vom|beim|ins|ans|aufs|fürs|ums|dies\w+|jen\w+|jede\w*|welche\w*|bis|ab|seit|"
        rf"{_POSSESSIVES}(?:e[mnrs]?)?|[mds]ein|k?ein)",
        r"(?:,|\s?(?:und|oder|bis|sowie|/|-))",
        frozenset([*_MONTHS.split(), "Jahrhundert", "Jh.", "Jahrtausend"]),
        words("der dieser jener jeder welcher"),
        _form,
    ),
    numbered="Weltkrieg|Teil|Kapitel|Band|Akt|Buch|Stufe|Klasse|Typ|Phase|Abschnitt|Artikel|Anhang",
    reign=("der {Ordinal}", "die {Ordinal}"),
    dates=Dates(signs=".", numeric="{ordinal} {month_ordinal}", named="{ordinal} {month}"),
    clock=Clock(noun=("Uhr", "Uhr"), hours={1: "ein"}),
    has_years=True,
    decades=r"(?<!\d)(\d*0)(ern?)\b",
    decade=lambda number, ending: number + ending,
    starters=words(
        "der die das er sie es wir ich du ihr ein eine dann da danach und aber oder doch denn wenn als während was "
        "wer warum wie wo mein dein sein unser in im am auf an bei für mit nach vor von zu zum ja nein nicht nun "
        "jetzt hier dort heute morgen gestern auch man dies diese dieser dieses deshalb trotzdem seit"
    ),
)

"""Units of measure: their signs, and their names in each language from Unicode's CLDR, by the babel package."""

from __future__ import annotations

import re
from functools import lru_cache

from codec.extras import needs

with needs("babel", "reading units", "tts"):
    from babel.units import format_unit

# By CLDR's category: signs in NFKC, with powers as "^2", and CLDR's names of the units.
_SIGNS = {
    "mass": "μg microgram, mg milligram, g gram, kg kilogram, t tonne, oz ounce, lb pound, lbs pound",
    "length": "nm nanometer, μm micrometer, mm millimeter, cm centimeter, dm decimeter, m meter, km kilometer, "
    "in. inch, ft foot, yd yard, mi mile",
    "area": "cm^2 square-centimeter, m^2 square-meter, m2 square-meter, km^2 square-kilometer, "
    "km2 square-kilometer, ha hectare",
    "volume": "cm^3 cubic-centimeter, m^3 cubic-meter, m3 cubic-meter, ml milliliter, mL milliliter, cl centiliter, "
    "dl deciliter, l liter, L liter, gal gallon, qt quart, tsp teaspoon, tbsp tablespoon",
    "duration": "ns nanosecond, μs microsecond, ms millisecond, s second, sec second, min minute, h hour, hr hour, "
    "hrs hour",
    "frequency": "Hz hertz, kHz kilohertz, MHz megahertz, GHz gigahertz",
    "digital": "bit bit, kbit kilobit, Mbit megabit, Gbit gigabit, kB kilobyte, KB kilobyte, MB megabyte, "
    "GB gigabyte, TB terabyte, PB petabyte",
    "power": "mW milliwatt, W watt, kW kilowatt, MW megawatt, GW gigawatt, hp horsepower",
    "energy": "J joule, kJ kilojoule, cal calorie, kcal kilocalorie, kWh kilowatt-hour",
    "electric": "V volt, mA milliampere, Ω ohm",
    "pressure": "Pa pascal, hPa hectopascal, kPa kilopascal, bar bar, mbar millibar",
    "graphics": "px pixel, MP megapixel",
    "speed": "mph mile-per-hour, kmh kilometer-per-hour, kph kilometer-per-hour",
}
UNITS = {
    sign: f"{kind}-{name}"
    for kind, entries in _SIGNS.items()
    for sign, name in (entry.split(" ") for entry in entries.split(", "))
}
RATES = {"kbps": "kbit/s", "Mbps": "Mbit/s", "Gbps": "Gbit/s"}
ONLY_APART = ("s", "t", "J")  # signs that are units only after a space: not in "iPhone 5s"


@lru_cache(maxsize=1024)
def unit_name(sign: str, count: float, language: str) -> str | None:
    """Name a unit: "kilograms" for "kg"; None where CLDR has no name in the language.

    Args:
        sign: a key of `UNITS`.
        count: how many, for the plural.
        language: a key of `LANGUAGES`.
    """
    spoken = format_unit(int(count) if count == int(count) else count, UNITS[sign], length="long", locale=language)
    return None if UNITS[sign] in spoken else " ".join(re.sub(r"\d[\d.,\s]*|[\u0660-\u066c]+", " ", spoken).split())

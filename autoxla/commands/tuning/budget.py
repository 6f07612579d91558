"""How long tuning may take."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smh])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def parse_budget(text: str) -> float:
    """Return the seconds that ``text`` names: ``90s``, ``10m``, ``1h``, ``1h30m``, ``90`` (seconds).

    Raises ValueError on anything else, and on none at all.
    """
    if _NUMBER.fullmatch(text):
        seconds = float(text)
    elif _WHOLE.fullmatch(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    else:
        raise ValueError(f"{text!r} is no time: write 90s, 10m or 1h")
    if seconds <= 0:
        raise ValueError(f"{text!r} is no time to tune in")
    return seconds

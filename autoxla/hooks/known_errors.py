"""Known errors of TensorFlow and Keras, as ``known_errors.toml`` beside this module has them.

`autoxla.hooks.error_hints` looks one up, when there is an error to explain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoxla.settings import load_toml


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """By what an error is recognised, and the hint that it gets; the fields are told in the table itself."""

    types: tuple[str, ...]
    pattern: str
    hint: str
    within: str = ""
    after: str = ""
    line: str = ""
    threads: bool = False

    def hint_on(self, message: str, ways: Mapping[str, str] | None = None) -> str:
        """Return the hint on an error with this message; ``ways`` are those to Keras 2, by their names."""
        found = _OPERATION.search(message)
        operation = "one of the operations" if found is None else f"the operation {found[1] or found[2]}"
        return self.hint.format_map({**(ways or ANY_WAY), "operation": operation})


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownError(Sign):
    """One cause: `why` it happens, the last line of a traceback that it leaves, and all its signs."""

    code: str
    title: str
    why: str
    error: str
    more: tuple[Sign, ...] = ()

    @property
    def signs(self) -> tuple[Sign, ...]:
        """All signs of this cause, in the order in which they are looked for."""
        return (self, *self.more)


#: The ways to Keras 2 for a program that is not known.
ANY_WAY = {
    "keras2": "set TF_USE_LEGACY_KERAS=1 before tensorflow is imported, with a tf_keras of its release",
    "alias": "start the program with AUTOXLA_KERAS=legacy, with a tf_keras of TensorFlow's release",
    "release": "pip install 'tf-keras==X.Y.*', with the X.Y of TensorFlow",
}
#: The packages whose names stand for Keras 3 in messages; those of Keras 2 have api._v2 in them.
_KERAS_3 = r"'(?:tensorflow\.|keras\._tf_keras\.)?keras"
_OPERATION = re.compile(r"No registered '(\w{1,99})' OpKernel|on XLA_\w{1,20}: (\w{1,99})")


def _make_sign(table: dict[str, Any]) -> dict[str, Any]:
    patterns = table["pattern"] if isinstance(table["pattern"], list) else [table["pattern"]]
    return {
        **table,
        "types": tuple(table["types"]),
        "pattern": "|".join(patterns).replace("KERAS_3", _KERAS_3),
        "hint": " ".join(table["hint"].split()),
    }


_TABLE = load_toml(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
#: The documents behind codes that begin so.
SOURCES: dict[str, str] = _TABLE.pop("sources")
#: The errors in the order in which they are looked for.
KNOWN_ERRORS = tuple(
    KnownError(
        code=code,
        **{**_make_sign(each), "more": tuple(Sign(**_make_sign(sign)) for sign in each.get("more", ()))},
    )
    for code, each in _TABLE.items()
)

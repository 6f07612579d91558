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
        if self.hint == "{operation}":
            return name_operation(message)
        return self.hint.format_map(ways or ANY_WAY)


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
#: Keras compiles these for ``compile(jit_compile=True)``; all others have a decorator of the program's.
_STEPS_OF_KERAS = ("one_step_on_data", "run_step")
_OPERATION = re.compile(r"No registered '(\w{1,99})' OpKernel|on XLA_\w{1,20}: (\w{1,99})")
_FUNCTION = re.compile(r"(?:trying to compile graph|while converting) __inference_(\w{1,200})_\d{1,20}\b")
_LINE = re.compile(r'^File "([^"\n]{1,1000})", line (\d{1,9}), in', re.MULTILINE)
#: The program's own code lies elsewhere.
_LIBRARIES = ("site-packages/", "dist-packages/", "autoxla/__main__.py", "<frozen ")


def name_operation(message: str) -> str:
    """Return which operation XLA cannot compile, where it is and who asked for XLA, by the message."""
    operation, function = _OPERATION.search(message), _FUNCTION.search(message)
    what = "one of its operations" if operation is None else f"its operation {operation[1] or operation[2]}"
    if function is None or function[1] in _STEPS_OF_KERAS:
        who, other = "The step", "the input pipeline"
        remedy = "Pass jit_compile=False to compile()"
    else:
        who, other = f"{function[1]}, by @tf.function(jit_compile=True),", "another function"
        remedy = "Take jit_compile=True out of that decorator"
    # The innermost line of the program that made the operation; its folder may be cut off.
    lines = [line for line in _LINE.findall(message) if not any(part in line[0] for part in _LIBRARIES)]
    place = f" ({lines[-1][0].rpartition('/')[2]}:{lines[-1][1]})" if lines else ""
    return (
        f"{who} is compiled by XLA, and XLA cannot compile {what}{place}. {remedy}, or move the "
        f"operation into {other}."
    )


def _make_sign(table: dict[str, Any]) -> dict[str, Any]:
    patterns = table["pattern"] if isinstance(table["pattern"], list) else [table["pattern"]]
    return {
        **table,
        "types": tuple(table["types"]),
        "pattern": "|".join(patterns).replace("KERAS_3", _KERAS_3),
        "hint": " ".join(table["hint"].split()),
    }


def _read() -> tuple[tuple[KnownError, ...], dict[str, str]]:
    table = load_toml(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    sources = table.pop("sources")
    known = (
        KnownError(
            code=code,
            **{**_make_sign(each), "more": tuple(Sign(**_make_sign(s)) for s in each.get("more", ()))},
        )
        for code, each in table.items()
    )
    return tuple(known), sources


#: The errors in the order in which they are looked for; the documents behind codes that begin so.
KNOWN_ERRORS, SOURCES = _read()

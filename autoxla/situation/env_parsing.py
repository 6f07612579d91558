"""How TensorFlow, XLA and ITEX read the values of their environment variables.

Each variable has a reader of its own, and they do not agree: TensorFlow's Python code takes three
spellings for true, ITEX's native code any case, some of its switches end the process for anything
that they do not know. One function stands for each reader, so that a rule can ask what a value
*does* and compare it with what a person meant by it (`intended`).

The grammar of ``TF_XLA_FLAGS`` and ``XLA_FLAGS`` is that of XLA's ``parse_flags_from_env``, as it
behaves in TensorFlow 2.15 and 2.21. Where they differ, the later one is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from autoxla.model import Version

_TRUE = frozenset({"1", "true"})
_FALSE = frozenset({"0", "false"})
_MEANT_TRUE = frozenset({"1", "true", "yes", "on", "y", "t", "enable", "enabled"})
_MEANT_FALSE = frozenset({"", "0", "false", "no", "off", "n", "f", "disable", "disabled"})

# Only these four separate flags; a vertical tab or a no-break space is part of a value.
_SPACE = " \t\r\n"
_FLAG_NAME = re.compile(r"[a-z0-9_]+")
_NAME = re.compile(r"[-_0-9A-Za-z]*")
#: A value in quotes, and whether they are closed. A backslash is an escape in double quotes only, and not as
#: the very last character.
_QUOTED = r"""'([^']*)('?)|"((?:\\.|[^"\\]|\\\Z)*)("?)"""
_TOKEN = re.compile(rf"({_NAME.pattern})=(?:{_QUOTED})|[^ \t\r\n]*", re.DOTALL)
_VALUE = re.compile(_QUOTED, re.DOTALL)
_PLAIN_VALUE = re.compile(r"[^ \t\r\n'\"][^ \t\r\n]*|")
# The number parser of the readers skips C's isspace, which is more than the separators.
_INTEGER = re.compile(r"[ \t\r\n\v\f]*([+-]?[0-9]{1,64})[ \t\r\n\v\f]*")
_RELEASE = re.compile(r"\s*v?((?:[0-9]{1,18}\.)*[0-9]{1,18})(?![0-9])")


def tensorflow_bool(value: str | None) -> bool:
    """Read a switch as TensorFlow's and ITEX's Python code does: exactly ``1``, ``true`` or ``True``."""
    return value in ("1", "true", "True")


def itex_lenient(value: str | None, default: bool) -> bool:
    """Read a switch as ITEX's lenient native reader does: all but ``1`` and ``true`` is false, empty too."""
    return default if value is None else value.lower() in _TRUE


def itex_strict(value: str | None) -> bool | Literal["abort"] | None:
    """Read a switch as ITEX's strict native reader does; None when unset, ``"abort"`` where it aborts."""
    if value is None:
        return None
    lowered = value.lower()
    return True if lowered in _TRUE else False if lowered in _FALSE else "abort"


def guard_disabled(value: str | None) -> bool:
    """Tell whether ITEX's Python guard takes ``ITEX_DISABLE_XLA`` for set: all but ``0`` and ``false``."""
    return value is not None and value not in ("0", "false")


def intended(value: str) -> bool | None:
    """Tell what a person means by `value`, in any case and with space around it; None when unclear."""
    word = value.strip().lower()
    return True if word in _MEANT_TRUE else False if word in _MEANT_FALSE else None


def guard_sees_auto_jit(text: str | None) -> bool:
    """Apply ITEX's test for auto-clustering, which looks at the text of ``TF_XLA_FLAGS``, not its meaning."""
    return "--tf_xla_auto_jit=1" in (text or "").replace(" ", "")


def parse_version(text: str) -> Version:
    """Return the leading numbers of a release: ``2.16.0rc1+cu`` is (2, 16, 0); () where there are none."""
    found = _RELEASE.match(text)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


@dataclass(frozen=True, slots=True)
class XlaFlags:
    """The flags of ``TF_XLA_FLAGS`` or ``XLA_FLAGS``.

    `tokens` are the flags as the user wrote them, in order. `file` is the name of a file that the
    variable names instead, into which nobody looks. `ignored` is text after the first word that is no flag:
    TensorFlow stops there without a word.
    """

    tokens: tuple[str, ...]
    file: str | None = None
    ignored: str = ""

    @property
    def errors(self) -> tuple[tuple[str, str], ...]:
        """The parts for which TensorFlow ends the process, each with the reason, as far as the text tells.

        What names and values there are depends on the release and is not judged, but for auto-clustering.
        """
        if self.file is not None:
            is_meant = "=" not in self.file and self.file.strip(_SPACE)
            return () if is_meant else ((self.file, "a flag begins with --"),)
        errors = []
        for token in self.tokens:
            name, value = _split(token)
            if name is None:
                errors.append((token, "a flag is written --name=value"))
            elif name == "help" or not _FLAG_NAME.fullmatch(name):
                errors.append((token, "there is no flag of this name"))
            elif name == "tf_xla_auto_jit" and _auto_jit_level(value or "") is None:
                errors.append((token, "its value is to be a number, fusible or single-gpu(number)"))
        return tuple(errors)

    def get(self, name: str) -> str | None:
        """Return the effective value of a flag, without quotes: the last wins; ``true`` for a bare flag."""
        for token in reversed(self.tokens):
            found, value = _split(token)
            if found == name:
                return "true" if value is None else value
        return None

    @property
    def auto_jit(self) -> int:
        """The effective level of auto-clustering: 0 for off, 1, 2 …; 0 where the process would end."""
        general = single = 0
        for name, text in map(_split, self.tokens):
            if name == "tf_xla_auto_jit":
                level = _auto_jit_level(text or "")
                if level is None:
                    return 0
                single = level
                # ``single-gpu(n)`` leaves the level of other graphs as it was.
                general = general if (text or "").startswith("single-gpu(") else level
        return max(single, general, 0)

    def with_flag(self, name: str, value: str) -> XlaFlags:
        """Return these flags with one set in the place of its last occurrence, or appended.

        Where the variable names a file nothing changes, since the file's flags would be lost.
        """
        if self.file is not None:
            return self
        token = _join(name, value)
        places = {i for i, old in enumerate(self.tokens) if _split(old)[0] == name}
        last = max(places, default=len(self.tokens))
        before = [old for i, old in enumerate(self.tokens[:last]) if i not in places]
        return replace(self, tokens=(*before, token, *self.tokens[last + 1 :]))

    def __str__(self) -> str:
        if self.file is not None:
            return self.file
        return " ".join([*self.tokens, *([self.ignored] if self.ignored else [])])


@lru_cache(maxsize=16)
def parse_xla_flags(text: str | None) -> XlaFlags:
    """Parse the value of ``TF_XLA_FLAGS`` or ``XLA_FLAGS``, None where it is unset, as XLA does."""
    rest = (text or "").lstrip(_SPACE)
    if text and not rest.startswith("-"):
        # Any other text, space alone included, is handed to fopen as it is.
        return XlaFlags((), file=text)
    tokens: list[str] = []
    while rest.startswith("-") and (found := _TOKEN.match(rest)):
        is_open = found[1] is not None and not (found[3] or found[5])
        # A quote left open is closed.
        value = _unquote(found[0].partition("=")[2]) if is_open else ""
        tokens.append(_join(found[1].removeprefix("--"), value) if is_open else found[0])
        rest = rest[found.end() :].lstrip(_SPACE)
    return XlaFlags(tuple(tokens), ignored=rest.rstrip(_SPACE))


def _split(token: str) -> tuple[str | None, str | None]:
    """Return a flag's name and value; the name is None where it can be no flag of TensorFlow's."""
    if not token.startswith("--") or len(token) == 2:
        return None, None
    name, equals, value = token[2:].partition("=")
    if not equals:
        return name, None
    return name, _unquote(value) if _NAME.fullmatch(name) else value


def _unquote(text: str) -> str:
    found = _VALUE.match(text)
    if found is None:
        return text
    return re.sub(r"\\(.)", r"\1", found[3], flags=re.DOTALL) if found[1] is None else found[1]


def _join(name: str, value: str) -> str:
    if _PLAIN_VALUE.fullmatch(value):
        return f"--{name}={value}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'--{name}="{escaped}"'


def _auto_jit_level(value: str) -> int | None:
    """Return the level of auto-clustering that a value stands for, None for a wrong one."""
    if value == "fusible":
        return 1
    is_for_one = value.startswith("single-gpu(") and value.endswith(")")
    found = _INTEGER.fullmatch(value[len("single-gpu(") : -1] if is_for_one else value)
    return int(found[1]) if found and -(1 << 31) <= int(found[1]) < 1 << 31 else None

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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

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

_BOOLEANS = frozenset(
    (
        *("tf_dump_graphs_in_tfg", "tf_mlir_enable_convert_control_to_data_outputs_pass"),
        *("tf_mlir_enable_merge_control_flow_pass", "tf_mlir_enable_mlir_bridge"),
        *("tf_mlir_enable_strict_clusters", "tf_mlir_enable_tpu_variable_runtime_reformatting_pass"),
        *("tf_xla_always_defer_compilation", "tf_xla_async_compilation"),
        *("tf_xla_check_cluster_input_numerics", "tf_xla_check_cluster_output_numerics"),
        *("tf_xla_clustering_debug", "tf_xla_compile_on_demand", "tf_xla_cpu_global_jit"),
        *("tf_xla_deterministic_cluster_names", "tf_xla_disable_constant_folding"),
        "tf_xla_disable_deadness_safety_checks_for_debugging",
        "tf_xla_disable_full_embedding_pipelining",
        "tf_xla_disable_resource_variable_safety_checks_for_debugging",
        *("tf_xla_disable_strict_signature_checks", "tf_xla_enable_device_api_for_gpu"),
        *("tf_xla_enable_lazy_compilation", "tf_xla_enable_xla_devices"),
        *("tf_xla_persistent_cache_read_only", "tf_xla_print_cluster_outputs"),
        *("tf_xla_sparse_core_disable_table_stacking", "tf_xla_use_device_api"),
        *("tf_xla_use_device_api_for_auto_jit", "tf_xla_use_device_api_for_compile_on_demand"),
        "tf_xla_use_device_api_for_xla_launch",
    )
)
# With their width in bits.
_INTEGERS = {
    "tf_xla_clustering_fuel": 64,
    "tf_xla_embedding_parallel_iterations": 32,
    "tf_xla_max_cluster_size": 32,
    "tf_xla_min_cluster_size": 32,
    "tf_xla_sparse_core_minibatch_max_division_level": 32,
    "tf_xla_sparse_core_stacking_mem_limit_bytes": 64,
    "tf_xla_sparse_core_stacking_table_shard_limit_bytes": 64,
}
_STRINGS = frozenset(
    (
        *("tf_xla_auto_jit", "tf_xla_call_module_disabled_checks", "tf_xla_cluster_exclude_ops"),
        *("tf_xla_ops_to_cluster", "tf_xla_persistent_cache_device_types"),
        *("tf_xla_persistent_cache_directory", "tf_xla_persistent_cache_prefix"),
    )
)

#: Names that TensorFlow 2.15 to 2.21 all take in ``TF_XLA_FLAGS``: the only ones that may be added.
KNOWN_TF_XLA_FLAGS: frozenset[str] = _BOOLEANS | _STRINGS | frozenset(_INTEGERS)


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


class FlagError(NamedTuple):
    """A part of a flags variable for which TensorFlow ends the process, and why."""

    token: str
    reason: str


@dataclass(frozen=True, slots=True)
class XlaFlags:
    """The flags of ``TF_XLA_FLAGS`` or ``XLA_FLAGS``.

    `tokens` are the flags as the user wrote them, in order. `file` is the name of a file that the
    variable names instead; `tokens` are then the file's, or empty where `opaque` tells that its
    content is not known. `ignored` is text after the first word that is no flag: TensorFlow stops
    there without a word. `errors` hold what ends the process, as far as the text alone tells:
    whether a name is known depends on the release and is not judged.
    """

    tokens: tuple[str, ...]
    file: str | None = None
    errors: tuple[FlagError, ...] = ()
    ignored: str = ""
    opaque: bool = False

    def get(self, name: str) -> str | None:
        """Return the effective value of a flag, without quotes: the last wins; ``true`` for a bare flag."""
        for token in reversed(self.tokens):
            found, value = _split(token)
            if found == name:
                return "true" if value is None else value
        return None

    def inlined(self) -> XlaFlags:
        """Return these flags written out in the variable itself, if its file's content is known.

        What XLA does not read in the file, such as a comment at its end, stays there.
        """
        return self if self.opaque or self.file is None else replace(self, file=None, ignored="")

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

        Flags that come from a file are then written out in the variable itself. Where its content
        is not known (`opaque`) nothing changes, since the file's flags would be lost.
        """
        if self.opaque:
            return self
        token = _join(name, value)
        places = {i for i, old in enumerate(self.tokens) if _split(old)[0] == name}
        last = max(places, default=len(self.tokens))
        before = [old for i, old in enumerate(self.tokens[:last]) if i not in places]
        tokens = (*before, token, *self.tokens[last + 1 :])
        return replace(self.inlined(), tokens=tokens, errors=_find_errors(tokens))

    def __str__(self) -> str:
        if self.file is not None:
            return self.file
        return " ".join([*self.tokens, *([self.ignored] if self.ignored else [])])


def parse_xla_flags(text: str | None, read_file: Callable[[str], str | None] | None = None) -> XlaFlags:
    """Parse the value of ``TF_XLA_FLAGS`` or ``XLA_FLAGS``, None where it is unset, as XLA does.

    `read_file` returns the text of a file, None where it cannot be opened; without it, a value that
    names a file is not looked into (`XlaFlags.opaque`). It raises nothing of its own.
    """
    if not text:
        return XlaFlags(())
    if text.lstrip(_SPACE).startswith("-"):
        return _scan(text)
    # Any other text, space alone included, is handed to fopen as it is.
    if read_file is None:
        return XlaFlags((), file=text, opaque=True)
    content = read_file(text)
    if content is None:
        error = FlagError(text, "it does not begin with '--', and no file of that name can be opened")
        return XlaFlags((), file=text, errors=(error,))
    return replace(_scan(content), file=text)


@lru_cache(maxsize=16)
def _scan(text: str) -> XlaFlags:
    tokens: list[str] = []
    rest = text.lstrip(_SPACE)
    while rest.startswith("-") and (found := _TOKEN.match(rest)):
        is_open = found[1] is not None and not (found[3] or found[5])
        # A quote left open is closed.
        value = _unquote(found[0].partition("=")[2]) if is_open else ""
        tokens.append(_join(found[1].removeprefix("--"), value) if is_open else found[0])
        rest = rest[found.end() :].lstrip(_SPACE)
    return XlaFlags(tuple(tokens), errors=_find_errors(tokens), ignored=rest.rstrip(_SPACE))


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


def _find_errors(tokens: Iterable[str]) -> tuple[FlagError, ...]:
    """Return the flags for which TensorFlow ends the process, as far as the text alone tells."""
    errors = []
    for token in tokens:
        name, value = _split(token)
        wanted, is_right = "", value is not None or name not in _STRINGS
        if name == "tf_xla_auto_jit":
            wanted = "a number, fusible or single-gpu(number)"
            is_right = _auto_jit_level(value or "") is not None
        elif name in _INTEGERS:
            wanted, is_right = "a number", _integer(value or "", _INTEGERS[name]) is not None
        elif name in _BOOLEANS:
            wanted, is_right = "true or false", value is None or value.lower() in _TRUE | _FALSE
        if name is None:
            errors.append(FlagError(token, "a flag is written --name=value"))
        elif name == "help" or not _FLAG_NAME.fullmatch(name):
            errors.append(FlagError(token, "there is no flag of this name"))
        elif not is_right and value is None:
            errors.append(FlagError(token, f"it needs a value: {wanted}".removesuffix(": ")))
        elif not is_right:
            errors.append(FlagError(token, f"its value is to be {wanted}"))
    return tuple(errors)


def _integer(text: str, bits: int = 32) -> int | None:
    found = _INTEGER.fullmatch(text)
    number = int(found[1]) if found else 1 << bits
    return number if -(1 << bits - 1) <= number < 1 << bits - 1 else None


def _auto_jit_level(value: str) -> int | None:
    """Return the level of auto-clustering that a value stands for, None for a wrong one."""
    if value.startswith("single-gpu(") and value.endswith(")"):
        return _integer(value[len("single-gpu(") : -1])
    return 1 if value == "fusible" else _integer(value)

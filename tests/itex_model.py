"""What ITEX does with a program: a model for tests, written from what was observed of ITEX.

It is deliberately separate from the rules of autoxla: it says what *happens* under an environment,
the rules say what to do about it. It knows ITEX as it was built from its main branch (``main``)
and the last published wheels (``2.15``), both as built for GPUs. It does not model the order of imports,
broken shared libraries, a Keras 3 that is missing, nor the strict booleans' names of old.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

Generation = Literal["main", "2.15"]
End = Literal["flags", "strict", "fatal", "hook", "guard"]

NPD = "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE"
DISABLE = "ITEX_DISABLE_XLA"
OVERRIDE = "ITEX_OPS_OVERRIDE"
LEGACY = "TF_USE_LEGACY_KERAS"
FLAGS = "TF_XLA_FLAGS"
BACKEND = "KERAS_BACKEND"
STRICT = (
    OVERRIDE,
    "ITEX_REMAPPER",
    "ITEX_LAYOUT_OPT",
    "ITEX_ONEDNN_GRAPH",
    "ITEX_AUTO_MIXED_PRECISION",
    "ITEX_CACHE_ONEDNN_OBJECT",
    "ITEX_OMP_THREADPOOL",
    "ITEX_SHARDING",
    "ITEX_TF_CONSTANT_FOLDING",
)
#: Variables that change what ITEX does, in the order in which the model keeps them.
READ = (NPD, DISABLE, LEGACY, FLAGS, BACKEND, *STRICT)

#: Exit status by the way of dying. Those with status 0 look like success.
STATUS: Mapping[End, int] = {"flags": 1, "strict": -6, "fatal": -6, "hook": 0, "guard": 0}

# A few of the names that TensorFlow accepts in TF_XLA_FLAGS; any other name ends the process.
_KNOWN_FLAGS = frozenset(
    {
        "tf_xla_async_compilation",
        "tf_xla_auto_jit",
        "tf_xla_clustering_debug",
        "tf_xla_cpu_global_jit",
        "tf_xla_max_cluster_size",
        "tf_xla_min_cluster_size",
        "tf_xla_use_device_api",
    }
)
_BLANK = " \t\r\n"
_FLAG = re.compile(
    r"""(-[-\w]*)(?:=(?:"((?:[^"\\]|\\.?)*)"?|'([^']*)'?))|([^ \t\r\n]+)""", re.ASCII | re.DOTALL
)


class MalformedFlagsError(ValueError):
    """TensorFlow would end the process with status 1 over these flags."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a program does. `jit_compile`: the argument of its ``compile``, None for ``"auto"``."""

    keras: Literal[0, 2, 3] = 3
    jit_compile: bool | None = None
    compiles: bool = True
    predicts: bool = True
    overrides_ops: bool = False
    enables_xla: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it runs. `guarded`: ``pkg_resources.packaging`` exists, without which there is no guard."""

    generation: Generation = "main"
    accelerator: bool = True
    guarded: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes of it. `end` None: the program lives; `slow`: XLA is on and serves nobody."""

    end: End | None
    device: Literal["npd", "pd"] = "npd"
    xla: bool = False
    warnings: tuple[str, ...] = ()
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Readings:
    """The environment through the eyes of its readers; ``python_`` where Python differs from C++."""

    npd: bool
    disable: bool
    python_disable: bool
    legacy: bool
    python_legacy: bool
    level: int
    literal_one: bool
    override: bool
    misspelt: tuple[str, ...]
    backend: str


def read_lenient(value: str | None, default: bool) -> bool:
    """Read as ITEX's forgiving C++ reader does: anything but 1 or true, empty too, is false."""
    return default if value is None else value.lower() in ("1", "true")


def read_strict(value: str | None) -> bool | None:
    """Read as ITEX's unforgiving C++ reader does. Raises ValueError where it aborts."""
    if value is None:
        return None
    if value.lower() in ("1", "true"):
        return True
    if value.lower() in ("0", "false"):
        return False
    raise ValueError(value)


def read_python_disable(value: str | None) -> bool:
    """Read ``ITEX_DISABLE_XLA`` as the guard does: whatever it does not know counts as disabled."""
    return value not in (None, "0", "false")


def read_python_legacy(value: str | None) -> bool:
    """Read ``TF_USE_LEGACY_KERAS`` as TensorFlow and ITEX do in Python: three exact spellings."""
    return value in ("1", "true", "True")


def read_literal_one(value: str | None) -> bool:
    """Tell whether the guard believes in auto-clustering: by the text, wherever it stands."""
    return "--tf_xla_auto_jit=1" in (value or "").replace(" ", "")


def read_level(value: str | None) -> int:
    """Return the auto-clustering level that TensorFlow takes, 0 for off.

    Raises MalformedFlagsError where TensorFlow would end the process. A value that does not begin
    with a dash is the name of a file, which ITEX breaks by appending to it: malformed, too.
    """
    level = 0
    if value is None or value == "":
        return level
    if not value.lstrip(_BLANK).startswith("-"):
        raise MalformedFlagsError(value)
    for name, text in _split_flags(value):
        if name not in _KNOWN_FLAGS:
            raise MalformedFlagsError(name)
        if name == "tf_xla_auto_jit":
            level = _read_auto_jit(text)
    return max(level, 0)


def _split_flags(value: str) -> Iterator[tuple[str, str | None]]:
    # TensorFlow stops, without a word, at the first thing that does not begin with a dash.
    rest = value.lstrip(_BLANK)
    while rest.startswith("-"):
        match = _FLAG.match(rest)
        assert match is not None
        dashed, double, single, plain = match.groups()
        if plain is None:
            text = re.sub(r"\\(.)", r"\1", double, flags=re.DOTALL) if double is not None else single
        else:
            dashed, equals, after = plain.partition("=")
            text = after if equals else None
        if not dashed.startswith("--"):
            raise MalformedFlagsError(dashed)
        yield dashed[2:], text
        rest = rest[match.end() :].lstrip(_BLANK)


def _read_auto_jit(text: str | None) -> int:
    if text == "fusible":
        return 1
    match = re.fullmatch(r"single-gpu\(\s*([+-]?\d{1,9})\s*\)|\s*([+-]?\d{1,9})\s*", text or "", re.ASCII)
    if match is None:
        raise MalformedFlagsError(text)
    return int(match[1] or match[2])


def read(environment: Mapping[str, str]) -> Readings:
    """Read all the variables. Raises MalformedFlagsError (see `read_level`)."""
    return _read(tuple(map(environment.get, READ)))


@cache
def _read(values: tuple[str | None, ...]) -> Readings:
    get = dict(zip(READ, values, strict=True)).get
    misspelt = tuple(name for name in STRICT if not _is_strict(get(name)))
    return Readings(
        npd=read_lenient(get(NPD), default=True),
        disable=read_lenient(get(DISABLE), default=False),
        python_disable=read_python_disable(get(DISABLE)),
        legacy=read_lenient(get(LEGACY), default=False),
        python_legacy=read_python_legacy(get(LEGACY)),
        level=read_level(get(FLAGS)),
        literal_one=read_literal_one(get(FLAGS)),
        override=OVERRIDE not in misspelt and bool(read_strict(get(OVERRIDE))),
        misspelt=misspelt,
        backend=get(BACKEND) or "tensorflow",
    )


def _is_strict(value: str | None) -> bool:
    return value is None or value.lower() in ("0", "1", "false", "true")


def run(environment: Mapping[str, str], program: Program, machine: Machine) -> Outcome:
    """Return what comes of `program` under `environment` on `machine`."""
    return _run(tuple(map(environment.get, READ)), program, machine)


@cache
def _run(values: tuple[str | None, ...], program: Program, machine: Machine) -> Outcome:
    try:
        readings = _read(values)
    except MalformedFlagsError:
        return Outcome("flags")
    if readings.misspelt:
        return Outcome("strict")
    if machine.generation == "2.15":
        clustering = readings.level > 0
        return Outcome(None, "npd" if readings.npd or clustering else "pd", clustering)
    return _run_main(readings, program, machine)


def _run_main(readings: Readings, program: Program, machine: Machine) -> Outcome:
    clustering = readings.level > 0
    xla = clustering or not (readings.legacy or readings.disable)
    warnings = []
    if not clustering and not (readings.legacy and readings.disable):
        warnings.append("no-keras")
    if xla:
        warnings.append("performance")
    slow = xla and not clustering and program.keras == 0 and not program.enables_xla
    end = _find_end(readings, program, machine, xla)
    return Outcome(end, "npd" if readings.npd or xla else "pd", xla, tuple(warnings), slow)


def _find_end(readings: Readings, program: Program, machine: Machine, xla: bool) -> End | None:
    if xla and not readings.npd:
        return "fatal"
    if readings.backend != "tensorflow":
        return "hook"
    unguarded = readings.python_legacy or readings.python_disable or readings.literal_one
    calls = program.keras == 3 and (program.compiles or program.predicts)
    if calls and machine.guarded and not unguarded and not is_jit(readings, program, machine):
        return "guard"
    return None


def is_jit(readings: Readings, program: Program, machine: Machine) -> bool:
    """Tell what ``model.jit_compile`` is in the end.

    Keras takes even an explicit True back when a layer does not support it, and the layers that an
    ops override puts in place do not; the program is taken to have one.
    """
    asked = program.jit_compile if program.compiles else None
    if asked is False or readings.override or program.overrides_ops:
        return False
    return bool(asked) or machine.accelerator

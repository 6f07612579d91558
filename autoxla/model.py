"""The words of the project as data: what is known, what is found, what is decided.

All are frozen: a plan that was made does not change, and a situation can be compared, hashed
into a record and rebuilt in a test. Nothing here computes anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["off", "observe", "fix", "auto"]
Level = Literal["error", "warning", "info"]
Grade = Literal["certain", "possible"]
Step = Literal["graph", "xla", "autocluster-1", "autocluster-2"]
EvidenceKind = Literal[
    "import", "attribute", "call", "jit_compile", "variable", "loads", "saves", "meets", "old"
]
Accelerator = Literal["none", "present", "unknown"]

#: A release as a tuple of integers, ``(2, 15, 0, 3)``; suffixes such as ``rc1`` are cut off.
Version = tuple[int, ...]

#: Packages that turn ``TF_USE_LEGACY_KERAS`` on when they are imported, for objects of their own.
SWITCHING = ("deepface", "ktrain", "transformers")
#: Keras' backends; each is the name of its package, too.
BACKENDS = frozenset({"tensorflow", "jax", "torch", "numpy", "openvino"})
MODES: tuple[Mode, ...] = ("off", "observe", "fix", "auto")
STEPS: tuple[Step, ...] = ("graph", "xla", "autocluster-1", "autocluster-2")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is known from: a file with its line, or a word such as ``environment``."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = [self.file, *(str(n) for n in (self.line, self.column) if n is not None)]
        return ":".join(parts)


ENVIRONMENT, CURE = Place("environment"), Place("a cure")

#: How a reason begins why source was not read, and how one ends why the cache is not used: rules tell by it.
OUT_OF_TIME = "reading it takes more than"
NO_ANSWER = "does not answer"
#: How a reason begins why a cure does not hold any more.
OUTDATED = "it was found with"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked of autoxla: from `configure`, the environment and ``pyproject.toml``.

    `keras`: ``"2"`` makes ``tf.keras`` Keras 2; ``"legacy"`` makes ``import keras`` tf_keras, too.
    `packages`: by top-level module, the Keras that a package needs: ``"2"``, ``"3"``, ``"tf_keras"``
    (imports it itself) or ``"either"``; goes before what autoxla knows of it.
    `select`, `ignore`: codes of findings, or their beginnings, that are shown or left out.
    `step`: how the training step is to be executed; None leaves it to Keras and the plan. `import_first`
    is imported in front of keras. `heal`: the launcher heals a program that dies before its first training
    step. `steps_per_execution`: how many steps Keras is to run in one call.
    `trial`: paths may be timed against each other during training; ``"seeded"``: in seeded programs, too.
    `xla_cache`: TensorFlow may keep
    what XLA compiled on disk.
    """

    mode: Mode = "auto"
    keras: Literal["2", "3", "legacy"] | None = None
    step: Step | None = None
    steps_per_execution: str | None = None
    import_first: Literal["tensorflow"] | None = None
    heal: bool = False
    trial: Literal[True, False, "seeded"] = True
    xla_cache: bool = False
    packages: Mapping[str, str] = field(default_factory=dict)
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)

    def shows(self, code: str) -> bool:
        """Return whether findings with ``code`` are to be shown."""
        chosen = not self.select or code.startswith(self.select)
        return chosen and not (self.ignore and code.startswith(self.ignore))


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that the program's source says, with the place where it says so.

    By `kind`, `name` and `value` are:

    ``import``       the dotted module that is imported (``tensorflow.keras.layers``); value None
    ``attribute``    a chain of attributes from a backend's module, aliases resolved
                     (``tensorflow.keras.optimizers.legacy``); value None
    ``call``         the same for what is called (``tensorflow.config.optimizer.set_jit``); value: the
                     first argument where it is a constant string, number or boolean, as text
    ``jit_compile``  ``compile``, ``function`` or ``attribute``; value True, False, the text ``auto`` or
                     ``None``, or None (computed)
    ``variable``     an environment variable that is assigned; value its text, None where computed;
                     `default`: only where it is not there, as by ``os.environ.setdefault``
    ``loads``        the function that reads a file (``load_model``, ``load_weights``); value its path
    ``saves``        the function that writes a model or weights; value the constant path
    ``meets``        an object that comes to one of another package of Keras (``tf_keras.layers.Dense``);
                     value what it comes to (``tensorflow.keras.Sequential``), `origin` where it was made
    ``old``          an attribute of Keras 2 that objects of Keras 3 ignore, or have with another meaning
                     (``lr``); value the package of the object, None where that is unknown

    `grade` is the least along the chain of imports and calls that leads there. `early` tells of a
    ``variable`` that it is assigned before any backend can have been imported, `caught` that the
    program goes on where this is missing (``try: … except ImportError:``).
    """

    kind: EvidenceKind
    name: str
    value: str | bool | None
    grade: Grade
    place: Place
    early: bool = False
    caught: bool = False
    origin: Place | None = None
    default: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a program's source, in the order in which it would execute.

    `complete`: all of the program's own modules were found and read, and none of its imports is
    computed. `known`: there was a program to read at all. `unread` are the files and modules that
    were noted and passed over, each with the reason.
    """

    evidence: tuple[Evidence, ...] = ()
    complete: bool = False
    known: bool = False
    files: tuple[str, ...] = ()
    unread: tuple[tuple[Place, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What the program does, as far as it is known before anything loads.

    `keras`: the generation that it uses, 0 for none, None for unknown or for what ``tf.keras`` is.
    `tf_keras_api`: it goes through ``tf.keras``.
    `jit_compile`: what it passes to ``Model.compile``, None where it passes nothing or it is unknown.
    `ops_override`: it calls ``itex.experimental_ops_override()`` or uses ``itex.ops``.
    `enables_xla`: it enables XLA itself (``tf.function(jit_compile=True)``, ``set_jit``).
    `evidence`: the place of each fact that has one, by the fact's name.
    """

    keras: Literal[0, 2, 3] | None = None
    jit_compile: bool | None = None
    ops_override: bool = False
    enables_xla: bool = False
    tf_keras_api: bool = False
    evidence: Mapping[str, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A pluggable device library of TensorFlow. `version` None: a library without a distribution."""

    kind: Literal["itex", "metal", "other"]
    file: str | None = None
    version: Version | None = None


@dataclass(frozen=True, slots=True)
class Hardware:
    """Accelerators, by signs that cost nothing. `kinds`: of ``cuda``, ``rocm``, ``xpu``, ``metal``."""

    accelerator: Accelerator = "unknown"
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KerasConfig:
    """What ``keras.json`` says: the backend, and its `others` fields. `error`: why it could not be read."""

    file: str
    backend: str | None = None
    error: str | None = None
    others: Mapping[str, object] = field(default_factory=dict)


#: ``folder``: a SavedModel; ``checkpoint``: weights as TensorFlow saves them; the others are models.
SavedKind = Literal["keras", "h5", "folder", "json", "checkpoint"]


@dataclass(frozen=True, slots=True)
class Saved:
    """A model or weights in a file, and what wrote it.

    `release`: of the Keras that did, empty where only its `generation` is known. `parts`: ``Functional``,
    ``Lambda`` and ``hard_sigmoid``, where the model is or has them.
    """

    kind: SavedKind
    generation: Literal[2, 3]
    release: str = ""
    parts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FlagNames:
    """The names of the flags in ``XLA_FLAGS`` or ``TF_XLA_FLAGS``, against the installed TensorFlow.

    `unknown` are those that it does not have there, each with the name that may be meant, empty for none;
    `unchecked` are those of which nothing could be found out.
    """

    known: tuple[str, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)
    unchecked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tuned:
    """What ``python -m autoxla tune`` found for this program on this machine.

    `path` is the name of the fastest path, `step` and `settings` (variables with their values) are what
    makes it, `speedup` how many times faster than the default it was: 1.0 where that is the fastest.
    `date` is in ISO 8601.
    """

    path: str
    step: Step | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    speedup: float = 1.0
    date: str = ""


@dataclass(frozen=True, slots=True)
class Cure:
    """Variables under which a program lives that dies without them; None stands for unset.

    They are such as a user sets in front of ``python -m autoxla``: ``AUTOXLA_KERAS=legacy``. `mark` is one
    line on what the program died of. `origin` tells whether ``heal`` found it by running the program, or a
    run that died learned it. `code` is that of the known error, if it was one. `program` is the program's
    name, and `replaced` is what the variables hold without the cure: both are filled in when it is recalled.
    """

    variables: Mapping[str, str | None]
    mark: str
    origin: Literal["heal", "learned"]
    code: str = ""
    program: str = ""
    replaced: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Situation:
    """All that is known before the backends initialise.

    `environment` holds the watched variables that are set. `own` names those whose value autoxla set itself;
    all others are the user's explicit choice, also where autoxla put their spelling right. `flag_names`
    holds, by variable, what the installed TensorFlow makes of the flags in it.

    `versions` maps distributions to releases. `backends` are the Keras backends whose package is installed.
    `libdevice` is a folder outside XLA's own list that has this file of CUDA's, None where there is none,
    empty where XLA finds it or needs none. `gpu_lacks` is what keeps TensorFlow from using an NVIDIA GPU:
    ``CUDA`` for a build without, or the name of a library that it does not find; empty for nothing known.

    `requiring_keras_2` are the modules that the program imports and whose distribution requires tf-keras, of
    which nothing else is known. `saved` holds, by the constant name in its source, what wrote the files that
    the program loads.

    `imported` are the watched modules that are loaded already, and packages that set the switch; `importing`
    is the one whose import started this. `devices_ready` tells that TensorFlow enumerated its devices, after
    which it no longer reads ``TF_XLA_FLAGS``. `keras_backend` is the backend of a Keras that is imported
    already. `read_values` are the values that variables had when that was imported which reads them once.
    `restart` is what has to be restarted where the program runs cell by cell, None for all others.

    `cache_refused` is the reason why nothing is read from autoxla's cache folder, if so. `xla_cache` is the
    folder made for this process in which TensorFlow may keep what XLA compiles. `tuned` is what tuning this
    program found, None where it was not tuned. `cure` is what is kept for the program, and part of
    `environment` and `settings`; where `uncured` gives a reason it is not used.
    """

    settings: Settings = field(default_factory=Settings)
    environment: Mapping[str, str] = field(default_factory=dict)
    own: frozenset[str] = frozenset()
    versions: Mapping[str, Version] = field(default_factory=dict)
    plugins: tuple[Plugin, ...] = ()
    hardware: Hardware = Hardware()
    libdevice: str | None = ""
    gpu_lacks: str = ""
    keras_config: KerasConfig | None = None
    backends: frozenset[str] = frozenset({"tensorflow"})
    usage: Usage = field(default_factory=Usage)
    reading: Reading = field(default_factory=Reading)
    imported: frozenset[str] = frozenset()
    importing: str | None = None
    devices_ready: bool = False
    keras_backend: str | None = None
    read_values: Mapping[str, str | None] = field(default_factory=dict)
    requiring_keras_2: frozenset[str] = frozenset()
    saved: Mapping[str, Saved] = field(default_factory=dict)
    flag_names: Mapping[str, FlagNames] = field(default_factory=dict)
    cache_refused: str | None = None
    xla_cache: str | None = None
    restart: Literal["the kernel", "IPython"] | None = None
    tuned: Tuned | None = None
    cure: Cure | None = None
    uncured: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable to set, or to take out of the environment when `value` is None."""

    variable: str
    value: str | None
    previous: str | None
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that applied.

    `applied` tells whether its remedy is part of the plan. `late` are the variables that it says are set
    too late. `certain_with` names the module by whose import something that is only possible becomes
    certain. `checked_again`: it is looked for again while the program runs. `bad_input`: the user gave a
    value that cannot be read. `stops_keras`: ``import keras`` raises an error.
    """

    code: str
    level: Level
    message: str
    remedy: str
    place: Place = ENVIRONMENT
    grade: Grade = "certain"
    applied: bool = False
    late: tuple[str, ...] = ()
    certain_with: str | None = None
    checked_again: bool = False
    bad_input: bool = False
    stops_keras: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """An execution path. None where it is not decided before the program runs.

    `device`: ``npd`` or ``stream-executor`` under ITEX, ``metal``, ``stock`` without a plug-in.
    """

    keras: Literal[0, 2, 3] | None = None
    step: Step | None = None
    device: str = "stock"
    backend: str = "tensorflow"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is decided.

    `jit_compile`: what ``Model.compile`` is to use where the program gives nothing explicit; None
    leaves it to Keras. `jit_because` says why. `steps_per_execution` is the same for the parameter of that
    name. `import_first` are modules to import before keras.
    `alias` maps a top-level package to the one that answers for it. `guard` tells that ITEX ends
    the process in ``compile`` or ``predict`` when ``jit_compile`` is off and XLA is not disabled.
    `no_xla_because` is the reason why nothing may be compiled by XLA in this process, which that would end;
    empty where XLA may be used.
    """

    settings: tuple[Setting, ...] = ()
    findings: tuple[Finding, ...] = ()
    path: Path = Path()
    jit_compile: bool | None = None
    jit_because: tuple[str, ...] = ()
    steps_per_execution: int | None = None
    import_first: tuple[str, ...] = ()
    alias: Mapping[str, str] = field(default_factory=dict)
    guard: bool = False
    no_xla_because: str = ""

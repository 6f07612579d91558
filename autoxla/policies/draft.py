"""The draft of a plan, which rules read and change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autoxla.model import (
    ENVIRONMENT,
    Evidence,
    EvidenceKind,
    Finding,
    Place,
    Plugin,
    Setting,
    Situation,
)
from autoxla.policies.usage import Demand, find_demands, first, is_below
from autoxla.situation.env_parsing import XlaFlags, itex_lenient, parse_xla_flags, tensorflow_bool

FLAGS = "TF_XLA_FLAGS"
XLA_FLAGS = "XLA_FLAGS"
SWITCH = "TF_USE_LEGACY_KERAS"
AUTO_JIT = "tf_xla_auto_jit"
NPD = "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE"
KERAS_3 = (3,)
SWITCHABLE = (2, 16)  # the first TensorFlow whose tf.keras is Keras 3 unless the switch is on


@dataclass(slots=True)
class Draft:
    """A plan in the making: the situation, and the environment as the plan would leave it.

    `code` is that of the rule that is being applied; it is the reason for what is set meanwhile. `found` is
    what the rule's condition returned.
    """

    situation: Situation
    code: str = ""
    found: Any = None
    environment: dict[str, str] = field(init=False)
    because: dict[str, list[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    too_late: list[str] = field(default_factory=list)
    jit_compile: bool | None = None
    jit_because: list[str] = field(default_factory=list)
    steps_per_execution: int | None = None
    import_first: tuple[str, ...] = ()
    alias: dict[str, str] = field(default_factory=dict)
    itex: Plugin | None = field(init=False)
    demands: tuple[Demand, ...] = field(init=False)
    no_xla_because: str = ""

    def __post_init__(self) -> None:
        situation = self.situation
        self.environment = dict(situation.environment)
        self.itex = next((p for p in situation.plugins if p.kind == "itex"), None)
        self.demands = find_demands(
            situation.reading, situation.versions, situation.settings.packages, situation.requiring_keras_2
        )

    # --- What is known

    @property
    def itex_main(self) -> bool:
        """ITEX with the Keras 3 state machine: every release after 2.15, and a library without one."""
        return self.itex is not None and (self.itex.version is None or self.itex.version[:2] > (2, 15))

    @property
    def itex_device(self) -> bool:
        """ITEX brings a device of its own, with XLA: all its builds do but the one for CPUs."""
        file = "" if self.itex is None else self.itex.file or ""
        return self.itex is not None and not file.rpartition("/")[2].startswith("libitex_cpu")

    @property
    def tensorflow_loaded(self) -> bool:
        """TensorFlow, and with it every plug-in, was imported already."""
        return "tensorflow" in self.situation.imported

    @property
    def flags(self) -> XlaFlags:
        """``TF_XLA_FLAGS`` as the plan would leave it."""
        return self.parse(FLAGS)

    @property
    def npd(self) -> bool:
        """ITEX uses the next pluggable device, its default."""
        return itex_lenient(self.environment.get(NPD), default=True)

    @property
    def legacy(self) -> bool:
        """``tf.keras`` will be tf_keras, by TensorFlow's reading of the switch."""
        return tensorflow_bool(self.environment.get(SWITCH))

    @property
    def switchable(self) -> bool:
        """``TF_USE_LEGACY_KERAS`` decides which generation ``tf.keras`` is."""
        # TensorFlow 2.15 asks for Keras 2, but serves as tf.keras what is installed as keras.
        over_2_15 = self.has("tensorflow", (2, 15)) and self.has("keras", KERAS_3)
        return over_2_15 or self.has("tensorflow", SWITCHABLE)

    @property
    def keras(self) -> int | None:
        """The generation that the program uses, 0 for none; for ``tf.keras`` by the switch."""
        usage = self.situation.usage
        if usage.keras is not None or not usage.tf_keras_api:
            return usage.keras
        return 2 if self.legacy or not self.switchable else 3

    @property
    def jit(self) -> bool | None:
        """What ``compile`` will use if it is known: the program's explicit value, else the plan's."""
        explicit = self.situation.usage.jit_compile
        return self.jit_compile if explicit is None else explicit

    @property
    def backend(self) -> str:
        """The Keras backend: the variable's unless empty, else keras.json's, else Keras' default."""
        config = self.situation.keras_config
        named = config.backend if config is not None else None
        return self.environment.get("KERAS_BACKEND") or named or "tensorflow"

    def parse(self, variable: str) -> XlaFlags:
        """Return the flags in ``variable``."""
        return parse_xla_flags(self.environment.get(variable))

    def has(self, distribution: str, at_least: tuple[int, ...] = ()) -> bool:
        """Return whether ``distribution`` is installed, in release ``at_least`` or later."""
        version = self.situation.versions.get(distribution)
        return version is not None and version >= at_least

    def is_explicit(self, variable: str) -> bool:
        """Return whether the user set ``variable``."""
        return variable in self.situation.environment and variable not in self.situation.own

    def demand(self, generation: int, *, certain: bool = True) -> Demand | None:
        """Return the first certain (or only possible) demand for a generation of Keras."""
        return first(self.demands, generation, certain=certain)

    def says(
        self, kind: EvidenceKind, *names: str, certain: bool = True, caught: bool = True
    ) -> Evidence | None:
        """Return the first thing the program says of ``names`` or what is below them.

        ``certain``: only a certain one; ``caught`` False: one that the program cannot do without.
        """
        for evidence in self.situation.reading.evidence:
            is_meant = evidence.kind == kind and is_below(evidence.name, *names)
            if is_meant and (evidence.grade == "certain" or not certain) and (caught or not evidence.caught):
                return evidence
        return None

    def late_variables(self, *names: str) -> list[Evidence]:
        """Return the constant assignments behind the first backend import to variables that begin so."""
        late = (e for e in self.situation.reading.evidence if e.kind == "variable" and not e.early)
        certain = (e for e in late if e.grade == "certain" and isinstance(e.value, str))
        return [e for e in certain if e.name.startswith(names)]

    # --- What is said

    def value(self, variable: str) -> str:
        """Return the value of ``variable`` as messages show it, ``unset`` where there is none."""
        return repr(self.environment[variable]) if variable in self.environment else "unset"

    def place_of(self, fact: object) -> Place:
        """Return where ``fact`` is known from: the program, a settings file, else the environment.

        It is the name of a variable or of a fact, a place, or something that has one.
        """
        if isinstance(fact, Place):
            return fact
        if not isinstance(fact, str):
            place = getattr(fact, "place", None)
            return place if isinstance(place, Place) else ENVIRONMENT
        if fact.isupper():
            assigned = self.says("variable", fact)
            return assigned.place if assigned is not None and assigned.early else ENVIRONMENT
        if fact == "cure" and self.situation.cure is not None:
            return Place(self.situation.cure.program)
        if fact == "keras.json" and self.situation.keras_config is not None:
            return Place(self.situation.keras_config.file)
        usage = self.situation.usage.evidence.get(fact)
        return usage or self.situation.settings.places.get(fact, ENVIRONMENT)

    # --- What is decided

    def give_way(self, cures: Mapping[str, str | None], *, fatal: bool) -> bool:
        """Set the first variable of ``cures`` that costs the user nothing, else, if fatal, the first."""
        free = [name for name in cures if not self.is_explicit(name)]
        chosen = next(iter(free or (cures if fatal else ())), None)
        return chosen is not None and self.set(chosen, cures[chosen])

    def set(self, variable: str, value: str | None) -> bool:
        """Plan ``variable`` to be ``value`` (None: unset); return False when that comes too late."""
        if variable == FLAGS:
            at_import = self.tensorflow_loaded and bool(self.situation.plugins)
            is_too_late = at_import or self.situation.devices_ready
        elif variable == "KERAS_BACKEND":
            is_too_late = "keras" in self.situation.imported
        else:
            is_too_late = self.tensorflow_loaded and variable != XLA_FLAGS
        if is_too_late:
            self.too_late.append(variable)
            return False
        if value is None:
            self.environment.pop(variable, None)
        else:
            self.environment[variable] = value
        self.because.setdefault(variable, []).append(self.code)
        return True

    def choose_jit(self, jit_compile: bool) -> bool:
        """Plan what ``Model.compile`` uses where the program gives nothing explicit."""
        self.jit_compile = jit_compile
        self.jit_because.append(self.code)
        return True

    def choose_steps(self, steps_per_execution: int) -> bool:
        """Plan how many steps one call runs where the program gives no number."""
        self.steps_per_execution = steps_per_execution
        return True

    def import_tensorflow_first(self) -> bool:
        """Plan that tensorflow is imported before keras."""
        self.import_first = ("tensorflow",)
        return True

    def settings(self) -> tuple[Setting, ...]:
        """Return the changes that remain, with the values from before."""
        before: dict[str, str | None] = {**self.situation.environment}
        if self.situation.cure is not None:
            before |= self.situation.cure.replaced
        return tuple(
            Setting(name, self.environment.get(name), before.get(name), tuple(codes))
            for name, codes in self.because.items()
            if self.environment.get(name) != before.get(name)
        )

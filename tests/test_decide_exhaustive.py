"""The ITEX rules against a separate model of ITEX, over every class of every input at once.

The product runs once; each test asserts one fact about it. A failing fact is shown by its smallest
example, the one with the fewest variables set, and by how many situations share it.

Not shown here: the order of imports, what a rule says in words, and malformed ``TF_XLA_FLAGS``,
which no plan repairs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import itex_model as itex
from autoxla.model import Finding, Hardware, Mode, Plan, Plugin, Setting, Settings, Situation, Usage
from autoxla.policies import decide
from autoxla.situation.env_parsing import intended
from itex_model import BACKEND, DISABLE, FLAGS, LEGACY, NPD, OVERRIDE, Machine, Outcome, Program

LEVEL_1, LEVEL_2 = "--tf_xla_auto_jit=1", "--tf_xla_auto_jit=2"

#: The rules that cure a death; and all that this file says something about.
DEADLY = frozenset(["AX201", "AX204", "AX205", "AX206", "AX207", "AX212", "AX213"])
FAMILY = DEADLY | {"AX202", "AX203", "AX208", "AX220"}
#: Rules of the main branch's state machine, which the published wheels do not have.
MAIN_ONLY = FAMILY - {"AX203", "AX208", "AX213"}

#: The order in which explicit values give way, after what autoxla set itself.
YIELDING = (DISABLE, NPD, OVERRIDE, FLAGS)
CHOICES: Mapping[str, tuple[str | None, ...]] = {
    DISABLE: (None, "0", "1"),
    NPD: (None, "0", "1"),
    OVERRIDE: (None, "0", "1"),
    FLAGS: (None, LEVEL_1, LEVEL_2),
}

VERSIONS = {"tensorflow": (2, 21, 0), "keras": (3, 15, 1), "tf-keras": (2, 21, 0)}
PLUGINS = {
    "main": (Plugin("itex", "libitex_gpu.so"),),
    "2.15": (Plugin("itex", "libitex_gpu.so", (2, 15, 0, 3)),),
}
HARDWARE = {True: Hardware("present", frozenset({"xpu"})), False: Hardware("none")}


@dataclass(frozen=True, slots=True)
class Case:
    """One situation twice: as `decide` is told of it and as the model is."""

    situation: Situation
    program: Program
    machine: Machine


def make_case(
    environment: Mapping[str, str],
    program: Program,
    machine: Machine,
    own: Iterable[str] = (),
    mode: Mode = "auto",
) -> Case:
    """Return the case of `program` in `environment`, where autoxla itself had set the `own`."""
    situation = Situation(
        settings=_settings(mode),
        environment=environment,
        own=frozenset(own),
        versions=VERSIONS,
        plugins=PLUGINS[machine.generation],
        hardware=HARDWARE[machine.accelerator],
        backends=frozenset({"tensorflow", "jax"}),
        usage=_usage(program),
    )
    return Case(situation, program, machine)


@cache
def _settings(mode: Mode) -> Settings:
    return Settings(mode=mode)


@cache
def _usage(program: Program) -> Usage:
    return Usage(program.keras, program.jit_compile, program.overrides_ops, program.enables_xla)


# --- the product -------------------------------------------------------------------------------

Value = tuple[str | None, bool]  # a value and whether it is autoxla's own

GENERATIONS: tuple[Literal[0, 2, 3], ...] = (0, 2, 3)
PROGRAMS = tuple(
    Program(keras, jit_compile, overrides_ops=called)
    for keras, jit_compile, called in itertools.product(GENERATIONS, (None, False, True), (False, True))
)
MACHINES = tuple(
    Machine(generation, accelerator) for generation in ("main", "2.15") for accelerator in (True, False)
)
SWITCH: tuple[Value, ...] = ((None, False), ("0", False), ("1", False), ("0", True), ("1", True))
STATES: Mapping[str, tuple[Value, ...]] = {
    OVERRIDE: (*SWITCH, ("yes", False)),
    FLAGS: ((None, False), (LEVEL_1, False), (LEVEL_2, False), (LEVEL_1, True), (LEVEL_2, True)),
    NPD: SWITCH,
    LEGACY: SWITCH,
    DISABLE: SWITCH,
}


def list_environments(backend: str | None, *, mixed: bool) -> Iterator[tuple[dict[str, str], frozenset[str]]]:
    """Yield environments with what is own in them: any subset when `mixed`, else all or nothing."""
    for values in itertools.product(*STATES.values()):
        owned = {own for value, own in values if value is not None}
        if len(owned) > 1 and not mixed:
            continue
        named = dict(zip(STATES, values, strict=True))
        environment = {name: value for name, (value, _) in named.items() if value is not None}
        if backend is not None:
            environment[BACKEND] = backend
        yield environment, frozenset(name for name, (_, own) in named.items() if own)


def list_cases() -> Iterator[Case]:
    """Yield the whole product. Mixtures of own and explicit only where ITEX can die of them."""
    for backend, machine in itertools.product((None, "jax"), MACHINES):
        mixed = backend is None and machine.generation == "main"
        for environment, own in list_environments(backend, mixed=mixed):
            for program in PROGRAMS:
                if not (program.overrides_ops and OVERRIDE in environment):
                    yield make_case(environment, program, machine, own)


# --- what the plan makes of a case -------------------------------------------------------------


def apply_settings(environment: Mapping[str, str], changes: Iterable[Setting]) -> dict[str, str]:
    """Return the environment after the settings."""
    result = dict(environment)
    for change in changes:
        if change.value is None:
            result.pop(change.variable, None)
        else:
            result[change.variable] = change.value
    return result


def complete(program: Program, plan: Plan) -> Program:
    """Return the program with the plan's ``jit_compile`` in place of one that was not given."""
    if program.jit_compile is not None or plan.jit_compile is None:
        return program
    return _complete(program, plan.jit_compile)


@cache
def _complete(program: Program, jit_compile: bool) -> Program:
    return replace(program, jit_compile=jit_compile)


def dies(environment: Mapping[str, str], program: Program, machine: Machine) -> bool:
    """Tell whether the process aborts or quits."""
    return itex.run(environment, program, machine).end is not None


def can_live(case: Case, plan: Plan, variable: str) -> bool:
    """Tell whether what gives way before `variable` suffices to keep the process alive.

    Those are autoxla's own values and the variables that come earlier in `YIELDING`; everything
    else stays as the user has it. The Keras generation is not for sale: it is another program.
    """
    situation = case.situation
    own = tuple(name for name in YIELDING if name in situation.own)
    earlier = YIELDING[: YIELDING.index(variable)]
    free = tuple(name for name in YIELDING if name != variable and (name in own or name in earlier))
    kept = tuple(sorted((n, v) for n, v in situation.environment.items() if n not in free))
    return _can_live(kept, free, complete(case.program, plan), case.machine)


@cache
def _can_live(
    kept: tuple[tuple[str, str], ...], free: tuple[str, ...], program: Program, machine: Machine
) -> bool:
    for values in itertools.product(*(CHOICES[name] for name in free)):
        chosen = {name: value for name, value in zip(free, values, strict=True) if value is not None}
        if not dies({**dict(kept), **chosen}, program, machine):
            return True
    return False


# --- which findings a case must and may have ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expectation:
    """`required`: codes with whether they are applied; `one_of`: one at least; `allowed`: no others."""

    required: Mapping[str, bool]
    one_of: frozenset[str]
    allowed: frozenset[str]


def expect(case: Case, after: Mapping[str, str]) -> Expectation:
    """Return what the guide's rows and ITEX's other deaths ask for in this case, under ITEX main.

    A misspelt strict boolean kills before anything else could; what else is wrong is judged as if
    it had the value that the plan gave it.
    """
    environment = dict(case.situation.environment)
    misspelt = itex.read(environment).misspelt
    for name in misspelt:
        environment.pop(name)
        if name in after:
            environment[name] = after[name]
    required, one_of = expect_rows(environment, case, after)
    if misspelt:
        required["AX213"] = True
    allowed = match_columns(environment, case, after)
    if misspelt:
        # Which row asked for that value may be told as well, though the value leaves no trace of it.
        allowed |= {"AX213"} | match_columns({**environment, OVERRIDE: "1"}, case, after)
    return Expectation(required, frozenset(one_of), frozenset(allowed))


def expect_rows(
    environment: Mapping[str, str], case: Case, after: Mapping[str, str]
) -> tuple[dict[str, bool], set[str]]:
    """Return the codes that must be found, with whether they are applied, and alternatives."""
    readings, program, own = itex.read(environment), case.program, case.situation.own
    outcome = itex.run(environment, program, case.machine)
    required: dict[str, bool] = {}
    one_of: set[str] = set()
    if outcome.end == "fatal":
        required[_name_fatal(readings.level, program)] = True
    elif outcome.end == "guard" and not program.jit_compile:
        one_of = _name_guard(readings, program)
    if outcome.slow and outcome.device == "npd" and outcome.end is None:
        required["AX202"] = DISABLE not in environment or DISABLE in own
    if program.keras == 2 and program.jit_compile:
        required["AX203"] = False
    if _is_row_8(readings, program, readings.npd or itex.read(after).npd) and (
        readings.npd or itex.read(after).level
    ):
        required["AX208"] = _can_cure_row_8(own, program)
        # Level 1 with the text that the guard looks for ends the quit as well.
        one_of |= {"AX208"} if one_of and FLAGS in own else set()
    if program.keras == 3 and program.jit_compile is None and itex.read(after).level:
        required["AX220"] = True
    return required, one_of


def _name_fatal(level: int, program: Program) -> str:
    if level == 0:
        return "AX204" if program.keras else "AX201"
    return "AX206" if level == 1 else "AX207"


def _name_guard(readings: itex.Readings, program: Program) -> set[str]:
    if program.jit_compile is False:
        return {"AX212"} if readings.level else {"AX205"}
    return {"AX205", "AX212"}


def _is_row_8(readings: itex.Readings, program: Program, npd: bool) -> bool:
    return (readings.override or program.overrides_ops) and readings.level == 2 and npd


def _can_cure_row_8(own: frozenset[str], program: Program) -> bool:
    return FLAGS in own or (OVERRIDE in own and not program.overrides_ops)


def match_columns(environment: Mapping[str, str], case: Case, after: Mapping[str, str]) -> set[str]:
    """Return the codes whose columns match, before the plan or in the midst of its cures."""
    readings, program = itex.read(environment), case.program
    keras, jit = program.keras, program.jit_compile
    off = 0 in (readings.level, itex.read(after).level)
    override = readings.override or program.overrides_ops
    default_xla = off and not readings.legacy and not readings.disable
    alone = jit is None and not case.machine.accelerator
    guarded = keras == 3 and not readings.python_legacy and not readings.python_disable
    matches = {
        "AX201": default_xla and keras == 0 and not readings.npd,
        "AX202": default_xla and keras == 0 and not program.enables_xla,
        "AX203": keras == 2 and jit is True,
        "AX204": default_xla and keras != 0 and not readings.npd,
        "AX205": guarded and ((off and jit is False) or (jit is not False and (override or alone))),
        "AX206": readings.level == 1 and not readings.npd,
        "AX207": readings.level == 2 and not readings.npd,
        "AX208": readings.level == 2 and override,
        "AX212": guarded and readings.level == 2 and (jit is not True or override),
        "AX220": keras == 3 and jit is None,
    }
    return {code for code, holds in matches.items() if holds}


# --- the run over the product ------------------------------------------------------------------


@dataclass(slots=True)
class Ledger:
    """What the run over the product saw: violations by fact, and codes that fired and rested."""

    cases: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    smallest: dict[str, tuple[int, str]] = field(default_factory=dict)
    fired: set[str] = field(default_factory=set)
    rested: set[str] = field(default_factory=set)

    def note(self, fact: str, case: Case, plan: Plan, detail: str = "") -> None:
        """Count a violation of `fact` and keep the smallest example."""
        self.counts[fact] = self.counts.get(fact, 0) + 1
        size = measure(case)
        if fact not in self.smallest or size < self.smallest[fact][0]:
            self.smallest[fact] = size, describe(case, plan, detail)

    def show(self, fact: str) -> str:
        """Return the smallest example of a violation of `fact`, empty where there is none."""
        if fact not in self.smallest:
            return ""
        return f"{self.counts[fact]} of {self.cases}, for example {self.smallest[fact][1]}"


def measure(case: Case) -> int:
    """Return how far a case is from the plainest one."""
    program, situation = case.program, case.situation
    unusual = (
        program.overrides_ops,
        program.jit_compile is not None,
        not case.machine.accelerator,
        case.machine.generation == "2.15",
    )
    return 2 * len(situation.environment) + len(situation.own) + sum(unusual)


def describe(case: Case, plan: Plan, detail: str) -> str:
    """Return a case and its plan on a few lines."""
    situation = case.situation
    changes = [f"{s.variable}: {s.previous!r} -> {s.value!r} {s.because}" for s in plan.settings]
    found = [f"{f.code}{'+' if f.applied else ''}" for f in plan.findings]
    lines = (
        f"{dict(situation.environment)} own={sorted(situation.own)}",
        f"{case.program}",
        f"{case.machine}",
        f"settings={changes}",
        f"findings={found} jit_compile={plan.jit_compile} {plan.jit_because}",
        detail,
    )
    return "\n  ".join(lines)


#: The facts that the run checks, in words.
FACTS = {
    "survival": "with the plan applied the process neither aborts nor quits",
    "guard": "the hooks are called out exactly where a jit_compile switched off late would quit",
    "missing": "every row and every death that is real is reported",
    "spurious": "no row is reported whose columns do not match",
    "applied": "rows are cured or only reported as the guide's kind of row asks",
    "effective": "an applied remedy leaves nothing of what it is a remedy for",
    "autoclustering": "auto-clustering with Keras 3 has jit_compile off where the program says nothing",
    "jit_compile": "jit_compile is never switched on, and off only where XLA does not need it",
    "fixpoint": "deciding again changes nothing",
    "respect": "an explicit value changes only where the process would die otherwise",
    "order": "an explicit value gives way only when nothing before it in the order suffices",
    "settings": "a setting changes something, tells the truth about before, and has a finding as reason",
    "foreign backend": "a Keras backend other than TensorFlow under ITEX main is an error, and stays",
    "wheels": "the published wheels get no cure for what they do not suffer from",
}


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    result = Ledger()
    for case in list_cases():
        result.cases += 1
        audit(case, decide(case.situation), result)
    return result


def audit(case: Case, plan: Plan, ledger: Ledger) -> None:
    """Check all facts of one case."""
    codes = {finding.code for finding in plan.findings}
    ledger.fired |= codes
    ledger.rested |= FAMILY - codes
    after = apply_settings(case.situation.environment, plan.settings)
    if plan.settings:
        audit_settings(case, plan, codes, ledger)
        audit_fixpoint(case, plan, after, ledger)
    if case.machine.generation == "2.15":
        audit_wheels(case, plan, codes, after, ledger)
    elif BACKEND in case.situation.environment:
        audit_foreign_backend(case, plan, ledger)
    else:
        audit_main(case, plan, after, ledger)


def audit_main(case: Case, plan: Plan, after: Mapping[str, str], ledger: Ledger) -> None:
    """Check what holds under ITEX main with TensorFlow as the Keras backend."""
    outcome = itex.run(after, complete(case.program, plan), case.machine)
    # Whether an explicit True is taken back hangs on the model's layers, which nobody knows before
    # it is compiled: that one is left to the hooks, which `Plan.guard` calls out.
    if outcome.end is not None and not (outcome.end == "guard" and case.program.jit_compile):
        ledger.note("survival", case, plan, f"ends by {outcome.end}")
    if case.program.keras == 3 and plan.guard != dies(after, _complete(case.program, False), case.machine):
        ledger.note("guard", case, plan, f"guard={plan.guard}")
    audit_rows(case, plan, after, ledger)
    audit_effects(case, plan, after, outcome, ledger)
    if plan.settings:
        audit_respect(case, plan, after, ledger)


def audit_rows(case: Case, plan: Plan, after: Mapping[str, str], ledger: Ledger) -> None:
    """Check the findings against `expect`."""
    found = {finding.code: finding.applied for finding in plan.findings if finding.code in FAMILY}
    wanted = expect(case, after)
    missing = wanted.required.keys() - found.keys()
    if missing or (wanted.one_of and not wanted.one_of & found.keys()):
        ledger.note("missing", case, plan, f"wants {sorted(missing)}, one of {sorted(wanted.one_of)}")
    if spurious := found.keys() - wanted.allowed:
        ledger.note("spurious", case, plan, str(sorted(spurious)))
    due = dict.fromkeys(DEADLY & found.keys(), True)
    due |= {code: wanted.required[code] for code in found if code in wanted.required}
    if OVERRIDE in _list_misspelt(case.situation):
        due.pop("AX208", None)  # the value is replaced anyway: by which one is settled by the fixpoint
    if wrong := sorted(code for code in due if found[code] != due[code]):
        ledger.note("applied", case, plan, str(wrong))


def audit_effects(case: Case, plan: Plan, after: Mapping[str, str], outcome: Outcome, ledger: Ledger) -> None:
    """Check that cured rows are gone, and what auto-clustering asks of ``jit_compile``."""
    applied = {finding.code for finding in plan.findings if finding.applied}
    readings = itex.read(after)
    if "AX202" in applied and outcome.slow:
        ledger.note("effective", case, plan, "XLA is still on")
    if "AX208" in applied and _is_row_8(readings, case.program, readings.npd):
        ledger.note("effective", case, plan, "the override still meets level 2")
    silent = case.program.keras == 3 and case.program.jit_compile is None
    if silent and readings.level and not (plan.jit_compile is False and "AX220" in plan.jit_because):
        ledger.note("autoclustering", case, plan)
    if plan.jit_compile or (plan.jit_compile is False and outcome.xla and not readings.level):
        ledger.note("jit_compile", case, plan)


def audit_respect(case: Case, plan: Plan, after: Mapping[str, str], ledger: Ledger) -> None:
    """Check that explicit values gave way only where they had to, and in the order."""
    situation, program = case.situation, complete(case.program, plan)
    for change in plan.settings:
        name = change.variable
        if name not in situation.environment or name in situation.own:
            continue
        if not dies({**after, name: situation.environment[name]}, program, case.machine):
            ledger.note("respect", case, plan, f"{name} need not change")
        elif name in YIELDING and name not in _list_misspelt(situation) and can_live(case, plan, name):
            ledger.note("order", case, plan, f"{name} gave way too early")


def _list_misspelt(situation: Situation) -> tuple[str, ...]:
    return itex.read(situation.environment).misspelt


def audit_settings(case: Case, plan: Plan, codes: set[str], ledger: Ledger) -> None:
    """Check that settings are real changes with a reason that is told."""
    for change in plan.settings:
        previous = case.situation.environment.get(change.variable)
        if change.previous != previous or change.value == previous:
            ledger.note("settings", case, plan, f"{change.variable} was {previous!r}")
        if not change.because or not codes.issuperset(change.because):
            ledger.note("settings", case, plan, f"{change.variable} lacks a reason")


def is_respelt(change: Setting) -> bool:
    """Return whether a change says what the value before it meant."""
    old, new = change.previous, change.value
    return old is not None and new is not None and intended(old) is intended(new) is not None


def audit_fixpoint(case: Case, plan: Plan, after: Mapping[str, str], ledger: Ledger) -> None:
    """Check that the plan's result needs no further plan."""
    again = decide(settle(case, plan, after))
    if again.settings:
        ledger.note("fixpoint", case, plan, f"then {again.settings}")


def settle(case: Case, plan: Plan, after: Mapping[str, str]) -> Situation:
    """Return the situation that the plan leads to: what it changed is autoxla's own now.

    Where it only put a spelling right, the choice is still the user's.
    """
    own = case.situation.own | {change.variable for change in plan.settings if not is_respelt(change)}
    return make_case(after, case.program, case.machine, own).situation


def audit_wheels(case: Case, plan: Plan, codes: set[str], after: Mapping[str, str], ledger: Ledger) -> None:
    """Check what holds for the published wheels: they die of misspelt booleans only."""
    misspelt = bool(_list_misspelt(case.situation))
    if codes & MAIN_ONLY or ("AX213" in codes) != misspelt:
        ledger.note("wheels", case, plan)
    if dies(after, case.program, case.machine):
        ledger.note("survival", case, plan)
    audit_respect(case, plan, after, ledger)


def audit_foreign_backend(case: Case, plan: Plan, ledger: Ledger) -> None:
    """Check what holds where ITEX main cannot live: the user is told, and nothing is forced."""
    told = any(finding.code == "AX405" and finding.level == "error" for finding in plan.findings)
    if not told or any(change.variable == BACKEND for change in plan.settings):
        ledger.note("foreign backend", case, plan)


@pytest.mark.parametrize("fact", FACTS)
def test_fact_holds_over_the_product(ledger: Ledger, fact: str) -> None:
    assert ledger.show(fact) == "", FACTS[fact]


@pytest.mark.parametrize("code", sorted(FAMILY | {"AX405"}))
def test_rule_fires_somewhere(ledger: Ledger, code: str) -> None:
    assert code in ledger.fired


@pytest.mark.parametrize("code", sorted(FAMILY))
def test_rule_rests_somewhere(ledger: Ledger, code: str) -> None:
    assert code in ledger.rested


def test_product_has_the_size_that_it_claims(ledger: Ledger) -> None:
    assert 90_000 < ledger.cases < 150_000


# --- modes -------------------------------------------------------------------------------------


def list_plain_cases(mode: Mode) -> Iterator[Case]:
    """Yield the part of the product where all values are explicit, under ITEX main."""
    for environment, own in list_environments(None, mixed=False):
        for program in PROGRAMS:
            if not own:
                yield make_case(environment, program, Machine(), mode=mode)


def _list_codes(findings: Iterable[Finding]) -> list[str]:
    return sorted(finding.code for finding in findings)


def test_observe_finds_the_same_and_changes_nothing() -> None:
    for cured, observed in zip(list_plain_cases("auto"), list_plain_cases("observe"), strict=True):
        plan = decide(observed.situation)
        changed = plan.settings, plan.jit_compile, [f.code for f in plan.findings if f.applied]
        assert changed == ((), None, []), describe(observed, plan, "")
        assert _list_codes(plan.findings) == _list_codes(decide(cured.situation).findings)


def test_off_is_an_empty_plan() -> None:
    for case in itertools.islice(list_plain_cases("off"), 0, None, 7):
        plan = decide(case.situation)
        assert (plan.settings, plan.findings, plan.jit_compile, plan.import_first) == ((), (), None, ())


def test_fix_keeps_alive_as_auto_does() -> None:
    for case in list_plain_cases("fix"):
        plan = decide(case.situation)
        after = apply_settings(case.situation.environment, plan.settings)
        end = itex.run(after, complete(case.program, plan), case.machine).end
        late = end == "guard" and case.program.jit_compile and plan.guard
        assert end is None or late, describe(case, plan, "")


@pytest.mark.parametrize("called", [False, True])
@pytest.mark.parametrize("disable", [None, "0", "1"])
def test_row_2_rests_when_the_program_enables_xla(disable: str | None, called: bool) -> None:
    environment = {} if disable is None else {DISABLE: disable}
    program = Program(keras=0, enables_xla=True, overrides_ops=called)
    assert "AX202" not in _list_codes(decide(make_case(environment, program, Machine()).situation).findings)


# --- spellings ---------------------------------------------------------------------------------

ON = ("1", "true", "TRUE", "True", "tRuE")
OFF_LENIENT = ("0", "false", "FALSE", "", "no", "yes", "on", "2", " 1", "1 ")
OFF_STRICT = ("0", "false", "FALSE", "False")


def spell(variable: str, text: str) -> list[tuple[set[str], bool, bool | None]]:
    """Return what the plans come to with `variable` spelt `text`, over all else that matters."""
    others = [name for name in STATES if name not in (variable, LEGACY)]
    answers = []
    for values in itertools.product(*({v for v, _ in STATES[n] if v != "yes"} for n in others)):
        environment = {n: v for n, v in zip(others, values, strict=True) if v is not None}
        for program in PROGRAMS:
            case = make_case({**environment, variable: text}, program, Machine())
            plan = decide(case.situation)
            after = apply_settings(case.situation.environment, plan.settings)
            codes = {finding.code for finding in plan.findings} & FAMILY
            answers.append((codes, itex.run(after, program, case.machine).xla, plan.jit_compile))
    return answers


@pytest.mark.parametrize(
    ("variable", "text", "same_as"),
    [
        *((NPD, text, "1") for text in ON),
        *((NPD, text, "0") for text in OFF_LENIENT),
        *((DISABLE, text, "1") for text in ON),
        *((DISABLE, text, "0") for text in ("false",)),
        *((OVERRIDE, text, "1") for text in ON),
        *((OVERRIDE, text, "0") for text in OFF_STRICT),
        # TensorFlow does not take all of these; a plan puts its own word for them in their place.
        *((LEGACY, text, "1") for text in (*ON, "yes", "on", " 1")),
        *((LEGACY, text, "0") for text in ("false", "", "no")),
    ],
)
def test_spelling_is_decided_as_its_class(variable: str, text: str, same_as: str) -> None:
    assert spell(variable, text) == spell(variable, same_as)


@pytest.mark.parametrize("variable", itex.STRICT)
@pytest.mark.parametrize("text", ["", "yes", "on", "2", " 1"])
@pytest.mark.parametrize("generation", ["main", "2.15"])
def test_misspelt_strict_boolean_is_cured(
    variable: str, text: str, generation: Literal["main", "2.15"]
) -> None:
    case = make_case({variable: text}, Program(), Machine(generation))
    plan = decide(case.situation)
    cured = apply_settings(case.situation.environment, plan.settings)
    assert itex.run({variable: text}, case.program, case.machine).end == "strict"
    assert "AX213" in _list_codes(plan.findings)
    assert itex.run(cured, case.program, case.machine).end is None


# Values that C++ and Python understand differently belong to no class; the process must live.
@pytest.mark.parametrize(
    ("variable", "text"),
    [(LEGACY, "TRUE"), (LEGACY, "tRUE"), (DISABLE, ""), (DISABLE, "no"), (DISABLE, "False"), (DISABLE, " 1")],
)
def test_split_spelling_is_survived(variable: str, text: str) -> None:
    for npd, level, program, accelerator in itertools.product(
        ("0", "1"), (None, LEVEL_1, LEVEL_2), PROGRAMS, (True, False)
    ):
        environment = {variable: text, NPD: npd} | ({FLAGS: level} if level else {})
        case = make_case(environment, program, Machine("main", accelerator))
        plan = decide(case.situation)
        after = apply_settings(environment, plan.settings)
        end = itex.run(after, complete(program, plan), case.machine).end
        late = end == "guard" and program.jit_compile and plan.guard
        assert end is None or late, describe(case, plan, "")


# --- TF_XLA_FLAGS: the level that TensorFlow takes, and the text that the guard looks for --------

TRAPS = [
    # text, level, the guard believes in auto-clustering
    ("--tf_xla_auto_jit=1", 1, True),
    ("  --tf_xla_auto_jit=1", 1, True),
    ("--tf_xla_auto_jit=10", 10, True),
    ("--tf_xla_auto_jit=2", 2, False),
    ("--tf_xla_auto_jit=0", 0, False),
    ("--tf_xla_auto_jit=-1", 0, False),
    ("--tf_xla_auto_jit=+1", 1, False),
    ("--tf_xla_auto_jit=1 --tf_xla_auto_jit=0", 0, True),
    ("--tf_xla_auto_jit=0 --tf_xla_auto_jit=1", 1, True),
    ("--tf_xla_auto_jit=1\n--tf_xla_auto_jit=2", 2, True),
    ("--tf_xla_auto_jit=fusible", 1, False),
    ("--tf_xla_auto_jit=single-gpu(1)", 1, False),
    ("--tf_xla_auto_jit=single-gpu(0)", 0, False),
    ('--tf_xla_auto_jit="1"', 1, False),
    ("--tf_xla_auto_jit='2'", 2, False),
    ("--tf_xla_cpu_global_jit --tf_xla_auto_jit=2", 2, False),
    ("--tf_xla_cpu_global_jit text --tf_xla_auto_jit=1", 0, True),
]


@pytest.mark.parametrize(("text", "level", "believed"), TRAPS)
def test_model_reads_flags_as_their_two_readers_do(text: str, level: int, believed: bool) -> None:
    assert (itex.read_level(text), itex.read_literal_one(text)) == (level, believed)


@pytest.mark.parametrize(("text", "level", "believed"), TRAPS)
def test_guard_is_cured_only_where_it_does_not_believe(text: str, level: int, believed: bool) -> None:
    case = make_case({FLAGS: text}, Program(jit_compile=False), Machine())
    codes = {"AX205", "AX212"}.intersection(_list_codes(decide(case.situation).findings))
    if believed:
        assert codes == set()
    else:
        assert codes == ({"AX212"} if level else {"AX205"})


@pytest.mark.parametrize(("text", "level", "believed"), TRAPS)
def test_stream_executor_is_cured_by_the_effective_level(text: str, level: int, believed: bool) -> None:
    del believed
    case = make_case({FLAGS: text, NPD: "0"}, Program(keras=0), Machine())
    codes = {"AX201", "AX206", "AX207"}.intersection(_list_codes(decide(case.situation).findings))
    assert codes == ({"AX201"} if level == 0 else {"AX206"} if level == 1 else {"AX207"})


@pytest.mark.parametrize(
    "text",
    [
        "--tf_xla_auto_jit",
        "--tf_xla_auto_jit 2",
        "--tf_xla_auto_jit=abc",
        "--tf_xla_auto_jit=1,2",
        "-tf_xla_auto_jit=1",
        "--TF_XLA_AUTO_JIT=1",
        "--tf_xla_autojit=2",
        "flags.txt",
    ],
)
def test_malformed_flags_are_the_users(text: str) -> None:
    assert itex.run({FLAGS: text}, Program(), Machine()).end == "flags"
    plan = decide(make_case({FLAGS: text}, Program(), Machine()).situation)
    assert FLAGS not in {change.variable for change in plan.settings}


# --- the model itself, against the table that was measured -------------------------------------


@pytest.mark.parametrize(
    ("npd", "legacy", "disable", "level", "expected"),
    [
        ("1", "0", "0", None, Outcome(None, "npd", True, ("no-keras", "performance"))),
        ("1", "0", "0", LEVEL_1, Outcome(None, "npd", True, ("performance",))),
        ("1", "0", "1", None, Outcome(None, "npd", False, ("no-keras",))),
        ("1", "0", "1", LEVEL_1, Outcome(None, "npd", True, ("performance",))),
        ("1", "1", "0", None, Outcome(None, "npd", False, ("no-keras",))),
        ("1", "1", "1", None, Outcome(None, "npd", False, ())),
        ("1", "1", "1", LEVEL_2, Outcome(None, "npd", True, ("performance",))),
        ("0", "0", "0", None, Outcome("fatal", "npd", True, ("no-keras", "performance"))),
        ("0", "0", "1", None, Outcome(None, "pd", False, ("no-keras",))),
        ("0", "1", "1", LEVEL_2, Outcome("fatal", "npd", True, ("performance",))),
        ("0", "1", "0", None, Outcome(None, "pd", False, ("no-keras",))),
        ("0", "1", "1", None, Outcome(None, "pd", False, ())),
    ],
)
def test_model_agrees_with_the_measured_table(
    npd: str, legacy: str, disable: str, level: str | None, expected: Outcome
) -> None:
    environment = {NPD: npd, LEGACY: legacy, DISABLE: disable} | ({FLAGS: level} if level else {})
    assert itex.run(environment, Program(), Machine()) == expected


@pytest.mark.parametrize(
    ("environment", "program", "machine", "end"),
    [
        ({}, Program(), Machine(), None),
        ({}, Program(), Machine(accelerator=False), "guard"),
        ({}, Program(compiles=False), Machine(accelerator=False), "guard"),
        ({}, Program(compiles=False, predicts=False), Machine(accelerator=False), None),
        ({}, Program(keras=2), Machine(accelerator=False), None),
        ({}, Program(), Machine(accelerator=False, guarded=False), None),
        ({}, Program(jit_compile=True, overrides_ops=True), Machine(), "guard"),
        ({FLAGS: LEVEL_1}, Program(jit_compile=False), Machine(), None),
        ({FLAGS: LEVEL_2}, Program(jit_compile=False), Machine(), "guard"),
        ({DISABLE: "False"}, Program(jit_compile=False), Machine(), None),
        ({LEGACY: "TRUE"}, Program(jit_compile=False), Machine(), "guard"),
        ({NPD: ""}, Program(), Machine(), "fatal"),
        ({NPD: "0", FLAGS: LEVEL_1}, Program(), Machine("2.15"), None),
        ({BACKEND: "jax"}, Program(), Machine(), "hook"),
        ({BACKEND: "jax"}, Program(), Machine("2.15"), None),
    ],
)
def test_model_ends_a_process_as_was_seen(
    environment: dict[str, str], program: Program, machine: Machine, end: itex.End | None
) -> None:
    assert itex.run(environment, program, machine).end == end


# --- any strings at all ------------------------------------------------------------------------

TEXTS = st.one_of(
    st.sampled_from(["", *ON, *OFF_LENIENT, "tensorflow", "jax", "flags.txt", *(text for text, *_ in TRAPS)]),
    st.text(st.characters(exclude_characters="\0"), max_size=40),
)
ENVIRONMENTS = st.dictionaries(st.sampled_from([*itex.READ, "XLA_FLAGS", "ITEX_CACHE_PJRT_BUFFER"]), TEXTS)


@st.composite
def draw_cases(draw: st.DrawFn) -> Case:
    environment = draw(ENVIRONMENTS)
    own = [name for name in sorted(environment) if draw(st.booleans())]
    program = draw(st.sampled_from(PROGRAMS))
    return make_case(environment, program, draw(st.sampled_from(MACHINES)), own)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(draw_cases())
@example(make_case({DISABLE: "", NPD: "no", FLAGS: '--tf_xla_auto_jit="2"'}, Program(), Machine()))
@example(make_case({OVERRIDE: "yes", FLAGS: LEVEL_2}, Program(), Machine()))
def test_any_strings_lead_to_a_fixpoint(case: Case) -> None:
    plan = decide(case.situation)
    after = apply_settings(case.situation.environment, plan.settings)
    assert decide(settle(case, plan, after)).settings == ()


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(draw_cases())
def test_any_explicit_strings_survive_what_is_not_deadly(case: Case) -> None:
    plan = decide(case.situation)
    explicit = case.situation.environment.keys() - case.situation.own
    for change in plan.settings:
        if change.variable in explicit and not _is_normalised(change):
            assert DEADLY.intersection(change.because), change


def _is_normalised(change: Setting) -> bool:
    """Tell whether the change only says in TensorFlow's words what the user wrote in others."""
    return change.variable == LEGACY and change.previous not in ("0", "1", "true", "True", "false", "False")


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(draw_cases())
def test_any_strings_are_survived_where_a_plan_can_help(case: Case) -> None:
    plan = decide(case.situation)
    after = apply_settings(case.situation.environment, plan.settings)
    end = itex.run(after, complete(case.program, plan), case.machine).end
    late = end == "guard" and case.program.jit_compile and plan.guard
    assert late or end in (None, "flags", "hook"), describe(case, plan, "")

"""Every rule on its own: a situation in which it applies, one next to it in which it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from importlib.metadata import metadata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla import policies
from autoxla.model import (
    Cure,
    Evidence,
    Finding,
    FlagNames,
    Hardware,
    KerasConfig,
    Place,
    Plan,
    Plugin,
    Reading,
    Saved,
    Settings,
    Situation,
    Tuned,
    Usage,
)
from autoxla.policies import VARIABLES, decide, list_rules
from autoxla.policies.draft import Draft
from autoxla.situation.environment import is_watched

VERSIONS = {"tensorflow": (2, 21, 0), "keras": (3, 15, 1), "tf-keras": (2, 21, 0)}
WITHOUT_TF_KERAS = {"tensorflow": (2, 21, 0), "keras": (3, 15, 1)}
OLD = {"tensorflow": (2, 15, 1), "keras": (2, 15, 0), "tf-keras": (2, 15, 0)}
MAIN = (Plugin("itex", "libitex_gpu.so"),)
MAIN_ON_CPU = (Plugin("itex", "/env/site-packages/tensorflow-plugins/libitex_cpu.so"),)
WHEEL = (Plugin("itex", "libitex_cpu.so", (2, 15, 0, 3)),)
WHEEL_ON_GPU = (Plugin("itex", "libitex_gpu.so", (2, 15, 0, 3)),)
METAL = (Plugin("metal", "libmetal_plugin.dylib", (1, 1, 0)),)
XPU = Hardware("present", frozenset({"xpu"}))
NO_DEVICE = Hardware("none")
CUDA = Hardware("present", frozenset({"cuda"}))
DISABLED = {"ITEX_DISABLE_XLA": "1"}
STREAM = {"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0"}
LEVEL_1 = {"TF_XLA_FLAGS": "--tf_xla_auto_jit=1"}
LEVEL_2 = {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2"}
LEGACY = Settings(keras="legacy")
CACHE = Settings(xla_cache=True)
TUNED = Tuned("xla", "xla", {}, 1.5, "2026-11-21")
THEANO = KerasConfig("keras.json", "theano")
JAX = KerasConfig("keras.json", "jax")


def make(**known: Any) -> Situation:
    """Return a situation with current releases, on a machine with an XPU where ITEX is there."""
    hardware = XPU if known.get("plugins") in (MAIN, WHEEL) else Hardware("unknown")
    return Situation(**{"versions": VERSIONS, "hardware": hardware, **known})


def env(*parts: Mapping[str, str], **variables: str) -> dict[str, str]:
    """Return variables put together."""
    merged = dict(variables)
    for part in parts:
        merged.update(part)
    return merged


def keras(generation: int, **more: Any) -> Usage:
    """Return the usage of a program with this generation of Keras."""
    return Usage(keras=generation, **more)  # type: ignore[arg-type]


def says(
    kind: Any, name: str, value: str | bool | None = None, *, grade: Any = "certain", early: bool = False
) -> Evidence:
    """Return what a line of train.py says."""
    return Evidence(kind, name, value, grade, Place("train.py", 7), early)


def read(*evidence: Evidence) -> Reading:
    """Return the complete reading of a program that says this."""
    return Reading(evidence, complete=True, known=True)


STRATEGY = says("call", "tensorflow.distribute.MirroredStrategy")
KERAS_2_USE = says("call", "tensorflow.keras.optimizers.legacy.Adam")
KERAS_3_USE = says("attribute", "tensorflow.keras.ops")
KERAS_MEETS = says("meets", "tensorflow.keras.optimizers.legacy.Adam", "keras.Sequential")
UNREAD = Reading(unread=((Place("train.py"), "reading it takes more than 2 s"),))
HARD_SIGMOID = says("attribute", "keras.activations.hard_sigmoid")
CURE = Cure({"AUTOXLA_KERAS": "2"}, "TypeError: an unknown argument", "heal", program="train.py")
KERAS = says("import", "keras")
LOADS = says("loads", "load_model", "old")
MAYBE_KERAS_2 = says("import", "tf_agents", grade="possible")


#: Per code: where it applies, and where one fact less or another keeps it quiet.
CASES: dict[str, tuple[Situation, Situation]] = {
    "AX101": (
        make(plugins=MAIN, importing="keras", usage=keras(3)),
        make(plugins=MAIN, importing="keras", usage=keras(3), environment={"KERAS_BACKEND": "jax"}),
    ),
    "AX103": (
        make(environment={"TF_USE_LEGACY_KERAS": "TRUE"}),
        make(environment={"TF_USE_LEGACY_KERAS": "true"}),
    ),
    "AX104": (
        make(environment={"TF_USE_LEGACY_KERAS": "1"}, versions=WITHOUT_TF_KERAS),
        make(environment={"TF_USE_LEGACY_KERAS": "1"}),
    ),
    "AX105": (make(settings=LEGACY), make(settings=LEGACY, environment={"TF_USE_LEGACY_KERAS": "1"})),
    "AX108": (make(settings=LEGACY), make(settings=LEGACY, plugins=MAIN)),
    "AX109": (make(settings=LEGACY, plugins=MAIN), make(settings=LEGACY, plugins=WHEEL)),
    "AX112": (make(reading=read(KERAS_2_USE)), make(reading=read(KERAS_2_USE, KERAS_3_USE))),
    "AX113": (make(reading=read(KERAS_2_USE, KERAS_3_USE)), make(reading=read(KERAS_3_USE))),
    "AX114": (
        make(reading=read(MAYBE_KERAS_2), versions={**VERSIONS, "tf-agents": (0, 19)}),
        make(reading=read(MAYBE_KERAS_2)),
    ),
    "AX115": (
        make(reading=read(KERAS_2_USE), versions=WITHOUT_TF_KERAS),
        make(reading=read(KERAS_2_USE), versions={**OLD, "keras": (3, 3)}),
    ),
    "AX116": (
        make(reading=read(says("variable", "TF_USE_LEGACY_KERAS", "1"))),
        make(reading=read(says("variable", "TF_USE_LEGACY_KERAS", "1", early=True))),
    ),
    "AX111": (
        make(environment={"TF_USE_LEGACY_KERAS": "yes"}, imported=frozenset({"tensorflow"})),
        make(environment={"TF_USE_LEGACY_KERAS": "yes"}),
    ),
    "AX118": (
        make(reading=read(says("variable", "KERAS_BACKEND", "jax"))),
        make(reading=read(says("variable", "TF_XLA_FLAGS", "--tf_xla_auto_jit=1"))),
    ),
    "AX119": (
        make(environment={"TF_USE_LEGACY_KERAS": "1"}, read_values={"TF_USE_LEGACY_KERAS": None}),
        make(environment={"TF_USE_LEGACY_KERAS": "0"}, read_values={"TF_USE_LEGACY_KERAS": None}),
    ),
    "AX120": (
        make(reading=read(KERAS_2_USE, KERAS_MEETS)),
        make(reading=read(KERAS_2_USE, says("import", "keras"))),
    ),
    "AX195": (
        make(reading=read(says("old", "lr", "keras"))),
        make(reading=read(says("old", "lr", "tf_keras"))),
    ),
    "AX196": (
        make(reading=read(says("old", "metrics_names", "tensorflow.keras"))),
        make(
            reading=read(says("old", "metrics_names", "tensorflow.keras")),
            environment={"TF_USE_LEGACY_KERAS": "1"},
        ),
    ),
    "AX197": (
        make(reading=read(HARD_SIGMOID, says("loads", "load_weights", "old.h5"))),
        make(reading=read(HARD_SIGMOID)),
    ),
    "AX199": (
        make(reading=read(KERAS, LOADS), saved={"old": Saved("folder", 2, "2.15.0")}, usage=keras(3)),
        make(reading=read(KERAS, LOADS), saved={"old": Saved("h5", 2, "2.15.0")}, usage=keras(3)),
    ),
    "AX198": (
        make(reading=read(says("import", "rl.agents")), versions={**VERSIONS, "keras-rl2": (1, 0, 5)}),
        make(reading=read(says("import", "rl.agents")), versions={**OLD, "keras-rl2": (1, 0, 5)}),
    ),
    "AX191": (
        make(reading=read(says("import", "keras.engine.topology"))),
        make(reading=read(says("import", "keras.engineering"))),
    ),
    "AX192": (
        make(reading=read(says("attribute", "tensorflow.estimator.DNNClassifier"))),
        make(reading=read(says("attribute", "tensorflow.estimator.DNNClassifier")), versions=OLD),
    ),
    "AX312": (
        make(usage=keras(3, jit_compile=True), reading=read(STRATEGY)),
        make(usage=keras(3), reading=read(STRATEGY)),
    ),
    "AX201": (
        make(plugins=MAIN, environment=STREAM, usage=keras(0)),
        make(plugins=MAIN, environment=env(STREAM, DISABLED), usage=keras(0)),
    ),
    "AX202": (
        make(plugins=MAIN, usage=keras(0)),
        make(plugins=MAIN, usage=keras(0, enables_xla=True)),
    ),
    "AX203": (
        make(plugins=MAIN, usage=keras(2, jit_compile=True)),
        make(plugins=MAIN, usage=keras(3, jit_compile=True)),
    ),
    "AX204": (
        make(plugins=MAIN, environment=STREAM, usage=keras(3)),
        make(plugins=WHEEL, environment=STREAM, usage=keras(3)),
    ),
    "AX205": (
        make(plugins=MAIN, usage=keras(3, jit_compile=False)),
        make(plugins=MAIN, usage=keras(3, jit_compile=False), environment=DISABLED),
    ),
    "AX206": (
        make(plugins=MAIN, environment=env(STREAM, LEVEL_1)),
        make(plugins=MAIN, environment=LEVEL_1),
    ),
    "AX207": (
        make(plugins=MAIN, environment=env(STREAM, LEVEL_2)),
        make(plugins=WHEEL, environment=env(STREAM, LEVEL_2)),
    ),
    "AX208": (
        make(plugins=MAIN, environment=env(LEVEL_2, ITEX_OPS_OVERRIDE="1")),
        make(plugins=MAIN, environment=env(LEVEL_1, ITEX_OPS_OVERRIDE="1")),
    ),
    "AX212": (
        make(plugins=MAIN, usage=keras(3), environment=LEVEL_2),
        make(plugins=MAIN, usage=keras(3), environment=LEVEL_1),
    ),
    "AX213": (
        make(plugins=WHEEL, environment={"ITEX_REMAPPER": "on"}),
        make(plugins=WHEEL, environment={"ITEX_REMAPPER": "TRUE"}),
    ),
    "AX216": (make(plugins=MAIN, versions=OLD), make(plugins=WHEEL, versions=OLD)),
    "AX217": (
        make(plugins=MAIN, environment={"ITEX_DISABLE_XLA": "yes"}),
        make(plugins=MAIN, environment={"ITEX_DISABLE_XLA": "no"}),
    ),
    "AX220": (
        make(plugins=MAIN, usage=keras(3), environment=DISABLED),
        make(plugins=MAIN, usage=keras(2), environment=DISABLED),
    ),
    "AX301": (
        make(environment={"TF_XLA_FLAGS": "--tf_xla_auto_jit=abc"}),
        make(environment={"TF_XLA_FLAGS": "--tf_xla_auto_jit=fusible"}),
    ),
    "AX851": (
        make(flag_names={"XLA_FLAGS": FlagNames(unknown={"xla_x": ""})}),
        make(flag_names={"XLA_FLAGS": FlagNames(known=("xla_dump_to",))}),
    ),
    "AX852": (
        make(flag_names={"XLA_FLAGS": FlagNames(unchecked=("xla_x",))}),
        make(flag_names={"XLA_FLAGS": FlagNames(unknown={"xla_x": ""})}),
    ),
    "AX303": (
        make(settings=Settings(step="autocluster-1")),
        make(settings=Settings(step="autocluster-1"), environment=LEVEL_1),
    ),
    "AX305": (make(environment=LEVEL_1), make(environment=LEVEL_1, usage=keras(0))),
    "AX306": (
        make(environment=LEVEL_1, hardware=NO_DEVICE),
        make(environment={"TF_XLA_FLAGS": "--tf_xla_auto_jit=1 --tf_xla_cpu_global_jit"}, hardware=NO_DEVICE),
    ),
    "AX307": (
        make(hardware=CUDA, libdevice="/cuda 12"),
        make(
            hardware=CUDA,
            libdevice="/cuda",
            environment={"XLA_FLAGS": "--xla_gpu_cuda_data_dir=/mine"},
        ),
    ),
    "AX318": (
        make(hardware=CUDA, gpu_lacks="libcudnn.so.9"),
        make(hardware=CUDA),
    ),
    "AX317": (make(settings=Settings(steps_per_execution="16")), make(settings=Settings(step="xla"))),
    "AX313": (make(settings=CACHE, xla_cache="/c/xla/run-1"), make(xla_cache="/c/xla/run-1")),
    "AX705": (make(tuned=TUNED), make(tuned=TUNED, usage=keras(3, jit_compile=False))),
    "AX911": (make(cure=CURE), make(cure=CURE, uncured="AUTOXLA_KERAS='3' is set")),
    "AX913": (make(cure=CURE, uncured="it was found with keras 3.14"), make(cure=CURE)),
    "AX909": (make(cache_refused="/c does not answer"), make()),
    "AX910": (make(reading=UNREAD), make(reading=Reading(unread=((Place("train.py"), "it is not there"),)))),
    "AX311": (
        make(plugins=METAL, usage=keras(3, jit_compile=True)),
        make(plugins=METAL, usage=keras(3)),
    ),
    "AX401": (make(keras_config=JAX), make(keras_config=JAX, backends=frozenset({"jax", "tensorflow"}))),
    "AX402": (make(keras_config=THEANO), make(keras_config=THEANO, environment={"KERAS_BACKEND": "jax"})),
    "AX404": (
        make(environment={"KERAS_BACKEND": "jax"}, keras_backend="tensorflow", imported=frozenset({"keras"})),
        make(environment={"KERAS_BACKEND": "jax"}, keras_backend="jax", imported=frozenset({"keras"})),
    ),
    "AX405": (
        make(plugins=MAIN, environment={"KERAS_BACKEND": "jax"}),
        make(plugins=WHEEL, environment={"KERAS_BACKEND": "jax"}),
    ),
    "AX501": (make(plugins=WHEEL), make(plugins=WHEEL, versions=OLD)),
}


def found(situation: Situation, code: str) -> list[Finding]:
    """Return the findings with ``code`` in the plan for ``situation``."""
    return [finding for finding in decide(situation).findings if finding.code == code]


def values(plan: Plan) -> dict[str, str | None]:
    """Return what the plan sets."""
    return {setting.variable: setting.value for setting in plan.settings}


def test_every_rule_has_its_cases() -> None:
    assert {rule.code for rule in list_rules()} == set(CASES)


@pytest.mark.parametrize("code", CASES)
def test_a_rule_applies(code: str) -> None:
    assert len(found(CASES[code][0], code)) == 1


@pytest.mark.parametrize("code", CASES)
def test_a_rule_is_quiet(code: str) -> None:
    assert found(CASES[code][1], code) == []


@pytest.mark.parametrize("rule", list_rules(), ids=lambda rule: rule.code)
def test_a_rule_is_complete(rule: Any) -> None:
    assert rule.title
    assert rule.source
    assert rule.level in ("error", "warning", "info")
    text = found(CASES[rule.code][0], rule.code)[0]
    assert "{" not in text.message + text.remedy
    assert not text.message.endswith(".")


SITUATIONS = [situation for pair in CASES.values() for situation in pair]


@given(
    st.sampled_from(SITUATIONS),
    st.dictionaries(
        st.sampled_from([field.name for field in fields(Situation)]), st.sampled_from(SITUATIONS), max_size=4
    ),
)
def test_a_module_of_rules_that_is_not_loaded_has_none_that_applies(
    situation: Situation, others: Mapping[str, Situation]
) -> None:
    situation = replace(situation, **{name: getattr(other, name) for name, other in others.items()})
    plan = decide(situation)
    with pytest.MonkeyPatch.context() as patch:
        always = tuple(replace(subject, concerns=lambda _: True) for subject in policies.SUBJECTS)
        patch.setattr(policies, "SUBJECTS", always)
        assert decide(situation) == plan


def test_codes_are_unique() -> None:
    assert len({rule.code for rule in list_rules()}) == len(list_rules())


class Recording(dict[str, str]):
    """An environment that notes which variables it is asked for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)


@pytest.mark.parametrize("code", CASES)
def test_a_variable_that_a_rule_reads_or_sets_is_watched(code: str) -> None:
    for situation in CASES[code]:
        draft = Draft(situation)
        draft.environment = environment = Recording(draft.environment)
        for rule in list_rules():
            rule(draft)
        assert {name for name in environment.asked | set(draft.because) if not is_watched(name)} == set()


def test_every_variable_that_is_watched_for_a_rule_is_read_by_one() -> None:
    asked: set[str] = set()
    for situation in (situation for pair in CASES.values() for situation in pair):
        draft = Draft(situation)
        draft.environment = environment = Recording(draft.environment)
        for rule in list_rules():
            rule(draft)
        asked |= environment.asked | {name for finding in draft.findings for name in finding.late}
    late_only = {"TF_CPP_MIN_LOG_LEVEL"}
    assert VARIABLES - asked <= late_only


@pytest.mark.parametrize(
    ("known", "code", "level"),
    [
        ({"settings": LEGACY}, "AX105", "info"),
        ({"settings": LEGACY, "versions": WITHOUT_TF_KERAS}, "AX105", "warning"),
        ({"settings": Settings(step="autocluster-1")}, "AX303", "info"),
        ({"settings": Settings(step="autocluster-1"), "environment": LEVEL_2}, "AX303", "warning"),
        ({"settings": CACHE, "xla_cache": "/c/xla/run-1"}, "AX313", "info"),
        ({"settings": CACHE, "cache_refused": "/c is not yours"}, "AX313", "warning"),
        ({"settings": CACHE, "versions": {**VERSIONS, "tensorflow": (2, 22, 0)}}, "AX313", "warning"),
        ({"cache_refused": "/c is not yours"}, "AX909", "info"),
        ({"cache_refused": "/c does not answer"}, "AX909", "warning"),
        ({"cure": CURE, "uncured": "AUTOXLA_KERAS='3' is set"}, "AX913", "info"),
        ({"cure": CURE, "uncured": "it was found with keras 3.14"}, "AX913", "warning"),
        ({"plugins": MAIN, "environment": {"KERAS_BACKEND": "jax"}}, "AX405", "error"),
        (
            {"plugins": MAIN, "environment": {"KERAS_BACKEND": "jax"}, "importing": "keras"},
            "AX405",
            "warning",
        ),
    ],
)
def test_what_is_milder(known: dict[str, Any], code: str, level: str) -> None:
    (finding,) = found(make(**known), code)
    assert (finding.level, finding.grade) == (level, "certain")


@pytest.mark.parametrize(
    ("known", "place"),
    [
        ({"usage": keras(3, jit_compile=False)}, "jit_compile"),
        ({"usage": keras(3, ops_override=True)}, "ops override"),
        ({"usage": keras(3), "hardware": NO_DEVICE}, "without an accelerator"),
    ],
)
def test_what_keeps_keras_from_compiling_is_told(known: dict[str, Any], place: str) -> None:
    plan = decide(make(plugins=MAIN, **known))
    assert [place in finding.message for finding in plan.findings if finding.code == "AX205"] == [True]
    assert values(plan) == DISABLED
    assert not found(make(plugins=MAIN, **known, environment=DISABLED), "AX205")


@pytest.mark.parametrize("variable", ["TF_XLA_FLAGS", "XLA_FLAGS"])
def test_flags_that_cannot_be_parsed_are_told_by_variable(variable: str) -> None:
    (finding,) = found(make(environment={variable: "-xla_x=1"}), "AX301")
    assert finding.message.startswith(f"{variable}='-xla_x=1' cannot be parsed: -xla_x=1: ")


@pytest.mark.parametrize("known", [{"keras_config": THEANO}, {"environment": {"KERAS_BACKEND": "theano"}}])
def test_an_unknown_backend_is_told_by_what_names_it(known: dict[str, Any]) -> None:
    (finding,) = found(make(**known), "AX402")
    named = "KERAS_BACKEND" if "environment" in known else "keras.json"
    assert finding.message.startswith(f"{named} names the backend 'theano'")
    assert finding.place == Place("keras.json" if "keras_config" in known else "environment")


def test_a_notebook_is_told_what_to_do_after_a_restart() -> None:
    situation = CASES["AX112"][0]
    late = replace(situation, imported=frozenset({"tensorflow"}), restart="the kernel")
    assert (
        found(late, "AX112")[0].remedy == "restart the kernel and set TF_USE_LEGACY_KERAS=1 in its first cell"
    )
    assert found(replace(late, restart=None), "AX112")[0].remedy == "set TF_USE_LEGACY_KERAS=1"


@pytest.mark.parametrize(
    ("code", "late"),
    [
        ("AX116", {"TF_USE_LEGACY_KERAS"}),
        ("AX118", {"KERAS_BACKEND"}),
        ("AX119", {"TF_USE_LEGACY_KERAS"}),
        ("AX404", {"KERAS_BACKEND"}),
    ],
)
def test_a_finding_names_the_variable_that_comes_too_late(code: str, late: set[str]) -> None:
    (finding,) = found(CASES[code][0], code)
    assert set(finding.late) == late
    assert all(name in finding.message for name in late)


def test_a_variable_that_is_set_again_to_its_value_is_not_late() -> None:
    again = make(reading=read(says("variable", "KERAS_BACKEND", "jax")), environment={"KERAS_BACKEND": "jax"})
    assert found(again, "AX118") == []


def test_under_the_wheels_keras_first_ends_tf_keras_alone() -> None:
    wheels = {"plugins": WHEEL, "importing": "keras", "environment": {"ITEX_OPS_OVERRIDE": "1"}}
    keras_alone = make(**wheels, versions=OLD, reading=read(says("attribute", "keras.layers.Dense")))
    both = make(**wheels, versions=OLD, reading=read(says("attribute", "tensorflow.keras.layers.Dense")))
    for situation, level in ((keras_alone, "warning"), (both, "error")):
        (finding,) = found(situation, "AX101")
        assert (finding.level, "RecursionError" in finding.message) == (level, True)
    assert found(make(**wheels, reading=read(says("import", "keras"))), "AX101") == []


def test_a_package_that_sets_the_switch_is_no_reason() -> None:
    late = {"environment": {"TF_USE_LEGACY_KERAS": "1"}, "read_values": {"TF_USE_LEGACY_KERAS": None}}
    for name in ("transformers", "deepface", "ktrain"):
        assert found(make(**late, imported=frozenset({"tensorflow", name})), "AX119") == []
        assert found(make(**late, reading=read(says("import", name))), "AX119") == []


def test_variables_of_itex_come_too_late_where_it_is_installed() -> None:
    late = read(says("variable", "ITEX_DISABLE_XLA", "1"))
    (finding,) = found(make(plugins=MAIN, reading=late), "AX118")
    assert finding.late == ("ITEX_DISABLE_XLA",)
    assert found(make(reading=late), "AX118") == []


def test_variables_that_come_too_late_are_all_named() -> None:
    late = [says("variable", name, "3") for name in ("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")]
    (finding,) = found(make(reading=read(*late)), "AX118")
    assert "sets TF_CPP_MIN_LOG_LEVEL and TF_ENABLE_ONEDNN_OPTS after" in finding.message


def test_what_is_only_possible_names_the_module_that_makes_it_certain() -> None:
    assert found(CASES["AX114"][0], "AX114")[0].certain_with == "tf_agents"
    assert [f.certain_with for f in decide(CASES["AX112"][0]).findings] == [None]


@pytest.mark.parametrize("code", CASES)
def test_observe_finds_the_same_and_does_nothing(code: str) -> None:
    situation = CASES[code][0]
    observed = decide(replace(situation, settings=replace(situation.settings, mode="observe")))
    assert [f.code for f in observed.findings] == [f.code for f in decide(situation).findings]
    assert not any(f.applied for f in observed.findings)
    assert (observed.settings, observed.jit_compile, observed.import_first) == ((), None, ())
    assert (dict(observed.alias), observed.guard) == ({}, False)


@pytest.mark.parametrize("code", CASES)
def test_off_is_empty(code: str) -> None:
    situation = CASES[code][0]
    assert decide(replace(situation, settings=Settings(mode="off"))) == Plan()


def test_no_path_is_chosen_to_cure_hazards_only() -> None:
    situation = make(tuned=TUNED)
    assert decide(situation).settings or decide(situation).jit_compile is not None
    assert decide(replace(situation, settings=Settings(mode="fix"))) == decide(
        make(settings=Settings(mode="fix"))
    )


def test_a_backend_that_only_keras_3_reads_does_not_matter_to_keras_2() -> None:
    switched = {"keras_config": THEANO, "environment": {"TF_USE_LEGACY_KERAS": "1"}}
    assert not any(finding.code == "AX402" for finding in decide(make(**switched)).findings)
    assert any(f.code == "AX402" for f in decide(make(**switched, importing="keras")).findings)


def test_an_empty_situation_gives_an_empty_plan() -> None:
    plan = decide(Situation())
    assert (plan.settings, plan.findings) == ((), ())


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (make(settings=LEGACY), {"TF_USE_LEGACY_KERAS": "1"}),
        (make(settings=LEGACY, environment={"TF_USE_LEGACY_KERAS": "0"}), {}),
        (make(settings=LEGACY, versions=WITHOUT_TF_KERAS), {}),
        (make(settings=LEGACY, versions=OLD), {}),
        (make(environment={"TF_USE_LEGACY_KERAS": "yes"}), {"TF_USE_LEGACY_KERAS": "1"}),
        (make(environment={"TF_USE_LEGACY_KERAS": "yes"}, versions=WITHOUT_TF_KERAS), {}),
        (make(environment={"TF_USE_LEGACY_KERAS": "legacy"}), {}),
        (make(settings=Settings(step="autocluster-2")), {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2"}),
        (
            make(
                settings=Settings(step="autocluster-1"),
                hardware=NO_DEVICE,
                environment={"TF_XLA_FLAGS": "--tf_xla_min_cluster_size=4"},
            ),
            {"TF_XLA_FLAGS": "--tf_xla_min_cluster_size=4 --tf_xla_auto_jit=1 --tf_xla_cpu_global_jit=true"},
        ),
        (
            make(settings=Settings(step="autocluster-1"), plugins=MAIN, environment=STREAM, usage=keras(0)),
            None,
        ),
        (
            make(
                hardware=CUDA,
                libdevice="/cuda 12",
                environment={"XLA_FLAGS": "--xla_dump_to=/d"},
            ),
            {"XLA_FLAGS": '--xla_dump_to=/d --xla_gpu_cuda_data_dir="/cuda 12"'},
        ),
        (make(keras_config=THEANO, importing="tensorflow"), {"KERAS_BACKEND": "tensorflow"}),
        (make(keras_config=THEANO, importing="keras"), {}),
        (make(environment={"KERAS_BACKEND": "theano"}, own=frozenset({"KERAS_BACKEND"})), {}),
        (make(keras_config=THEANO, importing="tensorflow", environment={"TF_USE_LEGACY_KERAS": "1"}), {}),
        (make(keras_config=THEANO, importing="tensorflow", versions={**OLD, "keras": (3, 3, 3)}), {}),
        (make(reading=read(KERAS_2_USE)), {"TF_USE_LEGACY_KERAS": "1"}),
        (make(reading=read(KERAS_2_USE), environment={"TF_USE_LEGACY_KERAS": "0"}), {}),
        (make(reading=read(KERAS_2_USE, KERAS_3_USE)), {}),
        (make(reading=read(KERAS_2_USE), versions=WITHOUT_TF_KERAS), {}),
        (make(reading=read(MAYBE_KERAS_2), versions={**VERSIONS, "tf-agents": (0, 19)}), {}),
        (make(reading=read(says("variable", "TF_USE_LEGACY_KERAS", "1"))), {"TF_USE_LEGACY_KERAS": "1"}),
        (make(reading=read(says("variable", "TF_USE_LEGACY_KERAS", "1"), KERAS_3_USE)), {}),
        (make(reading=read(says("variable", "TF_USE_LEGACY_KERAS", "0"))), {}),
        (
            make(
                reading=read(
                    says("attribute", "tensorflow.keras.Sequential"),
                    says("variable", "TF_USE_LEGACY_KERAS", "1"),
                )
            ),
            {},
        ),
        (make(reading=read(KERAS_2_USE, says("attribute", "tensorflow.keras.ops"))), {}),
        (
            make(plugins=MAIN, reading=read(says("variable", "ITEX_DISABLE_XLA", "1"))),
            {},
        ),
        (make(plugins=WHEEL, environment={"ITEX_OPS_OVERRIDE": "yes"}), {"ITEX_OPS_OVERRIDE": "1"}),
        (make(plugins=WHEEL, environment={"ITEX_OPS_OVERRIDE": "off"}), {"ITEX_OPS_OVERRIDE": "0"}),
        (make(plugins=WHEEL, environment={"ITEX_OPS_OVERRIDE": ""}), {"ITEX_OPS_OVERRIDE": None}),
        (make(plugins=WHEEL, environment={"ITEX_OPS_OVERRIDE": "what"}), {"ITEX_OPS_OVERRIDE": None}),
    ],
)
def test_what_a_plan_sets(situation: Situation, expected: dict[str, str | None] | None) -> None:
    if expected is None:
        assert "TF_XLA_FLAGS" not in values(decide(situation))
    else:
        assert values(decide(situation)) == expected


@pytest.mark.parametrize(
    ("plugins", "aborts", "reads_it_leniently"),
    [
        (WHEEL, {"TF_ENABLE_ONEDNN_OPTS": "yes"}, WHEEL_ON_GPU),
        (MAIN_ON_CPU, {"TF_ENABLE_ONEDNN_OPTS": "yes"}, MAIN),
        (WHEEL_ON_GPU, {"ITEX_TILE_AS_DEVICE": "yes"}, WHEEL),
        (WHEEL_ON_GPU, {"ITEX_TILE_AS_DEVICE": "yes"}, MAIN),
    ],
)
def test_a_strict_boolean_of_one_build(
    plugins: tuple[Plugin, ...], aborts: dict[str, str], reads_it_leniently: tuple[Plugin, ...]
) -> None:
    (name,) = aborts
    assert values(decide(make(plugins=plugins, environment=aborts))) == {name: "1"}
    assert values(decide(make(plugins=reads_it_leniently, environment=aborts))) == {}


def test_a_strict_boolean_by_its_name_of_old_counts_where_the_new_one_is_not_set() -> None:
    old = {"ITEX_ENABLE_REMAPPER": "off"}
    assert values(decide(make(plugins=WHEEL, environment=old))) == {"ITEX_ENABLE_REMAPPER": "0"}
    assert values(decide(make(plugins=WHEEL, environment=env(old, ITEX_REMAPPER="1")))) == {}
    both = {"ITEX_ENABLE_ONEDNN_LAYOUT_OPT": "off", "ITEX_ONEDNN_LAYOUT_OPT": "on"}
    assert values(decide(make(plugins=WHEEL, environment=both))) == {"ITEX_ONEDNN_LAYOUT_OPT": "1"}


def test_the_message_names_the_variable_that_is_misspelt() -> None:
    strict = found(make(plugins=WHEEL, environment={"ITEX_REMAPPER": "on"}), "AX213")[0]
    assert strict.message.startswith("ITEX_REMAPPER='on': ")
    lenient = found(make(plugins=MAIN, environment={"ITEX_CACHE_PJRT_BUFFER": "yes"}), "AX217")[0]
    assert lenient.message.startswith("ITEX_CACHE_PJRT_BUFFER='yes': ")


@pytest.mark.parametrize(
    "known",
    [
        {"environment": STREAM, "usage": keras(3)},
        {"environment": STREAM, "usage": keras(0)},
        {"environment": env(STREAM, LEVEL_2), "usage": keras(0)},
        {"environment": DISABLED, "usage": keras(3)},
        {"environment": {"ITEX_DISABLE_XLA": "yes"}},
    ],
)
def test_the_build_for_cpus_has_no_device_that_could_end_the_process(known: dict[str, Any]) -> None:
    codes = {f.code for f in decide(make(plugins=MAIN_ON_CPU, hardware=NO_DEVICE, **known)).findings}
    device = {f.code for f in decide(make(plugins=MAIN, hardware=NO_DEVICE, **known)).findings}
    of_the_device = {"AX201", "AX202", "AX204", "AX206", "AX207", "AX217", "AX220"}
    assert device & of_the_device
    assert codes & of_the_device == set()
    assert decide(make(plugins=MAIN_ON_CPU, **known)).path.device == "stock"


def test_the_build_for_cpus_has_the_guard() -> None:
    situation = make(plugins=MAIN_ON_CPU, usage=keras(3), hardware=NO_DEVICE)
    assert values(decide(situation)) == DISABLED


def test_tensorflow_2_15_serves_a_keras_3_that_is_installed_over_it() -> None:
    releases = {"tensorflow": (2, 15, 1), "keras": (3, 3, 3), "tf-keras": (2, 15, 1)}
    usage = Usage(tf_keras_api=True)
    assert decide(make(versions=releases, usage=usage)).path.keras == 3
    assert decide(make(versions=OLD, usage=usage)).path.keras == 2
    older = {**releases, "tensorflow": (2, 14, 0)}
    assert decide(make(versions=older, usage=usage)).path.keras == 2
    assert values(decide(make(versions=releases, reading=read(KERAS_2_USE)))) == {"TF_USE_LEGACY_KERAS": "1"}


@pytest.mark.parametrize("release", [(2, 15, 0), (2, 20, 1), (2, 22, 0)])
def test_tf_keras_of_another_release_is_not_switched_to(release: tuple[int, ...]) -> None:
    situation = make(reading=read(KERAS_2_USE), versions={**VERSIONS, "tf-keras": release})
    plan = decide(situation)
    assert values(plan) == {}
    (finding,) = (f for f in plan.findings if f.code == "AX115")
    assert finding.remedy == "pip install 'tf-keras==2.21.*'"
    assert "tf_keras 2.21 is not installed" in finding.message
    late = read(says("variable", "TF_USE_LEGACY_KERAS", "1"))
    assert values(decide(replace(situation, reading=late))) == {}


def test_a_patch_release_of_tf_keras_makes_no_difference() -> None:
    releases = {**VERSIONS, "tf-keras": (2, 21, 3)}
    plan = decide(make(reading=read(KERAS_2_USE), versions=releases))
    assert values(plan) == {"TF_USE_LEGACY_KERAS": "1"}


def test_no_alias_is_made_of_tf_keras_of_another_release() -> None:
    """Not from the program's source, even where the user turned the switch on."""
    known = {"reading": read(KERAS_2_USE, KERAS_MEETS), "environment": {"TF_USE_LEGACY_KERAS": "1"}}
    assert decide(make(**known)).alias == {"keras": "tf_keras"}
    other = make(**known, versions={**VERSIONS, "tf-keras": (2, 15, 0)})
    assert not decide(other).alias


def test_import_order_with_the_wheel_only_under_ops_override() -> None:
    situation = make(plugins=WHEEL, versions=OLD, importing="keras", usage=keras(2))
    override = replace(situation, environment={"ITEX_OPS_OVERRIDE": "1"})
    assert decide(situation).import_first == ()
    assert decide(override).import_first == ("tensorflow",)


def test_tensorflow_comes_first_where_that_is_asked_for_and_it_is_there() -> None:
    asked = Settings(import_first="tensorflow")
    assert decide(Situation(asked, versions={"tensorflow": (2, 21, 0)})).import_first == ("tensorflow",)
    assert decide(Situation(asked)).import_first == ()


def test_what_comes_too_late_is_said_and_not_set() -> None:
    situation = make(environment={"TF_USE_LEGACY_KERAS": "yes"}, imported=frozenset({"tensorflow"}))
    plan = decide(situation)
    assert plan.settings == ()
    assert [finding.code for finding in plan.findings] == ["AX103", "AX111"]
    assert "TF_USE_LEGACY_KERAS" in plan.findings[1].message


def test_a_finding_names_the_line() -> None:
    usage = Usage(keras=3, evidence={"keras": Place("train.py", 12)})
    finding = found(make(plugins=MAIN, environment=STREAM, usage=usage), "AX204")[0]
    assert str(finding.place) == "train.py:12"


def test_keras_on_jax_alone_is_only_a_warning_under_itex() -> None:
    situation = make(
        plugins=MAIN,
        environment={"KERAS_BACKEND": "jax"},
        backends=frozenset({"jax", "tensorflow"}),
        importing="keras",
    )
    assert [finding.level for finding in decide(situation).findings] == ["warning"]


@pytest.mark.parametrize(
    ("versions", "lacking", "remedy"),
    [
        (VERSIONS, "libcudnn.so.9", "pip install 'tensorflow[and-cuda]==2.21.*'"),
        (VERSIONS, "CUDA", "install a build of TensorFlow with CUDA"),
        (
            {**VERSIONS, "tensorflow-cpu": (2, 21, 0)},
            "CUDA",
            "pip uninstall tensorflow-cpu, then pip install 'tensorflow[and-cuda]==2.21.*'",
        ),
    ],
)
def test_how_an_unused_gpu_comes_into_use(
    versions: dict[str, tuple[int, ...]], lacking: str, remedy: str
) -> None:
    (finding,) = found(make(hardware=CUDA, versions=versions, gpu_lacks=lacking), "AX318")
    assert finding.remedy == remedy
    told = "it was built without CUDA" if lacking == "CUDA" else "it does not find libcudnn.so.9"
    assert finding.message.endswith(told)


@pytest.mark.parametrize(
    "known",
    [
        {"environment": {"KERAS_BACKEND": "jax"}},
        {"versions": {"keras": (3, 15, 1)}},
        {"reading": Reading((says("call", "tensorflow.config.set_visible_devices", "[]"),), known=True)},
    ],
)
def test_who_does_not_want_the_gpu_is_not_told(known: dict[str, Any]) -> None:
    """Another backend, no TensorFlow, or a program that keeps off the GPU itself."""
    assert not found(make(hardware=CUDA, gpu_lacks="CUDA", **known), "AX318")


@pytest.mark.tensorflow
def test_the_extra_that_brings_cuda_exists() -> None:
    """What is told to install it is an extra of the release that is here."""
    extras = metadata("tensorflow").get_all("Provides-Extra") or ()
    assert "and-cuda" in extras

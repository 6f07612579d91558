"""What the user set stands: over every variable, every mode and all plans; and in a real shell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autoxla.commands import env
from autoxla.model import (
    Evidence,
    Hardware,
    KerasConfig,
    Place,
    Plugin,
    Reading,
    Setting,
    Settings,
    Situation,
    Tuned,
    Usage,
)
from autoxla.policies import decide, list_rules
from autoxla.situation.env_parsing import intended, parse_xla_flags
from autoxla.situation.environment import APPLIED, WATCHED_VARIABLES, is_watched
from autoxla.tuned import VARIABLES as TUNED_VARIABLES

#: The rules that stand for the end of the process, or for results that are silently wrong.
DEADLY = frozenset(rule.code for rule in list_rules() if rule.fatal)
SWITCH, FLAGS = "TF_USE_LEGACY_KERAS", ("TF_XLA_FLAGS", "XLA_FLAGS")
ITEX = (
    *("ITEX_DISABLE_XLA", "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE", "ITEX_OPS_OVERRIDE", "ITEX_REMAPPER"),
    *("ITEX_TILE_AS_DEVICE", "ITEX_CACHE_PJRT_BUFFER", "ITEX_ONEDNN_LAYOUT_OPT", "ITEX_ANYTHING"),
)
NAMES = (*WATCHED_VARIABLES, *ITEX)

SPELLINGS = st.sampled_from(["", "0", "1", "2", "true", "True", "TRUE", "false", "yes", "off", "no", " 1"])
FLAG_TEXTS = st.sampled_from(
    [
        *("--tf_xla_auto_jit=1", "--tf_xla_auto_jit=2", "--tf_xla_auto_jit=fusible", "--tf_xla_auto_jit"),
        *("--xla_dump_to=/d", "--tf_xla_min_cluster_size=4", "flags.txt", "--x='a b' --tf_xla_auto_jit=2"),
        "--tf_xla_persistent_cache_directory=/mine",
    ]
)
WORDS = st.sampled_from(
    ["tensorflow", "jax", "torch", "theano", "/opt/rocm", "level_zero:gpu", "-1", "0,1", "4"]
)
TEXTS = SPELLINGS | FLAG_TEXTS | WORDS | st.text(st.characters(exclude_characters="\0"), max_size=12)

VERSIONS = st.fixed_dictionaries(
    {},
    optional={
        "tensorflow": st.sampled_from([(2, 14, 0), (2, 15, 1), (2, 16, 1), (2, 21, 0), (2, 22, 0)]),
        "keras": st.sampled_from([(2, 15, 0), (3, 3, 3), (3, 15, 1)]),
        "tf-keras": st.just((2, 21, 0)),
        "transformers": st.sampled_from([(4, 57), (5, 0)]),
    },
)
PLUGINS = st.sampled_from(
    [
        (),
        (Plugin("itex", "libitex_gpu.so"),),
        (Plugin("itex", "/e/site-packages/tensorflow-plugins/libitex_cpu.so"),),
        (Plugin("itex", "libitex_cpu.so", (2, 15, 0, 3)),),
        (Plugin("itex", "libitex_gpu.so", (2, 15, 0, 3)),),
        (Plugin("metal", "libmetal_plugin.dylib", (1, 1, 0)),),
        (Plugin("other", "libother.so"),),
    ]
)
HARDWARE = st.sampled_from(
    [
        Hardware(),
        Hardware("none"),
        *(Hardware("present", frozenset({kind})) for kind in ("xpu", "cuda", "rocm")),
    ]
)
LIBDEVICES = st.sampled_from(["", None, "/cuda 12"])
SAID = st.builds(
    Evidence,
    st.sampled_from(["import", "attribute", "call", "jit_compile", "variable", "loads", "saves"]),
    st.sampled_from(
        [
            *(
                "keras",
                "tf_keras",
                "tensorflow",
                "tensorflow.keras.optimizers.legacy",
                "tensorflow.keras.ops",
            ),
            *("compile", "function", "tf_agents", "transformers", "torch", "load", *NAMES),
            *("tensorflow.distribute.MirroredStrategy", "intel_extension_for_tensorflow.ops"),
        ]
    ),
    st.none() | st.booleans() | st.sampled_from(["1", "0", "yes", "a.h5", "m.keras"]),
    st.sampled_from(["certain", "possible"]),
    st.just(Place("train.py", 7)),
    st.booleans(),
    st.booleans(),
)
READINGS = st.builds(
    Reading, st.lists(SAID, max_size=4).map(tuple), st.booleans(), st.booleans(), st.just(("train.py",))
)
USAGES = st.builds(
    Usage,
    keras=st.sampled_from([None, 0, 2, 3]),
    jit_compile=st.sampled_from([None, False, True]),
    ops_override=st.booleans(),
    enables_xla=st.booleans(),
    tf_keras_api=st.booleans(),
)
ASKED = st.builds(
    Settings,
    mode=st.sampled_from(["off", "observe", "fix", "auto"]),
    keras=st.sampled_from([None, "2", "3", "legacy"]),
    step=st.sampled_from([None, "graph", "xla", "autocluster-1", "autocluster-2"]),
    trial=st.booleans(),
    xla_cache=st.booleans(),
)
TUNED = st.builds(
    Tuned,
    st.just("fastest"),
    st.sampled_from([None, "graph", "xla", "autocluster-1"]),
    st.dictionaries(st.sampled_from(sorted(TUNED_VARIABLES)), st.sampled_from(["0", "1", "4"])),
    st.just(1.5),
)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Draw anything that could be known, also what hardly comes together."""
    environment = draw(st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=6))
    names = st.sampled_from(["keras", "keras_core", "tensorflow", "tf_keras"])
    return Situation(
        settings=draw(ASKED),
        environment=environment,
        own=frozenset(name for name in sorted(environment) if draw(st.booleans())),
        versions=draw(VERSIONS),
        plugins=draw(PLUGINS),
        hardware=draw(HARDWARE),
        libdevice=draw(LIBDEVICES),
        keras_config=draw(st.none() | st.builds(KerasConfig, st.just("keras.json"), WORDS)),
        backends=draw(st.frozensets(st.sampled_from(["tensorflow", "jax", "torch"]))),
        usage=draw(USAGES),
        reading=draw(READINGS),
        imported=draw(st.frozensets(names, max_size=2)),
        importing=draw(st.none() | names),
        devices_ready=draw(st.booleans()),
        keras_backend=draw(st.none() | st.sampled_from(["tensorflow", "jax"])),
        read_values=draw(st.dictionaries(st.just(SWITCH), st.none() | SPELLINGS)),
        xla_cache=draw(st.none() | st.just("/cache/xla/run-1")),
        tuned=draw(st.none() | TUNED),
    )


def explicit(situation: Situation) -> frozenset[str]:
    return frozenset(situation.environment) - situation.own


def keeps_the_meaning(setting: Setting) -> bool:
    """Tell whether a change says in other words what the user said, or only adds to it."""
    if setting.value is None or setting.previous is None:
        return False
    if setting.variable in FLAGS:
        before, after = (parse_xla_flags(text) for text in (setting.previous, setting.value))
        names = [token.removeprefix("--").partition("=")[0] for token in before.tokens]
        return bool(names or not setting.previous.strip()) and all(
            before.get(name) == after.get(name) for name in names
        )
    means = intended(setting.previous)
    # By no other variable: only of this one is it known how it is read.
    return setting.variable == SWITCH and means is not None and means == intended(setting.value)


@settings(max_examples=400)
@given(situations())
@example(
    Situation(
        environment={"XLA_FLAGS": "--xla_dump_to=/d"},
        hardware=Hardware("present", frozenset({"cuda"})),
        libdevice="/cuda 12",
    )
)
@example(Situation(environment={SWITCH: "yes"}, versions={"tensorflow": (2, 21), "tf-keras": (2, 21)}))
@example(Situation(environment={"ITEX_REMAPPER": "on"}, plugins=(Plugin("itex", "libitex_cpu.so", (2, 15)),)))
def test_what_the_user_set_stands(situation: Situation) -> None:
    for setting in decide(situation).settings:
        assert setting.previous == situation.environment.get(setting.variable)
        if setting.variable in explicit(situation):
            assert DEADLY.intersection(setting.because) or keeps_the_meaning(setting), setting


@settings(max_examples=150)
@given(situations())
def test_observe_and_off_change_nothing(situation: Situation) -> None:
    for mode in ("off", "observe"):
        asked = replace(situation.settings, mode=mode)
        plan = decide(replace(situation, settings=asked))
        assert (plan.settings, plan.jit_compile, plan.import_first, dict(plan.alias)) == ((), None, (), {})
        assert not plan.guard
        assert not any(finding.applied for finding in plan.findings)


@settings(max_examples=150)
@given(situations())
def test_keras_3_in_the_settings_keeps_the_switch_off(situation: Situation) -> None:
    """Unless the program itself turns it on: its own word is as good as the settings'."""
    asked = replace(situation.settings, keras="3")
    evidence = situation.reading.evidence
    itself = any(e.kind == "variable" and e.name == SWITCH for e in evidence)
    plan = decide(replace(situation, settings=asked))
    turned_on = [s for s in plan.settings if s.variable == SWITCH and intended(s.value or "") is True]
    assert itself or all(intended(s.previous or "") is True for s in turned_on)


@settings(max_examples=150)
@given(situations())
def test_only_watched_variables_are_set_and_each_for_a_reason(situation: Situation) -> None:
    codes = {finding.code for finding in decide(situation).findings}
    for setting in decide(situation).settings:
        assert is_watched(setting.variable)
        assert setting.because
        assert codes.issuperset(setting.because)
        assert setting.value != setting.previous


@pytest.mark.parametrize("mode", ["observe", "fix", "auto"])
@settings(max_examples=100)
@given(situation=situations())
def test_a_deed_against_the_user_is_said(mode: Any, situation: Situation) -> None:
    """Whatever the settings leave out, such a finding is one that is applied, and more than an info."""
    asked = replace(situation, settings=replace(situation.settings, mode=mode))
    plan = decide(asked)
    against = [s for s in plan.settings if s.variable in explicit(asked) and not keeps_the_meaning(s)]
    said = {finding.code: finding for finding in plan.findings}
    for setting in against:
        findings = [said[code] for code in setting.because]
        assert any(finding.applied and finding.level != "info" for finding in findings), setting


def test_every_watched_variable_is_drawn() -> None:
    assert set(WATCHED_VARIABLES) < set(NAMES)
    assert all(is_watched(name) for name in NAMES)


# --- in a real shell

#: What a variable can hold: any bytes but NUL.
VALUES = (
    st.text("'\"$()`\\\n\r\t ;&|*~#!{}=%ab", max_size=16)
    | st.binary(max_size=16).map(lambda data: os.fsdecode(data.replace(b"\0", b"")))
    | st.sampled_from(
        ["$(touch ran)", "`touch ran`", "'; touch ran; '", "\\", "'", "-n", "\n", "$'\\x41'", "~"]
    )
)
CHOSEN = st.dictionaries(st.sampled_from([*NAMES, APPLIED]), st.none() | VALUES, min_size=1, max_size=4)
#: Evaluates what stands in a file, in an environment of its own each time, and writes what came of it.
SERVER = """\
while read -r file; do
    (eval "$(cat "$file")" && env -0) > "$file.out" 2> "$file.err"
    echo "$?"
done
"""


class Shell:
    """One process of a shell that evaluates many texts."""

    def __init__(self, name: str, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder, self._file = folder, folder.with_name(f"{folder.name}.sh")
        self._process = subprocess.Popen(
            [name, "-c", SERVER],
            env={"PATH": os.environ["PATH"], **variables},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def evaluate(self, text: str) -> dict[str, str]:
        """Return the environment after ``eval`` of ``text``. Raises ValueError where that fails."""
        self._file.write_bytes(os.fsencode(text))
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{self._file}\n")
        self._process.stdin.flush()
        status = self._process.stdout.readline()
        error = Path(f"{self._file}.err").read_bytes()
        if status != "0\n" or error:
            raise ValueError(f"status {status}, {error!r}")
        lines = os.fsdecode(Path(f"{self._file}.out").read_bytes()).split("\0")[:-1]
        return dict(line.split("=", 1) for line in lines)

    def close(self) -> None:
        """End the shell."""
        self._process.communicate(timeout=60)


@pytest.fixture(params=["dash", "bash", "sh"])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp(request.param)
    try:
        opened = Shell(request.param, folder, dict.fromkeys(NAMES, "before"))
    except FileNotFoundError:
        pytest.skip(f"there is no {request.param}")
    yield opened
    opened.close()


def test_eval_of_any_settings(shell: Shell) -> None:
    """Each is set to the very bytes or taken away, all others stay, and nothing is executed."""

    @settings(max_examples=150)
    @given(CHOSEN)
    def check(values: dict[str, str | None]) -> None:
        after = shell.evaluate(env.write(values, "sh"))
        assert {name: after.get(name) for name in values} == values
        others = {name: after.get(name) for name in NAMES if name not in values}
        assert set(others.values()) <= {"before"}
        assert list(shell.folder.iterdir()) == []

    check()

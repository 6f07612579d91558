"""Examples that can be followed: a program with its surroundings, from which the finding is made anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autoxla import WATCHED
from autoxla.facts import (
    Finding,
    Hardware,
    KerasConfig,
    Place,
    Plugin,
    Reading,
    Settings,
    Situation,
    Toolchain,
    Usage,
    Version,
)
from autoxla.lookahead import Program, read_program
from autoxla.notice import headline
from autoxla.policies import decide
from autoxla.policies.usage import is_below, summarise
from autoxla.report.story import finding_lines

FILE = "train.py"
EXPLAIN, RUN = "python -m autoxla explain", "python -m autoxla"
#: A program of which nobody can tell beforehand what it sets, and which sets it too late.
FROM_A_FILE = """\
import json
import os
from pathlib import Path
import tensorflow as tf

os.environ.update(json.loads(Path("variables.json").read_text()))
model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile("adam", "mse")
"""
_NO_GPU = Hardware("none")
_NO_TOOLS = Toolchain()


@dataclass(frozen=True, slots=True)
class Machine:
    """What is installed where an example runs; `words` say it."""

    words: str
    versions: Mapping[str, Version]
    plugins: tuple[Plugin, ...] = ()
    hardware: Hardware = _NO_GPU
    toolchain: Toolchain = _NO_TOOLS


_NOW = {"tensorflow": (2, 21, 0), "keras": (3, 15, 1), "tf-keras": (2, 21, 0)}
_KERAS_3_ONLY = {"tensorflow": (2, 21, 0), "keras": (3, 15, 1)}
_XPU = Hardware("present", frozenset({"xpu"}))
_CUDA = Hardware("present", frozenset({"cuda"}))
_MAIN = (Plugin("itex", "libitex_gpu.so"),)
_WITH = "TensorFlow 2.21, Keras 3.15, tf_keras 2.21"

PLAIN = Machine(_WITH, _NOW)
KERAS_3 = Machine("TensorFlow 2.21, Keras 3.15, no tf_keras", _KERAS_3_ONLY)
OLD = Machine("TensorFlow 2.15, Keras 2.15", {"tensorflow": (2, 15, 1), "keras": (2, 15, 0)})
TORCH = Machine(
    "TensorFlow 2.21, Keras 3.15, PyTorch, transformers 4.57", {**_KERAS_3_ONLY, "transformers": (4, 57)}
)
AGENTS = Machine(f"{_WITH}, tf-agents 0.19", {**_NOW, "tf-agents": (0, 19)})
ITEX = Machine(f"{_WITH}, a build of ITEX later than 2.15, an Intel GPU", _NOW, _MAIN, _XPU)
ITEX_ON_CPU = Machine(f"{_WITH}, a build of ITEX later than 2.15, no GPU", _NOW, _MAIN)
ITEX_ALONE = Machine(
    "TensorFlow 2.21, tf_keras 2.21, a build of ITEX later than 2.15, no Keras 3",
    {"tensorflow": (2, 21, 0), "tf-keras": (2, 21, 0)},
    _MAIN,
    _XPU,
)
ITEX_2_15 = Machine(
    "TensorFlow 2.15, Keras 3.3, ITEX 2.15",
    {"tensorflow": (2, 15, 1), "keras": (3, 3, 3)},
    (Plugin("itex", "libitex_cpu.so", (2, 15, 0, 0)),),
)
METAL = Machine(
    f"{_WITH}, tensorflow-metal on a Mac",
    _NOW,
    (Plugin("metal", "libmetal_plugin.dylib", (1, 2, 0)),),
    Hardware("present", frozenset({"metal"})),
)
CUDA = Machine(f"{_WITH}, an NVIDIA GPU, no CUDA toolkit", _NOW, hardware=_CUDA)
CUDA_ELSEWHERE = Machine(
    f"{_WITH}, an NVIDIA GPU, CUDA's tools in /data/cuda-12",
    _NOW,
    hardware=_CUDA,
    toolchain=Toolchain(cuda_found="/data/cuda-12"),
)
ROCM = Machine(
    f"{_WITH}, an AMD GPU, ROCm in /opt/rocm-6.2",
    _NOW,
    hardware=Hardware("present", frozenset({"rocm"})),
    toolchain=Toolchain(rocm_found="/opt/rocm-6.2"),
)


@dataclass(frozen=True, slots=True)
class Followed:
    """A program, the variables and settings it starts with, and the machine.

    `known` are facts of the situation beyond that, by their names there, and `told` says them in words.
    `command` is what prints the finding: `EXPLAIN`, or what runs the program where that alone tells.
    """

    program: str
    variables: Mapping[str, str] = field(default_factory=dict)
    machine: Machine = PLAIN
    settings: Mapping[str, Any] = field(default_factory=dict)
    keras_json: str = ""
    known: Mapping[str, Any] = field(default_factory=dict)
    told: str = ""
    command: str = EXPLAIN

    def follow(self, code: str) -> Finding:
        """Return the finding with ``code`` that autoxla makes here; LookupError where it makes none."""
        findings = decide(self.situation()).findings
        found = next((finding for finding in findings if finding.code == code), None)
        if found is None:
            raise LookupError(f"the example of {code} gives {[finding.code for finding in findings]}")
        return found

    def situation(self) -> Situation:
        """Return the situation before the program's first import of a backend."""
        reading = _read(self.program)
        machine, config = self.machine, self.keras_json
        situation = Situation(
            settings=self._settings(),
            environment=self.variables,
            versions=machine.versions,
            plugins=machine.plugins,
            hardware=machine.hardware,
            toolchain=machine.toolchain,
            keras_config=KerasConfig("~/.keras/keras.json", config) if config else None,
            reading=reading,
            usage=_usage(reading, machine.versions),
            importing=_first_import(reading),
        )
        return replace(situation, **self.known)

    def render(self, code: str) -> str:
        """Return the example as Markdown."""
        parts = [f"With {self.machine.words}{f'; {self.told}' if self.told else ''}."]
        if self.settings:
            parts.append(_block("toml", f"[tool.autoxla]  # in pyproject.toml\n{_toml(self.settings)}"))
        if self.keras_json:
            parts.append(_block("json", f'{{"backend": "{self.keras_json}"}}'))
        parts += [_block("python", self.program), _block("console", self._session(code))]
        return "\n\n".join(parts)

    def _session(self, code: str) -> str:
        finding = self.follow(code)
        start = "".join(f"{name}={_quote(value)} " for name, value in self.variables.items())
        typed = f"$ {start}{self.command} {FILE}"
        if self.command != EXPLAIN:
            return f"{typed}\nautoxla: {headline([finding], FILE)}"
        explained = "\n".join(f"  {line}" for line in finding_lines(finding))
        return f"{typed}\n…\n{explained}"

    def _settings(self) -> Settings:
        lines = enumerate(self.settings, start=2)
        places = {
            "keras_setting" if name == "keras" else name: Place("pyproject.toml", n) for n, name in lines
        }
        return Settings(**self.settings, places=places)


def _read(text: str) -> Reading:
    # Of no path at all: a page says the same wherever it is made.
    reading = read_program(Program("code", text, Path("/nonexistent")), path=[])
    named = (replace(e, place=replace(e.place, file=FILE)) for e in reading.evidence)
    return replace(reading, evidence=tuple(named))


def _usage(reading: Reading, versions: Mapping[str, Version]) -> Usage:
    usage = summarise(reading, versions, Usage())
    starter = _starter(reading)
    return replace(usage, evidence={"importing": starter, **usage.evidence}) if starter else usage


def _starter(reading: Reading) -> Place | None:
    return next((e.place for e in reading.evidence if e.kind == "import" and _is_watched(e.name)), None)


def _first_import(reading: Reading) -> str | None:
    names = (e.name for e in reading.evidence if e.kind == "import" and _is_watched(e.name))
    return next((name.split(".")[0] for name in names), None)


def _is_watched(name: str) -> bool:
    return any(is_below(name, watched) for watched in WATCHED)


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```"


def _quote(value: str) -> str:
    return f"'{value}'" if " " in value or not value else value


def _toml(settings: Mapping[str, Any]) -> str:
    spelt = {True: "true", False: "false"}
    return "\n".join(
        f"{name} = {spelt[value] if isinstance(value, bool) else chr(34) + value + chr(34)}"
        for name, value in settings.items()
    )

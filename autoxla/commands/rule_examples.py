"""The examples of rules, followed: the finding and the page's text are made anew from the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from autoxla.policies.example import FILE, Example
from autoxla.policies.usage import is_below, summarise
from autoxla.report.story import finding_lines

_NO_GPU, _NO_TOOLS = Hardware("none"), Toolchain()
_XPU = Hardware("present", frozenset({"xpu"}))
_CUDA = Hardware("present", frozenset({"cuda"}))
_ROCM = Hardware("present", frozenset({"rocm"}))
_METAL = Hardware("present", frozenset({"metal"}))
_KERAS_3: Mapping[str, Version] = {"tensorflow": (2, 21, 0), "keras": (3, 15, 1)}
_ALL: Mapping[str, Version] = {**_KERAS_3, "tf-keras": (2, 21, 0)}
_ITEX = (Plugin("itex", "libitex_gpu.so"),)
_WITH = "TensorFlow 2.21, Keras 3.15, tf_keras 2.21"


@dataclass(frozen=True, slots=True)
class _Machine:
    """What is installed where an example runs; `words` say it."""

    words: str
    versions: Mapping[str, Version]
    plugins: tuple[Plugin, ...] = ()
    hardware: Hardware = _NO_GPU
    toolchain: Toolchain = _NO_TOOLS


_MACHINES: Mapping[str, _Machine] = {
    "usual": _Machine(_WITH, _ALL),
    "no tf_keras": _Machine("TensorFlow 2.21, Keras 3.15, no tf_keras", _KERAS_3),
    "TensorFlow 2.15": _Machine(
        "TensorFlow 2.15, Keras 2.15", {"tensorflow": (2, 15, 1), "keras": (2, 15, 0)}
    ),
    "PyTorch": _Machine(
        "TensorFlow 2.21, Keras 3.15, PyTorch, transformers 4.57", {**_KERAS_3, "transformers": (4, 57)}
    ),
    "tf-agents": _Machine(f"{_WITH}, tf-agents 0.19", {**_ALL, "tf-agents": (0, 19)}),
    "ITEX": _Machine(f"{_WITH}, a build of ITEX later than 2.15, an Intel GPU", _ALL, _ITEX, _XPU),
    "ITEX without GPU": _Machine(f"{_WITH}, a build of ITEX later than 2.15, no GPU", _ALL, _ITEX),
    "ITEX without Keras 3": _Machine(
        "TensorFlow 2.21, tf_keras 2.21, a build of ITEX later than 2.15, no Keras 3",
        {"tensorflow": (2, 21, 0), "tf-keras": (2, 21, 0)},
        _ITEX,
        _XPU,
    ),
    "ITEX 2.15": _Machine(
        "TensorFlow 2.15, Keras 3.3, ITEX 2.15",
        {"tensorflow": (2, 15, 1), "keras": (3, 3, 3)},
        (Plugin("itex", "libitex_cpu.so", (2, 15, 0, 0)),),
    ),
    "Metal": _Machine(
        f"{_WITH}, tensorflow-metal on a Mac",
        _ALL,
        (Plugin("metal", "libmetal_plugin.dylib", (1, 2, 0)),),
        _METAL,
    ),
    "CUDA missing": _Machine(f"{_WITH}, an NVIDIA GPU, no CUDA toolkit", _ALL, (), _CUDA),
    "CUDA elsewhere": _Machine(
        f"{_WITH}, an NVIDIA GPU, CUDA's tools in /data/cuda-12",
        _ALL,
        (),
        _CUDA,
        Toolchain(cuda_found="/data/cuda-12"),
    ),
    "ROCm elsewhere": _Machine(
        f"{_WITH}, an AMD GPU, ROCm in /opt/rocm-6.2",
        _ALL,
        (),
        _ROCM,
        Toolchain(rocm_found="/opt/rocm-6.2"),
    ),
}


def follow(example: Example, code: str) -> Finding:
    """Return the finding with ``code`` that autoxla makes here; LookupError where it makes none."""
    findings = decide(situation_of(example)).findings
    found = next((finding for finding in findings if finding.code == code), None)
    if found is None:
        raise LookupError(f"the example of {code} gives {[finding.code for finding in findings]}")
    return found


def situation_of(example: Example) -> Situation:
    """Return the situation of an example, before the program's first import of a backend."""
    # Of no path at all: a page says the same wherever it is made.
    read = read_program(Program("code", example.program, Path("/nonexistent")), path=[])
    evidence = tuple(replace(e, place=replace(e.place, file=FILE)) for e in read.evidence)
    reading, machine, config = (
        replace(read, evidence=evidence),
        _MACHINES[example.machine],
        example.keras_json,
    )
    imports = [e for e in evidence if e.kind == "import" and any(is_below(e.name, name) for name in WATCHED)]
    situation = Situation(
        settings=_settings(example),
        environment=example.variables,
        versions=machine.versions,
        plugins=machine.plugins,
        hardware=machine.hardware,
        toolchain=machine.toolchain,
        keras_config=KerasConfig("~/.keras/keras.json", config) if config else None,
        reading=reading,
        usage=_usage(reading, machine.versions, imports[0].place if imports else None),
        importing=imports[0].name.split(".")[0] if imports else None,
    )
    return replace(situation, **example.known)


def render(example: Example, code: str) -> str:
    """Return an example as Markdown: the machine, the files, and what is typed and printed."""
    told = f"; {example.told}" if example.told else ""
    parts = [f"With {_MACHINES[example.machine].words}{told}."]
    if example.settings:
        parts.append(block("toml", f"[tool.autoxla]  # in pyproject.toml\n{_toml(example.settings)}"))
    if example.keras_json:
        parts.append(block("json", f'{{"backend": "{example.keras_json}"}}'))
    return "\n\n".join([*parts, block("python", example.program), block("console", _session(example, code))])


def block(language: str, text: str) -> str:
    """Return ``text`` as a fenced block."""
    return f"```{language}\n{text.strip()}\n```"


def _usage(reading: Reading, versions: Mapping[str, Version], start: Place | None) -> Usage:
    usage = summarise(reading, versions, Usage())
    return usage if start is None else replace(usage, evidence={"importing": start, **usage.evidence})


def _session(example: Example, code: str) -> str:
    finding = follow(example, code)
    start = "".join(f"{name}={_quote(value)} " for name, value in example.variables.items())
    typed = f"$ {start}{example.command} {FILE}"
    if not example.command.endswith("explain"):
        return f"{typed}\nautoxla: {headline([finding], FILE)}"
    explained = "\n".join(f"  {line}" for line in finding_lines(finding))
    return f"{typed}\n…\n{explained}"


def _settings(example: Example) -> Settings:
    lines = enumerate(example.settings, start=2)
    places = {"keras_setting" if name == "keras" else name: Place("pyproject.toml", n) for n, name in lines}
    return Settings(**example.settings, places=places)


def _quote(value: str) -> str:
    return f"'{value}'" if " " in value or not value else value


def _toml(settings: Mapping[str, Any]) -> str:
    return "\n".join(
        f"{name} = {str(value).lower() if isinstance(value, bool) else chr(34) + value + chr(34)}"
        for name, value in settings.items()
    )

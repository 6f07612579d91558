"""The examples of rules, followed: the finding and the page's text are made anew from the program."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from autoxla import WATCHED
from autoxla.lookahead import Program, read_program
from autoxla.model import Finding, Hardware, KerasConfig, Place, Plugin, Settings, Situation, Toolchain, Usage
from autoxla.notice import headline
from autoxla.policies import decide
from autoxla.policies.example import FILE, Example
from autoxla.policies.usage import is_below, summarise
from autoxla.report.story import finding_lines

_WITH = "TensorFlow 2.21, Keras 3.15, tf_keras 2.21"
_KERAS_3 = Situation(versions={"tensorflow": (2, 21, 0), "keras": (3, 15, 1)}, hardware=Hardware("none"))
_ALL = replace(_KERAS_3, versions={**_KERAS_3.versions, "tf-keras": (2, 21, 0)})
_XPU, _CUDA, _ROCM, _METAL = (
    Hardware("present", frozenset({kind})) for kind in ("xpu", "cuda", "rocm", "metal")
)
_ITEX = replace(_ALL, plugins=(Plugin("itex", "libitex_gpu.so"),))
#: What is installed where an example runs, in words and as a situation.
_MACHINES: Mapping[str, tuple[str, Situation]] = {
    "usual": (_WITH, _ALL),
    "no tf_keras": ("TensorFlow 2.21, Keras 3.15, no tf_keras", _KERAS_3),
    "TensorFlow 2.15": (
        "TensorFlow 2.15, Keras 2.15",
        replace(_ALL, versions={"tensorflow": (2, 15, 1), "keras": (2, 15, 0)}),
    ),
    "PyTorch": (
        "TensorFlow 2.21, Keras 3.15, PyTorch, transformers 4.57",
        replace(_ALL, versions={**_KERAS_3.versions, "transformers": (4, 57)}),
    ),
    "keras-rl2": (
        f"{_WITH}, keras-rl2 1.0.5",
        replace(_ALL, versions={**_ALL.versions, "keras-rl2": (1, 0, 5)}),
    ),
    "tf-agents": (
        f"{_WITH}, tf-agents 0.19",
        replace(_ALL, versions={**_ALL.versions, "tf-agents": (0, 19)}),
    ),
    "ITEX": (f"{_WITH}, a build of ITEX later than 2.15, an Intel GPU", replace(_ITEX, hardware=_XPU)),
    "ITEX without GPU": (f"{_WITH}, a build of ITEX later than 2.15, no GPU", _ITEX),
    "ITEX without Keras 3": (
        "TensorFlow 2.21, tf_keras 2.21, a build of ITEX later than 2.15, no Keras 3",
        replace(_ITEX, versions={"tensorflow": (2, 21, 0), "tf-keras": (2, 21, 0)}, hardware=_XPU),
    ),
    "ITEX 2.15": (
        "TensorFlow 2.15, Keras 3.3, ITEX 2.15",
        replace(
            _KERAS_3,
            versions={"tensorflow": (2, 15, 1), "keras": (3, 3, 3)},
            plugins=(Plugin("itex", "libitex_cpu.so", (2, 15, 0, 0)),),
        ),
    ),
    "Metal": (
        f"{_WITH}, tensorflow-metal on a Mac",
        replace(_ALL, plugins=(Plugin("metal", "libmetal_plugin.dylib", (1, 2, 0)),), hardware=_METAL),
    ),
    "CUDA missing": (f"{_WITH}, an NVIDIA GPU, no CUDA toolkit", replace(_ALL, hardware=_CUDA)),
    "CUDA elsewhere": (
        f"{_WITH}, an NVIDIA GPU, CUDA's tools in /data/cuda-12",
        replace(_ALL, hardware=_CUDA, toolchain=Toolchain(cuda_found="/data/cuda-12")),
    ),
    "ROCm elsewhere": (
        f"{_WITH}, an AMD GPU, ROCm in /opt/rocm-6.2",
        replace(_ALL, hardware=_ROCM, toolchain=Toolchain(rocm_found="/opt/rocm-6.2")),
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
    _, machine = _MACHINES[example.machine]
    # Of no path at all: a page says the same wherever it is made.
    read = read_program(Program("code", example.program, Path("/nonexistent")), path=[])
    evidence = tuple(replace(e, place=replace(e.place, file=FILE)) for e in read.evidence)
    reading = replace(read, evidence=evidence)
    usage = summarise(reading, machine.versions, Usage())
    imports = (e for e in evidence if e.kind == "import" and any(is_below(e.name, name) for name in WATCHED))
    first = next(imports, None)
    if first is not None:
        usage = replace(usage, evidence={"importing": first.place, **usage.evidence})
    # As the lines of pyproject.toml, below the name of the table.
    lines = {name: Place("pyproject.toml", number) for number, name in enumerate(example.settings, start=2)}
    places = {"keras_setting" if name == "keras" else name: place for name, place in lines.items()}
    situation = replace(
        machine,
        settings=Settings(**example.settings, places=places),
        environment=example.variables,
        keras_config=KerasConfig("~/.keras/keras.json", example.keras_json) if example.keras_json else None,
        reading=reading,
        usage=usage,
        importing=first.name.split(".")[0] if first is not None else None,
    )
    return replace(situation, **example.known)


def render(example: Example, code: str) -> str:
    """Return an example as Markdown: the machine, the files, and what is typed and printed."""
    finding, (words, _) = follow(example, code), _MACHINES[example.machine]
    parts = [f"With {words}{'; ' if example.told else ''}{example.told}."]
    if example.settings:
        # JSON spells these values as TOML does.
        lines = [f"{name} = {json.dumps(value)}" for name, value in example.settings.items()]
        parts.append(block("toml", "\n".join(["[tool.autoxla]  # in pyproject.toml", *lines])))
    if example.keras_json:
        parts.append(block("json", f'{{"backend": "{example.keras_json}"}}'))
    parts.append(block("python", example.program))
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in example.variables.items())
    printed = f"autoxla: {headline([finding], FILE)}"
    if example.command.endswith("explain"):
        printed = "\n".join(["…", *(f"  {line}" for line in finding_lines(finding))])
    parts.append(block("console", f"$ {variables}{example.command} {FILE}\n{printed}"))
    return "\n\n".join(parts)


def block(language: str, text: str) -> str:
    """Return ``text`` as a fenced block."""
    return f"```{language}\n{text.strip()}\n```"

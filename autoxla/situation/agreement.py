"""What the workers of one job tell each other, and what follows from it.

Each publishes a `Word`; the chief judges all of them and publishes the `Verdict`, which all follow. Both
come over the network, so the parsers believe nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import autoxla
from autoxla.facts import Plan, Situation
from autoxla.readers import parse_xla_flags, tensorflow_bool
from autoxla.situation.cluster import Task, shown
from autoxla.situation.environment import select_watched

#: Distributions in which workers must not differ.
SHARED = ("tensorflow", "keras", "tf-keras", "intel-extension-for-tensorflow", "tensorflow-metal")
#: Watched variables that may well differ: which device a worker has, how much it logs, its own paths.
LOCAL_VARIABLES = frozenset(
    {
        "CUDA_VISIBLE_DEVICES",
        "HIP_VISIBLE_DEVICES",
        "KERAS_HOME",
        "OMP_NUM_THREADS",
        "ONEAPI_DEVICE_SELECTOR",
        "ROCM_PATH",
        "ROCR_VISIBLE_DEVICES",
        "TF_CPP_MIN_LOG_LEVEL",
        "TF_NUM_INTRAOP_THREADS",
        "TF_PLUGGABLE_DEVICE_LIBRARY_PATH",
        "ZE_AFFINITY_MASK",
    }
)
#: Flags that name a worker's own files.
LOCAL_FLAGS = ("--xla_dump_", "--xla_gpu_cuda_data_dir", "--tf_xla_persistent_cache_")
#: Traits that a worker may not know before the program runs.
MAYBE_KNOWN = frozenset({"generation"})
#: Workers, and traits of each, that a message names.
MOST_NAMED = 3
#: Characters that are read of what another worker published, and of a text in a verdict.
LONGEST_WORD = 100_000
LONGEST_TEXT = 4_000


@dataclass(frozen=True, slots=True)
class Word:
    """What one worker says of itself.

    `traits` are the facts in which workers must not differ, `jit_compile` is what its plan gives
    `Model.compile`, `strict` whether a difference is an error to it.
    """

    traits: Mapping[str, str] = field(default_factory=dict)
    jit_compile: bool | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all workers follow.

    `differences` names the workers that differ from the chief and in what, `missing` those that said
    nothing in time; both are empty where there are none. `strict`: a difference is to stop the job.
    """

    differences: str = ""
    missing: str = ""
    jit_compile: bool | None = None
    strict: bool = False


def describe(situation: Situation, plan: Plan, environ: Mapping[str, str]) -> Word:
    """Return what this worker tells the chief. ``environ`` is the environment with the plan applied."""
    known = {name: situation.versions[name] for name in SHARED if name in situation.versions}
    traits = {
        "python": ".".join(map(str, sys.version_info[:2])),
        "autoxla": autoxla.__version__,
        **{name: ".".join(map(str, version)) for name, version in known.items()},
        **_meanings(environ),
        **({} if plan.path.keras is None else {"generation": f"Keras {plan.path.keras}"}),
        **({} if plan.path.step is None else {"step": plan.path.step}),
        "device": plan.path.device,
        "backend": plan.path.backend,
    }
    return Word(traits, plan.jit_compile, situation.settings.strict)


def judge(words: Mapping[Task, Word], tasks: Sequence[Task]) -> Verdict:
    """Return what follows from the words of ``tasks``, of which the first is the chief and has one.

    One strict worker makes the job strict: where it alone stopped, the others would wait for it.
    """
    chief, speaking = tasks[0], [task for task in tasks if task in words]
    differing = {task: _differing(words[task], words[chief]) for task in speaking}
    texts = [f"{task} differs from {chief}: {text}" for task, text in differing.items() if text]
    missing = [str(task) for task in tasks if task not in words]
    strict = any(word.strict for word in words.values())
    return Verdict(_some(texts, "; "), _some(missing, ", "), words[chief].jit_compile, strict)


def as_text(said: Word | Verdict) -> str:
    """Return ``said`` as it is published, for `parse_word` or `parse_verdict`."""
    return json.dumps(asdict(said))


def parse_word(text: str) -> Word | None:
    """Return the word that a worker published; None for what is none."""
    data = _parse(text)
    if data is None or not isinstance(data.get("traits"), dict):
        return None
    traits = {name: value for name, value in data["traits"].items() if isinstance(value, str)}
    return Word(traits, _bool(data.get("jit_compile")), data.get("strict") is True)


def parse_verdict(text: str) -> Verdict | None:
    """Return the verdict that the chief published; None for what is none."""
    data = _parse(text)
    if data is None:
        return None
    differences, missing = data.get("differences"), data.get("missing")
    if not isinstance(differences, str) or not isinstance(missing, str):
        return None
    return Verdict(
        _line(differences), _line(missing), _bool(data.get("jit_compile")), data.get("strict") is True
    )


def _parse(text: str) -> dict[str, Any] | None:
    try:
        data = json.loads(text) if len(text) <= LONGEST_WORD else None
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _bool(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _line(text: str) -> str:
    return shown(text, LONGEST_TEXT)


def _some(texts: Sequence[str], separator: str) -> str:
    """Return the first of ``texts`` as one, and how many more there are."""
    more = len(texts) - MOST_NAMED
    return separator.join(texts[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _differing(word: Word, reference: Word) -> str:
    names = sorted({*word.traits, *reference.traits} - _unknown_to_one(word, reference))
    pairs = [(name, word.traits.get(name), reference.traits.get(name)) for name in names]
    texts = [f"{shown(n)} {_value(a)} against {_value(b)}" for n, a, b in pairs if a != b]
    return _some(texts, ", ")


def _unknown_to_one(word: Word, reference: Word) -> set[str]:
    """Return the traits that one worker knows, from an earlier run say, and the other one does not."""
    return {name for name in MAYBE_KNOWN if name not in word.traits or name not in reference.traits}


def _value(value: str | None) -> str:
    return "unset" if value is None else shown(value) or "empty"


def _meanings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the watched variables in which workers must not differ, each with what it says."""
    meanings = {name: _meaning(name, value) for name, value in select_watched(environ).items()}
    return {name: meaning for name, meaning in meanings.items() if meaning is not None}


def _meaning(name: str, value: str) -> str | None:
    """Return ``value`` as its reader takes it, None where it may differ or has no effect."""
    if name in LOCAL_VARIABLES:
        return None
    if name in ("TF_XLA_FLAGS", "XLA_FLAGS"):
        return _flags(value) or None
    if name == "TF_USE_LEGACY_KERAS":
        return "true" if tensorflow_bool(value) else None
    return value


def _flags(text: str) -> str:
    flags = parse_xla_flags(text)
    # The content of a file that every worker has under another name may be the same.
    tokens = [token for token in flags.tokens if not token.startswith(LOCAL_FLAGS)]
    return "a file" if flags.file is not None else " ".join(tokens)

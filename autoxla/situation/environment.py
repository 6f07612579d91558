"""The environment variables that matter, and the memory of those that autoxla set itself.

`APPLIED` holds JSON, ``{name: [previous, value]}``. A child process inherits it together with the
values, and so can tell what the user chose from what a parent's plan put there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from autoxla.policies import VARIABLES

#: The variable in which a process leaves what it set for its children.
APPLIED = "AUTOXLA_APPLIED"
#: Where this variable is set, cures are neither used nor learned: a process and its children run as they are.
UNCURED = "AUTOXLA_UNCURED"
#: Names the process that planned first; its children keep quiet and report into files of their own.
ROOT = "AUTOXLA_ROOT"

#: The variables that hide devices from a process.
MASKS = (
    *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
    *("ONEAPI_DEVICE_SELECTOR", "ZE_AFFINITY_MASK"),
)
#: Variables that no rule reads and that change what a program meets: its devices, threads, files, packages.
_SURROUNDINGS = (
    *("AUTOXLA_IMPORT_FIRST", "AUTOXLA_KERAS", "AUTOXLA_STEP", "AUTOXLA_STEPS_PER_EXECUTION"),
    *(
        "AUTOXLA_TRIAL",
        "KERAS_HOME",
        "OMP_NUM_THREADS",
        "SM_FRAMEWORK",
        "TF_DETERMINISTIC_OPS",
        "TF_ENABLE_ONEDNN_OPTS",
    ),
    *("TF_KERAS", "TF_NUM_INTRAOP_THREADS", "TF_PLUGGABLE_DEVICE_LIBRARY_PATH", "USE_TF", *MASKS),
)
#: The variables of a situation; those that begin with `WATCHED_PREFIX` come to them.
WATCHED_VARIABLES = (*sorted(VARIABLES), *_SURROUNDINGS)
WATCHED_PREFIX = "ITEX_"

#: What a variable held before autoxla set it, and what it set; None for unset.
Change = tuple[str | None, str | None]


def read_environ() -> Mapping[str, str]:
    """Return the environment of this process: the one place that asks for it. All others get it passed."""
    return os.environ


def is_watched(name: str) -> bool:
    """Tell whether a variable belongs to the situation."""
    return name in WATCHED_VARIABLES or name.startswith(WATCHED_PREFIX)


def select_watched(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the watched variables that are set, sorted by name."""
    return {name: environ[name] for name in sorted(environ) if is_watched(name)}


def remembered(environ: Mapping[str, str]) -> dict[str, Change]:
    """Return what autoxla set, by the memory in `environ`; what is malformed there is ignored."""
    try:
        memory = json.loads(environ.get(APPLIED) or "{}")
    except (ValueError, RecursionError):
        return {}
    changes = {}
    for name, entry in memory.items() if isinstance(memory, dict) else ():
        is_pair = isinstance(entry, list) and len(entry) == 2
        if is_pair and is_watched(name) and all(isinstance(value, str | None) for value in entry):
            changes[name] = (entry[0], entry[1])
    return changes


def restore(environ: Mapping[str, str]) -> tuple[dict[str, str], frozenset[str]]:
    """Return the environment without what autoxla set, and the names that it had set.

    A name that no longer has the value that autoxla gave it was changed by the user since, and stays.
    """
    view = {name: value for name, value in environ.items() if name != APPLIED}
    changes = remembered(environ)
    own = frozenset(name for name, (_, value) in changes.items() if environ.get(name) == value)
    for name in own:
        previous = changes[name][0]
        if previous is None:
            view.pop(name, None)
        else:
            view[name] = previous
    return view, own

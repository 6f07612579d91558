"""What the code that XLA makes for the CPU depends on, beside the program."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress

from autoxla.facts import Situation
from autoxla.situation.backends import locate
from autoxla.situation.machine import identity

#: The variables that change the code and are part of no entry's name in TensorFlow's cache.
VARIABLES = ("XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS")


def name_compiler(situation: Situation, path: Sequence[str]) -> str:
    """Return a name for TensorFlow's release and build, the processor, and XLA's flags: ``2.21.0-…``."""
    machine = identity()
    facts = [str(machine[name]) for name in ("system", "architecture", "cpu", "cpu_features")]
    facts += [repr(situation.environment.get(name)) for name in VARIABLES]
    facts += [repr(situation.flag_files.get("XLA_FLAGS")), *_describe_build(path)]
    release = ".".join(map(str, situation.versions["tensorflow"]))
    return f"{release}-{hashlib.sha256(chr(0).join(facts).encode()).hexdigest()[:16]}"


def _describe_build(path: Sequence[str]) -> list[str]:
    """Return what tells two installations of one release apart."""
    package = locate("tensorflow", path)
    with suppress(OSError):
        if package is not None:
            return [str(package), str(package.stat().st_mtime_ns)]
    return []

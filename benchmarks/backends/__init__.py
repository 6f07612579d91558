"""What the choice of a Keras backend gains: twelve models on TensorFlow's graph, on XLA, on JAX, on PyTorch.

``python -m benchmarks backends [--models …] [--rounds N] [--minutes N] [--json FILE]``; its ``__main__`` says
what it does. `run` is the program that is measured, `choice` what its figures say: the seconds of a training,
the best path, and the one that ``tune`` would take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The paths, by the names that they have in ``tune``: Keras' backend, and what ``compile`` is told.
BACKENDS: Mapping[str, str] = {"graph": "tensorflow", "xla": "tensorflow", "jax": "jax", "torch": "torch"}
COMPILE: Mapping[str, Mapping[str, Any]] = {
    "graph": {"jit_compile": False},
    "xla": {"jit_compile": True},
    "jax": {},
    "torch": {},
}
#: The lengths of the trainings whose times are wanted, in steps. The first one is an epoch.
WHOLE = (300, 3000)
#: Steps after which a step takes its usual time: on JAX, the second one may compile, too.
WARM_UP = 10

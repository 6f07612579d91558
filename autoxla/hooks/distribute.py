"""Whether a model is under a ``tf.distribute`` strategy: nothing is tried there, and XLA stays off."""

from __future__ import annotations

import sys
from typing import Any

from autoxla.facts import Finding
from autoxla.hooks.boundary import attempt


def in_strategy(model: object) -> bool:
    """Return whether ``model``, or the code that runs, is under a ``tf.distribute`` strategy.

    True also where that cannot be found out: nothing is to be tried there.
    """
    module = sys.modules.get("tensorflow.python.distribute.distribute_lib")
    if module is None:
        return False
    # A model may be made of anything.
    return bool(attempt("search for a strategy", _has_strategy, module, model, otherwise=lambda: True))


def _has_strategy(module: Any, model: object) -> bool:
    return bool(module.has_strategy()) or not _is_default(getattr(model, "distribute_strategy", None))


def without_xla() -> Finding:
    """Return the finding that the wanted XLA is left off under a strategy."""
    return Finding(
        "AX603",
        "warning",
        "step = 'xla' in the settings, and the model is under a tf.distribute strategy, where XLA fails "
        "on most devices: it stays off",
        "compile(jit_compile=True) if these devices can do it",
    )


def _is_default(strategy: object) -> bool:
    return strategy is None or type(strategy).__name__.startswith("_DefaultDistribution")

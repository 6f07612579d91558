"""Whether a model's steps may change their path within a run, and if not, why not.

A run that is meant to repeat must not depend on what was faster on the day: dropout and other random
floats differ between XLA and the plain graph.
"""

from __future__ import annotations

import io
import sys
import tokenize
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from autoxla.hooks.keras_internals import in_strategy
from autoxla.runtime import Runtime
from autoxla.situation.cluster import is_of_many
from autoxla.situation.environment import read_environ
from autoxla.trial.steps import has_one_step_a_call

_LARGEST = 1 << 22  # bytes of a source file; in a larger one a seed is taken for granted
#: Where initializers keep the seed that they were given, Keras 3 and Keras 2; None is none.
_SEEDS = ("_init_seed", "seed")
_DRAWING = ("kernel_initializer", "recurrent_initializer", "embeddings_initializer")


def find_obstacle(model: Any, session: Runtime) -> str | None:
    """Return why there is no trial for ``model``, None where there may be one."""
    situation = session.situation
    if situation is None or situation.settings.mode != "auto" or not situation.settings.trial:
        return "trials are off"
    if model not in session.left_open or session.plan.jit_compile is not None:
        return "jit_compile is chosen already"
    if bool(session.left_open[model]) != bool(getattr(model, "jit_compile", None)):
        return "jit_compile was assigned to the model"
    if getattr(model, "run_eagerly", False):
        return "the model runs eagerly"
    if not has_one_step_a_call(model):
        return "a call of the step is several steps"
    if getattr(model, "_cluster_coordinator", None) is not None or in_strategy(model):
        return "a distribution strategy"
    if is_of_many(read_environ()):
        return "one of several workers"
    if _runs_functions_eagerly():
        return "functions run eagerly"
    if _is_deterministic():
        return "op determinism"
    # Where nobody asked, a trial is made on what it was measured on.
    if "trial" not in situation.settings.places and has_accelerator():
        return "an accelerator is present, and trial = true is not set"
    if read_environ().get("XLA_FLAGS") != situation.environment.get("XLA_FLAGS"):
        return "XLA_FLAGS was set since the plan was made"
    return session.plan.no_xla_because or None


def has_accelerator() -> bool:
    """Return whether TensorFlow sees a device that is no CPU."""
    import tensorflow as tf

    return any(device.device_type != "CPU" for device in tf.config.list_physical_devices())


def find_seed(model: Any, session: Runtime) -> str | None:
    """Return where a seed is set, or why that cannot be excluded; None where nothing is seeded.

    Reads the program's own files, so it is for a thread beside training.
    """
    if find_global_seed() is not None:
        return "tf.random.set_seed"
    layer = next((layer for layer in _layers(model) if _is_seeded(layer)), None)
    if layer is not None:
        return f"layer {layer.name}"
    reading = session.situation.reading if session.situation is not None else None
    if reading is None or not reading.known:
        return "the program's source is not known"
    return find_word(reading.files)


def find_word(files: Iterable[str]) -> str | None:
    """Return the first place in ``files``, Python sources, where a name speaks of a seed.

    ``random.seed(…)`` or an initializer's ``seed=`` leave nothing to be found at run time.
    """
    for file in files:
        line = _line_of_seed(Path(file))
        if line is not None:
            return f"{file}:{line}" if line else file
    return None


def _line_of_seed(file: Path) -> int | None:
    """Return the line of the first name with ``seed`` in it, 0 where only its presence is known."""
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except OSError:
        return 0
    if b"seed" not in content.lower():
        return None
    if len(content) > _LARGEST or file.suffix != ".py":
        return 0
    try:
        tokens = list(tokenize.tokenize(io.BytesIO(content).readline))
    except (SyntaxError, ValueError, tokenize.TokenError):
        return 0
    names = (token for token in tokens if token.type == tokenize.NAME)
    return next((token.start[0] for token in names if "seed" in token.string.lower()), None)


def _layers(model: Any) -> Iterable[Any]:
    flatten = getattr(model, "_flatten_layers", None)
    return flatten() if callable(flatten) else ()


def _is_seeded(layer: Any) -> bool:
    if isinstance(getattr(layer, "seed", None), int):
        return True
    return any(isinstance(_seed_of(getattr(layer, name, None)), int) for name in _DRAWING)


def _seed_of(initializer: object) -> object:
    """Return the seed that ``initializer`` was given. Keras 3 draws one for itself under the second name."""
    return next((getattr(initializer, name) for name in _SEEDS if hasattr(initializer, name)), None)


def find_global_seed() -> object:
    """Return the seed of ``tf.random.set_seed``, None where none was set."""
    module = sys.modules.get("tensorflow.python.eager.context")
    ask = getattr(module, "global_seed", None)
    # Where that is not to be had, take a seed for granted.
    return ask() if callable(ask) else "unknown"


def _runs_functions_eagerly() -> bool:
    import tensorflow as tf

    return bool(tf.config.functions_run_eagerly())


def _is_deterministic() -> bool:
    module = sys.modules.get("tensorflow.python.framework.config")
    ask = getattr(module, "is_op_determinism_enabled", None)
    asked_for = read_environ().get("TF_DETERMINISTIC_OPS", "").lower() in ("1", "true")
    return asked_for or not callable(ask) or bool(ask())

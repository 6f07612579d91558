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

from autoxla.hooks.keras_internals import in_strategy, steps_per_call
from autoxla.runtime import Runtime
from autoxla.situation.cluster import is_of_many
from autoxla.situation.environment import read_environ

_LARGEST = 1 << 22  # bytes of a source file; in a larger one a seed is taken for granted
#: Parts of names by which a program makes its random numbers repeatable.
_WORDS = ("seed", "from_state", "key_counter", "setstate")
#: Where initializers keep the seed that they were given, Keras 3 and Keras 2; None is none.
_SEEDS = ("_init_seed", "seed")
#: Operations that give the same numbers under XLA whatever the seed is.
UNSEEDED = frozenset({
    "Multinomial", "RandomShuffle", "RandomStandardNormal", "RandomUniform", "RandomUniformInt",
    "TruncatedNormal",
})  # fmt: skip
_DRAWING = ("kernel_initializer", "recurrent_initializer", "embeddings_initializer")


def find_obstacle(model: Any, session: Runtime) -> str | None:
    """Return why there is no trial for ``model``, None where there may be one."""
    import tensorflow as tf

    situation = session.situation
    if situation is None or situation.settings.mode != "auto" or not situation.settings.trial:
        return "trials are off"
    if model not in session.left_open or session.plan.jit_compile is not None:
        return "jit_compile is chosen already"
    if bool(session.left_open[model]) != bool(getattr(model, "jit_compile", None)):
        return "jit_compile was assigned to the model"
    if getattr(model, "run_eagerly", False):
        return "the model runs eagerly"
    if getattr(model, "autotune_steps_per_execution", False) or steps_per_call(model) != 1:
        return "a call of the step is several steps"
    if getattr(model, "_cluster_coordinator", None) is not None or in_strategy(model):
        return "a distribution strategy"
    if is_of_many(read_environ()):
        return "one of several workers"
    if tf.config.functions_run_eagerly():
        return "functions run eagerly"
    # Where it cannot be asked, it is taken for granted.
    config = sys.modules.get("tensorflow.python.framework.config")
    is_deterministic = getattr(config, "is_op_determinism_enabled", lambda: True)
    asked_for = read_environ().get("TF_DETERMINISTIC_OPS", "").lower() in ("1", "true")
    if asked_for or is_deterministic():
        return "op determinism"
    # Where nobody asked, a trial is made on what it was measured on.
    kinds = {device.device_type for device in tf.config.list_physical_devices()}
    if "trial" not in situation.settings.places and kinds - {"CPU"}:
        return "an accelerator is present, and trial = true is not set"
    if read_environ().get("XLA_FLAGS") != situation.environment.get("XLA_FLAGS"):
        return "XLA_FLAGS was set since the plan was made"
    return session.plan.no_xla_because or None


def find_seed(model: Any, session: Runtime) -> str | None:
    """Return where a seed is set, or why that cannot be excluded; None where nothing is seeded.

    Reads the program's own files, so it is for a thread beside training.
    """
    if find_global_seed() is not None:
        return "tf.random.set_seed"
    flatten = getattr(model, "_flatten_layers", None)
    for layer in flatten() if callable(flatten) else ():
        seeds = [getattr(layer, "seed", None)]
        for name in _DRAWING:
            initializer = getattr(layer, name, None)
            # Keras 3 draws one for itself under the second name.
            seeds += [getattr(initializer, each) for each in _SEEDS if hasattr(initializer, each)][:1]
        if any(isinstance(seed, int) for seed in seeds):
            return f"layer {layer.name}"
    reading = session.situation.reading if session.situation is not None else None
    if reading is None or not reading.known:
        return "the program's source is not known"
    return find_word(reading.files)


def find_word(files: Iterable[str]) -> str | None:
    """Return the first place in ``files``, Python sources, where a name speaks of a seed.

    ``random.seed(…)`` or an initializer's ``seed=`` leave nothing to be found at run time, nor does
    ``Generator.from_state(…)``.
    """
    for file in files:
        # What cannot be read is taken for seeded.
        try:
            with Path(file).open("rb") as stream:
                content = stream.read(_LARGEST + 1)
        except OSError:
            return file
        if not any(word.encode() in content.lower() for word in _WORDS):
            continue
        if len(content) > _LARGEST or not file.endswith(".py"):
            return file
        try:
            tokens = list(tokenize.tokenize(io.BytesIO(content).readline))
        except (SyntaxError, ValueError, tokenize.TokenError):
            return file
        for token in tokens:
            if token.type == tokenize.NAME and any(word in token.string.lower() for word in _WORDS):
                return f"{file}:{token.start[0]}"
    return None


def find_global_seed() -> object:
    """Return the seed of ``tf.random.set_seed``, None where none was set."""
    module = sys.modules.get("tensorflow.python.eager.context")
    ask = getattr(module, "global_seed", None)
    # Where that is not to be had, take a seed for granted.
    return ask() if callable(ask) else "unknown"

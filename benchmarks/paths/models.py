"""The models of `benchmarks.architectures` with `tf.data`, from 0.7 to 60 ms a training step on two cores.

No name in here is one at which a trial stands aside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.architectures import TASKS

#: Different batches in memory; longer epochs have them again.
BATCHES = 20


def build(name: str, options: Mapping[str, Any]) -> tuple[Any, Callable[[int], Any]]:
    """Return a model, compiled with ``options``, and what makes a ``tf.data`` set of so many batches.

    Raises KeyError for an unknown name.
    """
    task = TASKS[name]
    model = task.make(tf.keras)
    model.compile(optimizer="adam", loss=task.loss, **options)
    examples = task.draw(np.random.default_rng(1), BATCHES * task.batch)

    def make_batches(steps: int) -> Any:
        whole = tf.data.Dataset.from_tensor_slices(examples).batch(task.batch)
        return whole.repeat().take(steps).prefetch(2)

    return model, make_batches

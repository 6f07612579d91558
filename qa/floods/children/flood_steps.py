"""One ``fit`` of very many tiny steps, in blocks: ``flood_steps.py open|false EPOCHS STEPS BLOCK``.

``open`` leaves ``jit_compile`` to Keras, and so a trial to autoxla; ``false`` is the program's own choice.
"""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from floods.children.flooding import (
    Clock,
    count_faults,
    force_trials,
    measure_memory,
    outcome_of,
    say,
    wait_beside,
)

CHOICE, EPOCHS, STEPS, BLOCK = sys.argv[1], *map(int, sys.argv[2:])
BATCH, WIDTH = 8, 8
#: Steps within which a trial comes to its end.
SETTLING = 500


class Blocks(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends a block every `BLOCK` steps, and waits for the word for the next."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.steps = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count."""
        self.steps += 1
        if self.steps < SETTLING:
            wait_beside(self.model)
        if self.steps % BLOCK == 0:
            self.clock.stop()
            if not self.clock.wait():
                self.model.stop_training = True


def make_model() -> Any:
    """Return a model whose step is mostly what stands around it."""
    model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(WIDTH), keras.layers.Dense(1)])
    options = {"jit_compile": False} if CHOICE == "false" else {}
    model.compile(optimizer="sgd", loss="mse", **options)
    return model


force_trials()
MODEL = make_model()
ROWS = np.sin(np.arange(BATCH * WIDTH, dtype="float32")).reshape(BATCH, WIDTH)
BATCHES = tf.data.Dataset.from_tensors((ROWS, ROWS[:, :1])).repeat()
CLOCK = Clock()
say(measure_memory())
CLOCK.wait()
MODEL.fit(BATCHES, epochs=EPOCHS, steps_per_epoch=STEPS, verbose=0, callbacks=[Blocks(CLOCK)])
iterations = int(np.asarray(MODEL.optimizer.iterations))
say({"steps": iterations, "outcome": outcome_of(MODEL), "faults": count_faults()})

"""How long a training step waits for its data.

Keras' own function takes its batch inside of TensorFlow, where nothing tells how long that takes. So a few
batches are fetched by hand, with a clock beside them, and Keras' function trains on these
(`autoxla.trial.guards.replay`): each batch once, in its order, by the same trace. The pauses between them
double, since what a data set has prepared while the step was traced hides at first that it is slow.
"""

from __future__ import annotations

from collections import deque
from math import inf
from statistics import fmean
from time import perf_counter
from typing import Any

import tensorflow as tf

from autoxla.trial import economics

#: Seconds between the first two batches that are fetched by hand, and the most of these in a fit.
_PAUSE, _MOST = 0.1, 10
#: So many steps pass at least from one to the next: a batch by hand takes longer, in which a data set that
#: works beside training gets ahead. In turn one more: several workers hand over their batches in bursts.
_APART = 4
#: The last so many count.
_COUNTED = 5
#: Worth a word: this part of a step, and so many seconds, beside which a call by hand costs nothing.
_SHARE, _LEAST = 0.5, 1e-3


class Waits:
    """What some steps of a fit waited for data.

    `due`: when to look again, by `perf_counter`; not before step `due_at`.
    """

    def __init__(self) -> None:
        self.due = inf
        self.due_at = 0
        #: Seconds of waiting, and of the plain steps before: the load of the moment is in both.
        self._pairs: deque[tuple[float, float]] = deque(maxlen=_COUNTED)
        self._looks = 0

    def note(self, wait: float, step: float, number: int) -> None:
        """Note that step ``number`` waited for ``wait`` seconds, near plain steps of ``step`` seconds."""
        self._pairs.append((wait, step))
        self._looks += 1
        self.due_at = number + _APART - self._looks % 2
        self.due = perf_counter() + _PAUSE * 2**self._looks if self._looks < _MOST else inf

    def find_long(self, steps_left: float) -> tuple[float, float] | None:
        """Return the wait and the whole of a step on average, None where the wait is not worth a word."""
        if len(self._pairs) < _COUNTED:
            return None
        wait, step = (fmean(side) for side in zip(*self._pairs, strict=True))
        is_long = wait > _SHARE * step and wait >= _LEAST and wait * steps_left >= economics.SHORTEST
        return (wait, step) if is_long else None


def find_remedy(data: Any) -> str:
    """Return what makes batches of ``data``, the ``x`` of a fit, come sooner; empty where nothing does.

    Of arrays Keras makes the batches itself, as fast as it can.
    """
    if isinstance(data, tf.data.Dataset):
        return (
            "end the data set with prefetch(tf.data.AUTOTUNE), give its map() "
            "num_parallel_calls=tf.data.AUTOTUNE, and cache() what stays the same"
        )
    if hasattr(data, "__next__"):
        return "make the batches in a keras.utils.PyDataset with workers=4, or in tf.data, not in a generator"
    is_sequence = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    if not is_sequence or hasattr(data, "__array__") or isinstance(data, list | tuple | dict):
        return ""
    return "let workers=4 make the batches, with use_multiprocessing=True where that is work of Python's"

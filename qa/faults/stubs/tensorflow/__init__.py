"""A stand-in for TensorFlow: what autoxla looks at, and Keras where the variable says it is."""

import os
from types import SimpleNamespace

from tensorflow.python.eager import context

__all__ = ["Iterator", "context"]
__version__ = "2.21.0"


class Iterator:
    """Gives the batches of one epoch after another."""

    element_spec = None

    def __init__(self, batches):
        self.batches = list(batches)
        self.at = 0

    def get_next(self):
        """Return the next batch."""
        batch = self.batches[self.at % len(self.batches)]
        self.at += 1
        return batch


data = SimpleNamespace(Iterator=Iterator)
nest = SimpleNamespace(flatten=list)
config = SimpleNamespace(functions_run_eagerly=lambda: False)


def __getattr__(name):
    if name != "keras":
        raise AttributeError(name)
    if os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True"):
        import tf_keras as keras
    else:
        import keras
    return keras

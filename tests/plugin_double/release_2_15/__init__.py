"""Stands for the package of the wheels 2.15.0.*, which need Keras 2 for their layers.

The plug-in imports it only with ``ITEX_OPS_OVERRIDE`` on; with Keras 3 the import below fails, as
that of the wheels does.
"""

import tensorflow  # noqa: F401
from keras.src.optimizers import utils  # noqa: F401


def experimental_ops_override() -> None:
    """Say what the wheels say; no layer is replaced."""
    print("itex experimental ops override is enabled.")

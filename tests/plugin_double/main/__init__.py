"""Stands for the package that ITEX's main installs; imported by its plug-in or by the program.

What it takes from Keras is the first name that ITEX's own operations take: that import fails first where
Keras is half imported.
"""

import os

import tensorflow  # noqa: F401

if os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True"):
    from tf_keras.utils import register_keras_serializable
else:
    from keras.src.saving.object_registration import register_keras_serializable  # noqa: F401

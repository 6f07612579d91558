"""Rules of Keras' backends and of autoxla's own folder: AX401 to AX406, and AX906."""

from __future__ import annotations

from collections.abc import Mapping

from autoxla.guide.entry import Prose
from autoxla.guide.example import FROM_A_FILE, ITEX, RUN, Followed

_KERAS = """\
import keras

model = keras.Sequential([keras.layers.Dense(1)])
"""
_TF_KERAS = """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
"""

PROSE: Mapping[str, Prose] = {
    "AX401": Prose(
        "Keras 3 imports its backend when it is imported itself. If that fails inside TensorFlow, the error "
        "is swallowed, and the first use of `tf.keras` says only that Keras cannot be imported, although it "
        "is installed. What is missing is the backend's package.",
        Followed(_TF_KERAS, {"KERAS_BACKEND": "jax"}),
    ),
    "AX402": Prose(
        "The file is left over from another time: Keras wrote it once and never again. TensorFlow imports "
        "Keras while it is imported, and this error it does not swallow, so that `import tensorflow` itself "
        "fails. `KERAS_BACKEND` goes before the file.",
        Followed(_TF_KERAS, keras_json="theano"),
    ),
    "AX403": Prose(
        "Keras 3 knows five backends and raises ValueError for any other name, while it is imported. "
        "TensorFlow imports Keras in turn, so a misspelt value stops programs that never use Keras, too.",
        Followed(_KERAS, {"KERAS_BACKEND": "theano"}),
    ),
    "AX404": Prose(
        "Keras chooses its backend once, when it is first imported, and TensorFlow's own import counts. A "
        "value that is set later changes nothing: the program trains on another backend than its source "
        "says.",
        Followed(
            FROM_A_FILE,
            known={
                "environment": {"KERAS_BACKEND": "jax"},
                "keras_backend": "tensorflow",
                "imported": frozenset({"keras", "tensorflow"}),
            },
            told='variables.json holds {"KERAS_BACKEND": "jax"}',
            command=RUN,
        ),
    ),
    "AX405": Prose(
        "ITEX replaces methods of Keras' TensorFlow backend while TensorFlow loads. With another backend "
        "those are not there; ITEX prints a traceback and ends the process with exit status 0. That holds "
        "for every import of tensorflow, in either order with keras, and for legacy Keras, too.",
        Followed(_TF_KERAS, {"KERAS_BACKEND": "jax"}, ITEX),
    ),
    "AX406": Prose(
        "As long as nothing imports tensorflow ITEX is not loaded, and Keras runs on its other backend. But "
        "libraries import tensorflow for small things, a summary writer or a data set, and that ends the "
        "process with exit status 0.",
        Followed(_KERAS, {"KERAS_BACKEND": "jax"}, ITEX),
    ),
    "AX906": Prose(
        "What lies in the cache steers later runs. In a folder that others may write to, anybody could "
        "decide how your programs run, so autoxla reads nothing from it and keeps nothing there. Programs "
        "run as they do without a cache.",
        Followed(
            _KERAS,
            known={"cache_refused": "/scratch/autoxla can be written by others"},
            told="AUTOXLA_CACHE=/scratch/autoxla, a folder that others may write to",
        ),
    ),
}

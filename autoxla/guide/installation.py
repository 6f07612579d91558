"""Rules of Keras' backends, and of autoxla's cache and reading: AX401 to AX406, AX906, AX909, AX910."""

from __future__ import annotations

from collections.abc import Mapping

from autoxla.facts import Place, Reading
from autoxla.guide.entry import Prose
from autoxla.guide.example import FILE, FROM_A_FILE, ITEX, RUN, Followed
from autoxla.situation.files import OUT_OF_TIME

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
    "AX909": Prose(
        "A server that is away holds up every call to its file system, for ever. autoxla asks the cache "
        "folder in a thread of its own and waits two seconds in all; then the run goes on without a cache. "
        "What earlier runs taught is not known to it, so XLA may be tried anew. Where the program itself "
        "or `keras.json` is on that server, it hangs without autoxla, too.",
        Followed(
            _KERAS,
            known={"cache_refused": "/net/home/me/.cache/autoxla does not answer"},
            told="a home on a server that is away",
        ),
    ),
    "AX910": Prose(
        "A program that runs waits two seconds for its source to be read. Of one with thousands of modules "
        "that may be too little. Half of it would be worse than nothing, since the other half may need the "
        "opposite; so nothing that only the source tells is decided. Hazards that show in the environment "
        "are cured all the same. Once the source was read in whole, the reading is kept as long as no file "
        "of it changes, and no run waits.",
        Followed(
            _KERAS,
            known={"reading": Reading(unread=((Place(FILE), f"{OUT_OF_TIME} 2 s"),))},
            told="a program of some thousand modules",
            command=RUN,
        ),
    ),
}

"""How a saved model is read by a Keras that cannot load it as it is: the cheapest way that was seen to work.

It was tried with files of TensorFlow 2.13 to 2.21 and Keras 3.0 to 3.15: docs/saved-files.md has the table.
"""

from __future__ import annotations

import re

from autoxla.model import Saved, Version

#: The place of the program's own way to Keras 2 in an advice.
KERAS_2 = "{keras2}"
#: What Keras says of a class that is the program's own; the others it has itself, in another place.
_OWN_CLASS = re.compile(r"(?:Unknown layer: |locate class )'(?!Functional'|Sequential'|Model')(\w{1,99})'")
#: What Keras says where an argument of ``load_model`` is all that it takes; known errors name the argument.
_IS_OPTION = re.compile(
    r"safe_mode=False|(?:deserialize|locate function) '(?:keras\.(?:metrics|losses)\.)?\w{1,60}'"
)
#: Before this release the weights in ``.keras`` files had names that no later one looks for.
_RENAMED = (2, 15)
_LAYER = "keras.layers.TFSMLayer(folder, call_endpoint='serving_default') reads it for inference"


def advise(saved: Saved, *, reader: Version, tf_keras: Version, error: str) -> str | None:
    """Return how to read ``saved``, which a Keras of release ``reader`` did not load: it raised ``error``.

    None where no way is known. `KERAS_2` in it stands for the program's way to ``tf_keras``, which is ()
    where it is not installed.
    """
    own = _OWN_CLASS.search(error)
    if own is not None:
        return f"pass custom_objects={{'{own[1]}': {own[1]}}}, with that class of the program"
    if "bad marshal data" in error:
        python = "load it with that Python, or build the model by code and load its weights"
        return f"its Lambda layer is bytecode of another release of Python: {python}"
    if _IS_OPTION.search(error):
        return None
    release = tuple(map(int, re.findall(r"\d+", saved.release)[:2]))
    if saved.generation == 3:
        if saved.kind == "folder":
            return _LAYER if reader >= (3,) else None
        if reader < (3,):
            return (
                "load it with keras.models.load_model() of Keras 3, with TF_USE_LEGACY_KERAS and "
                "AUTOXLA_KERAS unset; or carry the weights over, by save_weights to .weights.h5, into a "
                "model built by code"
            )
        return f"pip install 'keras>={saved.release}'" if release > reader[:2] else None
    series = ".".join(map(str, release))
    if saved.kind == "keras" and release and release < _RENAMED <= reader:
        return f"no later Keras finds its weights: load it with TensorFlow {series} and save it as .h5"
    newer = (
        f"it takes TensorFlow and tf_keras {series}, or later" if release > (tf_keras or reader)[:2] else ""
    )
    if reader < (3,):
        return newer or None
    if saved.kind == "folder":
        return f"{_LAYER}; for all else, {newer or KERAS_2}"
    if newer:
        return newer
    return (
        f"{KERAS_2}, and pass safe_mode=False" if "Lambda" in saved.parts and saved.kind != "h5" else KERAS_2
    )

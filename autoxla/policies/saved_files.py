"""How a saved model is read by a Keras that cannot load it as it is: the cheapest way that was seen to work.

It was tried with files of TensorFlow 2.13 to 2.21 and Keras 3.0 to 3.15: docs/saved-files.md has the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from autoxla.model import Saved, Version

LEGACY: Mapping[str, str] = {"AUTOXLA_KERAS": "legacy"}
_ALIAS = (
    "with tf_keras installed, start the program with AUTOXLA_KERAS=legacy: keras is then tf_keras, which reads it"
)
#: What Keras says of a class that is the program's own; the others it has itself, in another place.
_OWN_CLASS = re.compile(r"(?:Unknown layer: |locate class )'(?!Functional'|Sequential'|Model')(\w{1,99})'")
#: What Keras says where an argument of ``load_model`` is all that it takes, and names it.
_SAYS_IT_ITSELF = re.compile(r"safe_mode=False|(?:deserialize|locate function) '(?:keras\.(?:metrics|losses)\.)?\w+'")
#: Before this release the weights in ``.keras`` and ``.weights.h5`` files had names that no later one looks for.
_RENAMED = (2, 15)


class Advice(NamedTuple):
    """What to do, and the one setting of autoxla under which the program lives, None for none."""

    text: str
    setting: Mapping[str, str] | None = None


def advise(saved: Saved, *, reader: Version, error: str) -> Advice | None:
    """Return how ``saved`` is read, which Keras ``reader`` failed to load with ``error``; None for no known way."""
    own = _OWN_CLASS.search(error)
    if own is not None:
        return Advice(f"pass custom_objects={{'{own[1]}': {own[1]}}} with that class of the program")
    if "bad marshal data" in error:
        return Advice(
            "its Lambda layer holds bytecode of another release of Python: build the model by code and load "
            "its weights, or load it with that Python"
        )
    release = tuple(map(int, re.findall(r"\d+", saved.release)[:2]))
    if _SAYS_IT_ITSELF.search(error) or saved.kind == "weights":
        return None
    if saved.generation == 3 and reader < (3,):
        return Advice(
            "load it with keras.models.load_model() of Keras 3, without TF_USE_LEGACY_KERAS and AUTOXLA_KERAS; or "
            "carry over the weights, by save_weights to .weights.h5, into a model built by code"
        )
    if saved.generation == 2 and saved.kind == "keras" and release and release < _RENAMED <= reader:
        return Advice(f"no later Keras reads its weights: load it with TensorFlow {release[0]}.{release[1]} and save it as .h5")
    if saved.generation == 2 and reader >= (3,):
        if saved.kind == "folder":
            layer = "for inference, keras.layers.TFSMLayer(folder, call_endpoint='serving_default') reads it; else, "
            return Advice(layer + _ALIAS, LEGACY)
        more = ", given safe_mode=False" if "Lambda" in saved.parts else ""
        return Advice(_ALIAS + more, None if more else LEGACY)
    if release > reader[:2]:
        distribution = "keras" if saved.generation == 3 else "tf_keras"
        return Advice(f"install the release that wrote it, or a later one: pip install '{distribution}>={saved.release}'")
    return None

"""What is installed, and which generation ``tf.keras`` will be."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from autoxla.commands.diagnosis.line import Line, Scene
from autoxla.policies.rule import KERAS_3, SWITCHABLE
from autoxla.situation.env_parsing import tensorflow_bool

SUBJECT = "versions"
SHOWN = ("tensorflow", "keras", "tf-keras", "wrapt", "numpy", "protobuf", "ml-dtypes", "h5py")
_SWITCH = "TF_USE_LEGACY_KERAS"


def check(scene: Scene) -> Iterator[Line]:
    """Say each release, and what ``tf.keras`` is."""
    yield Line("ok", "AX801", SUBJECT, f"python {'.'.join(map(str, sys.version_info[:3]))}")
    for name in SHOWN:
        found = scene.inventory.provider(name)
        if found is not None:
            source = f", from {found.name}" if found.name != name else ""
            yield Line("ok", "AX801", SUBJECT, f"{name} {found.text}{source}")
        elif name == "tensorflow":
            remedy = "pip install tensorflow, if programs here are to use it"
            yield Line("note", "AX802", SUBJECT, "tensorflow is not installed", remedy)
    told = describe_generation(scene)
    if told:
        yield Line("ok", "AX803", SUBJECT, told)


def describe_generation(scene: Scene) -> str:
    """Return which Keras ``tf.keras`` will be and why; empty without TensorFlow."""
    inventory = scene.inventory
    tensorflow = inventory.provider("tensorflow")
    if tensorflow is None:
        return ""
    legacy, keras = inventory.provider("tf-keras"), inventory.provider("keras")
    # 2.15 takes the keras that is installed, whatever its generation.
    may_be_3 = tensorflow.version >= (2, 15) and keras is not None and keras.version >= KERAS_3
    if tensorflow.version < SWITCHABLE and not may_be_3:
        return f"tf.keras is Keras 2: TensorFlow {tensorflow.text} has no other"
    value = scene.environ.get(_SWITCH)
    if tensorflow_bool(value):
        release = f" ({legacy.name} {legacy.text})" if legacy else ", which is not installed"
        return f"tf.keras is Keras 2{release}: {_SWITCH}={value}"
    because = f"{_SWITCH} is not set" if value is None else f"{_SWITCH}={value!r} is off to TensorFlow"
    return f"tf.keras is Keras 3{f' ({keras.text})' if keras else ', which is not installed'}: {because}"

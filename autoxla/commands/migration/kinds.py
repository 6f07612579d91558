"""Dotted paths as parts of Keras, and the libraries that go with one generation only."""

from __future__ import annotations

from dataclasses import dataclass

from autoxla.commands.migration.names import Generation
from autoxla.policies.packages import PACKAGES

PACKAGE: dict[Generation, str] = {"legacy": "tf_keras", "keras3": "keras"}
SPOKEN: dict[Generation, str] = {"legacy": "tf_keras", "keras3": "Keras 3"}
#: TensorFlow's other names for parts of ``tf.keras``.
_PARTS = ("initializers", "losses", "metrics", "optimizers")
ROOTS = ("tensorflow", "tensorflow.compat", "tensorflow.compat.v2")


@dataclass(frozen=True, slots=True)
class Keras:
    """A dotted path as a part of Keras.

    `kind`: ``keras``, ``tf_keras``, ``tensorflow`` (for tf.keras), or ``v1`` and ``private`` for what
    no public package has. `length` counts the words that name the package, `path` is what follows.
    """

    kind: str
    length: int
    path: str


def classify(dotted: str) -> Keras | None:
    """Return which part of Keras ``dotted`` is, None for what is not Keras."""
    words = dotted.split(".")
    if words[0] in ("keras", "tf_keras"):
        return Keras(words[0], 1, ".".join(words[1:]))
    if words[0] != "tensorflow" or len(words) == 1:
        return None
    skip = 3 if words[1:3] == ["compat", "v2"] else 1
    if words[skip : skip + 1] == ["keras"]:
        return Keras("tensorflow", skip + 1, ".".join(words[skip + 1 :]))
    if words[skip : skip + 1] and words[skip] in _PARTS:
        return Keras("tensorflow", skip, ".".join(words[skip:]))
    if words[1:4] == ["compat", "v1", "keras"]:
        return Keras("v1", 4, ".".join(words[4:]))
    if "keras" in words[2:4] and words[1] in ("python", "contrib", "_api"):
        return Keras("private", 0, ".".join(words[1:]))
    return None


#: Libraries of which only a part holds Keras objects; None: their objects do not meet the program's.
_PARTLY = {
    "tensorflow_hub": "tensorflow_hub.KerasLayer",
    "tensorflow_probability": "tensorflow_probability.layers",
    "transformers": None,
}


def _libraries(*needs: str) -> frozenset[str]:
    """Return the modules whose newest release has one of the ``needs``."""
    found = {package.module for package in PACKAGES if package.before is None and package.need in needs}
    return frozenset(name for name in (_PARTLY.get(module, module) for module in found) if name)


#: Libraries whose objects are of one generation and do not mix with the other's.
BOUND_TO: dict[Generation, frozenset[str]] = {
    "keras3": _libraries("3"),
    "legacy": _libraries("2", "tf_keras"),
}

"""The public names of both Keras generations, and what dotted paths are parts of.

The names stand in ``names.txt``, so that they can be told apart without an import. A later release
may have more; such a name counts as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from autoxla.policies.packages import PACKAGES

Generation = Literal["legacy", "keras3"]

OTHER: Mapping[Generation, Generation] = {"legacy": "keras3", "keras3": "legacy"}
PACKAGE: Mapping[Generation, str] = {"legacy": "tf_keras", "keras3": "keras"}
SPOKEN: Mapping[Generation, str] = {"legacy": "tf_keras", "keras3": "Keras 3"}
#: Modules of TensorFlow that hold ``keras`` and the other names for parts of it.
ROOTS = ("tensorflow", "tensorflow.compat", "tensorflow.compat.v2")
_PARTS = ("initializers", "losses", "metrics", "optimizers")
#: There in Keras 3 by name only: it raises when it is used.
_HOLLOW = ("keras3", "optimizers.legacy")
#: Libraries of which only a part holds Keras objects; None: their objects do not meet the program's.
_PARTLY = {
    "tensorflow_hub": "tensorflow_hub.KerasLayer",
    "tensorflow_probability": "tensorflow_probability.layers",
    "transformers": None,
}
_NEEDS: Mapping[Generation, tuple[str, ...]] = {"keras3": ("3",), "legacy": ("2", "tf_keras")}


def _read_names() -> dict[Generation, dict[str, frozenset[str]]]:
    found: dict[Generation, dict[str, frozenset[str]]] = {"legacy": {}, "keras3": {}}
    section = ""
    for line in Path(__file__).with_name("names.txt").read_text(encoding="utf-8").splitlines():
        module, _, listed = line.partition(":")
        if line.startswith("["):
            section = line.strip("[]")
        for generation, modules in found.items() if section else ():
            if section in ("both", generation) and listed:
                key = module.removeprefix(".")
                modules[key] = modules.get(key, frozenset()) | frozenset(listed.split())
    return found


#: The public names of each module; the package itself has the name ``""``.
PUBLIC = _read_names()
#: The modules right below the package, those that were private or have gone included.
MODULES = PUBLIC["legacy"][""] | PUBLIC["keras3"][""] | {"engine", "src", "__internal__"}


def missing_in(generation: Generation, path: str) -> str | None:
    """Return the part of ``path`` (``layers.Dense.call``, without the package) that ``generation`` lacks.

    None where it has all of it. What stands behind a class or a function is not judged.
    """
    module = ""
    for name in path.split(".") if path else ():
        here = f"{module}.{name}".removeprefix(".")
        is_special = name.startswith("__") and name != "__internal__"
        is_there = is_special or name in PUBLIC[generation].get(module, ())
        if not is_there or (generation, here) == _HOLLOW:
            return here
        if here not in PUBLIC[generation]:
            return None
        module = here
    return None


class Keras(NamedTuple):
    """A dotted path as a part of Keras.

    `kind`: ``keras``, ``tf_keras``, ``tensorflow`` (for tf.keras), ``v1`` and ``private`` for what no public
    package has, empty for what is not Keras. `length` counts the words that name the package, `path` is what
    follows.
    """

    kind: str = ""
    length: int = 0
    path: str = ""


def classify(dotted: str) -> Keras:
    """Return which part of Keras ``dotted`` is."""
    words = dotted.split(".")
    if words[0] in ("keras", "tf_keras"):
        return Keras(words[0], 1, ".".join(words[1:]))
    if words[0] != "tensorflow" or len(words) == 1:
        return Keras()
    skip = 3 if words[1:3] == ["compat", "v2"] else 1
    if words[skip : skip + 1] == ["keras"]:
        return Keras("tensorflow", skip + 1, ".".join(words[skip + 1 :]))
    if words[skip : skip + 1] and words[skip] in _PARTS:
        return Keras("tensorflow", skip, ".".join(words[skip:]))
    if words[1:4] == ["compat", "v1", "keras"]:
        return Keras("v1", 4, ".".join(words[4:]))
    if "keras" in words[2:4] and words[1] in ("python", "contrib", "_api"):
        return Keras("private", 0, ".".join(words[1:]))
    return Keras()


def find_bound(dotted: str, generation: Generation) -> str | None:
    """Return the library that ``dotted`` is part of, if its newest release works with ``generation`` only."""
    for package in PACKAGES:
        if package.before is None and package.need in _NEEDS[generation]:
            name = _PARTLY.get(package.module, package.module)
            if name and f"{dotted}.".startswith(f"{name}."):
                return name
    return None

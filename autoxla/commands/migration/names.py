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
#: There in Keras 3 by name only: they raise when they are used.
_HOLLOW: Mapping[Generation, tuple[str, ...]] = {"keras3": ("optimizers.legacy",), "legacy": ()}
#: Libraries of which only a part holds Keras objects; None: their objects do not meet the program's.
_PARTLY = {
    "tensorflow_hub": "tensorflow_hub.KerasLayer",
    "tensorflow_probability": "tensorflow_probability.layers",
    "transformers": None,
}
_NEEDS: Mapping[Generation, tuple[str, ...]] = {"keras3": ("3",), "legacy": ("2", "tf_keras")}


def _read_names() -> Mapping[Generation, Mapping[str, frozenset[str]]]:
    found: dict[Generation, dict[str, frozenset[str]]] = {"legacy": {}, "keras3": {}}
    section = ""
    for line in Path(__file__).with_name("names.txt").read_text(encoding="utf-8").splitlines():
        module, colon, names = line.partition(":")
        if line.startswith("["):
            section = line.strip("[]")
        elif colon and not line.startswith("#"):
            for generation, modules in found.items():
                if section in ("both", generation):
                    key = module.removeprefix(".")
                    modules[key] = modules.get(key, frozenset()) | frozenset(names.split())
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
        special = name.startswith("__") and name != "__internal__"
        if here in _HOLLOW[generation] or not (special or name in PUBLIC[generation].get(module, ())):
            return here
        if here not in PUBLIC[generation]:
            return None
        module = here
    return None


def exists_in(generation: Generation, path: str) -> bool:
    """Tell whether ``generation`` has the whole of ``path``, hollow or not."""
    module, _, name = path.rpartition(".")
    return name in PUBLIC[generation].get(module, ())


class Keras(NamedTuple):
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


#: Libraries whose objects are of one generation, in their newest release, and do not mix with the other's.
BOUND_TO: Mapping[Generation, frozenset[str | None]] = {
    generation: frozenset(
        _PARTLY.get(package.module, package.module)
        for package in PACKAGES
        if package.before is None and package.need in needs
    )
    for generation, needs in _NEEDS.items()
}


def find_bound(dotted: str, generation: Generation) -> str | None:
    """Return the library of ``generation`` only that ``dotted`` is part of."""
    names = filter(None, BOUND_TO[generation])
    return next((name for name in names if f"{dotted}.".startswith(f"{name}.")), None)

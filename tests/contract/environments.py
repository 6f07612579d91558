"""The environments that the contract suite runs in: what each is made of, and what it has.

Only the standard library is used here: nox reads this, and so does each environment's Python.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Names the environment in which the suite runs, one of `ENVIRONMENTS`.
VARIABLE = "CONTRACT_ENVIRONMENT"
#: Names the folder that gets the results, as one JSON file.
RESULTS = "CONTRACT_RESULTS"
#: The environment that the project's own tests run in: the extras ``tensorflow`` and ``test``.
OWN = "test"

#: What TensorFlow 2.15.1 needs to run, in the releases of its time. Its own requirements would bring
#: another half a gigabyte that no row looks at.
_OF_2_15 = (
    "absl-py==1.4.0", "astunparse", "flatbuffers", "gast", "google-pasta", "h5py", "ml-dtypes==0.3.2",
    "numpy==1.26.4", "opt-einsum", "packaging", "protobuf==4.23.4", "requests", "six", "termcolor",
    "typing-extensions", "wrapt==1.14.1",
)  # fmt: skip
_TENSORFLOW_2_15 = ("tensorflow-cpu==2.15.1", "tensorboard==2.15.2", "tf-keras==2.15.1")
_ITEX_CPU = (
    "intel-extension-for-tensorflow==2.15.0.0",
    "intel-extension-for-tensorflow-lib==2.15.0.0.0",
)
_ITEX_XPU = (
    "intel-extension-for-tensorflow==2.15.0.3",
    "intel-extension-for-tensorflow-lib==2.15.0.3.2",
)
#: Without these, nothing else is worth a word.
_FIRST = ("TensorFlow", "itex")


@dataclass(frozen=True)
class Environment:
    """An environment: distributions for pip, those it takes as they are first, and what it has.

    `has` are the words that rows ask for; `lacks` says why one is not there, if not for the reason that it
    is not installed. `pins` are the releases that must be found, `findings` the codes of what autoxla says
    of every program there.
    """

    name: str
    title: str
    has: frozenset[str]
    alone: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)
    pythons: tuple[str, ...] = ("3.11",)
    findings: tuple[str, ...] = ()

    @property
    def pins(self) -> dict[str, str]:
        """The releases that the environment is to have, by the names of their distributions."""
        exact = [each.split("==") for each in (*self.alone, *self.requirements) if "==" in each]
        return {name.partition("[")[0]: version for name, version in exact}

    def missing(self, needs: frozenset[str]) -> str | None:
        """Return why a row that ``needs`` these does not apply here, None where it does."""
        absent = sorted(needs - self.has, key=lambda word: (word not in _FIRST, word))
        return self.lacks.get(absent[0], f"without {absent[0]}") if absent else None


#: What Keras 3 needs besides.
_OF_KERAS_3 = ("dm-tree", "namex", "optree", "rich")


def _of_2_15(name: str, title: str, keras: str, itex: tuple[str, ...], has: set[str]) -> Environment:
    alone = (*_TENSORFLOW_2_15, f"keras=={keras}", *itex)
    requirements = _OF_2_15 if "Keras 3" not in has else (*_OF_2_15, *_OF_KERAS_3)
    words = frozenset({"packages", "itex", *has})
    findings = ("AX501",) if "Keras 3" in has else ()
    return Environment(name, title, words, alone, requirements, _WHY_2_15, findings=findings)


_WHY_2_15 = {
    "TensorFlow": "import tensorflow fails, since the plug-in finds no oneAPI",
    "Keras 3": "Keras 2 is installed under that name",
    "Keras 2 by name": "Keras 3 is installed under that name",
}
_KERAS_2_15 = {"TensorFlow", "Keras", "Keras 2 by name", "tf_keras"}
_KERAS_3 = {"TensorFlow", "Keras", "Keras 3", "tf_keras", "packages"}
_WITHOUT = {"Keras 2 by name": "Keras 3 is installed under that name", "itex": "without ITEX"}

_RELEASES = (
    Environment(
        "tf216",
        "TensorFlow 2.16",
        frozenset(_KERAS_3),
        requirements=("tensorflow==2.16.2", "keras==3.3.3", "tf_keras==2.16.0"),
        lacks=_WITHOUT,
    ),
    Environment(
        "tf218",
        "TensorFlow 2.18",
        frozenset(_KERAS_3),
        requirements=("tensorflow==2.18.1", "keras==3.8.0", "tf_keras==2.18.0"),
        lacks=_WITHOUT,
    ),
    Environment(
        "tf221",
        "TensorFlow 2.21",
        frozenset(_KERAS_3 | {"JAX", "PyTorch"}),
        requirements=(
            "tensorflow==2.21.0", "keras==3.15.1", "tf_keras==2.21.0", "jax==0.10.2", "torch==2.13.0",
        ),
        lacks=_WITHOUT,
    ),
    Environment(
        "latest",
        "newest of all",
        frozenset(_KERAS_3 | {"JAX"}),
        requirements=("tensorflow", "keras", "tf_keras", "jax", "wrapt"),
        lacks=_WITHOUT,
    ),
    Environment("test", "the project's own tests", frozenset(_KERAS_3), lacks=_WITHOUT),
)  # fmt: skip
_ITEX = (
    _of_2_15("itex-cpu", "ITEX for CPUs", "2.15.0", _ITEX_CPU, _KERAS_2_15),
    _of_2_15("itex-cpu-k3-3.0.5", "ITEX for CPUs", "3.0.5", _ITEX_CPU, _KERAS_3),
    _of_2_15("itex-cpu-k3-3.3.3", "ITEX for CPUs", "3.3.3", _ITEX_CPU, _KERAS_3),
    _of_2_15("itex-xpu", "ITEX for GPUs, without oneAPI", "2.15.0", _ITEX_XPU, set()),
    _of_2_15("itex-xpu-oneapi", "ITEX for GPUs, with oneAPI", "2.15.0", _ITEX_XPU, _KERAS_2_15),
)
_BARE = tuple(
    Environment(
        f"bare-{python}",
        f"Python {python} alone",
        frozenset(),
        lacks={"TensorFlow": "no TensorFlow is installed", "itex": _WITHOUT["itex"]},
        pythons=(python,),
    )
    for python in ("3.10", "3.11", "3.12", "3.13")
)
#: All environments by their names, in the order of the table.
ENVIRONMENTS = {each.name: each for each in (*_ITEX, *_RELEASES, *_BARE)}
#: Those with a column in the table. The project's own is made anew for each run of its tests.
RECORDED = tuple(name for name in ENVIRONMENTS if name != OWN)


def current() -> Environment:
    """Return the environment that this process is said to run in. Raises KeyError for an unknown name."""
    return ENVIRONMENTS[os.environ.get(VARIABLE, OWN)]

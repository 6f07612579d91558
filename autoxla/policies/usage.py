"""What a reading of the program's source amounts to: its usage, and the Keras generations it demands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from autoxla.model import Evidence, Grade, Place, Reading, Usage, Version

ITEX = "intel_extension_for_tensorflow"
_OVERRIDES = (f"{ITEX}.experimental_ops_override", f"{ITEX}.ops")
V1 = "tensorflow.compat.v1.keras"
_LEGACY = "tensorflow.keras.optimizers.legacy"
#: What ``tf.keras`` lacks as Keras 3, or has only to raise an error, in every release from 3.0 on.
LEGACY_ONLY = (
    *(f"tensorflow.keras.backend.{name}" for name in ("function", "learning_phase", "placeholder")),
    *(f"tensorflow.keras.backend.{name}" for name in ("in_train_phase", "set_learning_phase")),
    *(f"tensorflow.keras.{name}" for name in ("dtensor", "estimator", "experimental", "utils.experimental")),
    *(f"tensorflow.keras.layers.{name}" for name in ("AbstractRNNCell", "DenseFeatures", "experimental")),
    *(f"tensorflow.keras.layers.{name}" for name in ("LocallyConnected1D", "LocallyConnected2D")),
    *("tensorflow.keras.optimizers.experimental", _LEGACY),
    *(f"{V1}.backend.{name}" for name in ("get_session", "set_session")),
    *(f"{V1}.layers.{name}" for name in ("CuDNNGRU", "CuDNNLSTM", "DenseFeatures")),
)
#: What Keras 3 has of them only to raise an error where it is called. Naming it raises none.
_FAILING = ("Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop", "SGD")
_NAMED = frozenset({_LEGACY, *(f"{_LEGACY}.{name}" for name in _FAILING)})
#: What Keras 3 alone has: below ``tf.keras`` it is missing under the switch, below ``keras`` under the alias.
#: Not ``__version__``: who turns the switch on adds it.
_KERAS_3_NAMES = (
    *("ops", "random", "distribution", "quantizers", "remat", "tree", "device"),
    *("KerasTensor", "Operation", "Function", "Variable", "StatelessScope", "config", "dtype_policies"),
    *("layers.GroupQueryAttention", "layers.JaxLayer", "layers.MelSpectrogram", "layers.RMSNormalization"),
    *("layers.TFSMLayer", "layers.TorchModuleWrapper", "losses.CTC", "losses.Circle", "losses.Dice"),
    *("losses.Tversky", "optimizers.Lamb", "optimizers.Muon", "callbacks.SwapEMAWeights", "utils.PyDataset"),
)
KERAS_3_ONLY = tuple(f"tensorflow.keras.{name}" for name in _KERAS_3_NAMES)
_ALIAS_LACKS = tuple(f"keras.{name}" for name in _KERAS_3_NAMES)
#: What sets something for all of Keras: only for one generation where two are loaded.
_GLOBAL = frozenset(
    (
        *("keras.backend.set_epsilon", "keras.backend.set_floatx", "keras.backend.set_image_data_format"),
        "keras.mixed_precision.set_global_policy",
    )
)
#: What leads to Keras, or is gone.
_OLD = tuple(f"tensorflow.{name}." for name in ("estimator", "losses", "optimizers", "metrics"))
_NAMING = ("import", "attribute")
_SET_JIT = ("call", "tensorflow.config.optimizer.set_jit")
#: What makes objects that do not work in models of another generation.
_MAKERS = ("layers", "models", "Model", "Sequential", "Input", "optimizers", "applications")
#: Packages that never import Keras, so that a program with them can be one without Keras.
# fmt: off
KERAS_FREE = frozenset((
    "absl", "attr", "attrs", "certifi", "cv2", "dateutil", "fsspec", "google", "grpc", "h5py",
    "joblib", "jsonschema", "lxml", "matplotlib", "ml_dtypes", "networkx", "numba", "numexpr",
    "numpy", "opt_einsum", "packaging", "pandas", "PIL", "pkg_resources", "pluggy", "polars",
    "psutil", "pyarrow", "pydantic", "pytest", "pytz", "requests", "rich", "scipy", "seaborn",
    "setuptools", "six", "skimage", "sklearn", "statsmodels", "sympy", "tabulate", "tensorboard",
    "tqdm", "typing_extensions", "urllib3", "wrapt", "yaml",
))
# fmt: on


@dataclass(frozen=True, slots=True)
class Demand:
    """A Keras generation that something in the program needs, and why.

    `module` is the import that brings it, empty where it is not an import.
    """

    generation: Literal[2, 3]
    grade: Grade
    place: Place
    why: str
    module: str = ""

    def __str__(self) -> str:
        return f"{self.why} ({self.place})"


def is_below(name: str, *tops: str) -> bool:
    """Return whether the dotted ``name`` is one of ``tops`` or something in it."""
    return any(name == top or name.startswith(top + ".") for top in tops)


def first(demands: Iterable[Demand], generation: int, *, certain: bool) -> Demand | None:
    """Return the first demand for ``generation`` that is certain, or that is only possible."""
    for demand in demands:
        if demand.generation == generation and (demand.grade == "certain") is certain:
            return demand
    return None


def summarise(reading: Reading, versions: Mapping[str, Version], declared: Usage) -> Usage:
    """Return what the program does; what the user ``declared`` goes before what was read."""
    if not reading.known:
        return declared
    certain = [e for e in reading.evidence if e.grade == "certain"]
    named = [e for e in certain if e.kind in ("import", "attribute")]
    override = next(
        (e for e in certain if e.kind in (*_NAMING, "call") and is_below(e.name, *_OVERRIDES)), None
    )
    keras, keras_place = _generation(reading, versions)
    # The one value that every compile of the program gets; None where they differ.
    given = [e for e in reading.evidence if e.kind == "jit_compile" and e.name != "function"]
    sure = next((e for e in given if e.grade == "certain" and isinstance(e.value, bool)), None)
    if len({e.value for e in given}) != 1:
        sure = None
    found = {
        "keras": keras_place,
        "jit_compile": None if sure is None else sure.place,
        "ops_override": None if override is None else override.place,
    }
    read = Usage(
        keras=keras,
        tf_keras_api=any(is_below(e.name, "tensorflow.keras") for e in named),
        jit_compile=None if sure is None else bool(sure.value),
        ops_override=override is not None,
        enables_xla=any(
            e.value is not False
            if (e.kind, e.name) == ("jit_compile", "function")
            else (e.kind, e.name) == _SET_JIT and str(e.value).lower() not in ("false", "0")
            for e in reading.evidence
        ),
    )
    places = {name: place for name, place in found.items() if place is not None}
    said = {name: getattr(declared, name) for name in declared.evidence if hasattr(read, name)}
    return replace(read, **said, evidence={**places, **declared.evidence})


def find_demands(
    reading: Reading,
    versions: Mapping[str, Version],
    own_packages: Mapping[str, str],
    requiring: frozenset[str] = frozenset(),
) -> tuple[Demand, ...]:
    """Return what the program's source demands of ``tf.keras``, the certain demands first.

    ``own_packages`` is the user's table; ``requiring`` are modules that declare tf-keras as required,
    which most of them do in order to import it themselves: that is only a hint.
    """
    demands: list[Demand] = []
    for evidence in reading.evidence:
        demands += _demands(evidence, versions, own_packages)
        top = evidence.name.partition(".")[0]
        is_import = evidence.kind == "import" and not evidence.caught
        if is_import and top in requiring and top not in own_packages:
            demands.append(Demand(2, "possible", evidence.place, f"{top} requires tf-keras"))
    # ``import keras`` is Keras 3 whatever ``tf.keras`` is. That hinders nothing as long as its objects come
    # to no others, and where they do the alias helps, unless something is used that only Keras 3 has.
    meeting = find_alias(reading)
    for evidence in reading.evidence if meeting is not None else ():
        if evidence.kind == "attribute" and is_below(evidence.name, *_ALIAS_LACKS) and not evidence.caught:
            place = "" if meeting is None else meeting.place
            why = f"{evidence.name} exists in Keras 3 only, whose objects reach others in {place}"
            demands.append(Demand(3, evidence.grade, evidence.place, why, "keras"))
    unique = {(d.generation, d.grade, d.why): d for d in reversed(demands)}
    return tuple(sorted(unique.values(), key=lambda d: (d.grade != "certain", demands.index(d))))


def find_alias(reading: Reading) -> Evidence | None:
    """Return where an object of keras certainly comes to one of tf.keras or tf_keras, or back.

    Where Keras 2 is needed, such a program works only if ``keras`` is tf_keras, too. So does one that sets
    in keras what ``tf.keras`` is to follow.
    """
    for evidence in reading.evidence:
        is_meeting = evidence.kind == "meets" and "keras" in sides(evidence)
        if evidence.grade == "certain" and not evidence.caught and (is_meeting or evidence.name in _GLOBAL):
            return evidence
    return None


def sides(evidence: Evidence) -> list[str]:
    """Return the two packages whose objects meet; what brings tf_keras itself counts as that."""
    of_tensorflow = ("tensorflow.keras", "tensorflow.compat.", "tensorflow.optimizers")
    return [
        "tf.keras" if name.startswith(of_tensorflow) else "keras" if is_below(name, "keras") else "tf_keras"
        for name in (evidence.name, str(evidence.value))
    ]


def _demands(
    evidence: Evidence, versions: Mapping[str, Version], own_packages: Mapping[str, str]
) -> Iterator[Demand]:
    """Yield what one thing that the source says demands."""
    name, grade, place = evidence.name, evidence.grade, evidence.place
    is_failing = evidence.kind == "call" and is_below(name, _LEGACY)
    # Objects of keras and tf.keras are of one generation as long as the switch is off.
    if evidence.kind == "meets" and "tf_keras" in sides(evidence):
        origin = evidence.origin
        made = "" if origin is None else f" of line {origin.line}"
        if origin is not None and origin.file != place.file:
            made = f" of {origin}"
        why = f"{name}{made} reaches {evidence.value}, of another generation of Keras"
        yield Demand(2, "possible" if evidence.caught else grade, place, why)
    elif evidence.caught or not (is_failing or evidence.kind in _NAMING):
        return
    elif is_below(name, *KERAS_3_ONLY):
        yield Demand(3, grade, place, f"{name} exists in Keras 3 only")
    elif is_below(name, *LEGACY_ONLY) or (
        # As an attribute tf.compat.v1.keras leads to Keras 3; as a package it does not exist there.
        evidence.kind == "import" and name.startswith(f"{V1}.")
    ):
        is_only_named = name in _NAMED and not is_failing
        yield Demand(2, "possible" if is_only_named else grade, place, f"{name} exists in Keras 2 only")
    else:
        top, package = name.partition(".")[0], None
        if top not in KERAS_FREE | {"tensorflow", "keras", "tf_keras"}:
            # The table loads where it may have a row.
            from autoxla.policies.packages import find_package

            package = find_package(name, versions)
        need, why = (package.need, package.evidence) if package is not None else ("", "")
        # Of most packages the import is enough, of some only one function.
        if evidence.kind == "attribute" and (package is None or package.module != name):
            return
        if top in own_packages:
            need, why = own_packages[top], "by [tool.autoxla.packages]"
        told = f"{name} needs Keras {need} ({why})"
        if need == "2":
            yield Demand(2, grade, place, told, name)
        elif need == "3":
            # It imports keras itself, whatever tf.keras is: only the user knows that it cannot do with less.
            yield Demand(3, grade if top in own_packages else "possible", place, told, name)


def _generation(
    reading: Reading, versions: Mapping[str, Version]
) -> tuple[Literal[0, 2, 3] | None, Place | None]:
    """Return the generation that the program uses itself, and the line that says so."""
    certain = [e for e in reading.evidence if e.grade == "certain"]
    imports = [e for e in certain if e.kind == "import"]
    made = [e.name for e in certain if e.kind == "attribute"]
    bare = next((e for e in imports if is_below(e.name, "keras")), None)
    through, directly = (
        any(is_below(name, *(f"{package}.{maker}" for maker in _MAKERS)) for name in made)
        for package in ("tensorflow.keras", "keras")
    )
    # Where of keras itself only helpers are used, tf.keras says which Keras the program is for.
    if bare is not None and (directly or not through):
        return 2 if versions.get("keras", (3,)) < (3,) else 3, bare.place
    legacy = next((e for e in imports if is_below(e.name, "tf_keras")), None)
    if legacy is not None:
        return 2, legacy.place
    names = [f"{e.name}." for e in reading.evidence if e.kind in _NAMING]
    is_free = all(
        ".keras." not in name and not name.startswith(_OLD)
        if name.startswith("tensorflow.")
        else name.partition(".")[0] in KERAS_FREE | {ITEX}
        for name in names
    )
    return 0 if reading.complete and is_free else None, None

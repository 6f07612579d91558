"""What a reading of the program's source amounts to: its usage, and the Keras generations it demands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from autoxla.model import Evidence, Grade, Place, Reading, Usage, Version

if TYPE_CHECKING:
    from autoxla.policies.packages import Package

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
    module: str


def summarise(reading: Reading, versions: Mapping[str, Version], declared: Usage) -> Usage:
    """Return what the program does; what the user ``declared`` goes before what was read."""
    if not reading.known:
        return declared
    places: dict[str, Place] = {}
    calls = _certain(reading, "call", "attribute", "import")
    override = next((e for e in calls if any(is_below(e.name, name) for name in _OVERRIDES)), None)
    read = Usage(
        keras=_generation(reading, versions, places),
        tf_keras_api=any(
            is_below(e.name, "tensorflow.keras") for e in _certain(reading, "import", "attribute")
        ),
        jit_compile=_jit_compile(reading, places),
        ops_override=override is not None,
        enables_xla=any(_enables_xla(e) for e in reading.evidence),
    )
    if override is not None:
        places["ops_override"] = override.place
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
    demands = [*_demands(reading, versions, own_packages, requiring), *_bare_demands(reading)]
    unique = {(d.generation, d.grade, d.why): d for d in reversed(demands)}
    return tuple(sorted(unique.values(), key=lambda d: (d.grade != "certain", demands.index(d))))


def find_alias(reading: Reading) -> Evidence | None:
    """Return where an object of keras certainly comes to one of tf.keras or tf_keras, or back.

    Where Keras 2 is needed, such a program works only if ``keras`` is tf_keras, too. So does one that sets
    in keras what ``tf.keras`` is to follow.
    """
    certain = (e for e in reading.evidence if e.grade == "certain" and not e.caught)
    return next(
        (e for e in certain if e.name in _GLOBAL or (e.kind == "meets" and "keras" in sides(e))), None
    )


def _demands(
    reading: Reading,
    versions: Mapping[str, Version],
    own_packages: Mapping[str, str],
    requiring: frozenset[str],
) -> Iterator[Demand]:
    for evidence in reading.evidence:
        if evidence.kind == "meets":
            yield from _meeting(evidence)
        is_failing = evidence.kind == "call" and is_below(evidence.name, _LEGACY)
        if evidence.caught or not (is_failing or evidence.kind in ("import", "attribute")):
            continue
        if any(is_below(evidence.name, name) for name in KERAS_3_ONLY):
            told = f"{evidence.name} exists in Keras 3 only"
            yield Demand(3, evidence.grade, evidence.place, told, "")
        elif any(is_below(evidence.name, name) for name in LEGACY_ONLY) or (
            # As an attribute tf.compat.v1.keras leads to Keras 3; as a package it does not exist there.
            evidence.kind == "import" and evidence.name.startswith(f"{V1}.")
        ):
            grade = "possible" if evidence.name in _NAMED and not is_failing else evidence.grade
            yield Demand(2, grade, evidence.place, f"{evidence.name} exists in Keras 2 only", "")
        elif evidence.kind == "attribute":
            package = _look_up(evidence.name, versions)
            # Of most packages the import is enough, of some only one function.
            if package is not None and package.module == evidence.name:
                yield from _imported(evidence, versions, own_packages)
        else:
            yield from _imported(evidence, versions, own_packages)
            top = evidence.name.split(".")[0]
            if top in requiring and top not in own_packages:
                yield Demand(2, "possible", evidence.place, f"{top} requires tf-keras", "")


def _meeting(evidence: Evidence) -> Iterator[Demand]:
    """Yield the demand of objects of tf_keras that come to those of another Keras, or back.

    Those of keras and tf.keras are of one generation as long as the switch is off.
    """
    if "tf_keras" in sides(evidence):
        made = "" if evidence.origin is None else f" of line {evidence.origin.line}"
        if evidence.origin is not None and evidence.origin.file != evidence.place.file:
            made = f" of {evidence.origin}"
        why = f"{evidence.name}{made} comes to {evidence.value}, of another generation of Keras"
        yield Demand(2, "possible" if evidence.caught else evidence.grade, evidence.place, why, "")


def _bare_demands(reading: Reading) -> Iterator[Demand]:
    """Yield the demand of ``keras`` itself where neither the switch nor the alias gives what it needs.

    ``import keras`` is Keras 3 whatever ``tf.keras`` is. That hinders nothing as long as its objects come to
    no others, and where they do the alias helps, unless something is used that only Keras 3 has.
    """
    meeting = find_alias(reading)
    for evidence in reading.evidence if meeting is not None else ():
        lacking = any(is_below(evidence.name, name) for name in _ALIAS_LACKS)
        if evidence.kind == "attribute" and lacking and not evidence.caught and meeting is not None:
            why = f"{evidence.name} exists in Keras 3 only, whose objects come to others in {meeting.place}"
            yield Demand(3, evidence.grade, evidence.place, why, "keras")


def sides(evidence: Evidence) -> tuple[str, str]:
    """Return the two packages whose objects meet; what brings tf_keras itself counts as that."""
    return _side(evidence.name), _side(str(evidence.value))


def _side(name: str) -> str:
    if name.startswith(("tensorflow.keras", "tensorflow.compat.", "tensorflow.optimizers")):
        return "tf.keras"
    return "keras" if is_below(name, "keras") else "tf_keras"


def _imported(
    evidence: Evidence, versions: Mapping[str, Version], own_packages: Mapping[str, str]
) -> Iterator[Demand]:
    """Yield what a package that is imported needs: by the user's table, else by ours."""
    top = evidence.name.partition(".")[0]
    if top in own_packages:
        need: str | None = own_packages[top]
        why = "by [tool.autoxla.packages]"
    else:
        package = _look_up(evidence.name, versions)
        need, why = (package.need, package.evidence) if package is not None else (None, "")
    told = f"{evidence.name} needs Keras {need} ({why})"
    if need == "2":
        yield Demand(2, evidence.grade, evidence.place, told, evidence.name)
    elif need == "3":
        # It imports keras itself, whatever tf.keras is: only the user knows that it cannot do with less.
        grade = evidence.grade if top in own_packages else "possible"
        yield Demand(3, grade, evidence.place, told, evidence.name)


def _look_up(name: str, versions: Mapping[str, Version]) -> Package | None:
    """Return the row for an imported module; the table loads where it may have one."""
    if name.partition(".")[0] in KERAS_FREE | {"tensorflow", "keras", "tf_keras"}:
        return None
    from autoxla.policies.packages import find_package

    return find_package(name, versions)


def _generation(
    reading: Reading, versions: Mapping[str, Version], places: dict[str, Place]
) -> Literal[0, 2, 3] | None:
    imports = _certain(reading, "import")
    bare = next((e for e in imports if is_below(e.name, "keras")), None)
    if _makes(reading, "tensorflow.keras") and not _makes(reading, "keras"):
        # Of keras itself only helpers are used: which Keras the program is for says tf.keras.
        bare = None
    legacy = next((e for e in imports if is_below(e.name, "tf_keras")), None)
    for evidence, generation in ((bare, 3), (legacy, 2)):
        if evidence is not None:
            places["keras"] = evidence.place
            old = generation == 3 and versions.get("keras", (3,)) < (3,)
            return 2 if old or generation == 2 else 3
    names = [e.name for e in reading.evidence if e.kind in ("import", "attribute")]
    return 0 if reading.complete and all(_is_keras_free(name) for name in names) else None


def _makes(reading: Reading, package: str) -> bool:
    names = tuple(f"{package}.{name}" for name in _MAKERS)
    return any(is_below(e.name, name) for e in _certain(reading, "attribute") for name in names)


def _is_keras_free(name: str) -> bool:
    top, *rest = name.split(".")
    if top == "tensorflow":
        first_part = rest[0] if rest else ""
        return "keras" not in rest and first_part not in ("estimator", "losses", "optimizers", "metrics")
    return top in KERAS_FREE or top == ITEX


def _jit_compile(reading: Reading, places: dict[str, Place]) -> bool | None:
    """Return the one value that every ``compile`` of the program gets; None where they differ."""
    given = [e for e in reading.evidence if e.kind == "jit_compile" and e.name != "function"]
    sure = next((e for e in given if e.grade == "certain" and isinstance(e.value, bool)), None)
    if sure is None or len({e.value for e in given}) != 1:
        return None
    places["jit_compile"] = sure.place
    return bool(sure.value)


def _enables_xla(evidence: Evidence) -> bool:
    if evidence.kind == "jit_compile" and evidence.name == "function":
        return evidence.value is not False
    is_switch = evidence.kind == "call" and evidence.name == "tensorflow.config.optimizer.set_jit"
    return is_switch and str(evidence.value).lower() not in ("false", "0")


def _certain(reading: Reading, *kinds: str) -> list[Evidence]:
    return [e for e in reading.evidence if e.grade == "certain" and e.kind in kinds]


def is_below(name: str, top: str) -> bool:
    """Return whether the dotted ``name`` is ``top`` or something in it."""
    return name == top or name.startswith(top + ".")


def first(demands: Iterable[Demand], generation: int, *, certain: bool) -> Demand | None:
    """Return the first demand for ``generation`` that is certain, or that is only possible."""
    for demand in demands:
        if demand.generation == generation and (demand.grade == "certain") is certain:
            return demand
    return None

"""What a reading of the program's source amounts to: its usage, and the Keras generations it demands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from autoxla.facts import Evidence, Grade, Place, Reading, Usage, Version
from autoxla.policies.packages import Package, find_package

ITEX = "intel_extension_for_tensorflow"
V1 = "tensorflow.compat.v1.keras"
LEGACY_ONLY = (
    "tensorflow.keras.optimizers.legacy",
    f"{V1}.backend.get_session",
    f"{V1}.backend.set_session",
    f"{V1}.layers.CuDNNGRU",
    f"{V1}.layers.CuDNNLSTM",
    f"{V1}.layers.DenseFeatures",
)
#: What ``tf.keras`` has as Keras 3 only: a program that uses it dies under the switch.
KERAS_3_ONLY = (
    "tensorflow.keras.ops",
    "tensorflow.keras.version",
    "tensorflow.keras.__version__",
    "tensorflow.keras.random",
    "tensorflow.keras.distribution",
    "tensorflow.keras.quantizers",
    "tensorflow.keras.export",
    "tensorflow.keras.remat",
    "tensorflow.keras.tree",
    "tensorflow.keras.device",
    "tensorflow.keras.KerasTensor",
    "tensorflow.keras.Operation",
    "tensorflow.keras.Function",
    "tensorflow.keras.Variable",
)
#: What ``tf.keras`` has that does not work in tf_keras' models, nor with tf_keras' objects in it.
MEETING = tuple(
    f"tensorflow.keras.{name}"
    for name in ("layers", "models", "Model", "Sequential", "Input", "optimizers", "applications")
)
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
    read = Usage(
        keras=_generation(reading, versions, places),
        tf_keras_api=any(
            is_below(e.name, "tensorflow.keras") for e in _certain(reading, "import", "attribute")
        ),
        jit_compile=_jit_compile(reading, places),
        ops_override=_overrides_ops(reading, places),
        enables_xla=any(_enables_xla(e) for e in reading.evidence),
    )
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
    demands = [*_demands(reading, versions, own_packages, requiring), *_meeting(reading)]
    unique = {(d.generation, d.grade, d.why): d for d in reversed(demands)}
    return tuple(sorted(unique.values(), key=lambda d: (d.grade != "certain", demands.index(d))))


def _demands(
    reading: Reading,
    versions: Mapping[str, Version],
    own_packages: Mapping[str, str],
    requiring: frozenset[str],
) -> Iterator[Demand]:
    for evidence in reading.evidence:
        if evidence.kind not in ("import", "attribute") or _is_dispensable(evidence):
            continue
        if _is_keras_3_only(evidence):
            told = f"{evidence.name} exists in Keras 3 only"
            yield Demand(3, evidence.grade, evidence.place, told, "")
        elif _is_legacy_only(evidence):
            yield Demand(2, evidence.grade, evidence.place, f"{evidence.name} exists in Keras 2 only", "")
        elif evidence.kind == "import":
            yield from _imported(evidence, versions, own_packages)
            top = evidence.name.split(".")[0]
            if top in requiring and top not in own_packages:
                yield Demand(2, "possible", evidence.place, f"{top} requires tf-keras", "")


def _is_dispensable(evidence: Evidence) -> bool:
    """Return whether the program goes on without this; what it falls back on is no such thing."""
    return evidence.caught and not is_below(evidence.name, "keras")


def _is_legacy_only(evidence: Evidence) -> bool:
    # As an attribute tf.compat.v1.keras leads to Keras 3; as a package it does not exist there.
    is_v1_module = evidence.kind == "import" and evidence.name.startswith(f"{V1}.")
    return is_v1_module or any(is_below(evidence.name, name) for name in LEGACY_ONLY)


def _imported(
    evidence: Evidence, versions: Mapping[str, Version], own_packages: Mapping[str, str]
) -> Iterator[Demand]:
    if is_below(evidence.name, "keras"):
        why = "import keras is Keras 3, whatever tf.keras is"
        yield Demand(3, evidence.grade, evidence.place, why, "keras")
        return
    need, why = _need(evidence.name, versions, own_packages)
    if need in ("2", "3"):
        generation: Literal[2, 3] = 2 if need == "2" else 3
        told = f"{evidence.name} needs Keras {need} ({why})"
        yield Demand(generation, evidence.grade, evidence.place, told, evidence.name)


def _need(
    module: str, versions: Mapping[str, Version], own_packages: Mapping[str, str]
) -> tuple[str | None, str]:
    top = module.split(".", maxsplit=1)[0]
    if top in own_packages:
        return own_packages[top], "by [tool.autoxla.packages]"
    package: Package | None = find_package(module, versions)
    return (package.need, package.evidence) if package is not None else (None, "")


def _meeting(reading: Reading) -> Iterator[Demand]:
    """Yield the demand of a file in which tf_keras' objects and tf.keras' can meet.

    It works today only as long as they do not, and there is none where Keras 3's own things are used.
    """
    if any(_is_keras_3_only(evidence) for evidence in reading.evidence):
        return
    used = [e for e in reading.evidence if e.kind in ("import", "attribute", "call")]
    through = [e for e in used if any(is_below(e.name, name) for name in MEETING)]
    for evidence in reading.evidence:
        if evidence.kind == "import" and not evidence.caught and is_below(evidence.name, "tf_keras"):
            beside = next((e for e in through if e.place.file == evidence.place.file), None)
            if beside is not None:
                both_certain = evidence.grade == beside.grade == "certain"
                why = f"tf_keras here and tf.keras in line {beside.place.line} are two generations of Keras"
                yield Demand(2, "certain" if both_certain else "possible", evidence.place, why, "tf_keras")


def _is_keras_3_only(evidence: Evidence) -> bool:
    if evidence.kind in ("loads", "saves"):
        return isinstance(evidence.value, str) and evidence.value.endswith(".keras")
    return any(is_below(evidence.name, name) for name in KERAS_3_ONLY)


def _generation(
    reading: Reading, versions: Mapping[str, Version], places: dict[str, Place]
) -> Literal[0, 2, 3] | None:
    imports = _certain(reading, "import")
    bare = next((e for e in imports if is_below(e.name, "keras")), None)
    legacy = next((e for e in imports if is_below(e.name, "tf_keras")), None)
    for evidence, generation in ((bare, 3), (legacy, 2)):
        if evidence is not None:
            places["keras"] = evidence.place
            old = generation == 3 and versions.get("keras", (3,)) < (3,)
            return 2 if old or generation == 2 else 3
    return 0 if _has_no_keras(reading) else None


def _has_no_keras(reading: Reading) -> bool:
    if not reading.complete:
        return False
    names = [e.name for e in reading.evidence if e.kind in ("import", "attribute")]
    return all(_is_keras_free(name) for name in names)


def _is_keras_free(name: str) -> bool:
    top, *rest = name.split(".")
    if top == "tensorflow":
        return "keras" not in rest and rest[:1] not in (
            ["estimator"],
            ["losses"],
            ["optimizers"],
            ["metrics"],
        )
    return top in KERAS_FREE or top == ITEX


def _jit_compile(reading: Reading, places: dict[str, Place]) -> bool | None:
    """Return the one value that every ``compile`` of the program gets; None where they differ."""
    given = [e for e in reading.evidence if e.kind == "jit_compile" and e.name != "function"]
    certain = [e for e in given if e.grade in ("certain", "learned")]
    # A computed value (None) stands for what a run has learned.
    values = {e.value for e in given} - ({None} if any(e.grade == "learned" for e in given) else set())
    sure = next((e for e in certain if isinstance(e.value, bool)), None)
    if sure is None or len(values) != 1:
        return None
    places["jit_compile"] = sure.place
    return bool(sure.value)


def _uses_tf_keras_api(reading: Reading) -> bool:
    return any(is_below(e.name, "tensorflow.keras") for e in _certain(reading, "import", "attribute"))


def _overrides_ops(reading: Reading, places: dict[str, Place]) -> bool:
    names = (f"{ITEX}.experimental_ops_override", f"{ITEX}.ops")
    for evidence in _certain(reading, "call", "attribute", "import"):
        if any(is_below(evidence.name, name) for name in names):
            places["ops_override"] = evidence.place
            return True
    return False


def _enables_xla(evidence: Evidence) -> bool:
    if evidence.kind == "jit_compile" and evidence.name == "function":
        return evidence.value is not False
    is_switch = evidence.kind == "call" and evidence.name == "tensorflow.config.optimizer.set_jit"
    return is_switch and str(evidence.value).lower() not in ("false", "0")


def _certain(reading: Reading, *kinds: str) -> list[Evidence]:
    # What the very same program did in an earlier run is as good as what its source says.
    return [e for e in reading.evidence if e.grade in ("certain", "learned") and e.kind in kinds]


def is_below(name: str, top: str) -> bool:
    """Return whether the dotted ``name`` is ``top`` or something in it."""
    return name == top or name.startswith(top + ".")


def first(demands: Iterable[Demand], generation: int, *, certain: bool) -> Demand | None:
    """Return the first demand for ``generation`` that is certain, or that is only possible."""
    for demand in demands:
        if demand.generation == generation and (demand.grade == "certain") is certain:
            return demand
    return None

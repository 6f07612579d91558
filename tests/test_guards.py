"""Guards in front of XLA: that they say what TensorFlow's kernels do, and where there can be none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from programs import HOME, clean_environment, run

PROGRAMS = Path(__file__).with_name("parity_programs.py")
#: Operations that are trained with, besides an embedding and labels; those of which XLA gets no step.
PARITY = (
    "GatherV2", "GatherNd", "ResourceGather", "ScatterNd", "TensorScatterAdd", "ResourceScatterAdd",
    "ResourceScatterNdUpdate", "UnsortedSegmentSum", "UnsortedSegmentMax", "ReverseSequence", "DenseBincount",
    "Div", "FloorDiv", "FloorMod", "TruncateMod", "Pow", "CheckNumerics", "Assert", "MatrixInverse",
    "TensorListGetItem", "StridedSlice", "Where", "Assert in a branch", "Unique by segments",
)  # fmt: skip
REASONS = (
    "GatherNd", "ScatterNd", "TensorScatterAdd", "ResourceScatterNdUpdate", "ReverseSequence",
    "DenseBincount", "Div", "FloorDiv", "FloorMod", "TruncateMod", "Pow", "CheckNumerics", "Assert",
    "MatrixInverse", "TensorListGetItem", "StridedSlice", "Where", "Assert in a branch", "Unique by segments",
)  # fmt: skip
#: What is looked at each time; the rest by ``nox -s guards``.
SELECTED = () if os.environ.get("GUARDS") == "all" else (
    "GatherV2", "GatherNd", "ResourceScatterAdd", "UnsortedSegmentSum", "FloorDiv", "DenseBincount",
    "SparseSoftmaxCrossEntropyWithLogits", "ReverseSequence", "Pow", "Cast", "InTopKV2", "CheckNumerics",
    "StridedSlice",
    "TensorListGetItem", "Where", "MatrixInverse", "Assert in a branch", "FloorDiv in a branch",
    "GatherV2 in a branch", "Unique by segments", "Unique by number", "Unique by shapes", "LeftShift",
    "RightShift", "SqrtGrad", "RsqrtGrad", "SeluGrad", "MaxPoolGrad", "TopKV2", "InTopKV2 of infinities",
    "StatelessRandomGetKeyCounter", "Svd", "ResizeBilinear", "ResourceApplyProximalAdagrad",
)  # fmt: skip
#: Operations that XLA compiles anew for each value, or not at all where the value is bad.
COMPILED_IN = (
    "Slice", "StridedSlice", "StridedSliceGrad", "TensorStridedSliceUpdate", "ResourceStridedSliceAssign",
    "DynamicStitch", "Reshape", "BroadcastTo", "Fill", "Tile", "Pad", "Cumsum",
)  # fmt: skip
pytestmark = pytest.mark.tensorflow


def ask(folder: Path, program: str, *arguments: str) -> dict[str, Any]:
    """Return what a program beside this file says."""
    environment = clean_environment(AUTOXLA="off", TF_CPP_MIN_LOG_LEVEL="3", PYTHONPATH=str(HOME))
    outcome = run([str(Path(__file__).with_name(program)), *arguments], folder, environment, limit=900)
    assert outcome.status == 0, outcome.err[-3000:]
    result: dict[str, Any] = json.loads(outcome.out.splitlines()[-1])
    return result


def test_a_guard_lets_nothing_pass_that_the_kernel_refuses(tmp_path: Path) -> None:
    """Of numbers about the bounds, far off, and none at all."""
    differences = ask(tmp_path, "checked_operations.py", "compare", *SELECTED)
    assert {name: each[:3] for name, each in differences.items() if each} == {}


def test_without_a_guard_there_is_a_reason(tmp_path: Path) -> None:
    for name, reason in ask(tmp_path, "checked_operations.py", "refuse", *SELECTED).items():
        assert name.partition(" ")[0] in reason, reason


def test_xla_drops_the_check(tmp_path: Path) -> None:
    """TensorFlow raises or has other numbers; XLA gives numbers, or does not compile for that value."""
    for name, (good, good_xla, bad, bad_xla, alike) in ask(
        tmp_path, "checked_operations.py", "prove", *SELECTED
    ).items():
        assert (good, good_xla) == ("values", "values"), name
        assert bad != "values" or not alike, name
        assert bad_xla == "values" or name in COMPILED_IN, name


#: Steps without a guard, and the reason.
REFUSED = {
    "argmax of more": "GatherV2",
    "nested": "GatherV2",
    "added up": "GatherV2",
    "open dimension": "GatherV2",
    "drawn": "GatherV2",
    "divisor": "FloorDiv",
    "index in a loop": "a loop's counter",
    "loop by data": "StridedSlice",
    "counted loop": "a loop's counter",
    "variable": "Cast",
    "unknown": "not known",
    "rows by a counter": "a loop's counter",
    "rows by data": "Where",
    "true": "GatherV2",
    "stitched": "DynamicStitch",
    "norm": "SqrtGrad",
    "padded": "MaxPoolGrad",
}


def test_what_an_operand_hangs_on(tmp_path: Path) -> None:
    """Shapes, functions, branches, and values that are in bounds by how they are computed."""
    found = ask(tmp_path, "guarded_graphs.py")
    reasons = {name: each for name, each in found.items() if isinstance(each, str)}
    assert reasons.keys() == REFUSED.keys()
    for name, reason in reasons.items():
        assert REFUSED[name] in reason
    for name in found.keys() - reasons.keys():
        assert found[name][0] == [True, True], name
        assert all(tensorflow for passes, tensorflow in found[name] if passes), name


#: Models that XLA does not get. Optimizers look for the rows of a sparse gradient that differ from zero, or
#: for its unique rows; a layer for images has branches, and one of the losses asserts. Of some layers XLA
#: computes other gradients.
REFUSED_MODELS = {
    "keras": {"Adagrad", "Adadelta", "RMSprop", "Adafactor", "bilinear", "selu", "unit"},
    "tf_keras": {
        "Nadam", "Adadelta", "RMSprop", "Ftrl", "Adafactor", "images", "losses", "bilinear", "selu",
    },
}  # fmt: skip


@pytest.mark.parametrize("generation", ["keras", "tf_keras"])
def test_models_of_keras_are_known(tmp_path: Path, generation: str) -> None:
    """Most steps of Keras' own layers, losses, metrics and optimizers have guards where they need any."""
    found = ask(tmp_path, "guarded_models.py", generation)
    reasons = {name: each for name, each in found.items() if isinstance(each, str)}
    assert reasons.keys() == REFUSED_MODELS[generation], reasons
    assert min(found["text"], found["labels"], found["Adam"]) >= 1
    assert found["dense"] == found["series"] == found["classes"] == found["metrics"] == 0


@pytest.mark.parametrize("generation", ["keras", "tf_keras"])
def test_a_bad_batch_ends_training_as_ever(tmp_path: Path, generation: str) -> None:
    """XLA runs the steps; the bad batch gives the same error at the same step, with the same weights."""
    environment = clean_environment(
        TF_CPP_MIN_LOG_LEVEL="3", AUTOXLA_CACHE=str(tmp_path), AUTOXLA_DEBUG="1", PYTHONPATH=str(HOME)
    )
    names = ["embedding", "labels", *(name for name in PARITY if not SELECTED or name in SELECTED)]
    outcome = run(["-m", "autoxla", str(PROGRAMS), generation, *names], tmp_path, environment, limit=900)
    assert outcome.status == 0, outcome.err[-3000:]
    assert "AX901" not in outcome.err
    for name, (plain, trial) in outcome.last.items():
        assert plain["error"] is not None, name
        assert trial["error"] == plain["error"], name
        assert trial["steps"] == plain["steps"] == 50, name
        for ours, theirs in zip(trial["weights"], plain["weights"], strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5), name
        assert trial["outcome"] == "switched to xla" or name in REASONS, (name, trial["outcome"])


@pytest.mark.parametrize("generation", ["keras", "tf_keras"])
def test_numbers_that_xla_takes_otherwise_train_as_ever(tmp_path: Path, generation: str) -> None:
    """A NaN in the data ends XLA for the model; what no integer can hold goes to Keras' own function."""
    environment = clean_environment(TF_CPP_MIN_LOG_LEVEL="3", AUTOXLA_DEBUG="1", PYTHONPATH=str(HOME))
    names = ("cast", "NaN", "NaN in a smaller batch")
    outcome = run(["-m", "autoxla", str(PROGRAMS), generation, *names], tmp_path, environment, limit=900)
    assert outcome.status == 0, outcome.err[-3000:]
    for name, (plain, trial) in outcome.last.items():
        assert plain["error"] is trial["error"] is None, name
        assert trial["steps"] == plain["steps"] >= 60, name
        for ours, theirs in zip(trial["weights"], plain["weights"], strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5, nan_ok=True), name
        given_up = "too many batches are of another shape, or TensorFlow has to check them"
        assert trial["outcome"] == ("switched to xla" if name == "cast" else given_up), name

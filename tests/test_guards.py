"""Guards in front of XLA: that they say what TensorFlow's kernels do, and where there can be none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from programs import HOME, clean_environment, run

OPERATIONS = Path(__file__).with_name("checked_operations.py")
#: What is looked at each time; the rest by ``nox -s guards``.
SELECTED = () if os.environ.get("GUARDS") == "all" else (
    "GatherV2", "GatherNd", "ResourceScatterAdd", "UnsortedSegmentSum", "FloorDiv", "DenseBincount",
    "SparseSoftmaxCrossEntropyWithLogits", "ReverseSequence", "Pow", "CheckNumerics", "StridedSlice",
    "TensorListGetItem", "Where", "MatrixInverse",
)  # fmt: skip
pytestmark = pytest.mark.tensorflow


def ask(task: str, folder: Path) -> dict[str, Any]:
    """Return what `checked_operations` says of the selected operations."""
    environment = clean_environment(AUTOXLA="off", TF_CPP_MIN_LOG_LEVEL="3", PYTHONPATH=str(HOME))
    outcome = run([str(OPERATIONS), task, *SELECTED], folder, environment, limit=900)
    assert outcome.status == 0, outcome.err[-3000:]
    result: dict[str, Any] = json.loads(outcome.out.splitlines()[-1])
    return result


def test_a_guard_says_what_the_kernel_does(tmp_path: Path) -> None:
    """For numbers about the bounds, far off, and none at all."""
    differences = ask("compare", tmp_path)
    # TensorFlow's own kernels of these two look at no index; a false alarm costs time only.
    silent = ("ResourceScatterMul", "ResourceScatterDiv")
    assert {name: each[:3] for name, each in differences.items() if each and name not in silent} == {}


def test_without_a_guard_there_is_a_reason(tmp_path: Path) -> None:
    for name, reason in ask("refuse", tmp_path).items():
        assert name.partition(" ")[0] in reason, reason


def test_xla_drops_the_check(tmp_path: Path) -> None:
    """Where TensorFlow raises, XLA gives numbers, or does not compile for that value."""
    for name, (good, good_xla, bad, bad_xla) in ask("prove", tmp_path).items():
        assert (good, good_xla) == ("values", "values"), name
        assert bad != "values" or name in _SILENT, name
        assert bad_xla == "values" or name in _COMPILED_IN, name


#: What raises in some releases of TensorFlow only.
_SILENT = ("Cholesky", "MatrixTriangularSolve", "ResourceScatterMul", "ResourceScatterDiv")
_COMPILED_IN = (
    "Slice", "StridedSlice", "StridedSliceGrad", "TensorStridedSliceUpdate", "ResourceStridedSliceAssign",
    "DynamicStitch", "Reshape", "BroadcastTo", "Fill", "Tile", "Pad", "Cumsum", "TensorListResize",
)  # fmt: skip

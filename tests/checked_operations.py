"""Operations whose check XLA drops, each as a small function of a batch: what proves `autoxla.trial.checks`.

``python checked_operations.py prove`` runs each on an operand that passes and on one that does not, by
TensorFlow's CPU kernels and by XLA, and prints as JSON how each of the four ended; last, whether the numbers
for the second were the same. ``compare`` looks for what a guard lets pass and the kernel does not, ``refuse``
tells what is said of those without a guard. Names of operations may follow.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoxla.trial.dataflow import Refused
from autoxla.trial.guards import examine

raw: Any = tf.raw_ops
#: Rows and columns of what is read and written.
ROWS, COLUMNS = 6, 3


@dataclass(frozen=True)
class Operation:
    """A function of numbers, of shape (rows, 2), which raises for `bad` and not for `good`.

    `guarded`: whether a guard can tell; else XLA does not get the step. `raises`: whether it does, or gives
    other numbers than under XLA.
    """

    function: Callable[[Any], Any]
    good: Any
    bad: Any
    guarded: bool = True
    dtype: Any = tf.int32
    raises: bool = True


def _flat(index: Any) -> Any:
    return tf.reshape(index, [-1])


def _ones_like(index: Any) -> Any:
    return tf.ones(tf.shape(index))


def _scatter(name: str) -> Callable[[Any], Any]:
    def function(index: Any) -> Any:
        flat = _flat(index)
        updates = tf.ones(tf.stack([tf.size(flat), COLUMNS]))
        getattr(raw, name)(resource=VARIABLE.handle, indices=flat, updates=updates)
        return VARIABLE.read_value()

    return function


def _scatter_nd(name: str) -> Callable[[Any], Any]:
    def function(index: Any) -> Any:
        getattr(raw, name)(ref=VARIABLE.handle, indices=index, updates=tf.ones(tf.shape(index)[:1]))
        return VARIABLE.read_value()

    return function


def _tensor_scatter(name: str) -> Callable[[Any], Any]:
    def function(index: Any) -> Any:
        updates = tf.ones(tf.shape(index)[:1])
        return getattr(raw, name)(tensor=tf.ones((ROWS, COLUMNS)), indices=index, updates=updates)

    return function


def _segment(name: str) -> Callable[[Any], Any]:
    return lambda index: getattr(raw, name)(data=_ones_like(index), segment_ids=index, num_segments=ROWS)


def _divide(name: str) -> Callable[[Any], Any]:
    return lambda index: tf.cast(getattr(raw, name)(x=7, y=index), tf.float32)


def _matrix(index: Any) -> Any:
    """Return a matrix that has no inverse, and no other factorisation, where the numbers are 0."""
    return tf.cast(index, tf.float32)[0, 0] * tf.eye(2)


def _assign(index: Any) -> Any:
    one = {"begin": index[0, :1], "end": index[0, :1] + 1, "strides": [1], "shrink_axis_mask": 1}
    raw.ResourceStridedSliceAssign(ref=VARIABLE.handle, value=tf.ones(COLUMNS), **one)
    return VARIABLE.read_value()


def _assert(index: Any) -> Any:
    with tf.control_dependencies([tf.debugging.assert_positive(index)]):
        return tf.cast(tf.identity(index), tf.float32)


def _list() -> Any:
    return tf.TensorArray(tf.float32, 3, element_shape=[]).unstack(tf.ones(3))


def _gradient(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the gradient of ``function`` as a function of floats."""

    def gradient(index: Any) -> Any:
        x = tf.cast(index, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)

    return gradient


def _pool(x: Any) -> Any:
    # The numbers are the upper right and the lower left of each window that are greatest.
    zeros = tf.zeros_like(x[:1])
    image = tf.reshape(tf.concat([zeros[:, :1], x[:1], zeros], 1)[:, :4], [1, 2, 2, 1])
    image = tf.pad(image, [[0, 0], [0, 1], [0, 1], [0, 0]])
    return tf.nn.max_pool2d(image, 2, 2, "SAME")


def _in_branch(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what calls ``function`` with numbers that hang on shapes, where the first number is not 0."""
    return lambda i: tf.cond(i[0, 0] != 0, lambda: function(tf.shape(i)), lambda: 0.0)


def _failed(shape: Any) -> Any:
    with tf.control_dependencies([tf.debugging.Assert(False, [shape])]):
        return tf.constant(1.0)


def _unique(function: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """Return what calls ``function`` with numbers that differ, and for each number which one it is."""
    return lambda i: function(*tf.unique(_flat(i)))


def _counted(different: Any, which: Any) -> Any:
    count = tf.shape(different)[0]
    added = tf.math.unsorted_segment_sum(_ones_like(which), which, count)
    return tf.reduce_sum(added) + tf.cast(7 // (count - 1), tf.float32)


def _added(different: Any, which: Any) -> Any:
    return tf.math.unsorted_segment_sum(_ones_like(which), which, tf.shape(different)[0]) + tf.ones(2)


def _apply(index: Any) -> Any:
    """Apply a gradient at a rate that must be above 0."""
    for slot in SLOTS:
        slot.assign(1.0)
    variable, sums = SLOTS
    rate = tf.cast(index[0, 0], tf.float32)
    raw.ResourceApplyProximalAdagrad(
        var=variable.handle, accum=sums.handle, lr=rate, l1=0.0, l2=0.0, grad=1.0
    )
    return variable.read_value()


SLOTS = tf.Variable(1.0, trainable=False), tf.Variable(1.0, trainable=False)
VARIABLE = tf.Variable(tf.ones((ROWS, COLUMNS)), trainable=False)
IN, ABOVE, BELOW, POINT = [[0, 5], [3, 2]], [[0, 6], [3, 2]], [[0, -1], [3, 2]], [[0, 3], [1, 2]]
#: Which of an `Operation`'s is called how.
OPERATIONS: dict[str, Operation] = {
    "Gather": Operation(lambda i: raw.Gather(params=tf.ones((ROWS, 2)), indices=i), IN, ABOVE),
    "GatherV2": Operation(lambda i: tf.gather(tf.ones((ROWS, 2)), i), IN, ABOVE),
    "GatherV2 axis": Operation(lambda i: tf.gather(tf.ones((2, ROWS)), i, axis=1), IN, BELOW),
    "GatherNd": Operation(
        lambda i: raw.GatherNd(params=tf.ones((ROWS, COLUMNS)), indices=i), [[5, 2]], POINT, False
    ),
    "ResourceGather": Operation(VARIABLE.sparse_read, IN, ABOVE),
    "ScatterNd": Operation(
        lambda i: raw.ScatterNd(indices=i, updates=tf.ones(tf.shape(i)[:1]), shape=[ROWS, COLUMNS]),
        [[5, 2]],
        POINT,
        False,
    ),
    **{
        name: Operation(_tensor_scatter(name), [[5, 2]], POINT, False)
        for name in (f"TensorScatter{each}" for each in ("Update", "Add", "Sub", "Min", "Max"))
    },
    **{
        name: Operation(_scatter(name), IN, ABOVE)
        for name in (f"ResourceScatter{each}" for each in ("Update", "Add", "Sub", "Min", "Max"))
    },
    **{
        name: Operation(_scatter_nd(name), [[5, 2]], POINT, False)
        for name in (f"ResourceScatterNd{each}" for each in ("Update", "Add", "Sub"))
    },
    **{
        name: Operation(_segment(name), [[0, 1], [3, 5]], ABOVE)
        for name in (f"UnsortedSegment{each}" for each in ("Sum", "Prod", "Min", "Max"))
    },
    "SparseSoftmaxCrossEntropyWithLogits": Operation(
        lambda i: tf.nn.sparse_softmax_cross_entropy_with_logits(
            _flat(i), tf.ones((2 * tf.shape(i)[0], ROWS))
        ),
        IN,
        BELOW,
    ),
    "ReverseSequence": Operation(
        lambda i: tf.reverse_sequence(tf.ones((2 * tf.shape(i)[0], ROWS)), _flat(i), seq_axis=1),
        [[0, 6]],
        [[0, 7]],
        False,
    ),
    "Bincount": Operation(
        lambda i: raw.Bincount(arr=i, size=ROWS, weights=tf.zeros([0])), [[0, 9]], BELOW, False
    ),
    "DenseBincount": Operation(
        lambda i: raw.DenseBincount(input=i, size=ROWS, weights=tf.zeros([0]), binary_output=False),
        [[0, 9]],
        BELOW,
        False,
    ),
    **{
        name: Operation(_divide(name), [[1, -2]], [[3, 0]], False)
        for name in ("Div", "FloorDiv", "FloorMod", "Mod", "TruncateDiv", "TruncateMod")
    },
    "Pow": Operation(lambda i: tf.cast(raw.Pow(x=2, y=i), tf.float32), [[0, 3]], BELOW, False),
    "Cast": Operation(
        lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32),
        [[1.5, 2.5]],
        [[2.0**31, 0.0]],
        dtype=tf.float32,
        raises=False,
    ),
    "InTopKV2": Operation(
        lambda i: raw.InTopKV2(predictions=[[-1.0, -2.0], [-2.0, -1.0]], targets=i[0], k=1),
        [[0, 1]],
        [[-1, 0]],
        raises=False,
    ),
    # No guard
    "Assert": Operation(_assert, [[1, 1]], [[0, 0]], guarded=False),
    "CheckNumerics": Operation(
        lambda i: tf.debugging.check_numerics(tf.math.log(tf.cast(i, tf.float32)), "log"),
        [[1, 1]],
        [[0, 0]],
        False,
    ),
    "Cholesky": Operation(lambda i: tf.linalg.cholesky(_matrix(i)), [[1, 1]], [[-1, 0]], False),
    "MatrixInverse": Operation(lambda i: tf.linalg.inv(_matrix(i)), [[1, 1]], [[0, 0]], False),
    "MatrixSolve": Operation(lambda i: tf.linalg.solve(_matrix(i), tf.eye(2)), [[1, 1]], [[0, 0]], False),
    "MatrixTriangularSolve": Operation(
        lambda i: tf.linalg.triangular_solve(_matrix(i), tf.eye(2)), [[1, 1]], [[0, 0]], False
    ),
    "SelfAdjointEigV2": Operation(
        lambda i: tf.linalg.eigvalsh(_matrix(i) / tf.cast(i[0, 1], tf.float32)), [[1, 1]], [[0, 0]], False
    ),
    "Slice": Operation(lambda i: tf.slice(tf.ones(9), i[0, :1], [3]), [[6, 0]], [[7, 0]], False),
    "StridedSlice": Operation(lambda i: tf.ones(9)[i[0, 0]], [[8, 0]], [[9, 0]], False),
    "StridedSliceGrad": Operation(
        lambda i: raw.StridedSliceGrad(
            shape=[9], begin=i[0, :1], end=i[0, :1] + 1, strides=[1], dy=1.0, shrink_axis_mask=1
        ),
        [[8, 0]],
        [[9, 0]],
        False,
    ),
    "TensorStridedSliceUpdate": Operation(
        lambda i: raw.TensorStridedSliceUpdate(
            input=tf.ones(9), begin=i[0, :1], end=i[0, :1] + 1, strides=[1], value=1.0, shrink_axis_mask=1
        ),
        [[8, 0]],
        [[9, 0]],
        False,
    ),
    "InvertPermutation": Operation(
        lambda i: tf.cast(raw.InvertPermutation(x=_flat(i)), tf.float32), [[0, 1]], [[0, 2]], False
    ),
    "DynamicPartition": Operation(
        lambda i: raw.DynamicPartition(data=_ones_like(_flat(i)), partitions=_flat(i), num_partitions=2)[0],
        [[0, 1]],
        [[0, 2]],
        False,
    ),
    "DynamicStitch": Operation(
        lambda i: raw.DynamicStitch(indices=[_flat(i)], data=[_ones_like(_flat(i))]),
        [[0, 1]],
        [[0, -1]],
        False,
    ),
    "SparseToDense": Operation(
        lambda i: raw.SparseToDense(
            sparse_indices=i, output_shape=[9, 9], sparse_values=1.0, default_value=0.0, validate_indices=True
        ),
        [[0, 1]],
        [[0, 9]],
        False,
    ),
    "MatrixBandPart": Operation(
        lambda i: raw.MatrixBandPart(input=tf.ones((3, 3)), num_lower=i[0, 0], num_upper=i[0, 1]),
        [[1, 1]],
        [[4, 1]],
        False,
    ),
    "Where": Operation(
        lambda i: tf.boolean_mask(tf.ones(2), i[0] > 0) + tf.boolean_mask(tf.ones(2), i[1] > 0),
        [[1, 0], [0, 1]],
        [[1, 1], [0, 0]],
        False,
    ),
    "RandomUniformInt": Operation(
        lambda i: tf.cast(raw.RandomUniformInt(shape=[2], minval=0, maxval=i[0, 0]), tf.float32),
        [[1, 0]],
        [[0, 0]],
        False,
    ),
    "StatelessRandomUniformInt": Operation(
        lambda i: tf.cast(
            raw.StatelessRandomUniformInt(shape=[2], seed=[1, 2], minval=0, maxval=i[0, 0]), tf.float32
        ),
        [[1, 0]],
        [[0, 0]],
        False,
    ),
    "StatelessRandomUniformIntV2": Operation(
        lambda i: tf.cast(
            raw.StatelessRandomUniformIntV2(
                shape=[2],
                key=tf.constant([1], tf.uint64),
                counter=tf.constant([1, 2], tf.uint64),
                alg=1,
                minval=0,
                maxval=i[0, 0],
            ),
            tf.float32,
        ),
        [[1, 0]],
        [[0, 0]],
        False,
    ),
    "TensorListGetItem": Operation(lambda i: _list().read(i[0, 0]), [[2, 0]], [[3, 0]], False),
    "TensorListSetItem": Operation(lambda i: _list().write(i[0, 0], 1.0).stack(), [[2, 0]], [[3, 0]], False),
    "TensorListGather": Operation(lambda i: _list().gather(_flat(i)), [[2, 0]], [[3, 0]], False),
    "QuantizeAndDequantizeV3": Operation(
        lambda i: raw.QuantizeAndDequantizeV3(
            input=tf.ones(3), input_min=1.0, input_max=tf.cast(i[0, 0], tf.float32), num_bits=8
        ),
        [[2, 1]],
        [[0, 0]],
        False,
    ),
    "NonMaxSuppressionV4": Operation(
        lambda i: raw.NonMaxSuppressionV4(
            boxes=tf.ones((2, 4)),
            scores=tf.ones(2),
            max_output_size=2,
            iou_threshold=tf.cast(i[0, 0], tf.float32),
            score_threshold=0.0,
            pad_to_max_output_size=True,
        )[0],
        [[0, 1]],
        [[2, 0]],
        False,
    ),
    "StatelessParameterizedTruncatedNormal": Operation(
        lambda i: raw.StatelessParameterizedTruncatedNormal(
            shape=[2],
            seed=[1, 2],
            means=0.0,
            stddevs=1.0,
            minvals=1.0,
            maxvals=tf.cast(i[0, 0], tf.float32),
        ),
        [[2, 1]],
        [[0, 0]],
        False,
    ),
    "ResourceApplyProximalAdagrad": Operation(_apply, [[1, 0]], [[0, 0]], False),
    # In a branch that no step took yet, and by the number of rows that are different
    "Assert in a branch": Operation(_in_branch(_failed), [[0, 1]], [[1, 1]], False),
    "FloorDiv in a branch": Operation(
        _in_branch(lambda shape: tf.cast(7 // (shape[1] - 2), tf.float32)), [[0, 1]], [[1, 1]], False
    ),
    "GatherV2 in a branch": Operation(
        _in_branch(lambda shape: tf.gather(tf.ones(ROWS), shape[1] + ROWS)), [[0, 1]], [[1, 1]], False
    ),
    "Unique by segments": Operation(
        _unique(lambda _, which: tf.math.unsorted_segment_sum(_ones_like(which), which, 1)),
        [[1, 1]],
        [[0, 1]],
        False,
    ),
    "Unique by number": Operation(_unique(_counted), [[0, 1]], [[1, 1]], False),
    "Unique by shapes": Operation(_unique(_added), [[0, 1]], [[0, 1], [2, 3]], False),
    # Numbers that differ
    "LeftShift": Operation(
        lambda i: tf.cast(tf.bitwise.left_shift(tf.ones_like(i), i), tf.float32),
        [[0, 5]],
        [[0, 33]],
        raises=False,
    ),
    "RightShift": Operation(
        lambda i: tf.cast(tf.bitwise.right_shift(tf.fill(tf.shape(i), 9), i), tf.float32),
        [[0, 5]],
        [[0, -1]],
        raises=False,
    ),
    "SqrtGrad": Operation(
        _gradient(lambda x: tf.where(x > 0, tf.sqrt(x), 0.0)), [[1, 4]], [[0, 4]], False, raises=False
    ),
    "RsqrtGrad": Operation(
        _gradient(lambda x: tf.minimum(tf.math.rsqrt(x), 1e6)), [[1, 4]], [[0, 4]], False, raises=False
    ),
    "ReciprocalGrad": Operation(
        _gradient(lambda x: tf.minimum(tf.math.reciprocal(x), 1e6)), [[1, 4]], [[0, 4]], False, raises=False
    ),
    "SeluGrad": Operation(_gradient(tf.nn.selu), [[1, 4]], [[0, 4]], False, raises=False),
    "MaxPoolGrad": Operation(_gradient(_pool), [[1, 2]], [[1, 1]], False, raises=False),
    "TopKV2": Operation(
        lambda i: tf.math.top_k(tf.cast(tf.concat([i[0], [3, 3, 1, 5]], 0), tf.float32), 3, sorted=False)[0],
        [[5, 5]],
        [[3, 1]],
        False,
        raises=False,
    ),
    "InTopKV2 of infinities": Operation(
        lambda i: raw.InTopKV2(
            predictions=[tf.where(i[0] == 0, -np.inf, tf.cast(i[0], tf.float32))], targets=[1], k=1
        ),
        [[1, 2]],
        [[0, 2]],
        False,
        raises=False,
    ),
    "StatelessRandomGetKeyCounter": Operation(
        lambda i: tf.random.stateless_uniform((2,), i[0]), [[1, 2]], [[1, 3]], False, raises=False
    ),
    "Svd": Operation(
        lambda i: tf.linalg.svd(tf.cast([i[0], [3, 1]], tf.float32))[1],
        [[1, 2]],
        [[2, 1]],
        False,
        raises=False,
    ),
    "ResizeBilinear": Operation(
        lambda i: tf.compat.v1.image.resize_bilinear(tf.cast(i, tf.float32)[None, :, :, None], [6, 6]),
        [[0, 0], [0, 0]],
        [[1, 2], [3, 4]],
        False,
        raises=False,
    ),
    # What XLA compiles in
    "ResourceStridedSliceAssign": Operation(_assign, [[5, 2]], [[6, 2]], False),
    "Reshape": Operation(lambda i: tf.reshape(tf.ones(4), i[0]), [[2, 2]], [[2, 3]], False),
    "BroadcastTo": Operation(lambda i: tf.broadcast_to(tf.ones((2, 1)), i[0]), [[2, 2]], [[3, 2]], False),
    "Fill": Operation(lambda i: tf.fill(i[0], 1.0), [[2, 2]], [[2, -2]], False),
    "Tile": Operation(lambda i: tf.tile(tf.ones((2, 2)), i[0]), [[2, 2]], [[2, -2]], False),
    "Pad": Operation(lambda i: tf.pad(tf.ones(3), i[:1]), [[2, 2]], [[2, -2]], False),
    "Cumsum": Operation(lambda i: tf.cumsum(tf.ones(4), i[0, 0]), [[0, 0]], [[5, 3]], False),
}


def end(function: Any, batch: Any) -> tuple[str, Any]:
    """Return how a call ended, with values or with which error, and the values."""
    VARIABLE.assign(tf.ones((ROWS, COLUMNS)))
    try:
        return "values", function(batch)
    except Exception as error:  # noqa: BLE001 - which one is what is asked
        return type(error).__name__, None


def trace(operation: Operation) -> Any:
    """Return the operation traced as a step is, for any number of rows."""
    return tf.function(operation.function, input_signature=[tf.TensorSpec((None, 2), operation.dtype)])


def prove(operation: Operation) -> list[Any]:
    """Return how the good and the bad operand end, each by TensorFlow and by XLA, and whether alike."""
    functions = trace(operation), tf.function(operation.function, jit_compile=True)
    batches = [tf.constant(each, operation.dtype) for each in (operation.good, operation.bad)]
    ends = [end(function, batch) for batch in batches for function in functions]
    plain, xla = (values for _, values in ends[2:])
    alike = plain is not None and xla is not None and np.array_equal(plain, xla)
    return [*(how for how, _ in ends), alike]


def look(operation: Operation) -> Any:
    """Return the guard of the operation as a step, or why XLA must not run it."""
    concrete = trace(operation).get_concrete_function()
    try:
        return examine(concrete, concrete.graph.as_graph_def())
    except Refused as reason:
        return str(reason)


def compare(operation: Operation, examples: int) -> list[str]:
    """Return on which operands a guard lets XLA have what TensorFlow refuses or takes otherwise.

    The good one must pass.
    """
    plain, xla = trace(operation), tf.function(operation.function, jit_compile=True)
    guard = look(operation)
    if isinstance(guard, str):
        return [guard]
    good = guard([tf.constant(operation.good, operation.dtype)])
    differences = [] if good else ["the good operand does not pass"]

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3))
    def check(rows: list[tuple[int, int]]) -> None:
        batch = tf.constant(np.reshape(rows, (-1, 2)), operation.dtype)
        if not guard([batch]):
            return
        ends, values = end(plain, batch)
        if ends != "values" or not (operation.raises or np.array_equal(values, end(xla, batch)[1])):
            differences.append(f"{rows} passes, TensorFlow: {ends}")

    check()
    return differences


#: Numbers about the bounds, and far off.
NUMBERS = st.one_of(st.integers(-2, 8), st.sampled_from([-(2**31), 2**31 - 1, 2**24 + 1]))

if __name__ == "__main__":
    task, *names = sys.argv[1:]
    wanted = {name: each for name, each in OPERATIONS.items() if not names or name in names}
    if task == "prove":
        print(json.dumps({name: prove(each) for name, each in wanted.items()}))
    elif task == "compare":
        guarded = {name: each for name, each in wanted.items() if each.guarded}
        print(json.dumps({name: compare(each, 40) for name, each in guarded.items()}))
    else:
        refused = {name: look(each) for name, each in wanted.items() if not each.guarded}
        print(json.dumps({name: str(each) for name, each in refused.items()}))

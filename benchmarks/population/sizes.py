"""What a described model computes: shapes, weights, and about the time of a training step. It needs no Keras.

A description is what JSON can hold. Its ``inputs`` each have a ``kind`` (``reals`` or ``ids``), a ``shape``
without the batch and, of ids, their number ``words``. Its ``blocks`` follow each other, from the first input;
each has a ``kind``, which is a name in `KINDS`. Its ``head`` is a last layer of so many ``units``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from math import ceil, gcd, prod
from typing import Any, NamedTuple

Block = Mapping[str, Any]
Description = Mapping[str, Any]
Shape = tuple[int, ...]

#: Matrix products of a cell for each of its numbers, and the vectors of its biases.
CELLS = {"lstm": (4, 4), "gru": (3, 6), "rnn": (1, 1)}
# By the models of `benchmarks.architectures`, within a factor of two.
#: Milliseconds on two cores: of any step, of each block, of a round of a loop with its gradient.
_STEP, _BLOCK, _ROUND = 0.3, 0.04, 0.03
#: In a millisecond: floating-point operations, numbers that an element-wise operation writes.
_OPERATIONS, _NUMBERS = 1e8, 1e7
#: The gradients take twice what the step forward takes; so many element-wise operations are in both.
_BACKWARD, _PASSES = 3, 6
#: Element-wise operations of an optimizer on each weight.
_UPDATES = 4
#: How much longer a step takes in half precision, which few CPUs have.
_HALF = 3.0
#: Groups of a group normalisation, or as many as divide the channels.
_GROUPS = 8


class Size(NamedTuple):
    """What a block makes of one example.

    `work`: floating-point operations forward; `numbers`: those that are written; `rounds`: of loops.
    """

    shape: Shape
    work: float = 0.0
    weights: int = 0
    numbers: float = 0.0
    rounds: int = 0

    def __add__(self, other: object) -> Size:
        """Return what this block and the ``other``, which follows it, make together."""
        if not isinstance(other, Size):
            return NotImplemented
        return Size(
            other.shape,
            self.work + other.work,
            self.weights + other.weights,
            self.numbers + other.numbers,
            self.rounds + other.rounds,
        )


def estimate(description: Description) -> float:
    """Return about the milliseconds of a training step on two cores. Raises ValueError as `follow` does."""
    whole, blocks = Size(()), 0
    for size in follow(description):
        whole, blocks = whole + size, blocks + 1
    batch = description["batch"]
    work = _BACKWARD * whole.work * batch / _OPERATIONS
    numbers = _PASSES * whole.numbers * batch / _NUMBERS
    rest = _STEP + _BLOCK * blocks + _ROUND * whole.rounds + _UPDATES * whole.weights / _NUMBERS
    return float((work + numbers) * (1.0 if description["precision"] == "float32" else _HALF) + rest)


def follow(description: Description) -> Iterator[Size]:
    """Yield the size of each block and of the head. Raises ValueError where a block does not fit."""
    inputs = description["inputs"]
    shape = tuple(inputs[0]["shape"])
    for block in description["blocks"]:
        size = measure(block, shape, inputs)
        if min(size.shape, default=0) < 1:
            raise ValueError(f"nothing is left of {shape} behind {block}")
        yield size
        shape = size.shape
    yield _connect(shape, description["head"]["units"])


def measure(block: Block, shape: Shape, inputs: Sequence[Block] = ()) -> Size:
    """Return the size of ``block`` on examples of ``shape``. Raises KeyError for an unknown kind."""
    return KINDS[block["kind"]](block, shape, inputs)


def count_groups(channels: int) -> int:
    """Return the groups of a group normalisation."""
    return gcd(_GROUPS, channels)


def _connect(shape: Shape, units: int) -> Size:
    *lead, width = shape
    made = (*lead, units)
    return Size(made, 2.0 * width * prod(made), (width + 1) * units, prod(made))


def _finish(block: Block, shape: Shape) -> Size:
    """Return the size of what follows the layer of a block: normalisation, activation, dropout."""
    channels = shape[-1]
    weights = {"": 0, "batch": 4, "layer": 2, "group": 2, "rms": 1}[block["norm"]] * channels
    passes = (2 if block["norm"] else 0) + 1 + (1 if block["dropout"] else 0)
    return Size(shape, 0.0, weights, float(passes * prod(shape)))


def _measure_dense(block: Block, shape: Shape, _inputs: Sequence[Block]) -> Size:
    size = _connect(shape, block["units"])
    return size + _finish(block, size.shape)


def _measure_conv(block: Block, shape: Shape, _inputs: Sequence[Block]) -> Size:
    *sides, channels = shape
    filters, kernel, stride, form = (block[name] for name in ("filters", "kernel", "stride", "form"))
    window = kernel ** len(sides)
    if form == "transposed":
        made = tuple(side * stride for side in sides)
    elif block["padding"] == "same":
        made = tuple(ceil(side / stride) for side in sides)
    else:
        made = tuple((side - block["dilation"] * (kernel - 1) - 1) // stride + 1 for side in sides)
    out = (*made, filters)
    if form in ("separable", "depthwise"):
        weights = window * channels + channels * filters + filters
        size = Size(out, 2.0 * prod(made) * (weights - filters), weights, prod(made) * (channels + filters))
        if form == "depthwise":
            between = _finish(block, (*made, channels))
            size = Size(out, weights=channels) + size + between._replace(shape=out)
    else:
        at = sides if form == "transposed" else made
        weights = window * channels * filters + filters
        size = Size(out, 2.0 * prod(at) * (weights - filters), weights, prod(out))
    size += _finish(block, out)
    if block["pool"]:
        pooled = (side // 2 if block["pool_padding"] == "valid" else ceil(side / 2) for side in made)
        size += Size((*pooled, filters), numbers=prod(out))
    return size


def _measure_recurrent(block: Block, shape: Shape, _inputs: Sequence[Block]) -> Size:
    length, width = shape
    units, ways = block["units"], 2 if block["both"] else 1
    products, biases = CELLS[block["cell"]]
    weights = ways * (products * units * (width + units) + biases * units)
    made = (length, ways * units) if block["sequences"] else (ways * units,)
    return Size(made, 2.0 * length * weights, weights, 4.0 * products * units * length * ways, length * ways)


def _measure_attention(block: Block, shape: Shape, inputs: Sequence[Block]) -> Size:
    length, width = shape
    beside, given = inputs[1]["shape"] if block["cross"] else shape
    inner = block["heads"] * block["width"]
    weights = (width + 2 * given + 3) * inner + (inner + 1) * width
    products = 2.0 * (2 * length * width * inner + 2 * beside * given * inner + 2 * length * beside * inner)
    attended = Size(shape, products, weights, 3.0 * block["heads"] * length * beside + 2.0 * length * width)
    forward = _connect(shape, block["units"]) + _connect((length, block["units"]), width)
    return attended + _finish(block, shape) + forward + _finish(block, shape)


def _measure_experts(block: Block, shape: Shape, _inputs: Sequence[Block]) -> Size:
    count, units = block["count"], block["units"]
    gate, experts = _connect(shape, count), _connect(shape, count * units)
    made = (*shape[:-1], units)
    return gate + experts._replace(shape=made) + Size(made, numbers=2 * experts.numbers)


def _measure_gated(block: Block, shape: Shape, _inputs: Sequence[Block]) -> Size:
    size = _connect(shape, block["units"])
    return size + size + Size(size.shape, numbers=4 * size.numbers) + _finish(block, size.shape)


def _measure_residual(block: Block, shape: Shape, inputs: Sequence[Block]) -> Size:
    inner = Size(shape)
    for each in block["blocks"]:
        inner += measure(each, inner.shape, inputs)
    if inner.shape[:-1] != shape[:-1]:
        raise ValueError(f"{shape} cannot be added to {inner.shape}")
    shortcut = Size(shape) if inner.shape == shape else _connect(shape, inner.shape[-1])
    return inner + shortcut._replace(shape=inner.shape) + Size(inner.shape, numbers=2 * prod(inner.shape))


def _measure_vector(block: Block, shape: Shape, _inputs: Sequence[Block]) -> Size:
    return Size((prod(shape),) if block["by"] == "flatten" else shape[-1:], numbers=prod(shape))


def _measure_embedding(block: Block, shape: Shape, inputs: Sequence[Block]) -> Size:
    (length,), width = shape, block["width"]
    rows = inputs[0]["words"] + (length if block["positions"] else 0)
    return Size((length, width), 0.0, rows * width, 2.0 * length * width)


def _measure_features(block: Block, _shape: Shape, inputs: Sequence[Block]) -> Size:
    width, words = block["width"], [each["words"] for each in inputs if each["kind"] == "ids"]
    reals = sum(prod(each["shape"]) for each in inputs if each["kind"] == "reals")
    crosses = len(list(combinations(words, 2))) if block["crosses"] else 0
    made = len(words) * width + crosses + reals
    return Size((made,), 2.0 * crosses * width, sum(words) * width, 2.0 * made)


#: What a block of each kind computes.
KINDS: Mapping[str, Callable[[Block, Shape, Sequence[Block]], Size]] = {
    "dense": _measure_dense,
    "conv": _measure_conv,
    "recurrent": _measure_recurrent,
    "attention": _measure_attention,
    "experts": _measure_experts,
    "gated": _measure_gated,
    "residual": _measure_residual,
    "vector": _measure_vector,
    "embedding": _measure_embedding,
    "features": _measure_features,
}

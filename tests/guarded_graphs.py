"""Small steps, and on what the operand that TensorFlow checks in them hangs.

Prints as JSON, for each, why XLA must not run it, or for each batch whether it passes and whether
TensorFlow raises.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from autoxla.trial.dataflow import Refused
from autoxla.trial.guards import examine

Step = Callable[[Any, Any], Any]
WEIGHTS = tf.Variable(tf.ones((4, 5)))
DATA = tf.ones((3, 7, 4))
GOOD, BAD = tf.constant([0, 6]), tf.constant([0, 7])
SPECS = (tf.TensorSpec((None, None, 4)), tf.TensorSpec((None,), tf.int32))


GATHER = tf.function(tf.gather)


def inner(table: Any, index: Any) -> Any:
    """Gather within a function of its own."""
    return GATHER(table, index)


def network(x: Any) -> Any:
    """Return something that the network computes."""
    return tf.nn.relu(tf.einsum("abc,cd->abd", x, WEIGHTS))


def by_row(x: Any, i: Any) -> Any:
    """Gather in a loop that takes one index after the other."""
    total = tf.zeros(2)
    for k in tf.range(2):
        total += tf.gather(tf.ones((7, 2)), i[k : k + 1])[0]
    return total


def counted(limit: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a loop up to ``limit``, which reads by its counter."""

    def loop(x: Any, i: Any) -> Any:
        end = limit(x, i)
        body = lambda k, t: (k + 1, t + tf.reduce_sum(x[:, k]))  # noqa: E731
        return tf.while_loop(lambda k, _: k < end, body, [0, 0.0])[1]

    return loop


def prefixes(x: Any, i: Any) -> Any:
    """Add up more and more rows, as a loop counts."""
    body = lambda k, t: (k + 1, t + tf.reduce_sum(x[:, :k]))  # noqa: E731
    return tf.while_loop(lambda k, _: k < 6, body, [1, 0.0])[1]


def gradient(function: Step) -> Step:
    """Return the gradient of ``function`` in its first operand."""

    def step(x: Any, i: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x, i)
        return tape.gradient(y, x)

    return step


def normalised(x: Any, i: Any) -> Any:
    """Return rows of the variance 1, as layers do."""
    mean, variance = tf.nn.moments(x, -1, keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, None, None, 1e-3) + tf.sqrt(tf.nn.softplus(x) + 1e-6)


def pooled(padding: str) -> Step:
    """Return the greatest of each two neighbours."""
    return gradient(lambda x, i: tf.nn.max_pool2d(x[:, :6, :, None], 2, 2, padding))


def labelled(x: Any, i: Any) -> Any:
    """Compute a loss with labels that come as floats."""
    labels = tf.cast(x[:, 0, 0], tf.int64)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.ones((tf.shape(x)[0], 3)))


def chosen(x: Any, i: Any) -> Any:
    """Gather by an index that is chosen again and again: each choice doubles the ways to it."""
    for _ in range(60):
        i = tf.where(i > 6, i, tf.minimum(i, 6))
    return tf.gather(tf.ones(7), i)


STEPS: dict[str, tuple[Step, Sequence[Any]]] = {
    "index": (lambda x, i: tf.gather(tf.ones(7), i), [(DATA, GOOD), (DATA, BAD)]),
    "from the end": (
        lambda x, i: tf.gather(tf.ones(7), tf.where(i < 0, i + 7, i)),
        [(DATA, GOOD), (DATA, BAD)],
    ),
    "chosen": (chosen, [(DATA, GOOD), (DATA, BAD)]),
    "argmax": (lambda x, i: tf.gather(tf.ones(5), tf.argmax(network(x), -1)), [(DATA, GOOD)]),
    "modulo": (lambda x, i: tf.gather(tf.ones(4), i % 4), [(DATA, GOOD), (DATA, BAD)]),
    "clipped": (lambda x, i: tf.gather(tf.ones(4), tf.clip_by_value(i, 0, 3)), [(DATA, BAD)]),
    "float labels": (labelled, [(DATA * each, GOOD) for each in (1, 2.0, 3, -1, float("nan"))]),
    "branch": (
        lambda x, i: tf.cond(tf.reduce_sum(x) > 0, lambda: tf.gather(WEIGHTS, i)[:, 0], lambda: tf.zeros(2)),
        [(DATA, GOOD // 2), (DATA, BAD)],
    ),
    "mapped": (lambda x, i: tf.map_fn(lambda row: row * 2.0, x), [(DATA, GOOD)]),
    "by shape": (lambda x, i: tf.cast(7 // tf.shape(x)[1], tf.float32), [(DATA, GOOD)]),
    "normalised": (gradient(normalised), [(DATA, GOOD)]),
    "pooled": (pooled("VALID"), [(DATA, GOOD)]),
    "in a branch": (
        lambda x, i: tf.cond(
            i[0] > 3, lambda: tf.gather(WEIGHTS, 3)[0] + tf.cast(i[0] // 2, tf.float32), lambda: 0.0
        ),
        [(DATA, GOOD), (DATA, BAD)],
    ),
    "shifted": (lambda x, i: tf.bitwise.left_shift(i, 3), [(DATA, GOOD)]),
    # No guard
    "true": (
        lambda x, i: tf.gather(tf.ones(7), tf.where(tf.cast(i - 3, tf.bool), i, tf.fill(tf.shape(i), 9))),
        [(DATA, GOOD)],
    ),
    "stitched": (lambda x, i: tf.dynamic_stitch([[0, 1], i], [tf.ones(2), tf.ones(2)]), [(DATA, GOOD)]),
    "norm": (gradient(lambda x, i: tf.norm(x, axis=-1)), [(DATA, GOOD)]),
    "padded": (pooled("SAME"), [(DATA, GOOD)]),
    "nested": (lambda x, i: inner(inner(tf.ones((9, 8)), i), i), [(DATA, GOOD)]),
    "argmax of more": (lambda x, i: tf.gather(tf.ones(4), tf.argmax(network(x), -1)), [(DATA, GOOD)]),
    "added up": (lambda x, i: tf.gather(tf.ones(9), i + tf.cast(x[0, 0, 0], tf.int32)), [(DATA, GOOD)]),
    "open dimension": (lambda x, i: tf.gather(network(x), i, axis=1), [(DATA, GOOD)]),
    "drawn": (
        lambda x, i: tf.gather(tf.ones(5), tf.random.uniform((2,), 0, 6, tf.int32)),
        [(DATA, GOOD)],
    ),
    "divisor": (lambda x, i: tf.cast(7 // i, tf.float32), [(DATA, GOOD)]),
    "index in a loop": (by_row, [(DATA, GOOD)]),
    "loop by data": (counted(lambda x, i: i[1]), [(DATA, GOOD)]),
    "counted loop": (counted(lambda x, i: tf.shape(x)[1]), [(DATA, GOOD)]),
    "variable": (lambda x, i: tf.gather(tf.ones(5), tf.cast(WEIGHTS[0, 0], tf.int32)), [(DATA, GOOD)]),
    "unknown": (lambda x, i: tf.strings.length(tf.strings.as_string(i)), [(DATA, GOOD)]),
    "rows by a counter": (prefixes, [(DATA, GOOD)]),
    "rows by data": (lambda x, i: tf.boolean_mask(x, x[:, 0, 0] > 0), [(DATA, GOOD)]),
}


def raises(function: Any, batch: Any) -> bool:
    """Return whether TensorFlow raises for ``batch``."""
    try:
        function(*batch)
    except tf.errors.OpError:
        return True
    return False


def look(step: Step, batches: Sequence[Any]) -> Any:
    """Return why XLA must not run ``step``, or what the guard says of each batch, and TensorFlow."""
    function = tf.function(step, input_signature=SPECS)
    concrete = function.get_concrete_function()
    try:
        guard = examine(concrete, concrete.graph.as_graph_def())
    except Refused as reason:
        return str(reason)
    return [[guard.is_within(batch), not raises(function, batch)] for batch in batches]


if __name__ == "__main__":
    print(json.dumps({name: look(*step) for name, step in STEPS.items()}))

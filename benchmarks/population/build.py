"""Models as their descriptions say (`benchmarks.population.sizes`), made with Keras 3 on TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.population.sizes import Block, Description, count_groups

#: Different batches in memory, or as many as take so many numbers; longer epochs have them again.
_BATCHES, _NUMBERS = 20, 1 << 24
_CELLS = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN"}


class Positions(layers.Layer):  # type: ignore[misc]
    """Adds a row that is learned to each place of a sequence."""

    def build(self, shape: Sequence[int]) -> None:
        """Make the rows."""
        self.rows = self.add_weight(shape=shape[1:], initializer="random_normal")

    def call(self, x: Any) -> Any:
        """Return the sum."""
        return x + self.rows


def build(description: Description) -> tuple[Any, Callable[[int], Any]]:
    """Return a compiled model, and what makes a ``tf.data`` set of so many batches for it."""
    keras.utils.set_random_seed(description["number"])
    keras.config.set_dtype_policy(description["precision"])
    model = make_model(description)
    is_logits, loss = description["head"]["logits"], description["loss"]
    losses = {
        "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy(from_logits=is_logits),
        "binary_crossentropy": keras.losses.BinaryCrossentropy(from_logits=is_logits),
    }
    optimizer = description["optimizer"]
    measures = ["accuracy" if loss == "sparse_categorical_crossentropy" else "mae"]
    model.compile(
        optimizer=keras.optimizers.SGD(momentum=0.9) if optimizer == "momentum" else optimizer,
        loss=losses.get(loss, loss),
        metrics=measures if description["metrics"] else [],
        jit_compile=False,
    )
    examples = draw_examples(description, model.output_shape[1:])

    def make_batches(steps: int) -> Any:
        whole = tf.data.Dataset.from_tensor_slices(examples).batch(description["batch"])
        return whole.repeat().take(steps).prefetch(2)

    return model, make_batches


def make_model(description: Description) -> Any:
    """Return the model, not compiled, in the precision that Keras has."""
    inputs = [
        keras.Input(each["shape"], dtype="int32" if each["kind"] == "ids" else "float32")
        for each in description["inputs"]
    ]
    x = inputs[0]
    for block in description["blocks"]:
        x = _BLOCKS[block["kind"]](block, x, inputs, description["inputs"])
    return keras.Model(inputs, _make_head(description, x))


def draw_examples(description: Description, shape: Sequence[int]) -> tuple[Any, Any]:
    """Return examples with targets, for a model whose output is of ``shape``."""
    generator = np.random.default_rng(description["number"])
    batch, inputs = description["batch"], description["inputs"]
    numbers = batch * (prod(shape) + sum(prod(each["shape"]) for each in inputs))
    count = batch * max(2, min(_BATCHES, _NUMBERS // numbers))
    data = tuple(
        generator.integers(0, each["words"], (count, *each["shape"]), dtype=np.int32)
        if each["kind"] == "ids"
        else generator.standard_normal((count, *each["shape"]), dtype=np.float32)
        for each in inputs
    )
    targets: Any = generator.random((count, *shape), dtype=np.float32)
    if description["loss"] == "sparse_categorical_crossentropy":
        targets = generator.integers(0, shape[-1], (count, *shape[:-1]))
    elif description["loss"] == "binary_crossentropy":
        targets = targets.round()
    return data if len(data) > 1 else data[0], targets


def _make_head(description: Description, x: Any) -> Any:
    head, loss = description["head"], description["loss"]
    last = {"sparse_categorical_crossentropy": "softmax", "binary_crossentropy": "sigmoid"}.get(loss)
    # As Keras' guide to mixed precision has it, what the loss gets is whole.
    about = {"activation": None if head["logits"] else last, "dtype": "float32"}
    if len(x.shape) == 2:
        return layers.Dense(head["units"], **about)(x)
    return _convolution("Conv", len(x.shape) - 2)(head["units"], 1, **about)(x)


def _convolution(name: str, rank: int, end: str = "") -> Any:
    return getattr(layers, f"{name}{rank}D{end}")


def _finish(block: Block, x: Any) -> Any:
    """Return ``x`` with the normalisation, the activation and the dropout of a block."""
    norms: Mapping[str, Callable[[], Any]] = {
        "batch": layers.BatchNormalization,
        "layer": layers.LayerNormalization,
        "group": lambda: layers.GroupNormalization(count_groups(x.shape[-1])),
        "rms": layers.RMSNormalization,
    }
    if block["norm"]:
        x = norms[block["norm"]]()(x)
    x = layers.Activation(block["activation"])(x)
    return layers.Dropout(block["dropout"])(x) if block["dropout"] else x


def _make_dense(block: Block, x: Any, *_: Any) -> Any:
    return _finish(block, layers.Dense(block["units"])(x))


def _make_conv(block: Block, x: Any, *_: Any) -> Any:
    rank, filters, kernel = block["rank"], block["filters"], block["kernel"]
    window = {"strides": block["stride"], "padding": block["padding"]}
    if block["form"] == "transposed":
        x = _convolution("Conv", rank, "Transpose")(filters, kernel, **window)(x)
    elif block["form"] == "separable":
        x = _convolution("SeparableConv", rank)(filters, kernel, **window)(x)
    elif block["form"] == "depthwise":
        x = _finish(block, _convolution("DepthwiseConv", rank)(kernel, **window)(x))
        x = _convolution("Conv", rank)(filters, 1)(x)
    else:
        x = _convolution("Conv", rank)(filters, kernel, dilation_rate=block["dilation"], **window)(x)
    x = _finish(block, x)
    if block["pool"]:
        name = {"max": "MaxPooling", "average": "AveragePooling"}[block["pool"]]
        x = _convolution(name, rank)(2, padding=block["pool_padding"])(x)
    return x


def _make_recurrent(block: Block, x: Any, *_: Any) -> Any:
    layer = getattr(layers, _CELLS[block["cell"]])(block["units"], return_sequences=block["sequences"])
    return (layers.Bidirectional(layer) if block["both"] else layer)(x)


def _make_attention(block: Block, x: Any, inputs: Sequence[Any], _about: Any) -> Any:
    beside = inputs[1] if block["cross"] else x
    attention = layers.MultiHeadAttention(block["heads"], block["width"])
    plain = {**block, "activation": "linear"}
    x = _finish(plain, x + attention(x, beside, use_causal_mask=block["causal"]))
    forward = layers.Dense(block["units"], activation=block["activation"])(x)
    return _finish(plain, x + layers.Dense(x.shape[-1])(forward))


def _make_experts(block: Block, x: Any, *_: Any) -> Any:
    gate = layers.Dense(block["count"], activation="softmax")(x)
    expert = [layers.Dense(block["units"], activation=block["activation"])(x) for _ in range(block["count"])]
    return keras.ops.sum(keras.ops.stack(expert, -2) * keras.ops.expand_dims(gate, -1), -2)


def _make_gated(block: Block, x: Any, *_: Any) -> Any:
    gate = layers.Dense(block["units"], activation="sigmoid")(x)
    if block["form"] == "glu":
        return _finish(block, layers.Dense(block["units"])(x) * gate)
    made = layers.Dense(block["units"], activation=block["activation"])(x)
    return _finish(block, made * gate + x * (1 - gate))


def _make_residual(block: Block, x: Any, inputs: Sequence[Any], about: Any) -> Any:
    made = x
    for each in block["blocks"]:
        made = _BLOCKS[each["kind"]](each, made, inputs, about)
    if made.shape != x.shape:
        rank, width = len(x.shape) - 2, made.shape[-1]
        x = (_convolution("Conv", rank)(width, 1) if rank else layers.Dense(width))(x)
    return layers.Activation(block["activation"])(made + x)


def _make_vector(block: Block, x: Any, *_: Any) -> Any:
    if block["by"] == "flatten":
        return layers.Flatten()(x)
    name = {"max": "GlobalMaxPooling", "average": "GlobalAveragePooling"}[block["by"]]
    return _convolution(name, len(x.shape) - 2)()(x)


def _make_embedding(block: Block, x: Any, _inputs: Any, about: Sequence[Block]) -> Any:
    embedded = layers.Embedding(about[0]["words"], block["width"])(x)
    return Positions()(embedded) if block["positions"] else embedded


def _make_features(block: Block, _x: Any, inputs: Sequence[Any], about: Sequence[Block]) -> Any:
    embedded = [
        layers.Flatten()(layers.Embedding(each["words"], block["width"])(x))
        for x, each in zip(inputs, about, strict=True)
        if each["kind"] == "ids"
    ]
    crosses = [layers.Dot(1)(list(pair)) for pair in combinations(embedded, 2)] if block["crosses"] else []
    reals = [x for x, each in zip(inputs, about, strict=True) if each["kind"] == "reals"]
    return layers.Concatenate()([*embedded, *crosses, *reals])


_BLOCKS: Mapping[str, Callable[[Block, Any, Sequence[Any], Sequence[Block]], Any]] = {
    "dense": _make_dense,
    "conv": _make_conv,
    "recurrent": _make_recurrent,
    "attention": _make_attention,
    "experts": _make_experts,
    "gated": _make_gated,
    "residual": _make_residual,
    "vector": _make_vector,
    "embedding": _make_embedding,
    "features": _make_features,
}

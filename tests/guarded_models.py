"""What Keras' own layers, losses, metrics and optimizers need: ``guarded_models.py keras|tf_keras``.

Trains one step of each model and prints as JSON why XLA must not run it, or how many tensors of
a batch are guarded.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from autoxla.trial.dataflow import Refused
from autoxla.trial.guards import examine
from autoxla.trial.steps import find_step

keras: Any = importlib.import_module(sys.argv[1])
layers: Any = keras.layers
DRAWN = np.random.default_rng(0)
VECTORS, SERIES = (DRAWN.random(shape, dtype="float32") for shape in ((8, 12), (8, 6, 4)))
IMAGES, VOLUMES = (DRAWN.random(shape, dtype="float32") for shape in ((8, 8, 8, 3), (8, 4, 4, 4, 2)))
TOKENS, LABELS = DRAWN.integers(0, 9, (8, 6)).astype("int32"), DRAWN.integers(0, 4, 8)
TARGETS, CLASSES = DRAWN.random((8, 1), dtype="float32"), np.eye(4, dtype="float32")[LABELS]
ACTIVATIONS = (
    "elu", "exponential", "gelu", "hard_sigmoid", "linear", "relu", "sigmoid", "softmax", "softplus",
    "softsign", "swish", "tanh",
)  # fmt: skip
OPTIMIZERS = (
    "SGD", "Adam", "AdamW", "Adamax", "Nadam", "Adagrad", "Adadelta", "RMSprop", "Ftrl", "Lion", "Adafactor",
)  # fmt: skip
LOSSES = (
    "mse",
    "mae",
    "mape",
    "msle",
    "huber",
    "log_cosh",
    "binary_crossentropy",
    "kl_divergence",
    "poisson",
)


def _model(inputs: Any, outputs: Any, optimizer: Any = "sgd", loss: Any = "mse", **options: Any) -> Any:
    model = keras.Model(inputs, outputs)
    model.compile(optimizer, loss, **options)
    return model


def _join(parts: Any) -> Any:
    return layers.Dense(1)(layers.Concatenate()([layers.Flatten()(part) for part in parts]))


def _chain(inputs: Any, *chain: Any) -> Any:
    for layer in chain:
        inputs = layer(inputs)
    return inputs


def models() -> Iterator[tuple[str, Any, Any, Any]]:
    """Yield a name, a model, its data and its targets."""
    x = keras.Input((12,))
    dense = [layers.Dense(3, activation=each)(x) for each in ACTIVATIONS]
    dense += [layer(dense[0]) for layer in (
        layers.BatchNormalization(), layers.Dropout(0.3), layers.GaussianNoise(0.3),
        layers.GaussianDropout(0.3),
        layers.LayerNormalization(), layers.PReLU(), layers.LeakyReLU(),
        layers.RepeatVector(2), layers.Reshape((3, 1)), layers.Rescaling(0.5),
    )]  # fmt: skip
    dense += [layer(dense[:2]) for layer in (
        layers.Add(), layers.Subtract(), layers.Multiply(), layers.Average(), layers.Maximum(),
        layers.Minimum(), layers.Dot(1),
    )]  # fmt: skip
    yield "dense", _model(x, _join(dense), optimizer="adam"), VECTORS, TARGETS
    x = keras.Input((12,))
    yield "unit", _model(x, layers.UnitNormalization()(layers.Dense(1)(x))), VECTORS, TARGETS
    yield "selu", _model(x, layers.Dense(1, activation="selu")(x)), VECTORS, TARGETS
    x = keras.Input((8, 8, 3))
    bilinear = layers.UpSampling2D(interpolation="bilinear")(layers.Conv2D(2, 3)(x))
    yield "bilinear", _model(x, _join([bilinear])), IMAGES, TARGETS
    x = keras.Input((6, 4))
    series = [layer(x) for layer in (
        layers.LSTM(3), layers.GRU(3, dropout=0.1, recurrent_dropout=0.1), layers.SimpleRNN(3),
        layers.Bidirectional(layers.GRU(2, return_sequences=True)), layers.Conv1D(3, 2, padding="causal"),
        layers.SeparableConv1D(3, 2), layers.TimeDistributed(layers.Dense(2)), layers.Conv1DTranspose(2, 2),
        layers.RNN([layers.LSTMCell(2), layers.GRUCell(2)]), layers.SpatialDropout1D(0.2),
        layers.GlobalAveragePooling1D(), layers.GlobalMaxPooling1D(), layers.AveragePooling1D(2),
        layers.MaxPooling1D(2), layers.UpSampling1D(2), layers.ZeroPadding1D(1), layers.Cropping1D(1),
        layers.Permute((2, 1)),
    )]  # fmt: skip
    series.append(_chain(x, layers.Masking(), layers.LSTM(2)))
    yield "series", _model(x, _join(series)), SERIES, TARGETS
    x = keras.Input((6,), dtype="int32")
    embedded = layers.Embedding(9, 4, mask_zero=True)(x)
    attended = layers.MultiHeadAttention(2, 3)(embedded, embedded, use_causal_mask=True)
    text = [
        attended,
        layers.Attention()([embedded, attended]),
        layers.AdditiveAttention()([embedded, attended]),
    ]
    text += [layers.LSTM(2)(embedded), layers.GlobalAveragePooling1D()(embedded)]
    yield "text", _model(x, _join(text), optimizer="adam"), TOKENS, TARGETS
    x = keras.Input((8, 8, 3))
    images = [layer(layers.Conv2D(2, 3)(x)) for layer in (
        layers.DepthwiseConv2D(2), layers.SeparableConv2D(2, 2), layers.Conv2DTranspose(2, 3, strides=2),
        layers.BatchNormalization(), layers.MaxPooling2D(), layers.AveragePooling2D((2, 2)),
        layers.GlobalAveragePooling2D(), layers.GlobalMaxPooling2D(), layers.UpSampling2D(),
        layers.ZeroPadding2D(), layers.Cropping2D(), layers.GroupNormalization(2), layers.RandomFlip(),
        layers.CenterCrop(4, 4),
    )]  # fmt: skip
    images.append(layers.RandomContrast(0.1)(x))
    yield "images", _model(x, _join(images)), IMAGES, TARGETS
    x = keras.Input((4, 4, 4, 2))
    volumes = [layer(x) for layer in (layers.Conv3D(2, 2), layers.Conv3DTranspose(2, 2))]
    volumes += [layers.MaxPooling3D()(volumes[0]), layers.AveragePooling3D((2, 2, 2))(volumes[0])]
    yield "volumes", _model(x, _join(volumes)), VOLUMES, TARGETS
    for name in OPTIMIZERS:
        if hasattr(keras.optimizers, name):
            x = keras.Input((6,), dtype="int32")
            optimizer = getattr(keras.optimizers, name)(clipnorm=1.0)
            yield name, _model(x, _join([layers.Embedding(9, 4)(x)]), optimizer=optimizer), TOKENS, TARGETS
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([3, 6], [0.1, 0.2, 0.3])
    x = keras.Input((12,))
    outputs = [layers.Dense(1, activation="sigmoid", kernel_regularizer="l2")(x) for _ in LOSSES]
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True)
    several = _model(x, outputs, optimizer=optimizer, loss=list(LOSSES))
    yield "losses", several, VECTORS, (TARGETS,) * len(LOSSES)
    x = keras.Input((12,))
    metrics = ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2)]
    sparse = _model(
        x, layers.Dense(4, activation="softmax")(x), loss="sparse_categorical_crossentropy", metrics=metrics
    )
    yield "labels", sparse, VECTORS, LABELS
    x = keras.Input((12,))
    one_hot = _model(
        x, layers.Dense(4, activation="softmax")(x), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    yield "classes", one_hot, VECTORS, CLASSES
    metrics = [keras.metrics.Precision(), keras.metrics.Recall(), keras.metrics.BinaryAccuracy()]
    x = keras.Input((12,))
    binary = _model(x, layers.Dense(1, activation="sigmoid")(x), loss="binary_crossentropy", metrics=metrics)
    yield "metrics", binary, VECTORS, np.round(TARGETS)


def look(model: Any, x: Any, y: Any) -> str | int:
    """Return why XLA must not run a step of ``model``, or how many tensors of a batch are guarded."""
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    model.fit(data, verbose=0)
    step = find_step(model.train_function, data.element_spec)
    if step is None:
        return "no step"
    try:
        guard = examine(step, step.graph.as_graph_def())
    except Refused as reason:
        return str(reason)
    passes = guard(tf.nest.flatten(next(iter(data))))
    return len(guard.bounds) if passes else "its own batch does not pass"


if __name__ == "__main__":
    print(json.dumps({name: look(model, x, y) for name, model, x, y in models()}))

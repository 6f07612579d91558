"""Twelve models with made-up data, for the ``keras`` handed in: ``tf.keras``, or Keras 3 on any backend.

Six are those on which the rules of the trial were fitted, six are not. None has dropout or any other
random operation, and no name in here is one at which a trial stands aside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

CLASSES = 10
WORDS, USERS, ITEMS = 5000, 10_000, 5000
CROSS_ENTROPY = "sparse_categorical_crossentropy"

Draw = Callable[[np.random.Generator, int], tuple[Any, Any]]


@dataclass(frozen=True)
class Task:
    """What makes a model of the ``keras`` that it is given, what draws so many examples, batch and loss."""

    make: Callable[[Any], Any]
    draw: Draw
    batch: int
    loss: str = CROSS_ENTROPY


def _draw_images(side: int, channels: int = 3) -> Draw:
    def draw(generator: np.random.Generator, count: int) -> tuple[Any, Any]:
        images = generator.standard_normal((count, side, side, channels), dtype=np.float32)
        return images, generator.integers(0, CLASSES, count)

    return draw


def _draw_rows(*shape: int) -> Draw:
    def draw(generator: np.random.Generator, count: int) -> tuple[Any, Any]:
        rows = generator.standard_normal((count, *shape), dtype=np.float32)
        return rows, generator.integers(0, CLASSES, count)

    return draw


def _draw_texts(length: int) -> Draw:
    def draw(generator: np.random.Generator, count: int) -> tuple[Any, Any]:
        texts = generator.integers(0, WORDS, (count, length), dtype=np.int32)
        return texts, generator.integers(0, CLASSES, count)

    return draw


def _draw_same(width: int) -> Draw:
    def draw(generator: np.random.Generator, count: int) -> tuple[Any, Any]:
        rows = generator.random((count, width), dtype=np.float32)
        return rows, rows

    return draw


def _draw_masks(side: int) -> Draw:
    def draw(generator: np.random.Generator, count: int) -> tuple[Any, Any]:
        images = generator.standard_normal((count, side, side, 3), dtype=np.float32)
        return images, (images.mean(axis=-1, keepdims=True) > 0).astype(np.float32)

    return draw


def _draw_ratings(generator: np.random.Generator, count: int) -> tuple[Any, Any]:
    users = generator.integers(0, USERS, (count, 1), dtype=np.int32)
    items = generator.integers(0, ITEMS, (count, 1), dtype=np.int32)
    return (users, items), generator.random((count, 1), dtype=np.float32)


def _make_mlp(keras: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((128,)),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def _make_cnn(keras: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def _make_lstm(keras: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((32, 32)),
            keras.layers.LSTM(64),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def _make_gru(keras: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((40, 32)),
            keras.layers.GRU(96, return_sequences=True),
            keras.layers.GRU(48),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def _make_transformer(keras: Any) -> Any:
    inputs = keras.Input((64,), dtype="int32")
    hidden = keras.layers.Embedding(WORDS, 64)(inputs)
    hidden = _encode(keras, _encode(keras, hidden, 64), 64)
    return keras.Model(inputs, _classify(keras, keras.layers.GlobalAveragePooling1D()(hidden)))


def _make_vit(keras: Any) -> Any:
    inputs = keras.Input((32, 32, 3))
    patches = keras.layers.Conv2D(48, 4, strides=4)(inputs)
    hidden = keras.layers.Reshape((64, 48))(patches)
    hidden = _encode(keras, _encode(keras, hidden, 48), 48)
    return keras.Model(inputs, _classify(keras, keras.layers.GlobalAveragePooling1D()(hidden)))


def _encode(keras: Any, hidden: Any, width: int) -> Any:
    """Return one block of a transformer's encoder, of 4 heads."""
    layers = keras.layers
    normal = layers.LayerNormalization()(hidden)
    attended = layers.MultiHeadAttention(4, width // 4)(normal, normal)
    hidden = layers.Add()([hidden, attended])
    wide = layers.Dense(2 * width, activation="gelu")(layers.LayerNormalization()(hidden))
    return layers.Add()([hidden, layers.Dense(width)(wide)])


def _classify(keras: Any, hidden: Any) -> Any:
    return keras.layers.Dense(CLASSES, activation="softmax")(hidden)


def _make_residual(keras: Any) -> Any:
    inputs = keras.Input((32, 32, 3))
    hidden = keras.layers.Conv2D(32, 3, padding="same")(inputs)
    for _ in range(3):
        branch = _convolve(keras, _convolve(keras, hidden, 32), 32)
        hidden = keras.layers.Add()([hidden, branch])
    return keras.Model(inputs, _classify(keras, keras.layers.GlobalAveragePooling2D()(hidden)))


def _convolve(keras: Any, hidden: Any, filters: int) -> Any:
    """Return a convolution, batch norm and relu."""
    hidden = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(hidden)
    return keras.layers.ReLU()(keras.layers.BatchNormalization()(hidden))


def _make_mobilenet(keras: Any) -> Any:
    return keras.applications.MobileNetV2(input_shape=(64, 64, 3), weights=None, classes=CLASSES)


def _make_text(keras: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((128,), dtype="int32"),
            keras.layers.Embedding(WORDS, 32),
            keras.layers.Conv1D(64, 5, activation="relu"),
            keras.layers.MaxPooling1D(2),
            keras.layers.Conv1D(64, 5, activation="relu"),
            keras.layers.GlobalMaxPooling1D(),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def _make_unet(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((32, 32, 3))
    fine = _convolve(keras, inputs, 16)
    coarse = _convolve(keras, layers.MaxPooling2D()(fine), 32)
    deep = _convolve(keras, layers.MaxPooling2D()(coarse), 48)
    coarse = _convolve(keras, layers.Concatenate()([coarse, layers.UpSampling2D()(deep)]), 32)
    fine = _convolve(keras, layers.Concatenate()([fine, layers.UpSampling2D()(coarse)]), 16)
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(fine))


def _make_autoencoder(keras: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(384, activation="relu"),
            keras.layers.Dense(96, activation="relu"),
            keras.layers.Dense(384, activation="relu"),
            keras.layers.Dense(784, activation="sigmoid"),
        ]
    )


def _make_recommender(keras: Any) -> Any:
    layers = keras.layers
    user, item = keras.Input((1,), dtype="int32"), keras.Input((1,), dtype="int32")
    tastes = layers.Flatten()(layers.Embedding(USERS, 32)(user))
    traits = layers.Flatten()(layers.Embedding(ITEMS, 32)(item))
    hidden = layers.Dense(64, activation="relu")(layers.Concatenate()([tastes, traits]))
    hidden = layers.Dense(32, activation="relu")(hidden)
    return keras.Model([user, item], layers.Dense(1, activation="sigmoid")(hidden))


TASKS = {
    "mlp": Task(_make_mlp, _draw_rows(128), 32),
    "cnn": Task(_make_cnn, _draw_images(32), 32),
    "lstm": Task(_make_lstm, _draw_rows(32, 32), 32),
    "tr": Task(_make_transformer, _draw_texts(64), 32),
    "bnres": Task(_make_residual, _draw_images(32), 32),
    "MobileNetV2": Task(_make_mobilenet, _draw_images(64), 16),
    "gru": Task(_make_gru, _draw_rows(40, 32), 32),
    "text": Task(_make_text, _draw_texts(128), 32),
    "unet": Task(_make_unet, _draw_masks(32), 16, "binary_crossentropy"),
    "vit": Task(_make_vit, _draw_images(32), 16),
    "autoencoder": Task(_make_autoencoder, _draw_same(784), 64, "mse"),
    "recommender": Task(_make_recommender, _draw_ratings, 64, "binary_crossentropy"),
}

"""Train a small convolutional network on scikit-learn's bundled digits (1797 images of 8x8 pixels).

    python examples/digits_cnn.py
    python -m autoxla examples/digits_cnn.py

The second line runs the same program with the shim; nothing in here knows of it. Results go to
stdout and are repeatable for a seed; times go to stderr.
"""

import argparse
import sys
import time
from collections.abc import Mapping

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

CLASSES = 10
SIDE = 8


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a small CNN on scikit-learn's digits.")
    parser.add_argument("--epochs", type=int, default=8, help="passes over the training images")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the weights and the dropout")
    return parser.parse_args()


def load_images(seed: int) -> list[np.ndarray]:
    """Return training and test images in [0, 1], then their labels: (n, 8, 8, 1) and (n,)."""
    digits = load_digits()
    images = (digits.images / 16.0).astype("float32")[..., np.newaxis]
    return list(
        train_test_split(images, digits.target, test_size=0.25, random_state=seed, stratify=digits.target)
    )


def build_model() -> keras.Model:
    """Return a compiled network of two convolutions and one dense layer."""
    model = keras.Sequential(
        [
            layers.Input((SIDE, SIDE, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(CLASSES),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss=loss, metrics=["accuracy"])
    return model


def print_epoch(epoch: int, logs: Mapping[str, float]) -> None:
    """Print one line for a finished epoch."""
    print(f"epoch {epoch + 1}: loss {logs['loss']:.4f}, accuracy {logs['accuracy']:.4f}", flush=True)


def main() -> None:
    """Train, then print the accuracy on images that were not trained on."""
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    train_images, test_images, train_labels, test_labels = load_images(arguments.seed)
    model = build_model()

    ticks: list[float] = []
    reporter = keras.callbacks.LambdaCallback(
        on_epoch_end=print_epoch,
        on_train_batch_end=lambda *_, **__: ticks.append(time.perf_counter()),
    )
    model.fit(train_images, train_labels, epochs=arguments.epochs, callbacks=[reporter], verbose=0)

    # The median leaves out the first step, which traces, and the pauses between epochs.
    print(f"step time {1000 * np.median(np.diff(ticks)):.2f} ms", file=sys.stderr)
    _, accuracy = model.evaluate(test_images, test_labels, verbose=0)
    print(f"test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()

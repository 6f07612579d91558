"""Tell three wines apart, and do so to the last bit again in every run.

    python examples/wine_repeatable.py
    python -m autoxla tune examples/wine_repeatable.py

Whoever has to repeat a result leaves nothing open on which rounding depends: the backend, its kernels, the
threads, the compiler. All of that stands in the program, and autoxla leaves alone what a program chooses. So
``tune`` has no path to try, keeps nothing, and says why.
"""

import argparse
import os

# Before TensorFlow and Keras are imported: they read these once.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a classifier of wines that repeats itself.")
    parser.add_argument("--epochs", type=int, default=40, help="passes over the training samples")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is random")
    return parser.parse_args()


def load_samples(seed: int) -> list[np.ndarray]:
    """Return what a chemist measured of training and test samples, then their labels."""
    wine = load_wine()
    split = train_test_split(wine.data, wine.target, test_size=0.3, random_state=seed, stratify=wine.target)
    scaler = StandardScaler().fit(split[0])
    return [scaler.transform(split[0]), scaler.transform(split[1]), *split[2:]]


def build_model() -> keras.Model:
    """Return a compiled network with dropout; nothing of how a step runs is left open."""
    model = keras.Sequential(
        [
            layers.Input((13,)),
            layers.Dense(32, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(3),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(5e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
        steps_per_execution=1,
    )
    return model


def main() -> None:
    """Train, then print the accuracy and the sum of all weights, which shows the last bit."""
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    tf.config.experimental.enable_op_determinism()
    train, test, train_labels, test_labels = load_samples(arguments.seed)
    model = build_model()
    model.fit(train, train_labels, batch_size=16, epochs=arguments.epochs, verbose=2)
    _, accuracy = model.evaluate(test, test_labels, verbose=0)
    total = sum(float(np.sum(weights, dtype="float64")) for weights in model.get_weights())
    print(f"test accuracy {accuracy:.3f}, sum of the weights {total!r}")


if __name__ == "__main__":
    main()

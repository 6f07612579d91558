"""Tell scikit-learn's digits apart with depthwise-separable convolutions, at four times their size.

    python examples/digits_separable.py
    python -m autoxla tune examples/digits_separable.py

TensorFlow's own kernels for convolutions are hard to beat on a CPU; XLA's are far behind for depthwise ones.
So the plain graph, which Keras takes by itself, is the path that stays.
"""

import argparse

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

CLASSES = 10
SCALE = 4  # from 8x8 to 32x32 pixels: room for three levels


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a small MobileNet on scikit-learn's digits.")
    parser.add_argument("--epochs", type=int, default=12, help="passes over the training images")
    parser.add_argument("--seed", type=int, default=0, help="of the split and the weights")
    return parser.parse_args()


def load_images(seed: int) -> list[np.ndarray]:
    """Return training and test images in [0, 1], then their labels: (n, 32, 32, 1) and (n,)."""
    digits = load_digits()
    images = (digits.images / 16.0).astype("float32").repeat(SCALE, axis=1).repeat(SCALE, axis=2)
    return list(
        train_test_split(
            images[..., np.newaxis], digits.target, test_size=0.25, random_state=seed, stratify=digits.target
        )
    )


def build_model() -> keras.Model:
    """Return a compiled network: a depthwise convolution looks around, a 1x1 one mixes the channels."""
    inputs = keras.Input((8 * SCALE, 8 * SCALE, 1))
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for filters, strides in ((32, 1), (64, 2), (64, 1), (96, 2)):
        x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.Conv2D(filters, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    model = keras.Model(inputs, layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss=loss, metrics=["accuracy"])
    return model


def main() -> None:
    """Train, then print the accuracy on images that were not trained on."""
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    train_images, test_images, train_labels, test_labels = load_images(arguments.seed)
    model = build_model()
    model.fit(train_images, train_labels, epochs=arguments.epochs, verbose=2)
    _, accuracy = model.evaluate(test_images, test_labels, verbose=0)
    print(f"test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()

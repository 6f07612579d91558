"""Take the noise out of scikit-learn's digits with a deep residual network, written for ``tf.keras``.

    python examples/digits_denoise.py
    python -m autoxla tune examples/digits_denoise.py

Every convolution has a batch normalization behind it. Keras 2 runs that as one fused operation of TensorFlow,
Keras 3 as a dozen smaller ones. The program names Keras as ``tf.keras`` only, so it runs with either of them:
with tf_keras installed, ``tune`` tries Keras 2, too. There is no seed in it: the two draw other
random numbers for the same one, and results that somebody wants to repeat would change.
"""

import argparse

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SCALE = 3  # from 8x8 to 24x24 pixels
DEPTH, FILTERS = 8, 16
NOISE = 0.4  # standard deviation; pixels are from 0 to 1


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a network that takes noise out of digits.")
    parser.add_argument("--epochs", type=int, default=15, help="passes over the training images")
    return parser.parse_args()


def load_images() -> list[np.ndarray]:
    """Return training and test images in [0, 1]: (n, 24, 24, 1)."""
    images = (load_digits().images / 16.0).astype("float32").repeat(SCALE, axis=1).repeat(SCALE, axis=2)
    return list(train_test_split(images[..., np.newaxis], test_size=0.25))


def add_noise(images: np.ndarray) -> np.ndarray:
    """Return ``images`` with noise, which may leave [0, 1]."""
    noisy: np.ndarray = images + np.random.default_rng().normal(0, NOISE, images.shape)
    return noisy.astype("float32")


def build_model() -> tf.keras.Model:
    """Return a compiled network that finds the noise and takes it away."""
    layers = tf.keras.layers
    inputs = layers.Input((8 * SCALE, 8 * SCALE, 1))
    x = layers.Conv2D(FILTERS, 3, padding="same", activation="relu")(inputs)
    for _ in range(DEPTH):
        x = layers.Conv2D(FILTERS, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    noise = layers.Conv2D(1, 3, padding="same")(x)
    model = tf.keras.Model(inputs, layers.Subtract()([inputs, noise]))
    model.compile(optimizer=tf.keras.optimizers.Adam(2e-3), loss="mse")
    return model


def decibels(images: np.ndarray, clean: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio."""
    return float(-10 * np.log10(np.mean((images - clean) ** 2)))


def main() -> None:
    """Train, then print how clean images are that were not trained on."""
    arguments = parse_arguments()
    train_images, test_images = load_images()
    model = build_model()
    model.fit(add_noise(train_images), train_images, batch_size=32, epochs=arguments.epochs, verbose=2)
    noisy = add_noise(test_images)
    cleaned = model.predict(noisy, verbose=0)
    print(f"noisy {decibels(noisy, test_images):.1f} dB, cleaned {decibels(cleaned, test_images):.1f} dB")


if __name__ == "__main__":
    main()

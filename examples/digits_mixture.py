"""Find the ways in which people write: a mixture of Gaussians on scikit-learn's digits, by gradients.

    python examples/digits_mixture.py
    python -m autoxla tune examples/digits_mixture.py

Each of 128 prototypes has a mean and a width for each of 64 pixels. A step computes the density of a batch
under all of them: many small operations on a million numbers, each with a write to memory. XLA fuses them
into few loops. JAX would do the same, but the layer is written with TensorFlow's own functions.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

PROTOTYPES = 128
PIXELS = 64
BATCH = 128
LOG_2_PI = float(np.log(2 * np.pi))


class Mixture(keras.layers.Layer):  # type: ignore[misc]
    """The log density of images (batch, PIXELS) under all prototypes together: (batch, 1)."""

    def __init__(self, images: np.ndarray) -> None:
        super().__init__()
        # Images that are there are good prototypes to begin with.
        chosen = np.random.default_rng(0).choice(len(images), PROTOTYPES, replace=False)
        self.means = self.add_weight(shape=(PROTOTYPES, PIXELS), initializer="zeros")
        self.means.assign(images[chosen])
        self.log_widths = self.add_weight(shape=(PROTOTYPES, PIXELS), initializer="zeros")
        self.log_shares = self.add_weight(shape=(PROTOTYPES,), initializer="zeros")

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Return log sum of share times density, which is a sum over pixels: (batch, 1)."""
        means, log_widths = tf.convert_to_tensor(self.means), tf.convert_to_tensor(self.log_widths)
        distances = (images[:, tf.newaxis] - means) * tf.exp(-log_widths)
        log_densities = -0.5 * (tf.square(distances) + LOG_2_PI) - log_widths
        logs = tf.reduce_sum(log_densities, axis=-1) + tf.nn.log_softmax(
            tf.convert_to_tensor(self.log_shares)
        )
        return tf.reduce_logsumexp(logs, axis=-1, keepdims=True)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Fit a mixture of Gaussians to scikit-learn's digits.")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the training images")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the noise and the order")
    return parser.parse_args()


def load_images(seed: int) -> list[np.ndarray]:
    """Return training and test images (n, PIXELS) around 0.

    Pixels have 17 levels. Noise between them keeps the density of a border that is always 0 from growing
    without end.
    """
    levels = load_digits().data
    noisy = levels + np.random.default_rng(seed).uniform(0, 1, levels.shape)
    images = (noisy / 17.0 * 2 - 1).astype("float32")
    return list(train_test_split(images, test_size=0.25, random_state=seed))


def loss(_: tf.Tensor, log_density: tf.Tensor) -> tf.Tensor:
    """Return the mean of what the model finds surprising, in nats a pixel."""
    return -tf.reduce_mean(log_density) / PIXELS


def main() -> None:
    """Fit, then print the density of images that were not fitted to, beside that of one Gaussian."""
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    train_images, test_images = load_images(arguments.seed)
    whole = train_images[: len(train_images) // BATCH * BATCH]  # a smaller batch would be compiled anew
    model = keras.Sequential([keras.Input((PIXELS,)), Mixture(whole)])
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss=loss)
    model.fit(whole, whole[:, :1], batch_size=BATCH, epochs=arguments.epochs, verbose=2)
    found = -model.evaluate(test_images, test_images[:, :1], verbose=0)
    means, widths = whole.mean(axis=0), whole.std(axis=0)
    single = -0.5 * (((test_images - means) / widths) ** 2 + LOG_2_PI) - np.log(widths)
    print(f"log density {found:.3f} nats a pixel, of one Gaussian {single.mean():.3f}")


if __name__ == "__main__":
    main()

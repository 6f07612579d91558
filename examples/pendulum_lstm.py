"""Forecast a double pendulum from what it did before, with an LSTM.

    python examples/pendulum_lstm.py
    python -m autoxla tune examples/pendulum_lstm.py

The motion is chaotic, and a Runge-Kutta method computes it. The LSTM sees 32 moments and says where the
pendulum is at the next one; the yardstick is that it goes on as it went. The program uses Keras' own API
alone, so it runs on any backend, and JAX runs an LSTM faster than TensorFlow on a CPU.
"""

import argparse

import keras
import numpy as np
from keras import layers

GRAVITY = 9.81
STEP_S = 0.05
SEEN = 32  # moments
FEATURES = 6  # sine and cosine of two angles, two angular velocities


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train an LSTM on the motion of a double pendulum.")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training windows")
    parser.add_argument("--pendulums", type=int, default=128, help="motions that are simulated")
    parser.add_argument("--seed", type=int, default=0, help="of the motions and the weights")
    return parser.parse_args()


def accelerate(state: np.ndarray) -> np.ndarray:
    """Return the derivative of states (n, 4): two angles from the vertical and their velocities.

    Both rods are 1 m long and have 1 kg at their end.
    """
    first, second, speed, other = state.T
    apart = first - second
    shared = 3 - np.cos(2 * apart)
    pull = -3 * GRAVITY * np.sin(first) - GRAVITY * np.sin(first - 2 * second)
    swing = -2 * np.sin(apart) * (other**2 + speed**2 * np.cos(apart))
    back = 2 * np.sin(apart) * (2 * speed**2 + 2 * GRAVITY * np.cos(first) + other**2 * np.cos(apart))
    return np.stack([speed, other, (pull + swing) / shared, back / shared], axis=1)


def simulate(pendulums: int, moments: int, seed: int) -> np.ndarray:
    """Return the features of motions that begin at rest: (pendulums, moments, FEATURES)."""
    state = np.zeros((pendulums, 4))
    state[:, :2] = np.random.default_rng(seed).uniform(-2, 2, (pendulums, 2))
    fine = STEP_S / 5
    motion = []
    for _ in range(moments):
        for _ in range(5):
            one = accelerate(state)
            two = accelerate(state + fine / 2 * one)
            three = accelerate(state + fine / 2 * two)
            four = accelerate(state + fine * three)
            state = state + fine / 6 * (one + 2 * two + 2 * three + four)
        angles, speeds = state[:, :2], state[:, 2:] / 10
        motion.append(np.concatenate([np.sin(angles), np.cos(angles), speeds], axis=1))
    return np.stack(motion, axis=1).astype("float32")


def cut_windows(motion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is seen (n, SEEN, FEATURES) and what comes next (n, FEATURES)."""
    windows = np.lib.stride_tricks.sliding_window_view(motion, SEEN + 1, axis=1)
    windows = windows.transpose(0, 1, 3, 2).reshape(-1, SEEN + 1, FEATURES)
    return windows[:, :-1], windows[:, -1]


def build_model() -> keras.Model:
    """Return a compiled LSTM that knows how the motion went on, and learns how it turns."""
    inputs = keras.Input((SEEN, FEATURES))
    turn = layers.Dense(FEATURES, kernel_initializer="zeros")(layers.LSTM(64)(inputs))
    model = keras.Model(inputs, 2 * inputs[:, -1] - inputs[:, -2] + turn)
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss="mse")
    return model


def main() -> None:
    """Train, then print the error on motions that were not trained on."""
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    motion = simulate(arguments.pendulums, 96, arguments.seed)
    split = arguments.pendulums * 3 // 4
    seen, held_out = cut_windows(motion[:split]), cut_windows(motion[split:])
    model = build_model()
    # Chaos can make a loss explode: better to stop then.
    guard = keras.callbacks.TerminateOnNaN()
    model.fit(*seen, batch_size=32, epochs=arguments.epochs, callbacks=[guard], verbose=2)
    error = model.evaluate(*held_out, batch_size=128, verbose=0)
    inputs, targets = held_out
    onward = 2 * inputs[:, -1] - inputs[:, -2]
    print(f"mean squared error {error:.5f}, going on as before {np.mean((onward - targets) ** 2):.5f}")


if __name__ == "__main__":
    main()

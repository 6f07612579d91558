"""Train a small causal character transformer on the source text of Python's own standard library.

    python examples/source_transformer.py
    python -m autoxla examples/source_transformer.py

The yardstick is the entropy of single characters: no model that ignores the context gets below it.
Results go to stdout, repeatable for a seed and a Python release; times go to stderr.
"""

import argparse
import sys
import sysconfig
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

BLOCKS, HEADS, WIDTH = 2, 4, 64
CONTEXT = 64  # characters
BATCH, HELD_OUT = 32, 9  # windows in a batch, batches that are not trained on


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a character transformer on Python source text.")
    parser.add_argument("--epochs", type=int, default=3, help="passes over the training text")
    parser.add_argument("--batches", type=int, default=81, help="length of the training text")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the order and the sample")
    return parser.parse_args()


def read_source(characters: int) -> str:
    """Return the first `characters` ASCII characters of the library's public modules, in name order."""
    modules = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("[a-z]*.py"))
    return "".join(path.read_text("ascii", errors="ignore") for path in modules)[:characters]


def compute_entropy(codes: np.ndarray) -> float:
    """Return the entropy of single characters in nats."""
    counts = np.bincount(codes.ravel())
    shares = counts[counts > 0] / codes.size
    return float(-(shares * np.log(shares)).sum())


def build_model(vocabulary: int) -> keras.Model:
    """Return a compiled model that maps (batch, CONTEXT) codes to logits of the next characters."""
    codes = keras.Input((CONTEXT,), dtype="int32")
    positions = ops.zeros_like(codes) + ops.arange(CONTEXT, dtype="int32")
    x = layers.Embedding(vocabulary, WIDTH)(codes) + layers.Embedding(CONTEXT, WIDTH)(positions)
    for _ in range(BLOCKS):
        y = layers.LayerNormalization()(x)
        x += layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(y, y, use_causal_mask=True)
        y = layers.Dense(4 * WIDTH, activation="relu")(layers.LayerNormalization()(x))
        x += layers.Dense(WIDTH)(y)
    model = keras.Model(codes, layers.Dense(vocabulary)(layers.LayerNormalization()(x)))
    model.compile(keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def continue_text(model: keras.Model, start: np.ndarray, length: int, seed: int) -> list[int]:
    """Return `length` codes that the model draws, one after another, to follow `start`."""
    generator = np.random.default_rng(seed)
    codes = start.tolist()
    for _ in range(length):
        logits = model.predict_on_batch(np.array([codes[-CONTEXT:]]))[0, -1].astype("float64")
        shares = np.exp(logits - logits.max())
        codes.append(int(generator.choice(len(shares), p=shares / shares.sum())))
    return list(codes[len(start) :])


def print_epoch(epoch: int, logs: Mapping[str, float]) -> None:
    """Print one line for a finished epoch."""
    print(f"epoch {epoch + 1}: loss {logs['loss']:.3f}, held out {logs['val_loss']:.3f}", flush=True)


def main() -> None:
    """Train, then print a sample and the loss on text that was not trained on."""
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    split = arguments.batches * BATCH  # whole batches only: a smaller one would be traced anew
    text = read_source((split + HELD_OUT * BATCH) * (CONTEXT + 1))
    alphabet, codes = np.unique(list(text), return_inverse=True)
    windows = codes.astype("int32").reshape(-1, CONTEXT + 1)
    inputs, targets = windows[:, :-1], windows[:, 1:]
    seen, held_out = (inputs[:split], targets[:split]), (inputs[split:], targets[split:])
    model = build_model(len(alphabet))

    ticks: list[float] = []
    reporter = keras.callbacks.LambdaCallback(
        on_epoch_end=print_epoch,
        on_train_batch_end=lambda *_, **__: ticks.append(time.perf_counter()),
    )
    model.fit(*seen, epochs=arguments.epochs, validation_data=held_out, callbacks=[reporter], verbose=0)

    # The median leaves out the first step, which traces, and the pauses between epochs.
    print(f"step time {1000 * np.median(np.diff(ticks)):.2f} ms", file=sys.stderr)
    sample = continue_text(model, held_out[0][0], 160, arguments.seed)
    print(textwrap.indent("".join(alphabet[sample]), "  | ", predicate=lambda _line: True))
    loss = model.evaluate(*held_out, verbose=0)
    print(f"held-out loss {loss:.3f} nats, single characters {compute_entropy(held_out[1]):.3f} nats")


if __name__ == "__main__":
    main()

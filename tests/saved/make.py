"""Write small files with whatever Keras is installed here: ``python make.py FOLDER [tf_keras]``.

Beside them ``answers.json`` has what each model answers. `read.py` loads all that was written, and
`table.py` makes the table of docs/saved-files.md of what came of it.
"""

from __future__ import annotations

import importlib
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
package = sys.argv[2] if len(sys.argv) > 2 else "keras"
keras = importlib.import_module(package)
layers = keras.layers
generation = int(keras.__version__.partition(".")[0])


class Scale(layers.Layer):  # type: ignore[name-defined, misc, unused-ignore]
    """A layer of the program's own."""

    def __init__(self, factor: float = 2.0, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def call(self, x: Any) -> Any:
        return x * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


def functional() -> Any:
    first = keras.Input((3,))
    return keras.Model(first, layers.Dense(1)(layers.Dense(2, activation="relu")(first)))


def sequential(*stack: Any, shape: tuple[int | None, ...] = (3,)) -> Any:
    return keras.Sequential([keras.Input(shape), *stack])


def conv() -> Any:
    stack = layers.Conv2D(2, 3), layers.DepthwiseConv2D(2), layers.BatchNormalization()
    return sequential(*stack, layers.GlobalAveragePooling2D(), layers.Dense(1), shape=(6, 6, 1))


def recurrent() -> Any:
    stack = layers.LSTM(2, return_sequences=True), layers.Bidirectional(layers.GRU(2))
    return sequential(layers.Embedding(4, 2), *stack, layers.Dense(1), shape=(5,))


MODELS = {
    "functional": functional,
    "sequential": lambda: sequential(layers.Dense(2, activation="relu"), layers.Dense(1)),
    "trained": lambda: sequential(layers.Dense(1)),
    "conv": conv,
    "recurrent": recurrent,
    "own": lambda: sequential(layers.Dense(2), Scale(3.0)),
    "lambda": lambda: sequential(layers.Dense(2), layers.Lambda(lambda x: x * 2)),
    "hard": lambda: sequential(layers.Dense(2, activation="hard_sigmoid")),
}
WITH_WEIGHTS = ("sequential", "conv", "recurrent")


def write(name: str, model: Any) -> None:
    """Write ``model`` in every format that this Keras has for it, and say which it fails to write."""
    stem = str(folder / name)
    ways: dict[str, Callable[[], object]] = {
        ".keras": lambda: model.save(f"{stem}.keras"),
        ".h5": lambda: model.save(f"{stem}.h5"),
        ".json": lambda: Path(f"{stem}.json").write_text(model.to_json()),
        "folder": lambda: model.export(stem) if generation == 3 else model.save(stem, save_format="tf"),
        ".pkl": lambda: Path(f"{stem}.pkl").write_bytes(pickle.dumps(model)),
    }
    if name in WITH_WEIGHTS:
        ways[".weights.h5"] = lambda: model.save_weights(f"{stem}.weights.h5")
    if name in WITH_WEIGHTS and generation == 2:
        ways["-weights.h5"] = lambda: model.save_weights(f"{stem}-weights.h5")
        ways["-checkpoint"] = lambda: model.save_weights(f"{stem}-checkpoint")
    for ending, way in ways.items():
        try:
            way()
        except Exception as error:  # noqa: BLE001, PERF203 - whatever this release of Keras fails with
            print("=>", name, ending, "cannot be written:", f"{type(error).__name__}: {error}"[:100])


answers = {}
for name, make in MODELS.items():
    keras.utils.set_random_seed(1)
    model: Any = make()  # type: ignore[no-untyped-call, unused-ignore]
    shape = tuple(1 if size is None else size for size in model.input_shape[1:])
    rows = np.arange(2 * np.prod(shape), dtype="float32").reshape(2, *shape) % 4
    if name == "trained":
        model.compile("adam", "mse", metrics=["mae"])
        model.fit(rows, np.ones((2, 1)), verbose=0)
    answers[name] = [rows.tolist(), np.asarray(model.predict(rows, verbose=0)).tolist()]
    write(name, model)
if generation == 2:
    tokenizer = keras.preprocessing.text.Tokenizer()
    tokenizer.fit_on_texts(["red fish", "blue fish"])
    (folder / "tokenizer.pkl").write_bytes(pickle.dumps(tokenizer))
(folder / "answers.json").write_text(json.dumps(answers))

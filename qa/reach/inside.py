"""What is put in front of a program: made-up data, and a look at its trials before its time is up.

The program's copy imports this in its first line. Nothing here imports TensorFlow or Keras: what is changed
in them is changed when the program imports them. No name in here is one at which a trial stands aside.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from autoxla.hooks import finder

#: What a program draws its plots with, and its progress: not installed, and nothing that matters here.
ABSENT = (
    *("imageio", "matplotlib", "matplotlib.pyplot", "PIL", "seaborn", "tensorflow_docs", "tqdm"),
    *("tensorflow_docs.vis", "tensorflow_docs.vis.embed"),
)
#: Rows for training and for testing, and the shape of a row, of Keras' own data sets of images.
IMAGES = {
    "mnist": (60_000, 10_000, (28, 28), 10),
    "fashion_mnist": (60_000, 10_000, (28, 28), 10),
    "cifar10": (50_000, 10_000, (32, 32, 3), 10),
    "cifar100": (50_000, 10_000, (32, 32, 3), 100),
}
TEXTS = {"imdb": (25_000, 25_000, 2, 88_000), "reuters": (8982, 2246, 46, 30_000)}
ROWS = {"boston_housing": (404, 102, 13), "california_housing": (16_512, 4128, 8)}

drivers: list[Any] = []
seen: dict[str, Any] = {"fits": 0, "obstacles": [], "seconds": 0}


class Anything(ModuleType):
    """Stands for a module, and for all that is in it and comes out of it."""

    def __init__(self, name: str = "anything") -> None:
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> Any:
        """Return another one."""
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(name)

    def __call__(self, *given: Any, **_: Any) -> Any:
        """Return another one, or what a progress bar was given."""
        return given[0] if self.__name__ in ("tqdm", "trange") and given else Anything()

    def __iter__(self) -> Iterator[Any]:
        """Yield two, as ``plt.subplots()``."""
        return iter((Anything(), Anything()))

    def __getitem__(self, _: object) -> Any:
        """Return another one."""
        return Anything()

    def __enter__(self) -> Any:
        """Return another one."""
        return Anything()

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


def draw_images(name: str, *_: Any, **__: Any) -> Any:
    """Return what ``load_data`` of a data set of images does."""
    numbers = np.random.default_rng(1)
    train, test, shape, classes = IMAGES[name]
    width = (1,) if len(shape) == 3 else ()
    return tuple(
        (
            numbers.integers(0, 256, (rows, *shape), dtype=np.uint8),
            numbers.integers(0, classes, (rows, *width), dtype=np.uint8),
        )
        for rows in (train, test)
    )


def draw_texts(name: str, *_: Any, num_words: int | None = None, maxlen: int | None = None, **__: Any) -> Any:
    """Return what ``load_data`` of a data set of texts does: lists of numbers of words, of many lengths."""
    numbers = np.random.default_rng(1)
    *counts, classes, words = TEXTS[name]
    parts = []
    for rows in counts:
        lengths = numbers.integers(20, min(maxlen or 500, 500), rows)
        texts = [numbers.integers(1, num_words or words, length).tolist() for length in lengths]
        parts.append((np.array(texts, dtype=object), numbers.integers(0, classes, rows)))
    return tuple(parts)


def draw_rows(name: str, *_: Any, **__: Any) -> Any:
    """Return what ``load_data`` of a data set of rows of numbers does."""
    numbers = np.random.default_rng(1)
    *counts, width = ROWS[name]
    return tuple((numbers.standard_normal((rows, width)), numbers.random(rows) * 50) for rows in counts)


def make_file(*_: Any, origin: str = "", **__: Any) -> str:
    """Return the name of a made-up file for ``keras.utils.get_file``: a text, or nothing that exists."""
    numbers = np.random.default_rng(1)
    words = ["".join(numbers.choice(list("etaoinshrdlu"), numbers.integers(1, 9))) for _ in range(2000)]
    file = Path("made_up.txt").absolute()
    file.write_text(" ".join(numbers.choice(words, 100_000)), encoding="utf-8")
    return str(file)


def load_text(real: Any, file: Any, *given: Any, **named: Any) -> Any:
    """Return what ``numpy.loadtxt`` does; for an address a table like that of the UCR's FordA."""
    if not str(file).startswith("http"):
        return real(file, *given, **named)
    numbers = np.random.default_rng(1)
    rows = 3601 if "TRAIN" in str(file) else 1320
    return np.hstack([numbers.choice([-1.0, 1.0], (rows, 1)), numbers.standard_normal((rows, 500))])


def watch_driver(module: Any) -> None:
    """Keep each driver, and each reason why there is none."""
    make, find = module.Driver.__init__, module.find_obstacle

    def keep(self: Any, *given: Any) -> None:
        make(self, *given)
        drivers.append(self)

    def note(*given: Any) -> Any:
        found = find(*given)
        if found is not None:
            seen["obstacles"].append(found)
        return found

    module.Driver.__init__, module.find_obstacle = keep, note


def watch_fits(module: Any) -> None:
    """Count the calls of ``fit``."""
    begin = module.begin

    def count(*given: Any) -> Any:
        seen["fits"] += 1
        return begin(*given)

    module.begin = count


def describe(driver: Any) -> dict[str, Any]:
    """Return what is known of a trial, or of why there is none yet."""
    fit, known = driver.fit, getattr(driver.state, "known", None)
    typical = fit.typical if fit.times else None
    return {
        "state": type(driver.state).__name__,
        "outcome": driver.entry.get("outcome"),
        "steps": fit.before + fit.step,
        "planned": fit.planned,
        "ms": None if typical is None else round(typical * 1e3, 3),
        "left_s": None if typical is None else round(typical * fit.left, 2),
        "compile_s": None if known is None else round(known.compile_s, 2),
        "chance": None if known is None else known.prior.chance,
        "graph_ms": driver.entry.get("graph_ms"),
        "xla_ms": driver.entry.get("xla_ms"),
    }


def tell() -> None:
    """Write what was seen, once."""
    from autoxla.runtime import current

    file = os.environ.pop("REACH_RESULT", None)
    if file is None:
        return
    facts = {
        **seen,
        "drivers": [describe(each) for each in drivers],
        "compiles": [[each["requested"], each["used"]] for each in current().compiles],
        "codes": [finding.code for finding in current().findings],
        "backend": find_backend(),
    }
    Path(file).write_text(json.dumps(facts), encoding="utf-8")


def find_backend() -> str | None:
    """Return Keras' backend, None where Keras is not there yet."""
    found: str | None = getattr(sys.modules.get("keras.src.backend.config"), "_BACKEND", None)
    return found


def look(*_: object) -> None:
    """End the program when a trial has come to an end, there can be none, or its time is up."""
    told = [describe(each) for each in drivers]
    is_decided = any(each["outcome"] or each["compile_s"] is not None for each in told) or seen["obstacles"]
    is_elsewhere = find_backend() not in (None, "tensorflow")
    seen["seconds"] += 1
    if is_decided or is_elsewhere or seen["seconds"] >= int(os.environ["REACH_SECONDS"]):
        seen["is_cut"] = True
        tell()
        os._exit(0)


def _replace(function: Any, module: Any) -> None:
    module.load_data = function
    module.get_word_index = lambda *_: {f"word{number}": number for number in range(1, 1000)}


def _bring_files(module: Any) -> None:
    module.get_file = make_file


def _draw_no_model(module: Any) -> None:
    module.plot_model = lambda *_, **__: None


for package in ("keras", "tf_keras"):
    for names, draw in ((IMAGES, draw_images), (TEXTS, draw_texts), (ROWS, draw_rows)):
        for each in names:
            put = partial(_replace, partial(draw, each))
            finder.on_import(f"{package}.src.datasets.{each}", put)
    for each in ("file_utils", "data_utils"):
        finder.on_import(f"{package}.src.utils.{each}", _bring_files)
    for each in ("model_visualization", "vis_utils"):
        finder.on_import(f"{package}.src.utils.{each}", _draw_no_model)
finder.on_import("autoxla.trial.driver", watch_driver)
finder.on_import("autoxla.trial.fits", watch_fits)
for each in ABSENT:
    top = each.partition(".")[0]
    if isinstance(sys.modules.get(top), Anything) or importlib.util.find_spec(top) is None:
        sys.modules[each] = Anything(each.rpartition(".")[2])
np.loadtxt = partial(load_text, np.loadtxt)
atexit.register(tell)
signal.signal(signal.SIGALRM, look)
signal.setitimer(signal.ITIMER_REAL, 1, 1)

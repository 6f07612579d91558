"""Who reads the watched variables, and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoxla.commands.diagnosis.line import Line, Scene

SUBJECT = "variables"
PLUGGABLE = "TF_PLUGGABLE_DEVICE_LIBRARY_PATH"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a variable, and the last moment at which a program can still set it."""

    who: str
    when: str


_PLUGIN = Reader("ITEX", "when TensorFlow loads it: set before import tensorflow")
_DEVICES = "when TensorFlow lists its devices: at the first operation, with a plug-in in import tensorflow"

#: By variable; names that end in ``*`` are beginnings.
READERS = {
    "CUDA_VISIBLE_DEVICES": Reader("the CUDA and ROCm runtimes", _DEVICES),
    "HIP_VISIBLE_DEVICES": Reader("the ROCm runtime", _DEVICES),
    "ITEX_*": _PLUGIN,
    "ITEX_DISABLE_XLA": Reader(
        "ITEX", "by its library at load, by its guard at each compile() and predict()"
    ),
    "KERAS_BACKEND": Reader("Keras 3", "at import keras, which import tensorflow does, too"),
    "KERAS_HOME": Reader("Keras 3 and tf_keras", "at their import"),
    "OMP_NUM_THREADS": Reader("OpenMP", "when the first library with it is loaded"),
    "ONEAPI_DEVICE_SELECTOR": Reader("the SYCL runtime", _DEVICES),
    "ROCM_PATH": Reader("XLA", "when it first compiles for a GPU of AMD's"),
    "ROCR_VISIBLE_DEVICES": Reader("the ROCm runtime", _DEVICES),
    "TF_CPP_MIN_LOG_LEVEL": Reader("TensorFlow's library", "in import tensorflow"),
    "TF_DETERMINISTIC_OPS": Reader("TensorFlow's library", "at the first operation that asks"),
    "TF_ENABLE_ONEDNN_OPTS": Reader("TensorFlow's library", "in import tensorflow, once"),
    "TF_NUM_INTRAOP_THREADS": Reader("TensorFlow's library", _DEVICES),
    PLUGGABLE: Reader("TensorFlow", "in import tensorflow"),
    "TF_USE_LEGACY_KERAS": Reader(
        "TensorFlow", "in import tensorflow, and again at the first use of tf.keras, tf.optimizers …"
    ),
    "TF_XLA_FLAGS": Reader("TensorFlow's library", _DEVICES),
    "XLA_FLAGS": Reader("XLA", "when it first compiles, once"),
    "ZE_AFFINITY_MASK": Reader("the Level Zero driver", _DEVICES),
}


def check(scene: Scene) -> Iterator[Line]:
    """Say of each watched variable that is set who reads it, and what follows from one that leads nowhere."""
    for name, value in scene.situation.environment.items():
        reader = find_reader(name)
        text = f"{name}={value!r} is read by {reader.who}, {reader.when}"
        yield Line("ok", "AX840", SUBJECT, text)
    for name, flags in scene.situation.flag_names.items():
        if flags.known:
            yield Line("ok", "AX850", SUBJECT, f"this build knows {', '.join(flags.known)} of {name}")
    library = scene.environ.get(PLUGGABLE)
    if library and not Path(library).exists():
        text = f"{PLUGGABLE}={library!r} is neither file nor folder: import tensorflow fails"
        yield Line("error", "AX841", SUBJECT, text, f"unset {PLUGGABLE}, or correct it")


def find_reader(name: str) -> Reader:
    """Return who reads a watched variable."""
    return READERS.get(name, _PLUGIN)

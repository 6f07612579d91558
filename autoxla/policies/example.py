"""The example that a rule brings along: a program and its surroundings, from which its finding follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: What is installed where an example runs; `autoxla.commands.rule` describes each.
Machine = Literal[
    "usual",
    "no tf_keras",
    "TensorFlow 2.15",
    "PyTorch",
    "tf-agents",
    "keras-rl2",
    "ITEX",
    "ITEX without GPU",
    "ITEX without Keras 3",
    "ITEX 2.15",
    "Metal",
    "CUDA missing",
    "CUDA elsewhere",
    "ROCm elsewhere",
]
#: The program's file in all examples.
FILE = "train.py"

KERAS = """\
import keras

model = keras.Sequential([keras.layers.Dense(1)])
model.compile("adam", "mse")
"""
TF_KERAS = """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile("adam", "mse")
"""
LEGACY_ADAM = """\
import tensorflow as tf

optimizer = tf.keras.optimizers.legacy.Adam(1e-3)
"""
#: Nobody can tell beforehand which variables this program sets. It sets them too late.
FROM_A_FILE = """\
import json
import os
from pathlib import Path
import tensorflow as tf

os.environ.update(json.loads(Path("variables.json").read_text()))
model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile("adam", "mse")
"""


@dataclass(frozen=True, slots=True)
class Example:
    """A program, the variables and settings that it starts with, and the machine.

    `known` are further facts of the situation, by their names there; `told` says them in words.
    `command` prints the finding.
    """

    program: str
    variables: Mapping[str, str] = field(default_factory=dict)
    machine: Machine = "usual"
    settings: Mapping[str, Any] = field(default_factory=dict)
    keras_json: str = ""
    known: Mapping[str, Any] = field(default_factory=dict)
    told: str = ""
    command: str = "python -m autoxla explain"

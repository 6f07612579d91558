"""The example that a rule brings along: a program and its surroundings, from which its finding follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
_FROM_A_FILE = """\
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
    """A program, the variables and settings that it starts with, and the machine of `autoxla.commands.rule`.

    `known` are further facts of the situation, by their names there; `told` says them in words.
    `command` prints the finding.
    """

    program: str
    variables: Mapping[str, str] = field(default_factory=dict)
    machine: str = "usual"
    settings: Mapping[str, Any] = field(default_factory=dict)
    keras_json: str = ""
    known: Mapping[str, Any] = field(default_factory=dict)
    told: str = ""
    command: str = "python -m autoxla explain"


def set_late(variable: str, value: str, **known: Any) -> Example:
    """Return the example of a program that sets a variable too late, which its source does not tell."""
    known["environment"] = {variable: value}
    told = f'variables.json holds {{"{variable}": "{value}"}}'
    return Example(_FROM_A_FILE, known=known, told=told, command="python -m autoxla")

"""Which Keras a program needs: what proves it, what only looks like it, and what is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from autoxla.model import Finding, Plan, Situation, Usage
from autoxla.policies import decide
from autoxla.policies.usage import summarise
from test_lookahead import read
from test_usage import VERSIONS

SWITCH = "TF_USE_LEGACY_KERAS"


def plan_of(folder: Path, files: Mapping[str, str] | str) -> Plan:
    """Return the plan for a program under current releases; nothing else is known of the machine."""
    reading = read(folder, files)
    return decide(
        Situation(versions=VERSIONS, reading=reading, usage=summarise(reading, VERSIONS, Usage()))
    )


def said(plan: Plan) -> list[Finding]:
    return [finding for finding in plan.findings if finding.level != "info"]


def switches(plan: Plan) -> bool:
    return any(setting.variable == SWITCH and setting.value == "1" for setting in plan.settings)


HEAD = "import sys, os, platform\nimport tensorflow as tf\nimport keras\n"
#: One thing that Keras 3 lacks, in the forms in which programs do without it.
GUARDED = {
    "try": "try:\n    o = tf.keras.optimizers.legacy.Adam()\nexcept AttributeError:\n    o = tf.keras.optimizers.Adam()",
    "try around an import": (
        "try:\n    from tensorflow.keras.optimizers.legacy import Adam\n"
        "except ImportError:\n    from tensorflow.keras.optimizers import Adam"
    ),
    "hasattr": (
        "if hasattr(tf.keras.optimizers, 'legacy'):\n    o = tf.keras.optimizers.legacy.Adam()\n"
        "else:\n    o = tf.keras.optimizers.Adam()"
    ),
    "version": (
        "if keras.__version__.startswith('2'):\n    o = tf.keras.optimizers.legacy.Adam()\n"
        "else:\n    o = tf.keras.optimizers.Adam()"
    ),
    "version in a tuple": (
        "V = tuple(map(int, tf.__version__.split('.')[:2]))\n"
        "if V < (2, 16):\n    o = tf.keras.optimizers.legacy.Adam()\nelse:\n    o = tf.keras.optimizers.Adam()"
    ),
    "platform": (
        "if platform.system() == 'Darwin' and platform.processor() == 'arm':\n"
        "    o = tf.keras.optimizers.legacy.Adam()\nelse:\n    o = tf.keras.optimizers.Adam()"
    ),
    "ternary": (
        "O = tf.keras.optimizers.legacy.Adam if sys.platform == 'darwin' else tf.keras.optimizers.Adam\no = O()"
    ),
    "ternary with hasattr": (
        "k = tf.keras.optimizers\no = k.legacy.Adam() if hasattr(k, 'legacy') else k.Adam()"
    ),
    "and": "o = hasattr(tf.keras.optimizers, 'legacy') and tf.keras.optimizers.legacy.Adam()",
    "unused function": "def old():\n    return tf.keras.optimizers.legacy.Adam()\no = tf.keras.optimizers.Adam()",
    "unused method": (
        "class Old:\n    def make(self):\n        return tf.keras.optimizers.legacy.Adam()\nOld"
    ),
    "lookup": (
        "makers = {'old': lambda: tf.keras.optimizers.legacy.Adam(), 'new': tf.keras.optimizers.Adam}\n"
        "o = makers['new']()"
    ),
    "lookup with a default": (
        "k = getattr(tf.keras.optimizers, 'legacy', tf.keras.optimizers)\no = k.Adam()"
    ),
    "lookup that is called": "o = getattr(tf.keras.optimizers, 'legacy', tf.keras.optimizers).Adam()",
    "isinstance": (
        "o = tf.keras.optimizers.Adam()\n"
        "if isinstance(o, getattr(getattr(tf.keras.optimizers, 'legacy', tf.keras), 'Adam', ())): print(o)"
    ),
    "isinstance under hasattr": (
        "o = tf.keras.optimizers.Adam()\n"
        "old = hasattr(tf.keras.optimizers, 'legacy') and isinstance(o, tf.keras.optimizers.legacy.Optimizer)"
    ),
}


@pytest.mark.parametrize("name", GUARDED)
def test_what_a_program_can_do_without_is_quiet(name: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, HEAD + GUARDED[name])
    assert said(plan) == []
    assert not switches(plan)


NET = "tf.keras.Sequential([tf.keras.layers.Dense(1)])\n"
LATE = f'os.environ["{SWITCH}"] = "1"\n'
FOR_CHILDREN = {
    "after training": "tf.keras.Sequential().compile('sgd', 'mse')\n" + LATE,
    "from a function": f"def train():\n    return {NET}train()\n" + LATE,
    "used again behind it": f"m = {NET}{LATE}m.add(tf.keras.layers.Dense(2))\n",
    "names imported before": f"from tensorflow.keras import layers\nm = {NET}{LATE}layers.Dense(2)\n",
}
HALF = {
    "not used before": LATE + NET,
    "only imported before": f"from tensorflow.keras.layers import Dense\n{LATE}{NET}",
    "another name behind it": f"m = {NET}{LATE}tf.optimizers.Adam()\n",
}


@pytest.mark.parametrize("name", FOR_CHILDREN)
def test_the_switch_for_child_processes_is_quiet(name: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, HEAD + FOR_CHILDREN[name])
    assert said(plan) == []
    assert not switches(plan)


@pytest.mark.parametrize("name", HALF)
def test_a_switch_that_leaves_tf_keras_half_switched_is_told(name: str, tmp_path: Path) -> None:
    assert [finding.code for finding in said(plan_of(tmp_path, HEAD + HALF[name]))] == ["AX116"]

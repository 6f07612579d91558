"""Rules of which Keras it is: AX101 to AX119 and AX191 to AX194."""

from __future__ import annotations

from collections.abc import Mapping

from autoxla.guide import example
from autoxla.guide.entry import Prose
from autoxla.guide.example import RUN, Followed

_TF_KERAS = """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
"""
_LEGACY_ADAM = """\
import tensorflow as tf

optimizer = tf.keras.optimizers.legacy.Adam(1e-3)
"""
_KERAS = """\
import keras

model = keras.Sequential([keras.layers.Dense(1)])
"""
_LATE_SWITCH = """\
import os
import tensorflow as tf

os.environ["TF_USE_LEGACY_KERAS"] = "1"
"""

PROSE: Mapping[str, Prose] = {
    "AX101": Prose(
        "While TensorFlow loads, ITEX imports Keras itself in order to replace `compile` and `predict`. If "
        "the program began with `import keras`, that import is still under way: ITEX meets half a module, "
        "prints a traceback and calls `quit()`. The process ends with exit status 0, so a test run or a job "
        "counts as passed. No `except` and no `finally` of the program runs.",
        Followed(_KERAS, machine=example.ITEX),
    ),
    "AX103": Prose(
        "TensorFlow compares the value with three texts: `1`, `true` and `True`. `TRUE`, `yes`, `on` and a "
        "`1` with a space beside it all mean off, and nothing says so: the program quietly gets Keras 3. "
        "ITEX's C++ side reads the same variable more freely, so that under ITEX the two halves of one "
        "process may disagree.",
        Followed(_TF_KERAS, {"TF_USE_LEGACY_KERAS": "yes"}),
    ),
    "AX104": Prose(
        "With the switch on, TensorFlow takes `tf.keras` from the package tf_keras, which is installed "
        "separately. Without it `import tensorflow` still succeeds; the first use of `tf.keras` then fails "
        "with an error that speaks of Keras, not of tf_keras, and a later `from tensorflow.keras import …` "
        "may even give Keras 3.",
        Followed(_TF_KERAS, {"TF_USE_LEGACY_KERAS": "1"}, example.KERAS_3),
    ),
    "AX105": Prose(
        "Your settings choose Keras 2 for `tf.keras`. TensorFlow reads the switch while it is imported and "
        "again when its lazy modules are first touched, so it has to be set before the import; autoxla does "
        "that. The variable reaches child processes as well.",
        Followed(_TF_KERAS, settings={"keras": "2"}),
    ),
    "AX106": Prose(
        "The settings ask for one Keras and the program gets the other. What follows are errors far from "
        "the cause: a missing `optimizers.legacy`, a saved model that cannot be read. A value of the "
        "variable that you set yourself stands against the settings, and a switch that is set after the "
        "import is no use.",
        Followed(_TF_KERAS, machine=example.KERAS_3, settings={"keras": "2"}),
    ),
    "AX107": Prose(
        "Up to TensorFlow 2.15 `tf.keras` is Keras 2, whatever the switch says. The setting does no harm "
        "there; it begins to matter with the next upgrade of TensorFlow.",
        Followed(_TF_KERAS, machine=example.OLD, settings={"keras": "2"}),
    ),
    "AX108": Prose(
        "The switch changes `tf.keras` alone: `import keras` stays Keras 3, and a program that uses both "
        'names mixes two generations. With `keras = "legacy"` the name `keras` leads to tf_keras, too, and '
        "the program runs unedited on one generation.",
        Followed(_KERAS, settings={"keras": "legacy"}),
    ),
    "AX109": Prose(
        "ITEX imports Keras 3 under the name `keras` while TensorFlow loads, also where the program wants "
        "legacy Keras. If that name led to tf_keras, ITEX would not find what it replaces and would end the "
        "process with exit status 0.",
        Followed(_KERAS, machine=example.ITEX, settings={"keras": "legacy"}),
    ),
    "AX110": Prose(
        "Keras Core was the preview of Keras 3 and was merged into it; the package is no longer developed. "
        "Programs written for it work with Keras 3 under the new name, so where only that is installed "
        "autoxla lets the old name lead to it.",
        Followed("import keras_core\n\nmodel = keras_core.Sequential([keras_core.layers.Dense(1)])\n"),
    ),
    "AX112": Prose(
        "From TensorFlow 2.16 on `tf.keras` is Keras 3. A program, or a library that it imports, that was "
        "written for Keras 2 then fails, often late: at the first optimizer, at `add`, or when a model is "
        "loaded. tf_keras is installed here, so the switch is all that is missing; autoxla sets it where the "
        "program certainly needs it and nothing in the program needs Keras 3.",
        Followed(_LEGACY_ADAM),
    ),
    "AX113": Prose(
        "There is one `tf.keras` in a process: with the switch off one half of the program breaks, with the "
        "switch on the other. Objects of the two generations do not work together, and some mixtures train "
        "nothing without an error. No setting cures that, so autoxla names both lines and changes nothing. "
        "That keras is imported as well says nothing of the kind: its objects are Keras 3's with and without "
        "the switch, and where they come to those of tf.keras the alias helps ([AX120](AX120.md)).",
        Followed(f"{_LEGACY_ADAM}mean = tf.keras.ops.mean([1.0, 2.0])\n"),
    ),
    "AX114": Prose(
        "The line that needs Keras 2 stands under a condition or in a function, so it may never run. To "
        "switch the whole process over for it could break a program that works; if the line does run, "
        "autoxla says so then, with its level raised to a warning.",
        Followed(
            "import sys\nimport tensorflow as tf\n\nif len(sys.argv) > 1:\n    import tf_agents\n",
            machine=example.AGENTS,
        ),
    ),
    "AX115": Prose(
        "The program needs Keras 2, and from TensorFlow 2.16 on that is the separate package tf_keras. Its "
        "release has to be that of the installed TensorFlow. Nothing can be switched until it is there.",
        Followed(_LEGACY_ADAM, machine=example.KERAS_3),
    ),
    "AX116": Prose(
        "TensorFlow reads the switch more than once: while it is imported, and again at the first use of "
        "`tf.keras`, of `tf.optimizers` and of other lazy modules. Set in between, `tf.keras.layers.Dense` "
        "and `from tensorflow.keras.layers import Dense` are two different classes. autoxla sets it before "
        "the import, unless the program already works with Keras 3 before that line.",
        Followed(_LATE_SWITCH),
    ),
    "AX117": Prose(
        "ITEX reads its variables once, while TensorFlow loads the plug-in. An assignment after "
        "`import tensorflow` reaches at most ITEX's Python side, which leaves the two halves of ITEX with "
        "different values. Where the value is a constant autoxla sets it in time.",
        Followed(
            'import os\nimport tensorflow as tf\n\nos.environ["ITEX_DISABLE_XLA"] = "1"\n',
            machine=example.ITEX,
        ),
    ),
    "AX118": Prose(
        "Some variables are read once, while TensorFlow or Keras is imported. An assignment behind the "
        "import looks as if it chose the backend or switched oneDNN off, and does nothing at all.",
        Followed('import os\nimport keras\n\nos.environ["KERAS_BACKEND"] = "jax"\n'),
    ),
    "AX119": Prose(
        "TensorFlow reads the switch at several moments, and the variable now has another value than at the "
        "first of them. `tf.keras`, names imported from `tensorflow.keras` and `tf.optimizers` can then come "
        "from two generations. The usual consequence is an optimizer that a model cannot interpret.",
        Followed(
            example.FROM_A_FILE,
            known={
                "environment": {"TF_USE_LEGACY_KERAS": "1"},
                "read_values": {"TF_USE_LEGACY_KERAS": None},
                "imported": frozenset({"tensorflow"}),
            },
            told='variables.json holds {"TF_USE_LEGACY_KERAS": "1"}',
            command=RUN,
        ),
    ),
    "AX191": Prose(
        "Private modules move without notice. `keras.engine` and its like are gone in Keras 3; "
        "`tensorflow.python.keras` still exists, and gives a third family of classes that neither Keras 3 "
        "nor tf_keras accepts.",
        Followed("from tensorflow.python.keras import layers\n"),
    ),
    "AX192": Prose(
        "Estimators were taken out with TensorFlow 2.16 and `tf.contrib` with 2.0. The import of TensorFlow "
        "succeeds and the program fails at the first use, which may come after the data was prepared.",
        Followed("import tensorflow as tf\n\nestimator = tf.estimator.DNNClassifier([8], [])\n"),
    ),
    "AX120": Prose(
        "Under the switch `tf.keras` is Keras 2 while `import keras` stays Keras 3, so a layer, model or "
        "optimizer of one that comes to one of the other raises an error or trains nothing. The reading of the "
        "program shows where that certainly happens; tf_keras under the name `keras` makes both one "
        "generation.",
        Followed(
            "import keras\nimport tensorflow as tf\n\n"
            "model = keras.Sequential([keras.layers.Dense(1)])\n"
            'model.compile(tf.keras.optimizers.legacy.Adam(1e-3), "mse")\n'
        ),
    ),
    "AX193": Prose(
        "Both packages in one program are fine as long as their objects never meet. Where they do, some "
        "combinations raise an error, and others are worse: a Keras 3 model that holds a tf_keras layer "
        "trains without that layer's weights.",
        Followed(
            "import sys\nimport keras\nimport tf_keras\n\nmodel = keras.Sequential()\n"
            "if len(sys.argv) > 1:\n    model.add(tf_keras.layers.Dense(1))\n"
        ),
    ),
    "AX194": Prose(
        "Older releases of transformers import TensorFlow and Keras if they are installed, also for "
        "programs that use PyTorch only, and stop at Keras 3 with an error about tf-keras. `USE_TF=0` makes "
        "them leave TensorFlow alone, which also saves its import.",
        Followed("import torch\nimport transformers\n", machine=example.TORCH),
    ),
}

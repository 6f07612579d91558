"""Codes that neither a rule nor a note stands for: what hooks, trials, commands and autoxla itself say."""

from __future__ import annotations

from collections.abc import Mapping

from autoxla.facts import Place, Usage
from autoxla.guide.entry import Shown, Told
from autoxla.guide.example import FILE, Followed

_BY_SETTING = (
    'Put the code into `ignore` under `[tool.autoxla]` in `pyproject.toml`: `ignore = ["{code}"]`. That '
    "leaves out the line; what autoxla does stays as it is."
)
_BY_COMMENT = (
    "`# autoxla: ignore[{code}]` at the end of the line: that place is then left as it is, and is no reason "
    "any more to leave the file."
)
_MIGRATE = "autoxla, migrate"
_LEFT = (
    "`migrate` leaves the whole file as it is and names the line. It moves a file as a whole or not at all, "
    "because objects of two generations of Keras do not work together."
)
_FIT = "`fit` while it runs"
_IMPORTS = "import keras\nimport tf_keras\n\n"


def _refusal(title: str, says: str, remedy: str, why: str, to: str, program: str, printed: str) -> Told:
    example = Shown(program, f"$ python -m autoxla migrate --to {to} train.py\n{printed}")
    return Told(title, "warning", says, remedy, why, example, _MIGRATE, _BY_COMMENT, _LEFT)


def _mixture(title: str, says: str, why: str, program: str, printed: str) -> Told:
    return Told(
        title,
        "warning",
        says,
        "take all of the model's parts from one package",
        why,
        Shown(f"{_IMPORTS}{program}", f"autoxla: {printed}"),
        "Keras 3 and tf_keras, tracking of variables",
        _BY_SETTING,
        "autoxla looks through the model when it is trained, and again after the first step, when all of its "
        "parts have weights. It says what it found and changes nothing.",
    )


_REFUSALS: Mapping[str, Told] = {
    "AX121": _refusal(
        "The name that is needed is taken",
        "no name is free for the package: … is something else here",
        "rename the other thing, or import the package under a name of your own",
        "The moved program has to call its Keras by some name. If `keras` means something else in that "
        "scope, an edit would change what the program does, possibly without an error.",
        "keras3",
        "import tensorflow as tf\n\nkeras = 5\nmodel = tf.keras.Sequential()",
        "train.py:4:9 AX121 warning no name is free for keras: `keras` is something else here",
    ),
    "AX122": _refusal(
        "It cannot be told what a name stands for",
        "… binds names that cannot be told; it cannot be told where … comes from",
        "import by name, from where it is defined",
        "A star import, a name that is assigned twice or a `tf` that comes from another module may or may "
        "not be Keras. A guess would edit some uses and miss others.",
        "legacy",
        "from tensorflow.keras.layers import *\n\nlayer = Dense(1)",
        "train.py:1:1 AX122 warning `from tensorflow.keras.layers import *` binds names that cannot be told",
    ),
    "AX123": _refusal(
        "The program chooses the generation itself, or uses both",
        "the program chooses Keras when it runs, here and in line …",
        "keep one of the two imports",
        "Code that works with either generation, or with both at once, has been written that way on purpose. "
        "Which branch is to stay is a decision, not an edit.",
        "legacy",
        "try:\n    from tensorflow import keras\nexcept ImportError:\n    import keras",
        "train.py:4:12 AX123 warning the program chooses Keras when it runs, here and in line 2",
    ),
    "AX124": _refusal(
        "It exists in one generation only",
        "… exists in Keras 3 only",
        "replace it by something that the other generation has",
        "There is nothing to rename this to. Moved as it is, the program would fail at this line, after "
        "everything before it had already run on the other generation.",
        "legacy",
        "import keras\n\ntotal = keras.ops.add(1, 2)",
        "train.py:3:9 AX124 warning keras.ops exists in Keras 3 only",
    ),
    "AX125": _refusal(
        "A private or long-gone module",
        "… is no public name of either generation",
        "take the public name of what is imported",
        "Private modules have other layouts in the two generations, and what they hold is not the same even "
        "under the same name. Only a public name has a counterpart that can be relied on.",
        "legacy",
        "from keras.engine import training",
        "train.py:1:26 AX125 warning keras.engine is no public name of either generation",
    ),
    "AX126": _refusal(
        "A string names a module",
        "the string … names a module of the other generation",
        "write the other name yourself, or keep the line with a comment",
        "A patch, a dynamic import or a look into `sys.modules` names its target in a string. What is said "
        "there, and whether it is meant as a module at all, only the author knows.",
        "legacy",
        'from unittest import mock\n\nwith mock.patch("keras.layers.Dense"):\n    pass',
        "train.py:3:17 AX126 warning the string 'keras.layers.Dense' names a module of the other generation",
    ),
    "AX127": _refusal(
        "The program sets a variable that contradicts",
        "the program sets …, which the other generation does not go with",
        "take the assignment out",
        "The variable chooses a backend that Keras 2 does not have, or the generation that the program is to "
        "leave. With the edit and without it, the two would work against each other.",
        "legacy",
        'import os\n\nos.environ["KERAS_BACKEND"] = "jax"\nimport keras',
        "train.py:3:12 AX127 warning the program sets KERAS_BACKEND, which tf_keras does not go with",
    ),
    "AX128": _refusal(
        "A library that works with the other generation only",
        "… works with Keras 3, whose objects do not mix",
        "replace the library, or stay with its generation",
        "The library's layers and models stay what they are. In the moved program they would meet objects of "
        "the other generation, which fails, or trains nothing without an error.",
        "legacy",
        "import keras\nimport keras_hub",
        "train.py:2:8 AX128 warning keras_hub works with Keras 3, whose objects do not mix",
    ),
    "AX129": _refusal(
        "It cannot be edited as it is written",
        "a comment stands inside a statement that has to be split",
        "write it plainly, then run the command again",
        "Only the characters of names and imports change, and everything else stays. Where that is not "
        "possible, because a comment or brackets stand in the middle, the line needs a human hand.",
        "legacy",
        "from tensorflow import (data,  # input\n                        keras)",
        "train.py:1:1 AX129 warning a comment stands inside a statement that has to be split",
    ),
}

_HOOKS: Mapping[str, Told] = {
    "AX111": Told(
        "autoxla came after TensorFlow",
        "warning",
        "tensorflow was imported before autoxla: too late to set …",
        "import autoxla first, or run the program with python -m autoxla",
        "Most of the variables are read once, while TensorFlow is imported. When autoxla is imported later "
        "it can still look after `compile` and the notes on errors, but a setting that it found to be right "
        "has no effect any more, so it is not made.",
        Followed(
            "import tensorflow as tf\n\nprint(tf.constant(1))\nimport autoxla\nimport keras\n",
            settings={"step": "autocluster-1"},
            known={
                "usage": Usage(evidence={"importing": Place(FILE, 4)}),
                "imported": frozenset({"tensorflow"}),
                "devices_ready": True,
            },
            command="python",
        ),
        "TensorFlow, variables read at import",
        _BY_SETTING,
        "autoxla leaves the variable as it is and says which one it would have set.",
    ),
    "AX131": _mixture(
        "A Keras 3 model does not train a foreign layer",
        "… of Keras 3 holds … of Keras 2 (tf_keras) as …: Keras 3 trains and saves none of its … trainable "
        "weights",
        "Keras 3 collects the variables of the layers that it knows, and a layer of another generation is "
        "just an attribute to it. The model runs, the loss is computed, and the weights of that layer stay "
        "what they were at the start; they are missing from saved files, too. There is no error.",
        "\nclass Net(keras.Model):\n    def __init__(self):\n        super().__init__()\n"
        "        self.dense = tf_keras.layers.Dense(1)\n\n"
        "    def call(self, x):\n        return self.dense(x)\n\n\n"
        'net = Net()\nnet.compile("sgd", "mse")\nnet.fit(x, y)',
        "AX131 warning train.py:16: __main__.Net of Keras 3 holds tf_keras.src.layers.core.dense.Dense of "
        "Keras 2 (tf_keras) as Net.dense: Keras 3 trains and saves none of its 2 trainable weights (keras "
        "is imported at train.py:1, tf_keras is imported at train.py:2); take all of the model's parts from "
        "one package: keras or tf_keras; python -m autoxla explain train.py",
    ),
    "AX132": _mixture(
        "A Keras 2 model uses weights of Keras 3 as constants",
        "… of Keras 2 (tf_keras) uses … of Keras 3 in its operation …: a Keras 3 layer was called on a "
        "Keras 2 Input; its weights are neither trained nor saved",
        "Called on an `Input` of tf_keras, a Keras 3 layer comes apart into single operations, and its "
        "weights become constants of the graph. The model trains what is left of it. Keras prints a warning "
        "about untracked variables at best.",
        "inputs = tf_keras.Input((4,))\nhidden = keras.layers.Dense(1)(inputs)\n"
        "net = tf_keras.Model(inputs, tf_keras.layers.Dense(1)(hidden))\n"
        'net.compile("sgd", "mse")\nnet.fit(x, y)',
        "AX132 warning train.py:7: tf_keras.src.engine.functional.Functional of Keras 2 (tf_keras) uses "
        "dense/bias (keras.src.backend.Variable) of Keras 3 in its operation tf.math.add: a Keras 3 layer "
        "was called on a Keras 2 Input; its weights are neither trained nor saved (tf_keras is imported at "
        "train.py:2, keras is imported at train.py:1); take all of the model's parts from one package: "
        "tf_keras or keras; python -m autoxla explain train.py",
    ),
    "AX215": Told(
        "A model that ITEX would end the process for",
        "warning",
        "jit_compile is off and ITEX's XLA on: ITEX would end the process with status 0 in …()",
        "set ITEX_DISABLE_XLA=1",
        "Whether a model is compiled is often known only when it is there: a layer that XLA cannot take, "
        "eager execution or determinism turn compilation off. ITEX, whose XLA is on, answers that with "
        "`quit()` and exit status 0. The variable is read anew at each call, so it can still be set; ITEX's "
        "XLA itself stays on until the next start.",
        Shown(
            "import tensorflow as tf\n\nmodel = tf.keras.Sequential([tf.keras.layers.Dense(1)])\n"
            'model.compile("adam", "mse", run_eagerly=True)',
            "autoxla: AX215 warning train.py:4: jit_compile is off and ITEX's XLA on: ITEX would end the "
            "process with status 0 in compile(); set ITEX_DISABLE_XLA=1 before the program starts to turn "
            "its XLA off, too; done: set ITEX_DISABLE_XLA=1 for ITEX's check; python -m autoxla explain "
            "train.py",
        ),
        "Intel Extension for TensorFlow, override of Keras 3's compile and predict",
        _BY_SETTING,
        "autoxla sets the variable for the call, in the modes `fix` and `auto`.",
    ),
}

_WORKERS: Mapping[str, Told] = {
    "AX601": Told(
        "Workers of one job differ",
        "warning",
        "workers of this job ran on other plans than the first one: … against …",
        "give all of them the same packages, variables and settings",
        "All workers of a job run one step together. If one of them compiles it and another does not, or "
        "their releases differ, the step hangs, ends with an error about a peer, or computes something "
        "else, and the log of the worker that failed does not tell why.",
        Shown(
            "# AUTOXLA_REPORT=report.json; worker 1 was started with TF_XLA_FLAGS=--tf_xla_auto_jit=2\n"
            "strategy = tf.distribute.MultiWorkerMirroredStrategy()",
            "autoxla: AX601 warning environment: workers of this job ran on other plans than the first one: "
            "report.json.worker1 against report.json; give all of them the same packages, variables and "
            "settings; python -m autoxla explain train.py",
        ),
        "TensorFlow, MultiWorkerMirroredStrategy",
        _BY_SETTING,
        "At its exit the first worker compares the `fingerprint` in the reports of the others with its own.",
    ),
    "AX603": Told(
        "XLA is wanted, and left off under a strategy",
        "warning",
        "step = 'xla' in the settings, and the model is under a tf.distribute strategy, where XLA fails on "
        "most devices: it stays off",
        "compile(jit_compile=True) if these devices can do it",
        "Under a strategy a compiled step reaches for variables and for collective operations of other "
        "devices, which XLA cannot do on most of them. A setting for all models must not break those, so it "
        "has no effect there.",
        Shown(
            '# with step = "xla" in [tool.autoxla]\n'
            "with tf.distribute.MirroredStrategy().scope():\n    model = build()\n"
            '    model.compile("adam", "mse")',
            "autoxla: AX603 warning environment: step = 'xla' in the settings, and the model is under a "
            "tf.distribute strategy, where XLA fails on most devices: it stays off; "
            "compile(jit_compile=True) if these devices can do it; python -m autoxla explain train.py",
        ),
        "Keras 3, resolution of jit_compile",
        _BY_SETTING,
        "autoxla leaves `jit_compile` to Keras for this model.",
    ),
}

_TRIAL = (
    'Put the code into `ignore` under `[tool.autoxla]`: `ignore = ["{code}"]`. `trial = false` there does '
    "without the comparison."
)
_PROGRAM = 'model.compile("adam", "mse")\nmodel.fit(x, y, epochs=20)'
_TRIALS: Mapping[str, Told] = {
    "AX701": Told(
        "The faster path was taken during training",
        "info",
        "XLA runs a training step in … ms instead of … ms",
        "nothing to do; jit_compile= in compile() chooses for good",
        "XLA makes one model faster and the next several times slower, and nothing but the clock tells "
        "which. autoxla compiled the step in the background, ran both in turn on the batches of your "
        "training, and kept the faster one. Every batch was trained on once.",
        Shown(
            _PROGRAM,
            "autoxla: AX701 info fit: XLA runs a training step in 10.1 ms instead of 15 ms; done: switched "
            "to xla at step 212; python -m autoxla explain train.py",
        ),
        "autoxla, trial",
        _TRIAL,
        f"In mode `auto`, where the program leaves `jit_compile` open, autoxla times both paths in {_FIT}, "
        "and switches when the gain pays in the steps that are left.",
    ),
    "AX702": Told(
        "A seeded program could be faster",
        "info",
        "XLA would run a training step in about … ms instead of … ms; a program that is seeded (…) is not "
        "switched while it runs",
        "python -m autoxla tune SCRIPT, or compile(jit_compile=True)",
        "A program that sets a seed wants the same numbers in every run. Random operations such as dropout "
        "draw differently under XLA, and the step at which a switch happens depends on the clock. So "
        "autoxla only says what could be gained; chosen from the start, XLA repeats itself from run to run.",
        Shown(
            f"keras.utils.set_random_seed(1)\n{_PROGRAM}",
            "autoxla: AX702 info fit: XLA would run a training step in about 10.1 ms instead of 15 ms; a "
            "program that is seeded (keras.utils.set_random_seed) is not switched while it runs; python -m "
            "autoxla tune train.py, or compile(jit_compile=True); python -m autoxla explain train.py",
        ),
        "autoxla, trial",
        _TRIAL,
        "autoxla leaves the step as it is.",
    ),
    "AX703": Told(
        "XLA was given up during training",
        "info",
        "… shapes of batches, each of which XLA would compile anew",
        "nothing to do; batches of one shape, padded or dropped at the end, let XLA pay",
        "XLA compiles a program for one shape of its inputs. Training began with one shape, and autoxla had "
        "switched to XLA; then other shapes kept coming, and each would have cost a compilation that takes "
        "longer than many steps.",
        Shown(
            _PROGRAM,
            "autoxla: AX703 info fit: 5 shapes of batches, each of which XLA would compile anew; done: went "
            "back to the plain graph at step 480; python -m autoxla explain train.py",
        ),
        "autoxla, trial",
        _TRIAL,
        "autoxla goes back to the plain graph for the rest of the program.",
    ),
    "AX704": Told(
        "The faster path was taken by an earlier run's record",
        "info",
        "XLA runs a training step in … ms instead of … ms, by the record of an earlier run",
        "nothing to do; python -m autoxla records clear forgets it",
        "An earlier run of the same step, on this machine and with these releases, measured which path is "
        "faster. This run takes that over without measuring again, as soon as the step is compiled.",
        Shown(
            _PROGRAM,
            "autoxla: AX704 info fit: XLA runs a training step in 10.1 ms instead of 15 ms, by the record "
            "of an earlier run; done: switched to xla at step 64; python -m autoxla explain train.py",
        ),
        "autoxla, trial and records",
        _TRIAL,
        f"In mode `auto`, where the program leaves `jit_compile` open, autoxla switches in {_FIT}.",
    ),
}

_ITSELF: Mapping[str, Told] = {
    "AX901": Told(
        "A fault in autoxla",
        "error",
        "…; the program runs on without it, AUTOXLA_DEBUG=1 says more",
        "run again with AUTOXLA_DEBUG=1 and report the traceback; AUTOXLA=off does without autoxla meanwhile",
        "A fault in autoxla must not become one of your program. What failed is left out, the program goes "
        "on as it would without that part, and one line says so. Its output and exit status are its own.",
        Shown(
            "python -m autoxla train.py",
            "autoxla: AX901 error compile: AttributeError: 'NoneType' object has no attribute "
            "'jit_compile'; the program runs on without it, AUTOXLA_DEBUG=1 says more",
            "console",
        ),
        "autoxla, fail open",
        "`AUTOXLA=off` does without autoxla; else the first fault of a process is always said.",
        "Of each process the first fault is said, with `AUTOXLA_DEBUG=1` every one, with its traceback.",
    ),
    "AX902": Told(
        "Something that autoxla was told cannot be",
        "error",
        "…: use one of …",
        "correct what the line names",
        "A setting, an argument or a file is not what it has to be. A command stops with exit status 2. A "
        "program is not stopped for it: it runs as if autoxla were off, since a half understood setting "
        "might do the opposite of what was meant.",
        Shown(
            "$ AUTOXLA=fast python -m autoxla explain train.py",
            "autoxla: AX902 error environment: AUTOXLA='fast': use one of off, observe, fix, auto",
            "console",
        ),
        "autoxla, settings",
        "It cannot be silenced: correct the setting.",
        "A command ends with exit status 2; a program runs on without autoxla.",
    ),
    "AX903": Told(
        "A module was imported past autoxla",
        "warning",
        "… was imported past autoxla: another finder stands in front of it, or sys.meta_path was rewritten; "
        "nothing was checked or set",
        "import autoxla after whatever changes sys.meta_path",
        "autoxla learns of an import through `sys.meta_path`. Tools that put their own finder in front and "
        "find the module themselves, or that rewrite the list, hide it. Nothing was looked at then, so "
        "silence must not be taken for a clean result.",
        Shown(
            "import autoxla\nimport sys\n\nsys.meta_path[:] = [finder for finder in sys.meta_path if "
            "keep(finder)]\nimport tensorflow",
            "autoxla: AX903 warning environment: tensorflow was imported past autoxla: another finder "
            "stands in front of it, or sys.meta_path was rewritten; nothing was checked or set; import "
            "autoxla after whatever changes sys.meta_path; python -m autoxla explain train.py",
        ),
        "Python, the import system",
        _BY_SETTING,
        "autoxla says so at the end of the program.",
    ),
    "AX904": Told(
        "A release of Keras that autoxla does not know",
        "warning",
        "this release of Keras has no …() where autoxla knows it; the program runs without that hook",
        "report the release of Keras",
        "autoxla wraps a few methods of Keras by name. In a release where one of them is elsewhere, what "
        "depends on it does not happen: `jit_compile` follows Keras alone, or ITEX's check is not kept from "
        "ending the process. All that is decided before the import is done all the same.",
        Shown(
            'model.compile("adam", "mse")  # a release of Keras later than autoxla',
            "autoxla: AX904 warning environment: this release of Keras has no compile() where autoxla knows "
            "it; the program runs without that hook; report the release of Keras; python -m autoxla explain "
            "train.py",
        ),
        "autoxla, hooks",
        _BY_SETTING,
        "autoxla leaves the hook out.",
    ),
    "AX905": Told(
        "A file was not read",
        "info",
        "not read: …",
        "correct the file, or leave it out of the paths",
        "`check` reads source text. A file that is no Python, or that cannot be read at all, was not looked "
        "at, so that it has no findings says nothing about it.",
        Shown(
            '$ cat old.py\nimport keras\nprint "old"\n$ python -m autoxla check old.py',
            "old.py:2 AX905 info not read: it cannot be parsed: Missing parentheses in call to 'print'. Did "
            "you mean print(...)?; nothing was checked there",
            "console",
        ),
        "autoxla, check",
        "`--ignore {code}`, or the code in `ignore` under `[tool.autoxla]`.",
        "`check` goes on with the other files; the exit status is not changed by it.",
    ),
    "AX907": Told(
        "A record was left out",
        "info",
        "a record is left out: …",
        "remove the file",
        "Records of earlier runs steer later ones, so each is checked before it counts: its form, its "
        "values, its owner and who may write to it. One that does not pass is treated as if it were not "
        "there. That is harmless; it may also be a sign that something else writes into the folder.",
        Shown(
            "$ python -m autoxla records list",
            "autoxla: AX907 info ~/.cache/autoxla/decisions/4f1c09….json: left out: it is a symbolic link",
            "console",
        ),
        "autoxla, records",
        _BY_SETTING,
        "autoxla does not use the record, and leaves the file alone.",
    ),
    "AX908": Told(
        "Compiled programs were dropped",
        "info",
        "… compiled program(s) were damaged or half written, and dropped",
        "none: XLA compiles them again",
        "What XLA compiled is native code, and TensorFlow loads it without a check of its own; a damaged "
        "entry ends the process. autoxla compares each entry with its digest before TensorFlow starts, and "
        "removes what does not match. A run that was killed while it wrote leaves such entries.",
        Shown(
            "$ AUTOXLA_REPORT=report.json python -m autoxla train.py; grep AX908 report.json",
            '"code": "AX908", "level": "info", "message": "1 compiled program(s) were damaged or half '
            'written, and dropped"',
            "console",
        ),
        "autoxla, xla_cache",
        _BY_SETTING,
        "autoxla removes the entries before TensorFlow reads any.",
    ),
}

TOLD: Mapping[str, Told] = {**_REFUSALS, **_HOOKS, **_WORKERS, **_TRIALS, **_ITSELF}

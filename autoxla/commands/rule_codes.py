"""The other codes: what hooks, the trial, ``migrate`` and autoxla itself say."""

from __future__ import annotations

from dataclasses import dataclass

_BY_SETTING = (
    'Put the code into `ignore` under `[tool.autoxla]` in `pyproject.toml`: `ignore = ["{code}"]`. That '
    "leaves out the line; what autoxla does stays as it is."
)
_BY_COMMENT = (
    "`# autoxla: ignore[{code}]` at the end of the line: `migrate` then leaves that place as it is, and it "
    "is no reason any more to leave the file."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One code: what autoxla `does`, `why` it matters, what was `given` in the example and `printed` then."""

    code: str
    title: str
    level: str
    does: str
    why: str
    given: str
    printed: str
    remedy: str
    source: str
    language: str = "python"
    silence: str = _BY_SETTING


def _refusal(code: str, title: str, why: str, remedy: str, to: str, given: str, printed: str) -> Code:
    return Code(
        code=code,
        title=title,
        level="warning",
        does="`migrate` leaves the whole file as it is and names the line. It moves a file as a whole or "
        "not at all, because objects of two generations of Keras do not work together.",
        why=why,
        given=given,
        printed=f"$ python -m autoxla migrate --to {to} train.py\n{printed}",
        remedy=remedy,
        source="autoxla, migrate",
        silence=_BY_COMMENT,
    )


def _mixture(code: str, title: str, why: str, given: str, printed: str) -> Code:
    return Code(
        code=code,
        title=title,
        level="warning",
        does="autoxla looks through the model when it is trained, and again after the first step, when all "
        "of its parts have weights. It says what it found and changes nothing.",
        why=why,
        given=f"import keras\nimport tf_keras\n\n{given}",
        printed=printed,
        remedy="take all of the model's parts from one package",
        source="Keras 3 and tf_keras, tracking of variables",
    )


_MIGRATION = (
    _refusal(
        "AX121",
        "The name that is needed is taken",
        """The moved program has to call its Keras by some name. If `keras` means something else in that
        scope, an edit would change what the program does, possibly without an error.""",
        "rename the other thing, or import the package under a name of your own",
        "keras3",
        "import tensorflow as tf\n\nkeras = 5\nmodel = tf.keras.Sequential()",
        "train.py:4:9 AX121 warning no name is free for keras: `keras` is something else here",
    ),
    _refusal(
        "AX122",
        "Nothing tells what a name stands for",
        """A star import, a name that is assigned twice, or a `tf` from another module may or may not be
        Keras. A guess would edit some uses and miss others.""",
        "import by name, from where it is defined",
        "legacy",
        "from tensorflow.keras.layers import *\n\nlayer = Dense(1)",
        "train.py:1:1 AX122 warning `from tensorflow.keras.layers import *` binds names that cannot be told",
    ),
    _refusal(
        "AX123",
        "The program chooses the generation itself, or uses both",
        """Somebody wrote code that works with either generation, or with both at once, on purpose. Which
        branch is to stay is a decision, not an edit.""",
        "keep one of the two imports",
        "legacy",
        "try:\n    from tensorflow import keras\nexcept ImportError:\n    import keras",
        "train.py:4:12 AX123 warning the program chooses Keras when it runs, here and in line 2",
    ),
    _refusal(
        "AX124",
        "It exists in one generation only",
        """The other generation has nothing to put in its place. Moved as it is, the program would fail at
        this line, after everything before it had run on the other generation.""",
        "replace it by something that the other generation has",
        "legacy",
        "import keras\n\ntotal = keras.ops.add(1, 2)",
        "train.py:3:9 AX124 warning keras.ops exists in Keras 3 only",
    ),
    _refusal(
        "AX125",
        "A private or long-gone module",
        """Private modules have other layouts in the two generations, and what they hold is not the same even
        under the same name. Only a public name has a reliable counterpart.""",
        "take the public name of what is imported",
        "legacy",
        "from keras.engine import training",
        "train.py:1:26 AX125 warning keras.engine is no public name of either generation",
    ),
    _refusal(
        "AX126",
        "A string names a module",
        """A patch, a dynamic import or a look into `sys.modules` names its target in a string. Only the
        author knows whether the string means the module.""",
        "write the other name yourself, or keep the line with a comment",
        "legacy",
        'from unittest import mock\n\nwith mock.patch("keras.layers.Dense"):\n    pass',
        "train.py:3:17 AX126 warning the string 'keras.layers.Dense' names a module of the other generation",
    ),
    _refusal(
        "AX127",
        "The program sets a variable that contradicts the move",
        """The variable chooses a backend that Keras 2 does not have, or the generation that the program is to
        leave. The edit and the variable would work against each other.""",
        "take the assignment out",
        "legacy",
        'import os\n\nos.environ["KERAS_BACKEND"] = "jax"\nimport keras',
        "train.py:3:12 AX127 warning the program sets KERAS_BACKEND, which tf_keras does not go with",
    ),
    _refusal(
        "AX128",
        "A library that works with the other generation only",
        """The library's layers and models stay what they are. In the moved program they would meet objects of
        the other generation, which fails, or trains nothing without an error.""",
        "replace the library, or stay with its generation",
        "legacy",
        "import keras\nimport keras_hub",
        "train.py:2:8 AX128 warning keras_hub works with Keras 3, whose objects do not mix",
    ),
    _refusal(
        "AX129",
        "Code that no edit can change as it is written",
        """`migrate` changes only names and imports; all other characters stay. Where a comment or brackets
        stand in the middle, a person has to edit the line.""",
        "write it plainly, then run the command again",
        "legacy",
        "from tensorflow import (data,  # input\n                        keras)",
        "train.py:1:1 AX129 warning a comment stands inside a statement that has to be split",
    ),
)
_MIXTURES = (
    _mixture(
        "AX131",
        "A Keras 3 model does not train a foreign layer",
        """Keras 3 collects the variables of the layers that it knows. A layer of another generation is just
        an attribute to it. The model runs, the loss is computed, and the weights of that layer keep their
        first values; saved files lack them, too. There is no error.""",
        "\nclass Net(keras.Model):\n    def __init__(self):\n        super().__init__()\n"
        "        self.dense = tf_keras.layers.Dense(1)\n\n"
        "    def call(self, x):\n        return self.dense(x)\n\n\n"
        'net = Net()\nnet.compile("sgd", "mse")\nnet.fit(x, y)',
        "autoxla: AX131 warning train.py:16: __main__.Net of Keras 3 holds "
        "tf_keras.src.layers.core.dense.Dense of Keras 2 (tf_keras) as Net.dense: Keras 3 trains and saves "
        "none of its 2 trainable weights (keras is imported at train.py:1, tf_keras is imported at "
        "train.py:2); take all of the model's parts from one package: keras or tf_keras; python -m autoxla "
        "explain train.py",
    ),
    _mixture(
        "AX132",
        "A Keras 2 model uses weights of Keras 3 as constants",
        """Called on an `Input` of tf_keras, a Keras 3 layer comes apart into single operations, and its
        weights become constants of the graph. The model trains the other layers only. At best Keras prints a
        warning about untracked variables.""",
        "inputs = tf_keras.Input((4,))\nhidden = keras.layers.Dense(1)(inputs)\n"
        "net = tf_keras.Model(inputs, tf_keras.layers.Dense(1)(hidden))\n"
        'net.compile("sgd", "mse")\nnet.fit(x, y)',
        "autoxla: AX132 warning train.py:7: tf_keras.src.engine.functional.Functional of Keras 2 "
        "(tf_keras) uses dense/bias (keras.src.backend.Variable) of Keras 3 in its operation tf.math.add: "
        "a Keras 3 layer was called on a Keras 2 Input; its weights are neither trained nor saved "
        "(tf_keras is imported at train.py:2, keras is imported at train.py:1); take all of the model's "
        "parts from one package: tf_keras or keras; python -m autoxla explain train.py",
    ),
)
_COMPILE = (
    Code(
        code="AX215",
        title="A model for which ITEX would end the process",
        level="warning",
        does="autoxla sets the variable for the call, in the modes `fix` and `auto`.",
        why="""Often only the finished model tells whether it is compiled: a layer that XLA cannot take, eager
        execution or determinism turn compilation off. While its XLA is on, ITEX answers that with `quit()`
        and exit status 0. ITEX reads the variable at each call, so it can still be set; ITEX's XLA itself
        stays on until the next start.""",
        given="import tensorflow as tf\n\nmodel = tf.keras.Sequential([tf.keras.layers.Dense(1)])\n"
        'model.compile("adam", "mse", run_eagerly=True)',
        printed="autoxla: AX215 warning train.py:4: jit_compile is off and ITEX's XLA on: ITEX would end "
        "the process with status 0 in compile(); set ITEX_DISABLE_XLA=1 before the program starts to turn "
        "its XLA off, too; done: set ITEX_DISABLE_XLA=1 for ITEX's check; python -m autoxla explain "
        "train.py",
        remedy="set ITEX_DISABLE_XLA=1",
        source="Intel Extension for TensorFlow, override of Keras 3's compile and predict",
    ),
    Code(
        code="AX603",
        title="XLA stays off under a strategy",
        level="warning",
        does="autoxla leaves `jit_compile` to Keras for this model.",
        why="""Under a strategy of several devices XLA fails on most devices. The setting holds for all models
        of a program and must not break such a one, so it has no effect there.""",
        given='# with step = "xla" in [tool.autoxla]\n'
        "with tf.distribute.MirroredStrategy().scope():\n    model = build()\n"
        '    model.compile("adam", "mse")',
        printed="autoxla: AX603 warning environment: step = 'xla' in the settings, and the model is under a "
        "tf.distribute strategy, where XLA fails on most devices: it stays off; compile(jit_compile=True) if "
        "these devices can do it; python -m autoxla explain train.py",
        remedy="compile(jit_compile=True) if these devices can do it",
        source="Keras 3, resolution of jit_compile",
    ),
)
_WORKERS = (
    Code(
        code="AX601",
        title="Workers of one job differ",
        level="warning",
        does="At its exit the first worker compares the `fingerprint` in the reports of the others with "
        "its own.",
        why="""All workers of a job run one step together. If one of them compiles it and another does not, or
        if their releases differ, the step hangs, ends with an error about a peer, or computes something else.
        The log of the worker that failed does not tell why.""",
        given="# AUTOXLA_REPORT=report.json; worker 1 was started with TF_XLA_FLAGS=--tf_xla_auto_jit=2\n"
        "strategy = tf.distribute.MultiWorkerMirroredStrategy()",
        printed="autoxla: AX601 warning environment: workers of this job ran on other plans than the first "
        "one: report.json.worker1 against report.json; give all of them the same packages, variables and "
        "settings; python -m autoxla explain train.py",
        remedy="give all of them the same packages, variables and settings",
        source="TensorFlow, MultiWorkerMirroredStrategy",
    ),
)
_FIT = 'model.compile("adam", "mse")\nmodel.fit(x, y, epochs=20)'
_TRIAL = (
    'Put the code into `ignore` under `[tool.autoxla]`: `ignore = ["{code}"]`. `trial = false` there does '
    "without the comparison."
)
_TRIALS = (
    Code(
        code="AX701",
        title="The faster path was taken during training",
        level="info",
        does="In mode `auto`, where the program leaves `jit_compile` open, autoxla times both paths while "
        "`fit` runs, and switches when the gain pays in the steps that are left.",
        why="""XLA makes one model faster and the next several times slower, and only the clock tells which.
        autoxla compiled the step in the background, ran both in turn on the batches of your training, and
        kept the faster one. Every batch was trained on once.""",
        given=_FIT,
        printed="autoxla: AX701 info fit: XLA runs a training step in 10.1 ms instead of 15 ms; done: "
        "switched to xla at step 212; python -m autoxla explain train.py",
        remedy="nothing to do; jit_compile= in compile() chooses for good",
        source="autoxla, trial",
        silence=_TRIAL,
    ),
    Code(
        code="AX703",
        title="XLA was given up during training",
        level="info",
        does="autoxla goes back to the plain graph for the rest of the program.",
        why="""XLA compiles a program for one shape of its inputs. autoxla had switched to XLA; then batches
        of other shapes kept coming. Each would have cost a compilation that takes longer than many steps.""",
        given=_FIT,
        printed="autoxla: AX703 info fit: 5 shapes of batches, each of which XLA would compile anew; done: "
        "went back to the plain graph at step 480; python -m autoxla explain train.py",
        remedy="nothing to do; batches of one shape, padded or dropped at the end, let XLA pay",
        source="autoxla, trial",
        silence=_TRIAL,
    ),
    Code(
        code="AX704",
        title="The faster path was taken by an earlier run's record",
        level="info",
        does="In mode `auto`, where the program leaves `jit_compile` open, autoxla switches while `fit` "
        "runs.",
        why="""An earlier run measured on this machine, with these releases, which path is faster for the same
        step. This run takes that path without measuring again, as soon as the step is compiled.""",
        given=_FIT,
        printed="autoxla: AX704 info fit: XLA runs a training step in 10.1 ms instead of 15 ms, by the "
        "record of an earlier run; done: switched to xla at step 64; python -m autoxla explain train.py",
        remedy="nothing to do; python -m autoxla records clear forgets it",
        source="autoxla, trial and records",
        silence=_TRIAL,
    ),
)
_ITSELF = (
    Code(
        code="AX901",
        title="A fault in autoxla",
        level="error",
        does="autoxla says the first fault of a process, with `AUTOXLA_DEBUG=1` every one with its "
        "traceback.",
        why="""A fault in autoxla must not become one of your program. autoxla leaves out the part that
        failed, the program goes on without that part, and one line says so. Output and exit status are the
        program's own.""",
        given="python -m autoxla train.py",
        printed="autoxla: AX901 error compile: AttributeError: 'NoneType' object has no attribute "
        "'jit_compile'; the program runs on without it, AUTOXLA_DEBUG=1 says more",
        remedy="run again with AUTOXLA_DEBUG=1 and report the traceback; AUTOXLA=off does without autoxla "
        "meanwhile",
        source="autoxla, fail open",
        language="console",
        silence="`AUTOXLA=off` does without autoxla; else autoxla always says the first fault of a process.",
    ),
    Code(
        code="AX902",
        title="A setting or an argument is not valid",
        level="error",
        does="A command ends with exit status 2; a program runs on without autoxla.",
        why="""A setting, an argument or a file is not what it has to be. A command stops. A program does not
        stop for it: it runs as if autoxla were off, since a setting that is half understood might do the
        opposite of what you meant.""",
        given="$ AUTOXLA=fast python -m autoxla explain train.py",
        printed="autoxla: AX902 error environment: AUTOXLA='fast': use one of off, observe, fix, auto",
        remedy="correct what the line names",
        source="autoxla, settings",
        language="console",
        silence="It cannot be silenced: correct the setting.",
    ),
    Code(
        code="AX903",
        title="A module was imported past autoxla",
        level="warning",
        does="autoxla says so at the end of the program.",
        why="""autoxla learns of an import through `sys.meta_path`. A tool that puts its own finder in front
        and finds the module itself, or that rewrites the list, hides the import. autoxla then looked at
        nothing: do not take its silence for a clean result.""",
        given="import autoxla\nimport sys\n\nsys.meta_path[:] = [finder for finder in sys.meta_path if "
        "keep(finder)]\nimport tensorflow",
        printed="autoxla: AX903 warning environment: tensorflow was imported past autoxla: another finder "
        "stands in front of it, or sys.meta_path was rewritten; nothing was checked or set; import autoxla "
        "after whatever changes sys.meta_path; python -m autoxla explain train.py",
        remedy="import autoxla after whatever changes sys.meta_path",
        source="Python, the import system",
    ),
    Code(
        code="AX904",
        title="A release of Keras that autoxla does not know",
        level="warning",
        does="autoxla leaves the hook out.",
        why="""autoxla wraps a few methods of Keras by name. In a release that has one of them elsewhere, what
        depends on it does not happen: Keras alone decides on `jit_compile`, or ITEX's check ends the process.
        autoxla still does all that is decided before the import.""",
        given='model.compile("adam", "mse")  # a release of Keras later than autoxla',
        printed="autoxla: AX904 warning environment: this release of Keras has no compile() where autoxla "
        "knows it; the program runs without that hook; report the release of Keras; python -m autoxla "
        "explain train.py",
        remedy="report the release of Keras",
        source="autoxla, hooks",
    ),
    Code(
        code="AX905",
        title="A file was not read",
        level="info",
        does="`check` goes on with the other files, and its exit status stays.",
        why="""`check` reads source text. It did not look at a file that is no Python or that cannot be read:
        that it has no findings says nothing about it.""",
        given='$ cat old.py\nimport keras\nprint "old"\n$ python -m autoxla check old.py',
        printed="old.py:2 AX905 info not read: it cannot be parsed: Missing parentheses in call to "
        "'print'. Did you mean print(...)?; nothing was checked there",
        remedy="correct the file, or leave it out of the paths",
        source="autoxla, check",
        language="console",
        silence="`--ignore {code}`, or the code in `ignore` under `[tool.autoxla]`.",
    ),
    Code(
        code="AX907",
        title="A record was left out",
        level="info",
        does="autoxla does not use the record, and leaves the file alone.",
        why="""Records of earlier runs steer later ones, so autoxla checks each: its form, its values, its
        owner and who may write to it. A record that does not pass counts as if it were not there. That is
        harmless; it may also be a sign that something else writes into the folder.""",
        given="$ python -m autoxla records list",
        printed="autoxla: AX907 info ~/.cache/autoxla/decisions/4f1c09….json: left out: it is a symbolic "
        "link",
        remedy="remove the file",
        source="autoxla, records",
        language="console",
    ),
    Code(
        code="AX908",
        title="Compiled programs were dropped",
        level="info",
        does="autoxla removes the entries before TensorFlow reads any.",
        why="""What XLA compiled is native code, and TensorFlow loads it without a check of its own; a damaged
        entry ends the process. autoxla compares each entry with its digest before TensorFlow starts, and
        removes what does not match. A run that was killed while it wrote leaves such entries.""",
        given="$ AUTOXLA_REPORT=report.json python -m autoxla train.py; grep AX908 report.json",
        printed='"code": "AX908", "level": "info", "message": "1 compiled program(s) were damaged or half '
        'written, and dropped"',
        remedy="none: XLA compiles them again",
        source="autoxla, xla_cache",
        language="console",
    ),
)
CODES: tuple[Code, ...] = (*_MIGRATION, *_MIXTURES, *_COMPILE, *_WORKERS, *_TRIALS, *_ITSELF)

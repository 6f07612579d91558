"""Rules of Intel's plug-in: AX201 to AX220, and AX501."""

from __future__ import annotations

from collections.abc import Mapping

from autoxla.guide.entry import Prose
from autoxla.guide.example import ITEX, ITEX_2_15, ITEX_ALONE, ITEX_ON_CPU, Followed

_KERAS = """\
import tensorflow as tf

model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile("adam", "mse")
"""
_NO_JIT = _KERAS.replace('"mse")', '"mse", jit_compile=False)')
_PLAIN = """\
import tensorflow as tf

print(tf.reduce_sum(tf.random.normal([1000, 1000])))
"""
_STREAM = {"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0"}
_DISABLED = {"ITEX_DISABLE_XLA": "1"}
_LEVEL_1 = {"TF_XLA_FLAGS": "--tf_xla_auto_jit=1"}
_LEVEL_2 = {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2"}

PROSE: Mapping[str, Prose] = {
    "AX201": Prose(
        "ITEX's XLA runs on the next pluggable device only, and it is on by default whether or not the "
        "program uses Keras. Asking for the stream executor while it is on makes ITEX abort the process "
        "inside `import tensorflow`; no Python exception is raised. A program without Keras loses nothing "
        "when ITEX's XLA goes off.",
        Followed(_PLAIN, _STREAM, ITEX),
    ),
    "AX202": Prose(
        "ITEX turns XLA on for its device as soon as legacy Keras is not asked for. A program that neither "
        "uses Keras nor compiles with XLA gains nothing from that, but loses ITEX's own graph "
        "optimisations, which are switched off in XLA's favour.",
        Followed(_PLAIN, machine=ITEX),
    ),
    "AX203": Prose(
        "ITEX does not support `jit_compile=True` together with Keras 2, and has no check for it: nothing "
        "stops the program, and nothing says what it does. XLA for Keras 2 goes through auto-clustering "
        "instead.",
        Followed(
            "import tensorflow as tf\nimport tf_keras\n\n"
            "model = tf_keras.Sequential([tf_keras.layers.Dense(1)])\n"
            'model.compile("adam", "mse", jit_compile=True)\n',
            {"TF_USE_LEGACY_KERAS": "1"},
            ITEX,
        ),
    ),
    "AX204": Prose(
        "With Keras 3 ITEX's XLA is on unless it is disabled, and it needs the next pluggable device. "
        "Without that device ITEX aborts the process inside `import tensorflow`. The message it leaves asks "
        "for the device; where the stream executor is what you want, XLA has to go off instead.",
        Followed(_KERAS, _STREAM, ITEX),
    ),
    "AX205": Prose(
        "ITEX replaces `compile` and `predict` of Keras 3. While its XLA is on they refuse a model that is "
        "not compiled by XLA: they print a line and call `quit()`. The process ends with exit status 0 "
        "before the first step, which a scheduler takes for success.",
        Followed(_NO_JIT, machine=ITEX),
    ),
    "AX206": Prose(
        "Auto-clustering turns ITEX's XLA on, also where `ITEX_DISABLE_XLA` or legacy Keras asks for the "
        "opposite, and that XLA exists on the next pluggable device only. Without the device ITEX aborts the "
        "process while TensorFlow loads. Only the device, or auto-clustering, can give way.",
        Followed(_KERAS, {**_STREAM, **_LEVEL_1}, ITEX),
    ),
    "AX207": Prose(
        "The same as AX206 at level 2, which compiles everything: it turns ITEX's XLA on, XLA needs the next "
        "pluggable device, and without that ITEX aborts the process while TensorFlow loads. "
        "`ITEX_DISABLE_XLA=1` does not help, since ITEX ignores it here.",
        Followed(_KERAS, {**_STREAM, **_LEVEL_2}, ITEX),
    ),
    "AX208": Prose(
        "ITEX's ops override puts custom operations into the graph, and level 2 asks XLA to compile all of "
        "it. XLA has no implementation for those operations. Level 1 leaves them out of its clusters and "
        "works.",
        Followed(_KERAS, {**_LEVEL_2, "ITEX_OPS_OVERRIDE": "1"}, ITEX),
    ),
    "AX210": Prose(
        "The layers that ITEX puts in place of Keras' own do not support compilation, so Keras resolves "
        '`jit_compile="auto"` to off for any model that has one. ITEX then finds its XLA on and the model '
        "without it, and ends the process with exit status 0 in `compile` or `predict`.",
        Followed(_KERAS, {"ITEX_OPS_OVERRIDE": "1"}, ITEX),
    ),
    "AX211": Prose(
        "On a machine where TensorFlow sees no accelerator Keras 3 never compiles by default, while ITEX's "
        "XLA is on by default. ITEX takes that for a model that cannot be compiled: every plain `compile` "
        "or `predict` ends the process with exit status 0. Such machines are common: a build server, a "
        "login node, a notebook without the GPU.",
        Followed(_KERAS, machine=ITEX_ON_CPU),
    ),
    "AX212": Prose(
        "ITEX lets a model without `jit_compile` pass if auto-clustering is on, but it recognises that by "
        "one text, `--tf_xla_auto_jit=1`. At level 2 and for `fusible` it sees nothing and ends the process "
        "with exit status 0. With auto-clustering on `ITEX_DISABLE_XLA=1` silences that check and leaves "
        "XLA on.",
        Followed(_NO_JIT, _LEVEL_2, ITEX),
    ),
    "AX213": Prose(
        "A dozen of ITEX's variables are read by a reader that knows `0`, `1`, `true` and `false` and aborts "
        "the process on anything else, the empty string included; its build for CPUs reads TensorFlow's "
        "`TF_ENABLE_ONEDNN_OPTS` with it, too. That happens inside `import tensorflow`, without a Python "
        "exception. autoxla keeps what the value evidently means, and spells it so that it "
        "is understood.",
        Followed(_KERAS, {"ITEX_OPS_OVERRIDE": "yes"}, ITEX_2_15),
    ),
    "AX214": Prose(
        "TensorFlow takes a value that does not begin with `--` for the name of a file with flags. ITEX "
        "appends a flag of its own to the text of the variable, which turns it into the name of a file that "
        "does not exist, and TensorFlow ends the process. With the file's flags written into the variable "
        "both work.",
        Followed(
            _KERAS,
            {"TF_XLA_FLAGS": "flags.txt"},
            ITEX,
            known={"flag_files": {"TF_XLA_FLAGS": "--tf_xla_auto_jit=1"}},
            told="flags.txt holds --tf_xla_auto_jit=1",
        ),
    ),
    "AX216": Prose(
        "Builds of ITEX later than 2.15 import Keras 3 while TensorFlow loads, also for programs that use "
        "legacy Keras or none at all. If it is missing or older than 3, ITEX prints a traceback and ends the "
        "process with exit status 0.",
        Followed(_PLAIN, machine=ITEX_ALONE),
    ),
    "AX217": Prose(
        "ITEX takes `1` and `true` for on and everything else for off, without a word. `yes` therefore "
        "means the opposite of what it says. ITEX's Python side reads `ITEX_DISABLE_XLA` the other way "
        "round, so that one process can hold both opinions.",
        Followed(_KERAS, {"ITEX_DISABLE_XLA": "yes"}, ITEX),
    ),
    "AX218": Prose(
        "Once ITEX's XLA is off there is a choice between its two kinds of device, and neither is always the "
        "faster one. It is a choice for the whole process, made before TensorFlow is imported: "
        "`python -m autoxla tune` can measure both.",
        Followed(_KERAS, _DISABLED, ITEX),
    ),
    "AX219": Prose(
        "Auto-clustering hands parts of the graph to XLA, and `jit_compile` hands over the whole step. Keras "
        "would choose the second by itself on an accelerator, and the first would have nothing left to do. "
        "Where the program says nothing, autoxla leaves the work to auto-clustering.",
        Followed(_KERAS, _LEVEL_1, ITEX),
    ),
    "AX220": Prose(
        "With an accelerator in sight Keras 3 compiles models by default. With ITEX's XLA off there is no "
        "compiler for that device, and the first step would fail. Where the program says nothing, autoxla "
        "keeps `jit_compile` off.",
        Followed("import keras\nimport tensorflow\n", _DISABLED, ITEX),
    ),
    "AX501": Prose(
        "ITEX 2.15 knows the modules of Keras 2. With Keras 3 beside it its Python module cannot be "
        "imported, and its ops override is left out with no more than a traceback on the screen: the "
        "program goes on, slower than meant. The plug-in itself works with either.",
        Followed(_KERAS, machine=ITEX_2_15),
    ),
}

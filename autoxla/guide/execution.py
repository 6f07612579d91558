"""Rules of how the step is executed: AX301 to AX315, AX705, and AX851 to AX853."""

from __future__ import annotations

from collections.abc import Mapping

from autoxla.facts import FlagNames, Tuned
from autoxla.guide.entry import Prose
from autoxla.guide.example import CUDA, CUDA_ELSEWHERE, METAL, ROCM, RUN, Followed

_KERAS = """\
import keras

model = keras.Sequential([keras.layers.Dense(1)])
model.compile("adam", "mse")
"""
_JIT = _KERAS.replace('"mse")', '"mse", jit_compile=True)')
_STRATEGY = """\
import keras
import tensorflow as tf

with tf.distribute.MirroredStrategy().scope():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("adam", "mse", jit_compile=True)
"""

PROSE: Mapping[str, Prose] = {
    "AX301": Prose(
        "TensorFlow reads the flags when it first looks for devices, and a flag that it cannot parse ends "
        "the process with a fatal log line and no Python exception. A space instead of `=`, a single dash, "
        "a comma between two flags or a name that this build does not know are enough. An empty value is "
        "fine.",
        Followed(_KERAS, {"TF_XLA_FLAGS": "--tf_xla_auto_jit=abc"}),
    ),
    "AX302": Prose(
        "`XLA_FLAGS` is read when XLA compiles for the first time, which may be minutes into the program, "
        "after the data was loaded. A flag that cannot be parsed ends the process there, with a fatal log "
        "line and no Python exception.",
        Followed(_JIT, {"XLA_FLAGS": "-xla_dump_to=/tmp/dump"}),
    ),
    "AX303": Prose(
        "Auto-clustering lets TensorFlow find the parts of a graph that XLA can compile, and leaves the "
        "rest alone. It is switched on by a flag that is read before the first operation, and on the CPU it "
        "needs a second one. autoxla writes both, and keeps the flags that are there.",
        Followed(_KERAS, settings={"step": "autocluster-1"}),
    ),
    "AX304": Prose(
        "The settings and the environment ask for two different things, and the environment is the more "
        "explicit of the two. autoxla does not write over it, so the setting has no effect until one of them "
        "goes.",
        Followed(_KERAS, {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2"}, settings={"step": "autocluster-1"}),
    ),
    "AX305": Prose(
        "With auto-clustering on, parts of the graph are compiled by XLA already. `jit_compile` would "
        "compile the whole step instead, and the clusters would have nothing left to do. Where the program "
        "says nothing, autoxla lets the flag that you set decide.",
        Followed(_KERAS, {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"}),
    ),
    "AX306": Prose(
        "On the CPU TensorFlow's auto-clustering is behind a second switch. Without it the flag is accepted, "
        "nothing is compiled, and a measurement compares the plain graph with itself. That clusters would be "
        "faster on the CPU is not a given: measure it.",
        Followed(_KERAS, {"TF_XLA_FLAGS": "--tf_xla_auto_jit=1"}),
    ),
    "AX307": Prose(
        "To compile for an NVIDIA GPU XLA needs CUDA's file libdevice, and looks for it in a handful of "
        "places. If it lies elsewhere, the first compiled step fails, also in programs that never asked for "
        "XLA, since Keras compiles by default on a GPU. autoxla adds the folder and keeps all other flags.",
        Followed(_KERAS, machine=CUDA_ELSEWHERE),
    ),
    "AX308": Prose(
        "The settings say how a training step is executed, for every model of which the program does not say "
        "it. An explicit `jit_compile=` in a call of `compile` stands against them.",
        Followed(_KERAS, settings={"step": "xla"}),
    ),
    "AX309": Prose(
        "On a GPU Keras 3 compiles models with XLA by default, and XLA needs CUDA's file libdevice for that. "
        "No copy of it was found here: the first step would fail with an error about libdevice. It may never "
        "come to that, for instance if TensorFlow does not use the GPU, so this is a hint only.",
        Followed(_KERAS, machine=CUDA),
    ),
    "AX310": Prose(
        "To compile for an AMD GPU XLA needs ROCm's bitcode and its linker, and looks for them where "
        "`ROCM_PATH` points. Shells set that variable and development environments often do not, so that a "
        "program works in a terminal and fails in an editor.",
        Followed(_KERAS, machine=ROCM),
    ),
    "AX311": Prose(
        "There is no XLA compiler for Metal. Keras knows that and keeps compilation off on such machines; an "
        "explicit `jit_compile=True` overrules it, and the first step fails.",
        Followed(_JIT, machine=METAL),
    ),
    "AX312": Prose(
        "Keras 3 keeps `jit_compile` off under a strategy of several devices, and an explicit True "
        "overrules that. Variables that live on another device and the operations that combine the replicas "
        "are what XLA then fails on, in the first step or when the workers meet.",
        Followed(_STRATEGY),
    ),
    "AX313": Prose(
        "Compiling a step can take longer than many steps. With `xla_cache` TensorFlow keeps what XLA "
        "compiled for the CPU, in a folder of autoxla's cache that belongs to this program, these releases "
        "and this processor, and the next run loads it. What is read back is checked first, since a damaged "
        "entry would end the process.",
        Followed(
            _JIT,
            settings={"xla_cache": True},
            known={"xla_cache": "~/.cache/autoxla/xla/4f1c"},
            command=RUN,
        ),
    ),
    "AX314": Prose(
        "Entries of this cache are native code, and TensorFlow executes what it finds there. Whoever may "
        "write into the folder could run code in your process, so a folder that is open to others is not "
        "used at all.",
        Followed(
            _JIT,
            settings={"xla_cache": True},
            known={"cache_refused": "/scratch/autoxla can be written by others"},
            told="AUTOXLA_CACHE=/scratch/autoxla, a folder that others may write to",
            command=RUN,
        ),
    ),
    "AX315": Prose(
        "TensorFlow names an entry after the graph, not after the flags that XLA ran with, and not every "
        "release loads what another wrote. So the cache is used only where it is known to be right: in tried "
        "releases, and where the flags cannot change behind its back.",
        Followed(
            'import os\nimport keras\n\nos.environ["XLA_FLAGS"] = "--xla_cpu_enable_fast_math=true"\n',
            settings={"xla_cache": True},
        ),
    ),
    "AX851": Prose(
        "An unknown name ends the process, without an exception, when the variable is read: `TF_XLA_FLAGS` "
        "when TensorFlow lists its devices, `XLA_FLAGS` when XLA first compiles. The names that a build "
        "knows stand in its libraries. This one does not, while names that every release has are found. "
        "Another release may know it. Where the program does not use XLA it runs, and the finding is a "
        "warning; autoxla then does not try XLA either.",
        Followed(
            _JIT,
            {"XLA_FLAGS": "--xla_gpu_autotune_levl=2"},
            known={
                "flag_names": {
                    "XLA_FLAGS": FlagNames(unknown={"xla_gpu_autotune_levl": "xla_gpu_autotune_level"})
                }
            },
        ),
    ),
    "AX852": Prose(
        "TensorFlow's libraries cannot be read, or the build keeps the names of flags in another way. At a "
        "name that it does not know XLA would end the process, so autoxla does not try XLA.",
        Followed(
            _KERAS,
            {"XLA_FLAGS": "--xla_dump_to=/tmp/dump"},
            known={"flag_names": {"XLA_FLAGS": FlagNames(unchecked=("xla_dump_to",))}},
        ),
    ),
    "AX853": Prose(
        "`TF_XLA_FLAGS` takes flags of TensorFlow, which begin with `tf_`, and `XLA_FLAGS` those of XLA, "
        "which begin with `xla_`. A flag of the other variable ends the process.",
        Followed(
            _KERAS,
            {"TF_XLA_FLAGS": "--xla_dump_to=/tmp/dump"},
            known={"flag_names": {"TF_XLA_FLAGS": FlagNames(misplaced=("xla_dump_to",))}},
        ),
    ),
    "AX705": Prose(
        "`python -m autoxla tune` ran this program on each path and kept the fastest, for this program and "
        "this machine. Later runs take that path wherever neither the program nor you chose another one: an "
        "explicit `jit_compile`, variable or setting stands.",
        Followed(
            _KERAS,
            known={"tuned": Tuned("xla", "xla", {}, 1.5, "2026-03-02")},
            told="after python -m autoxla tune train.py",
        ),
    ),
}

"""How the training step is executed: graph, XLA, auto-clustering; and what XLA needs on a GPU."""

from __future__ import annotations

from autoxla.model import Place, Step, Tuned
from autoxla.policies.example import KERAS, Example
from autoxla.policies.rule import AUTO_JIT, FLAGS, NPD, SWITCH, XLA_FLAGS, Cure, Draft, Rule

BACKEND = "KERAS_BACKEND"
SEVERAL = ("MirroredStrategy", "ParameterServerStrategy", "CentralStorageStrategy")
CPU_CLUSTERS = "tf_xla_cpu_global_jit"
CUDA_DIR = "xla_gpu_cuda_data_dir"
FLAG_READER = "TensorFlow, flags from the environment"
CLUSTERING = "Intel Extension for TensorFlow, Keras 3 Overview, Enable XLA through TensorFlow"
LIBDEVICE = "XLA, search for libdevice and ptxas"
CACHE_DIR = "tf_xla_persistent_cache_directory"
CACHE_DEVICES = "tf_xla_persistent_cache_device_types"
#: By both names under which TensorFlow's releases ask for it; other devices were not tried.
_CPU = "CPU,XLA_CPU_JIT"
#: The releases known to have the flags, and to load what they saved.
_CACHING = ((2, 15), (2, 21))
PERSISTENT = "TensorFlow, flags of the XLA compilation cache"

_JIT = KERAS.replace('"mse")', '"mse", jit_compile=True)')
_STRATEGY = """\
import keras
import tensorflow as tf

with tf.distribute.MirroredStrategy().scope():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("adam", "mse", jit_compile=True)
"""


def _unparsed(draft: Draft, variable: str) -> str:
    error = draft.parse(variable).errors[0]
    return f"{variable}={draft.value(variable)} cannot be parsed: {error.token}: {error.reason}"


def _asked(draft: Draft) -> str:
    return f"step = {draft.situation.settings.step!r} in the settings"


def _on_cpu_only(draft: Draft) -> bool:
    return draft.situation.hardware.accelerator == "none"


def _level_of(step: Step | None) -> str | None:
    return step[-1] if step is not None and step.startswith("autocluster") else None


def _wanted_level(draft: Draft) -> str | None:
    return _level_of(draft.situation.settings.step)


def _is_in_the_way(draft: Draft) -> bool:
    """Return whether the user's own variables exclude the auto-clustering that the settings ask for."""
    other_level = draft.is_explicit(FLAGS) and draft.flags.get(AUTO_JIT) not in (None, _wanted_level(draft))
    no_npd = draft.itex_main and draft.itex_device and draft.is_explicit(NPD) and not draft.npd
    return other_level or no_npd or draft.flags.file is not None or bool(draft.flags.errors)


def _clustering(draft: Draft) -> bool:
    return _wanted_level(draft) is not None and not draft.no_xla_because


def _cluster(draft: Draft, at: str) -> bool:
    flags = draft.flags.with_flag(AUTO_JIT, at)
    if _on_cpu_only(draft):
        flags = flags.with_flag(CPU_CLUSTERS, "true")
    return draft.set(FLAGS, str(flags))


def _tuned(draft: Draft) -> Tuned | None:
    """Return what tuning found; mode `fix` cures hazards and chooses no path."""
    is_barred = draft.situation.settings.mode == "fix" or draft.no_xla_because
    return None if is_barred else draft.situation.tuned


def _tuned_step(draft: Draft) -> Step | None:
    """Return the step that tuning found, None where the user or the program chose one."""
    tuned, flags = _tuned(draft), draft.flags
    chosen = draft.situation.settings.step is not None or draft.situation.usage.jit_compile is not None
    chosen = chosen or flags.get(AUTO_JIT) is not None or flags.file is not None or bool(flags.errors)
    return None if tuned is None or chosen else tuned.step


def _tuned_variables(draft: Draft) -> dict[str, str]:
    """Return the variables of the tuned path that nobody else has set."""
    tuned = _tuned(draft)
    wanted = {} if tuned is None else tuned.settings
    is_generation_chosen = draft.situation.settings.keras is not None
    config = draft.situation.keras_config
    # Keras itself writes "tensorflow" into the file, so that is no choice.
    is_backend_chosen = config is not None and config.backend not in (None, "tensorflow")
    return {
        name: value
        for name, value in wanted.items()
        if draft.environment.get(name) != value
        and not draft.is_explicit(name)
        and not (name == SWITCH and is_generation_chosen)
        and not (name == BACKEND and is_backend_chosen)
    }


def _take_tuned_path(draft: Draft) -> bool:
    done = [draft.set(name, value) for name, value in _tuned_variables(draft).items()]
    step = _tuned_step(draft)
    at = _level_of(step)
    if at is not None:
        done.append(_cluster(draft, at))
    elif step is not None:
        done.append(draft.choose_jit(step == "xla"))
    return any(done)


def _describe(tuned: Tuned | None) -> str:
    if tuned is None:
        return ""
    if tuned.speedup > 1:
        variables = " ".join(f"{name}={value}" for name, value in tuned.settings.items())
        path = f"{tuned.path} ({variables})" if variables else tuned.path
        return f"{path} {tuned.speedup:.3g} times faster on {tuned.date}"
    return f"nothing faster than {tuned.path} on {tuned.date}"


def _looks_for_cuda(draft: Draft) -> bool:
    flags = draft.parse(XLA_FLAGS)
    unset = flags.get(CUDA_DIR) is None and flags.file is None and not flags.errors
    return "cuda" in draft.situation.hardware.kinds and unset and not draft.situation.toolchain.cuda_seen


def _strategy(draft: Draft) -> Place | None:
    """Return where a strategy of several devices is made. One on a single device runs XLA."""
    for evidence in draft.situation.reading.evidence:
        is_strategy = evidence.kind == "call" and evidence.name.endswith(SEVERAL)
        if is_strategy and evidence.grade == "certain":
            return evidence.place
    return None


def _asks_for_cache(draft: Draft) -> bool:
    """Return whether the settings ask for the cache, and the user's flags name no folder for it."""
    if not draft.situation.settings.xla_cache or not draft.has("tensorflow"):
        return False
    chosen, ours = draft.flags.get(CACHE_DIR), draft.situation.xla_cache
    # A sibling of our folder is that of the process that started this one.
    return chosen is None or (ours is not None and chosen.rpartition("/")[0] == ours.rpartition("/")[0])


def _can_cache(draft: Draft) -> bool:
    """Return whether TensorFlow loads only entries that were compiled as this process would compile."""
    first, last = _CACHING
    is_known = first <= draft.situation.versions["tensorflow"][:2] <= last
    # An entry's name does not depend on XLA_FLAGS: the program has to leave them alone.
    changes_flags = any(
        e.kind == "variable" and e.name == XLA_FLAGS and not e.early for e in draft.situation.reading.evidence
    )
    names_file = draft.flags.file is not None or draft.parse(XLA_FLAGS).file is not None
    return is_known and not draft.flags.errors and not names_file and not changes_flags


def _keep_compiled(draft: Draft) -> bool:
    if draft.situation.xla_cache is None:
        return False
    flags = draft.flags.with_flag(CACHE_DEVICES, _CPU).with_flag(CACHE_DIR, draft.situation.xla_cache)
    return draft.set(FLAGS, str(flags))


RULES = (
    Rule(
        code="AX301",
        level="error",
        title="TF_XLA_FLAGS cannot be parsed",
        applies=lambda d: bool(d.parse(FLAGS).errors),
        message=lambda d: f"{_unparsed(d, FLAGS)}; TensorFlow ends the process when it reads it",
        remedy="write --name=value, separated by spaces",
        why="""TensorFlow reads the flags when it first looks for devices. A flag that it cannot parse ends
        the process with a fatal log line and without a Python exception. A space instead of `=`, a single
        dash, a comma between two flags, or a name that this build does not know is enough. An empty value is
        fine.""",
        example=Example(KERAS, {FLAGS: "--tf_xla_auto_jit=abc"}),
        source=FLAG_READER,
        about=FLAGS,
        bad_input=True,
    ),
    Rule(
        code="AX302",
        level="error",
        title="XLA_FLAGS cannot be parsed",
        applies=lambda d: bool(d.parse(XLA_FLAGS).errors),
        message=lambda d: f"{_unparsed(d, XLA_FLAGS)}; XLA ends the process when it first compiles",
        remedy="write --name=value, separated by spaces",
        why="""XLA reads `XLA_FLAGS` when it compiles for the first time, which may be minutes into the
        program, after it has loaded its data. A flag that cannot be parsed ends the process there, with a
        fatal log line and without a Python exception.""",
        example=Example(_JIT, {XLA_FLAGS: "-xla_dump_to=/tmp/dump"}),
        source=FLAG_READER,
        about=XLA_FLAGS,
        bad_input=True,
    ),
    Rule(
        code="AX304",
        level="warning",
        title="The settings ask for auto-clustering, and the environment excludes it",
        applies=lambda d: _clustering(d) and _is_in_the_way(d),
        message=lambda d: (
            f"{_asked(d)} is left out: TF_XLA_FLAGS={d.value(FLAGS)} and {NPD}={d.value(NPD)} in the "
            "environment stand"
        ),
        remedy="unset the variable, or take step out of the settings",
        why="""The settings and the environment ask for two different things, and the environment is the more
        explicit of the two. autoxla does not write over it, so that the setting has no effect until one of
        them goes.""",
        example=Example(KERAS, {FLAGS: "--tf_xla_auto_jit=2"}, settings={"step": "autocluster-1"}),
        source=CLUSTERING,
        about="step",
    ),
    Rule(
        code="AX303",
        level="info",
        title="The settings choose auto-clustering",
        applies=lambda d: (
            _clustering(d) and not _is_in_the_way(d) and d.flags.get(AUTO_JIT) != _wanted_level(d)
        ),
        message=_asked,
        remedy="set TF_XLA_FLAGS and jit_compile accordingly",
        why="""With auto-clustering TensorFlow finds the parts of a graph that XLA can compile and leaves the
        rest alone. A flag switches it on, which TensorFlow reads before the first operation; on the CPU it
        needs a second flag. autoxla writes both, and keeps the flags that are there.""",
        example=Example(KERAS, settings={"step": "autocluster-1"}),
        source=CLUSTERING,
        about="step",
        act=lambda d: _cluster(d, _wanted_level(d) or "0"),
    ),
    Rule(
        code="AX308",
        level="info",
        title="The settings choose jit_compile",
        applies=lambda d: (
            d.situation.settings.step == "graph"
            or (d.situation.settings.step == "xla" and not d.no_xla_because)
        ),
        message=_asked,
        remedy="jit_compile accordingly where the program gives none",
        why="""The settings say how a training step is executed, for every model of which the program does not
        say it. An explicit `jit_compile=` in a call of `compile` stands against them.""",
        example=Example(KERAS, settings={"step": "xla"}),
        source="Keras 3, Model.compile",
        about="step",
        act=lambda d: d.choose_jit(d.situation.settings.step == "xla"),
    ),
    Rule(
        code="AX705",
        level="info",
        title="The tuned path",
        applies=lambda d: _tuned_step(d) is not None or bool(_tuned_variables(d)),
        message=lambda d: f"python -m autoxla tune found {_describe(d.situation.tuned)}",
        remedy="take that path where the program and the user leave it open",
        why="""`python -m autoxla tune` ran this program on each path and kept the fastest, for this program
        and this machine. Later runs take that path unless you or the program chose another: an explicit
        `jit_compile`, variable or setting stands.""",
        example=Example(
            KERAS,
            known={"tuned": Tuned("xla", "xla", {}, 1.5, "2026-03-02")},
            told="after python -m autoxla tune train.py",
        ),
        source="autoxla, tune",
        act=_take_tuned_path,
    ),
    Rule(
        code="AX305",
        level="info",
        title="Auto-clustering with Keras",
        applies=lambda d: not d.itex_main and d.flags.auto_jit > 0 and d.jit is None and d.keras != 0,
        message=lambda d: (
            f"TF_XLA_FLAGS={d.value(FLAGS)} clusters operations into XLA; Keras' own jit_compile would do so "
            "twice"
        ),
        remedy="jit_compile=False where the program gives none",
        why="""With auto-clustering XLA compiles parts of the graph already. `jit_compile` would compile the
        whole step instead, and the clusters would have nothing left to do. Where the program says nothing,
        autoxla follows the flag that you set.""",
        example=Example(KERAS, {FLAGS: "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"}),
        source=CLUSTERING,
        act=lambda d: d.choose_jit(False),
    ),
    Rule(
        code="AX306",
        level="warning",
        title="Auto-clustering without effect",
        applies=lambda d: (
            d.itex is None and _on_cpu_only(d) and d.flags.auto_jit > 0 and d.flags.get(CPU_CLUSTERS) is None
        ),
        message=lambda d: (
            f"TF_XLA_FLAGS={d.value(FLAGS)} has no effect without an accelerator: TensorFlow clusters "
            "operations on the CPU only with --tf_xla_cpu_global_jit"
        ),
        remedy="add --tf_xla_cpu_global_jit to TF_XLA_FLAGS, or take --tf_xla_auto_jit out",
        why="""On the CPU TensorFlow's auto-clustering needs a second flag. Without it TensorFlow accepts the
        first and compiles nothing, and a measurement compares the plain graph with itself. Clusters are not
        always faster on the CPU: measure it.""",
        example=Example(KERAS, {FLAGS: "--tf_xla_auto_jit=1"}),
        source=FLAG_READER,
    ),
    Rule(
        code="AX307",
        level="info",
        title="libdevice is where XLA does not look",
        applies=lambda d: _looks_for_cuda(d) and d.situation.toolchain.cuda_found is not None,
        message=lambda d: (
            f"XLA finds libdevice in none of its own places; it is in {d.situation.toolchain.cuda_found}"
        ),
        remedy=lambda d: f"add --xla_gpu_cuda_data_dir={d.situation.toolchain.cuda_found} to XLA_FLAGS",
        why="""To compile for an NVIDIA GPU, XLA needs CUDA's file libdevice, and looks for it in a
        handful of places. If the file lies elsewhere, the first compiled step fails, even in programs
        that never asked for XLA, since Keras compiles by default on a GPU. autoxla adds the folder and
        keeps all other flags.""",
        example=Example(KERAS, machine="CUDA elsewhere"),
        source=LIBDEVICE,
        # What the user put into XLA_FLAGS stays there.
        act=lambda d: d.set(
            XLA_FLAGS,
            str(d.parse(XLA_FLAGS).with_flag(CUDA_DIR, d.situation.toolchain.cuda_found or "")),
        ),
    ),
    Rule(
        code="AX309",
        level="info",
        title="libdevice is missing",
        applies=lambda d: _looks_for_cuda(d) and d.situation.toolchain.cuda_found is None,
        message="there is a CUDA GPU, and no libdevice anywhere: if TensorFlow uses the GPU, XLA fails at "
        "its first compile",
        remedy="pip install nvidia-cuda-nvcc, or compile(jit_compile=False)",
        why="""On a GPU Keras 3 compiles models with XLA by default, and XLA needs CUDA's file libdevice for
        that. No copy of it was found here: the first step would fail with an error about libdevice. This is a
        hint only, since TensorFlow may not use the GPU at all.""",
        example=Example(KERAS, machine="CUDA missing"),
        source=LIBDEVICE,
        grade="possible",
    ),
    Rule(
        code="AX310",
        level="info",
        title="ROCm is where XLA does not look",
        applies=lambda d: (
            "rocm" in d.situation.hardware.kinds
            and "ROCM_PATH" not in d.environment
            and not d.situation.toolchain.rocm_seen
            and d.situation.toolchain.rocm_found is not None
        ),
        message=lambda d: (
            "XLA finds ROCm's files in none of its own places; they are in "
            f"{d.situation.toolchain.rocm_found}"
        ),
        remedy=lambda d: f"set ROCM_PATH={d.situation.toolchain.rocm_found}",
        why="""To compile for an AMD GPU, XLA needs ROCm's bitcode and its linker, and looks for them where
        `ROCM_PATH` points. Shells set that variable and development environments often do not, so that a
        program works in a terminal and fails in an editor.""",
        example=Example(KERAS, machine="ROCm elsewhere"),
        source=LIBDEVICE,
        cures=lambda d: (Cure("ROCM_PATH", d.situation.toolchain.rocm_found),),
    ),
    Rule(
        code="AX312",
        level="warning",
        title="XLA under a distribution strategy",
        applies=lambda d: d.situation.usage.jit_compile is True and _strategy(d) is not None,
        message="jit_compile=True in a program that uses a tf.distribute strategy: XLA fails there on most "
        "devices",
        remedy="leave jit_compile out, which is off under a strategy",
        why="""Keras 3 keeps `jit_compile` off under a strategy of several devices; an explicit True overrules
        that. XLA then fails on variables of another device or on the operations that combine the replicas, in
        the first step or when the workers meet.""",
        example=Example(_STRATEGY),
        source="Keras 3, resolution of jit_compile",
        about=_strategy,
    ),
    Rule(
        code="AX313",
        level="info",
        title="What XLA compiled is kept for the next run",
        applies=lambda d: _asks_for_cache(d) and d.situation.cache_refused is None and _can_cache(d),
        message="xla_cache = true in the settings",
        remedy="let TensorFlow keep what XLA compiles for the CPU in autoxla's cache folder",
        why="""Compiling a step can take longer than many steps. With `xla_cache` TensorFlow keeps what XLA
        compiled for the CPU, in a folder of autoxla's cache for this program, these releases and this
        processor, and the next run loads it. autoxla checks what is read back, since a damaged entry would
        end the process.""",
        example=Example(
            _JIT,
            settings={"xla_cache": True},
            known={"xla_cache": "~/.cache/autoxla/xla/4f1c"},
            command="python -m autoxla",
        ),
        source=PERSISTENT,
        about="xla_cache",
        act=_keep_compiled,
    ),
    Rule(
        code="AX314",
        level="warning",
        title="What XLA compiled cannot be kept safely",
        applies=lambda d: _asks_for_cache(d) and d.situation.cache_refused is not None,
        message=lambda d: (
            "xla_cache = true in the settings is left out, since its entries are native code: "
            f"{d.situation.cache_refused}"
        ),
        remedy="chmod go-w the folder, or set AUTOXLA_CACHE to one of your own",
        why="""Entries of this cache are native code, and TensorFlow executes what it finds there. Whoever may
        write into the folder could run code in your process. So autoxla does not use a folder that is open to
        others.""",
        example=Example(
            _JIT,
            settings={"xla_cache": True},
            known={"cache_refused": "/scratch/autoxla can be written by others"},
            told="AUTOXLA_CACHE=/scratch/autoxla, a folder that others may write to",
            command="python -m autoxla",
        ),
        source=PERSISTENT,
        about="xla_cache",
    ),
    Rule(
        code="AX315",
        level="warning",
        title="What XLA compiled is not kept here",
        applies=lambda d: _asks_for_cache(d) and d.situation.cache_refused is None and not _can_cache(d),
        message="xla_cache = true in the settings is left out: it is known to work with TensorFlow 2.15 to "
        "2.21, with TF_XLA_FLAGS that do not come from a file, and where the program leaves XLA_FLAGS as "
        "they were",
        remedy="take xla_cache out of the settings, or the flags out of the file or the program",
        why="""TensorFlow names an entry after the graph, not after the flags that XLA ran with, and not every
        release loads what another wrote. So autoxla uses the cache only where it is known to be right: in the
        releases that were tried, and where the flags cannot change.""",
        example=Example(
            'import os\nimport keras\n\nos.environ["XLA_FLAGS"] = "--xla_cpu_enable_fast_math=true"\n',
            settings={"xla_cache": True},
        ),
        source=PERSISTENT,
        about="xla_cache",
    ),
    Rule(
        code="AX311",
        level="warning",
        title="XLA on Metal",
        applies=lambda d: any(p.kind == "metal" for p in d.situation.plugins) and d.jit is True,
        message="jit_compile=True with tensorflow-metal: XLA has no compiler for Metal, and the first step "
        "fails",
        remedy="take jit_compile=True out of compile()",
        why="""XLA has no compiler for Metal. Keras knows that and does not compile on such machines; an
        explicit `jit_compile=True` overrules it, and the first step fails.""",
        example=Example(_JIT, machine="Metal"),
        source="tensorflow-metal, known limits",
        about="jit_compile",
    ),
)

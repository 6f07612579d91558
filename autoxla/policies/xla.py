"""How the training step is executed: graph, XLA, auto-clustering; and what XLA needs on a GPU."""

from __future__ import annotations

from dataclasses import replace

from autoxla.model import Tuned
from autoxla.policies.cures import name_settings
from autoxla.policies.draft import AUTO_JIT, FLAGS, NPD, SWITCH, XLA_FLAGS, Draft
from autoxla.policies.rule import KERAS, Example, Rule

_STRATEGIES = ("Mirrored", "MultiWorkerMirrored", "ParameterServer", "CentralStorage")
#: What makes a strategy of several devices. One on a single device runs XLA.
SEVERAL = tuple(
    f"tensorflow.distribute.{module}{name}Strategy"
    for module in ("", "experimental.")
    for name in _STRATEGIES
)
STEPS = "AUTOXLA_STEPS_PER_EXECUTION"
CPU_CLUSTERS = "tf_xla_cpu_global_jit"
CUDA_DIR = "xla_gpu_cuda_data_dir"
FLAG_READER = "TensorFlow, flags from the environment"
CLUSTERING = "Intel Extension for TensorFlow, Keras 3 Overview, Enable XLA through TensorFlow"
LIBDEVICE = "XLA, search for libdevice and ptxas"
CACHE_DIR = "tf_xla_persistent_cache_directory"
CACHE_DEVICES = "tf_xla_persistent_cache_device_types"
#: By both names under which TensorFlow's releases ask for it; other devices were not tried.
_CPU = "CPU,XLA_CPU_JIT"

#: With these a program keeps off the GPU itself.
_HIDING = ("tensorflow.config.set_visible_devices", "tensorflow.config.experimental.set_visible_devices")

_JIT = KERAS.replace('"mse")', '"mse", jit_compile=True)')


def _on_cpu_only(draft: Draft) -> bool:
    return draft.situation.hardware.accelerator == "none"


def _wanted_level(draft: Draft) -> str | None:
    """Return the level of auto-clustering that the settings ask for, None for another step."""
    step = draft.situation.settings.step
    return step[-1] if step is not None and step.startswith("autocluster") else None


def _is_in_the_way(draft: Draft) -> bool:
    """Return whether the user's own variables exclude the auto-clustering that the settings ask for."""
    level, flags = _wanted_level(draft), draft.flags
    other_level = draft.is_explicit(FLAGS) and flags.get(AUTO_JIT) not in (None, level)
    no_npd = draft.itex_main and draft.itex_device and draft.is_explicit(NPD) and not draft.npd
    return level is not None and (other_level or no_npd or flags.file is not None or bool(flags.errors))


def _take_step(draft: Draft, step: str | None) -> bool:
    """Plan how a training step is executed."""
    if step is None or not step.startswith("autocluster"):
        return step is not None and draft.choose_jit(step == "xla")
    flags = draft.flags.with_flag(AUTO_JIT, step[-1])
    if _on_cpu_only(draft):
        flags = flags.with_flag(CPU_CLUSTERS, "true")
    return draft.set(FLAGS, str(flags))


def _tuned(draft: Draft) -> Tuned | None:
    """Return what of the tuned path nobody else has chosen; mode `fix` cures hazards and chooses no path."""
    settings, flags, tuned = draft.situation.settings, draft.flags, draft.situation.tuned
    if tuned is None or settings.mode == "fix" or draft.no_xla_because:
        return None
    is_chosen = settings.step is not None or draft.situation.usage.jit_compile is not None
    is_chosen = is_chosen or flags.get(AUTO_JIT) is not None or flags.file is not None or bool(flags.errors)
    # Keras itself writes "tensorflow" into the file, so that is no choice.
    config = draft.situation.keras_config
    is_backend_chosen = config is not None and config.backend not in (None, "tensorflow")
    variables = {
        name: value
        for name, value in tuned.settings.items()
        if draft.environment.get(name) != value
        and not draft.is_explicit(name)
        and not (name == SWITCH and settings.keras is not None)
        and not (name == "KERAS_BACKEND" and is_backend_chosen)
        and not (name == STEPS and settings.steps_per_execution is not None)
    }
    open_ = replace(tuned, step=None if is_chosen else tuned.step, settings=variables)
    return open_ if open_.step is not None or variables else None


def _take_tuned(draft: Draft) -> bool:
    """Plan the tuned path. The settings were read already, so that one of them is planned itself."""
    taken = [
        draft.choose_steps(int(value)) if name == STEPS else draft.set(name, value)
        for name, value in draft.found.settings.items()
    ]
    return any([*taken, _take_step(draft, draft.found.step)])


def _bring_cuda(draft: Draft) -> str:
    """Return how to come by a TensorFlow that can use the GPU, in the release that is installed."""
    versions = draft.situation.versions
    install = f"pip install 'tensorflow[and-cuda]=={'.'.join(map(str, versions['tensorflow'][:2]))}.*'"
    if "tensorflow-cpu" in versions:
        return f"pip uninstall tensorflow-cpu, then {install}"
    return "install a build of TensorFlow with CUDA" if draft.found == "CUDA" else install


def _asks_for_cache(draft: Draft) -> bool:
    """Return whether the settings ask for the cache, and the user's flags name no folder for it."""
    is_asked = draft.situation.settings.xla_cache and draft.has("tensorflow")
    return is_asked and draft.flags.get(CACHE_DIR) in (None, draft.situation.xla_cache)


def _why_no_cache(draft: Draft) -> str:
    """Return why TensorFlow might load what was compiled otherwise than this process would, or by others."""
    situation = draft.situation
    if situation.cache_refused is not None:
        return f"its entries are native code, and {situation.cache_refused}"
    if not (2, 15) <= situation.versions["tensorflow"][:2] <= (2, 21):
        return "it was tried with TensorFlow 2.15 to 2.21 only"
    if draft.flags.errors or draft.flags.file is not None or draft.parse(XLA_FLAGS).file is not None:
        return "it needs flags that can be parsed and that do not come from a file"
    # An entry's name does not depend on XLA_FLAGS: the program has to leave them alone.
    if any(e.kind == "variable" and e.name == XLA_FLAGS and not e.early for e in situation.reading.evidence):
        return "the program changes XLA_FLAGS while it runs"
    return ""


RULES = (
    Rule(
        code="AX303",
        level="warning",
        title="The settings choose how the step is executed",
        applies=lambda d: (
            (d.situation.settings.step == "graph" or (d.situation.settings.step and not d.no_xla_because))
            and (_wanted_level(d) is None or _is_in_the_way(d) or d.flags.get(AUTO_JIT) != _wanted_level(d))
        ),
        message=lambda d: (
            f"step = {d.situation.settings.step!r} in the settings"
            + (
                f" is left out: TF_XLA_FLAGS={d.value(FLAGS)} and {NPD}={d.value(NPD)} stand"
                if _is_in_the_way(d)
                else ""
            )
        ),
        remedy=lambda d: (
            "unset the variable, or take step out of the settings"
            if _is_in_the_way(d)
            else "set jit_compile where the program passes none, or TF_XLA_FLAGS for auto-clustering"
        ),
        why="""The settings hold where the program passes no `jit_compile`. TensorFlow reads the flag for
        auto-clustering before the first operation, and needs a second one on the CPU. autoxla writes both.
        If the environment asks for something else, that stays, and this is a warning.""",
        example=Example(KERAS, settings={"step": "autocluster-1"}),
        source=CLUSTERING,
        about="step",
        milder=lambda d: not _is_in_the_way(d),
        act=lambda d: not _is_in_the_way(d) and _take_step(d, d.situation.settings.step),
    ),
    Rule(
        code="AX705",
        level="info",
        title="The tuned path",
        applies=_tuned,
        message=lambda d: (
            f"python -m autoxla tune found {d.found.path} "
            f"{f'({name_settings(d.found.settings)}) ' if d.found.settings else ''}"
            f"{f'{d.found.speedup:.3g} times faster' if d.found.speedup > 1 else 'the fastest'} "
            f"on {d.found.date}"
        ),
        remedy="take that path where the program and the user leave it open",
        why="""`tune` ran this program on each path and kept the fastest, for this machine. What you or the
        program chose stands: an explicit `jit_compile`, variable or setting.""",
        example=Example(
            KERAS,
            known={"tuned": Tuned("xla", "xla", {}, 1.5, "2026-03-02")},
            told="after python -m autoxla tune train.py",
        ),
        source="autoxla, tune",
        act=_take_tuned,
    ),
    Rule(
        code="AX317",
        level="info",
        title="The settings choose steps_per_execution",
        applies=lambda d: d.situation.settings.steps_per_execution is not None,
        message=lambda d: f"steps_per_execution = {d.situation.settings.steps_per_execution} in the settings",
        remedy="set steps_per_execution where the program passes none",
        why="""Keras then runs so many steps in one call, which saves the time between them. Callbacks hear of
        the last one only, and with `steps_per_epoch` an epoch may get some steps more. A number that
        the program passes to `compile` stands.""",
        example=Example(KERAS, settings={"steps_per_execution": "16"}),
        source="Keras 3, Model.compile",
        about="steps_per_execution",
        act=lambda d: d.choose_steps(int(d.situation.settings.steps_per_execution or 1)),
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
        whole step instead. Where the program says nothing, autoxla follows the flag that you set.""",
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
        why="""Without the second flag TensorFlow accepts the first and compiles nothing, and a measurement
        compares the plain graph with itself. Clusters are not always faster on the CPU: measure it.""",
        example=Example(KERAS, {FLAGS: "--tf_xla_auto_jit=1"}),
        source=FLAG_READER,
    ),
    Rule(
        code="AX307",
        level="info",
        title="XLA does not find libdevice",
        applies=lambda d: (
            "cuda" in d.situation.hardware.kinds
            and d.situation.libdevice != ""
            and d.parse(XLA_FLAGS).get(CUDA_DIR) is None
            and d.parse(XLA_FLAGS).file is None
            and not d.parse(XLA_FLAGS).errors
        ),
        message=lambda d: (
            "XLA finds libdevice in none of its own places; it is "
            + (
                f"in {d.situation.libdevice}"
                if d.situation.libdevice
                else "missing, and XLA fails if TensorFlow uses the GPU"
            )
        ),
        remedy=lambda d: (
            f"add --{CUDA_DIR}={d.situation.libdevice} to XLA_FLAGS"
            if d.situation.libdevice
            else "pip install nvidia-cuda-nvcc, or compile(jit_compile=False)"
        ),
        why="""To compile for an NVIDIA GPU, XLA needs CUDA's file libdevice. Without it the first compiled
        step fails, even in programs that never asked for XLA, since Keras compiles by default on a GPU.
        autoxla adds the folder and keeps all other flags.""",
        example=Example(KERAS, machine="CUDA elsewhere"),
        source=LIBDEVICE,
        # What the user put into XLA_FLAGS stays there.
        act=lambda d: (
            d.situation.libdevice is not None
            and d.set(XLA_FLAGS, str(d.parse(XLA_FLAGS).with_flag(CUDA_DIR, d.situation.libdevice)))
        ),
    ),
    Rule(
        code="AX318",
        level="warning",
        title="A GPU that TensorFlow cannot use",
        applies=lambda d: (
            d.has("tensorflow")
            and d.backend == "tensorflow"
            and not d.says("call", *_HIDING, certain=False)
            and d.situation.gpu_lacks
        ),
        message=lambda d: (
            "this machine has an NVIDIA GPU, and TensorFlow runs without it: "
            f"{'it was built without CUDA' if d.found == 'CUDA' else f'it does not find {d.found}'}"
        ),
        remedy=_bring_cuda,
        why="""TensorFlow opens CUDA's libraries when it lists its devices. If one is missing, it goes on with
        the CPU, and says so only among its other lines, which many programs turn off. The package
        `tensorflow-cpu` was built without CUDA, and `tensorflow` alone brings no libraries. To keep off the
        GPU, set `CUDA_VISIBLE_DEVICES=-1`.""",
        example=Example(KERAS, machine="a GPU without CUDA's libraries"),
        source="TensorFlow, Install TensorFlow with pip",
        about="hardware",
    ),
    Rule(
        code="AX312",
        level="warning",
        title="XLA under a distribution strategy",
        applies=lambda d: d.situation.usage.jit_compile is True and d.says("call", *SEVERAL),
        message="jit_compile=True in a program that uses a tf.distribute strategy: XLA fails there on most "
        "devices",
        remedy="leave jit_compile out, which is off under a strategy",
        why="""Keras 3 keeps `jit_compile` off under a strategy of several devices. An explicit True overrules
        that, and XLA fails on variables of another device or where the replicas are combined.""",
        example=Example(
            "import keras\nimport tensorflow as tf\n\nwith tf.distribute.MirroredStrategy().scope():\n"
            "    keras.Sequential().compile(jit_compile=True)\n"
        ),
        source="Keras 3, resolution of jit_compile",
    ),
    Rule(
        code="AX313",
        level="warning",
        title="What XLA compiled is kept for the next run, or cannot be",
        applies=_asks_for_cache,
        message=lambda d: (
            "xla_cache = true in the settings"
            + (f" is left out: {_why_no_cache(d)}" if _why_no_cache(d) else "")
        ),
        remedy=lambda d: (
            "remove the cause, or take xla_cache out of the settings"
            if _why_no_cache(d)
            else "let TensorFlow keep what XLA compiles for the CPU in autoxla's cache folder"
        ),
        why="""Compiling a step can take longer than many steps. TensorFlow keeps what XLA compiled for the
        CPU, and the next run executes it: whoever may write into the folder could run code in your process.
        An entry is named after the graph, not after the flags that XLA ran with, so these must not change.
        And not every release loads what another wrote.""",
        example=Example(
            _JIT,
            settings={"xla_cache": True},
            known={"xla_cache": "~/.cache/autoxla/xla/4f1c"},
            command="python -m autoxla",
        ),
        source="TensorFlow, flags of the XLA compilation cache",
        about="xla_cache",
        milder=lambda d: not _why_no_cache(d),
        act=lambda d: (
            not _why_no_cache(d)
            and d.situation.xla_cache is not None
            and d.set(
                FLAGS,
                str(d.flags.with_flag(CACHE_DEVICES, _CPU).with_flag(CACHE_DIR, d.situation.xla_cache)),
            )
        ),
    ),
    Rule(
        code="AX311",
        level="warning",
        title="XLA on Metal",
        applies=lambda d: any(p.kind == "metal" for p in d.situation.plugins) and d.jit is True,
        message="jit_compile=True with tensorflow-metal: XLA has no compiler for Metal, and the first step "
        "fails",
        remedy="take jit_compile=True out of compile()",
        why="""Keras knows that XLA has no compiler for Metal and does not compile on such machines. An
        explicit `jit_compile=True` overrules it.""",
        example=Example(_JIT, machine="Metal"),
        source="tensorflow-metal, known limits",
        about="jit_compile",
    ),
)

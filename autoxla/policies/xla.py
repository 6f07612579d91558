"""How the training step is executed: graph, XLA, auto-clustering; and what XLA needs on a GPU."""

from __future__ import annotations

from autoxla.facts import Place, Step, Tuned
from autoxla.policies.itex import AUTO_JIT, FLAGS, NPD, level, npd
from autoxla.policies.rule import Cure, Draft, Rule

SEVERAL = ("MirroredStrategy", "ParameterServerStrategy", "CentralStorageStrategy")
CPU_CLUSTERS = "tf_xla_cpu_global_jit"
XLA_FLAGS = "XLA_FLAGS"
SWITCH = "TF_USE_LEGACY_KERAS"
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


def _errors(draft: Draft, variable: str) -> bool:
    return bool(draft.parse(variable).errors)


def _on_cpu_only(draft: Draft) -> bool:
    return draft.situation.hardware.accelerator == "none"


def _level_of(step: Step | None) -> str | None:
    return step[-1] if step is not None and step.startswith("autocluster") else None


def _wanted_level(draft: Draft) -> str | None:
    return _level_of(draft.situation.settings.step)


def _is_in_the_way(draft: Draft) -> bool:
    """Return whether the user's own variables exclude the auto-clustering that the settings ask for."""
    other_level = draft.is_explicit(FLAGS) and draft.flags.get(AUTO_JIT) not in (None, _wanted_level(draft))
    no_npd = draft.itex_main and draft.itex_device and draft.is_explicit(NPD) and not npd(draft)
    return other_level or no_npd or draft.flags.file is not None or bool(draft.flags.errors)


def _clustering(draft: Draft) -> bool:
    return _wanted_level(draft) is not None and not draft.no_xla_because


def _add_flags(draft: Draft) -> bool:
    return _cluster(draft, _wanted_level(draft) or "0", "AX303")


def _cluster(draft: Draft, at: str, code: str) -> bool:
    flags = draft.flags.with_flag(AUTO_JIT, at)
    if _on_cpu_only(draft):
        flags = flags.with_flag(CPU_CLUSTERS, "true")
    return draft.set(FLAGS, str(flags), code)


def _may_jit(draft: Draft) -> bool:
    return draft.situation.settings.step == "xla" and not draft.no_xla_because


def _set_jit(draft: Draft) -> bool:
    return _choose_jit(draft, draft.situation.settings.step, "AX308")


def _choose_jit(draft: Draft, step: Step | None, code: str) -> bool:
    draft.jit_compile = step == "xla"
    draft.jit_because.append(code)
    return True


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
    return {
        name: value
        for name, value in wanted.items()
        if draft.environment.get(name) != value
        and not draft.is_explicit(name)
        and not (name == SWITCH and is_generation_chosen)
    }


def _take_tuned_path(draft: Draft) -> bool:
    done = [draft.set(name, value, "AX705") for name, value in _tuned_variables(draft).items()]
    step = _tuned_step(draft)
    at = _level_of(step)
    if at is not None:
        done.append(_cluster(draft, at, "AX705"))
    elif step is not None:
        done.append(_choose_jit(draft, step, "AX705"))
    return any(done)


def _leave_clusters_alone(draft: Draft) -> bool:
    draft.jit_compile = False
    draft.jit_because.append("AX305")
    return True


def _looks_for_cuda(draft: Draft) -> bool:
    flags = draft.parse(XLA_FLAGS)
    unset = flags.get(CUDA_DIR) is None and flags.file is None and not flags.errors
    return "cuda" in draft.situation.hardware.kinds and unset and not draft.situation.toolchain.cuda_seen


def _looks_for_rocm(draft: Draft) -> bool:
    unset = "ROCM_PATH" not in draft.environment
    return "rocm" in draft.situation.hardware.kinds and unset and not draft.situation.toolchain.rocm_seen


def _append_cuda_dir(draft: Draft) -> bool:
    """Add the directory to ``XLA_FLAGS``; what the user put there stays in it."""
    flags = draft.parse(XLA_FLAGS)
    found = draft.situation.toolchain.cuda_found or ""
    return draft.set(XLA_FLAGS, str(flags.with_flag(CUDA_DIR, found)), "AX307")


def _strategy(draft: Draft) -> Place | None:
    """Return where a strategy of several devices is made. One on a single device runs XLA."""
    for evidence in draft.situation.reading.evidence:
        is_strategy = evidence.kind == "call" and evidence.name.endswith(SEVERAL)
        if is_strategy and evidence.grade == "certain":
            return evidence.place
    return None


def _asks_for_cache(draft: Draft) -> bool:
    return draft.situation.settings.xla_cache and draft.has("tensorflow") and not _has_own_cache(draft)


def _has_own_cache(draft: Draft) -> bool:
    """Return whether the user chose a folder. A sibling of ours is that of the process that started this."""
    chosen, ours = draft.flags.get(CACHE_DIR), draft.situation.xla_cache
    return chosen is not None and (ours is None or chosen.rpartition("/")[0] != ours.rpartition("/")[0])


def _can_cache(draft: Draft) -> bool:
    first, last = _CACHING
    is_known = first <= draft.situation.versions["tensorflow"][:2] <= last
    return is_known and not _errors(draft, FLAGS) and draft.flags.file is None and _flags_stay(draft)


def _flags_stay(draft: Draft) -> bool:
    """Return whether the program leaves ``XLA_FLAGS``, which are not part of an entry's name, alone."""
    evidence = draft.situation.reading.evidence
    return not any(e.kind == "variable" and e.name == XLA_FLAGS and not e.early for e in evidence)


def _keep_compiled(draft: Draft) -> bool:
    if draft.situation.xla_cache is None:
        return False
    flags = draft.flags.with_flag(CACHE_DEVICES, _CPU).with_flag(CACHE_DIR, draft.situation.xla_cache)
    return draft.set(FLAGS, str(flags), "AX313")


RULES = (
    Rule(
        "AX301",
        "error",
        "TF_XLA_FLAGS cannot be parsed",
        "TF_XLA_FLAGS={TF_XLA_FLAGS} cannot be parsed: {TF_XLA_FLAGS_error}; TensorFlow ends the process "
        "when it reads it",
        "write --name=value, separated by spaces",
        FLAG_READER,
        lambda d: _errors(d, FLAGS),
        about=FLAGS,
    ),
    Rule(
        "AX302",
        "error",
        "XLA_FLAGS cannot be parsed",
        "XLA_FLAGS={XLA_FLAGS} cannot be parsed: {XLA_FLAGS_error}; XLA ends the process when it first "
        "compiles",
        "write --name=value, separated by spaces",
        FLAG_READER,
        lambda d: _errors(d, XLA_FLAGS),
        about=XLA_FLAGS,
    ),
    Rule(
        "AX304",
        "warning",
        "The settings ask for auto-clustering, and the environment excludes it",
        "step = {step!r} in the settings is left out: TF_XLA_FLAGS={TF_XLA_FLAGS} and "
        "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE={ITEX_ENABLE_NEXTPLUGGABLE_DEVICE} in the environment stand",
        "unset the variable, or take step out of the settings",
        CLUSTERING,
        lambda d: _clustering(d) and _is_in_the_way(d),
        about="step",
    ),
    Rule(
        "AX303",
        "info",
        "The settings choose how the step is executed",
        "step = {step!r} in the settings",
        "set TF_XLA_FLAGS and jit_compile accordingly",
        CLUSTERING,
        lambda d: _clustering(d) and not _is_in_the_way(d) and d.flags.get(AUTO_JIT) != _wanted_level(d),
        act=_add_flags,
        about="step",
    ),
    Rule(
        "AX308",
        "info",
        "The settings choose jit_compile",
        "step = {step!r} in the settings",
        "jit_compile accordingly where the program gives none",
        "Keras 3, Model.compile",
        lambda d: d.situation.settings.step == "graph" or _may_jit(d),
        act=_set_jit,
        about="step",
    ),
    Rule(
        "AX705",
        "info",
        "The tuned path",
        "python -m autoxla tune found {tuned}",
        "take that path where the program and the user leave it open",
        "autoxla, tune",
        lambda d: _tuned_step(d) is not None or bool(_tuned_variables(d)),
        act=_take_tuned_path,
    ),
    Rule(
        "AX305",
        "info",
        "Auto-clustering with Keras",
        "TF_XLA_FLAGS={TF_XLA_FLAGS} clusters operations into XLA; Keras' own jit_compile would do so twice",
        "jit_compile=False where the program gives none",
        CLUSTERING,
        lambda d: not d.itex_main and level(d) > 0 and d.jit is None and d.keras != 0,
        act=_leave_clusters_alone,
    ),
    Rule(
        "AX306",
        "warning",
        "Auto-clustering without effect",
        "TF_XLA_FLAGS={TF_XLA_FLAGS} has no effect without an accelerator: TensorFlow clusters operations "
        "on the CPU only with --tf_xla_cpu_global_jit",
        "add --tf_xla_cpu_global_jit to TF_XLA_FLAGS, or take --tf_xla_auto_jit out",
        FLAG_READER,
        lambda d: d.itex is None and _on_cpu_only(d) and level(d) > 0 and d.flags.get(CPU_CLUSTERS) is None,
    ),
    Rule(
        "AX307",
        "info",
        "libdevice is where XLA does not look",
        "XLA finds libdevice in none of its own places; it is in {cuda_found}",
        "add --xla_gpu_cuda_data_dir={cuda_found} to XLA_FLAGS",
        LIBDEVICE,
        lambda d: _looks_for_cuda(d) and d.situation.toolchain.cuda_found is not None,
        act=_append_cuda_dir,
    ),
    Rule(
        "AX309",
        "info",
        "libdevice is missing",
        "there is a CUDA GPU, and no libdevice anywhere: if TensorFlow uses the GPU, XLA fails at its "
        "first compile",
        "pip install nvidia-cuda-nvcc, or compile(jit_compile=False)",
        LIBDEVICE,
        lambda d: _looks_for_cuda(d) and d.situation.toolchain.cuda_found is None,
        grade="possible",
    ),
    Rule(
        "AX310",
        "info",
        "ROCm is where XLA does not look",
        "XLA finds ROCm's files in none of its own places; they are in {rocm_found}",
        "set ROCM_PATH={rocm_found}",
        LIBDEVICE,
        lambda d: _looks_for_rocm(d) and d.situation.toolchain.rocm_found is not None,
        cures=lambda d: (Cure("ROCM_PATH", d.situation.toolchain.rocm_found),),
    ),
    Rule(
        "AX312",
        "warning",
        "XLA under a distribution strategy",
        "jit_compile=True in a program that uses a tf.distribute strategy: XLA fails there on most devices",
        "leave jit_compile out, which is off under a strategy",
        "Keras 3, resolution of jit_compile",
        lambda d: d.situation.usage.jit_compile is True and _strategy(d) is not None,
        about=_strategy,
    ),
    Rule(
        "AX313",
        "info",
        "What XLA compiled is kept for the next run",
        "xla_cache = true in the settings",
        "let TensorFlow keep what XLA compiles for the CPU in autoxla's cache folder",
        PERSISTENT,
        lambda d: _asks_for_cache(d) and d.situation.cache_refused is None and _can_cache(d),
        act=_keep_compiled,
        about="xla_cache",
    ),
    Rule(
        "AX314",
        "warning",
        "What XLA compiled cannot be kept safely",
        "xla_cache = true in the settings is left out, since its entries are native code: {cache_refused}",
        "chmod go-w the folder, or set AUTOXLA_CACHE to one of your own",
        PERSISTENT,
        lambda d: _asks_for_cache(d) and d.situation.cache_refused is not None,
        about="xla_cache",
    ),
    Rule(
        "AX315",
        "warning",
        "What XLA compiled is not kept here",
        "xla_cache = true in the settings is left out: it is known to work with TensorFlow 2.15 to 2.21, "
        "with TF_XLA_FLAGS that do not come from a file, and where the program leaves XLA_FLAGS as they were",
        "take xla_cache out of the settings, or the flags out of the file or the program",
        PERSISTENT,
        lambda d: _asks_for_cache(d) and d.situation.cache_refused is None and not _can_cache(d),
        about="xla_cache",
    ),
    Rule(
        "AX311",
        "warning",
        "XLA on Metal",
        "jit_compile=True with tensorflow-metal: XLA has no compiler for Metal, and the first step fails",
        "take jit_compile=True out of compile()",
        "tensorflow-metal, known limits",
        lambda d: any(p.kind == "metal" for p in d.situation.plugins) and d.jit is True,
        about="jit_compile",
    ),
)

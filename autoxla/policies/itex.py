"""Intel's plug-in ITEX: the guide's table, and the machine behind it as it really behaves.

The guide's eight rows are AX201 to AX208, in its order. Where the machine ends the process although
the table is silent, the rule has a code from AX210 on. A row that ends the process fires only where
the machine really ends it: ``TF_USE_LEGACY_KERAS=1``, which the table leaves out, takes XLA away.

Published wheels end at 2.15 and know nothing of Keras 3; the machine is in later builds ("main").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from autoxla.policies.rule import KERAS_3, Cure, Draft, Rule
from autoxla.readers import guard_disabled, guard_sees_auto_jit, intended, itex_lenient, itex_strict

DISABLE = "ITEX_DISABLE_XLA"
NPD = "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE"
OVERRIDE = "ITEX_OPS_OVERRIDE"
FLAGS = "TF_XLA_FLAGS"
AUTO_JIT = "tf_xla_auto_jit"

#: Read with a reader that aborts the process on anything but 0, 1, true and false.
STRICT = (
    OVERRIDE,
    "ITEX_REMAPPER",
    "ITEX_LAYOUT_OPT",
    "ITEX_ONEDNN_GRAPH",
    "ITEX_AUTO_MIXED_PRECISION",
    "ITEX_CACHE_ONEDNN_OBJECT",
    "ITEX_OMP_THREADPOOL",
    "ITEX_SHARDING",
    "ITEX_TF_CONSTANT_FOLDING",
)
#: The same, by their names of old: each is read where none of the others is set. ITEX's XLA sets those,
#: but a later rule may turn it off.
STRICT_OLD: Mapping[str, tuple[str, ...]] = {
    "ITEX_ENABLE_ONEDNN_GRAPH": ("ITEX_ONEDNN_GRAPH",),
    "ITEX_ENABLE_REMAPPER": ("ITEX_REMAPPER",),
    "ITEX_ONEDNN_LAYOUT_OPT": ("ITEX_LAYOUT_OPT",),
    "ITEX_ENABLE_ONEDNN_LAYOUT_OPT": ("ITEX_LAYOUT_OPT", "ITEX_ONEDNN_LAYOUT_OPT"),
}
#: The same, in the build for CPUs; and in the one for GPUs of the release 2.15.
STRICT_ON_CPU = "TF_ENABLE_ONEDNN_OPTS"
STRICT_ON_GPU_2_15 = "ITEX_TILE_AS_DEVICE"
#: Read with a reader that takes anything but 1 and true for false.
LENIENT = (NPD, DISABLE, "ITEX_CACHE_PJRT_BUFFER")

GUIDE = "Intel Extension for TensorFlow, Keras 3 Overview"
TABLE = GUIDE + ", situations that lead to a warning or an error, row {}"
MACHINE = "Intel Extension for TensorFlow, NPD configuration as read at plug-in load"
GUARD = "Intel Extension for TensorFlow, override of Keras 3's compile and predict"


def level(draft: Draft) -> int:
    """Return the effective auto-clustering level, 0 for off."""
    return draft.flags.auto_jit


def npd(draft: Draft) -> bool:
    """Return whether ITEX uses the next pluggable device, its default."""
    return itex_lenient(draft.environment.get(NPD), default=True)


def overrides_ops(draft: Draft) -> bool:
    """Return whether ITEX replaces operations, by variable or by a call in the program."""
    return itex_strict(draft.environment.get(OVERRIDE)) is True or draft.situation.usage.ops_override


def xla_on(draft: Draft) -> bool:
    """Return whether ITEX's C++ side turns XLA on for its device."""
    jit = level(draft) > 0
    if itex_lenient(draft.environment.get("TF_USE_LEGACY_KERAS"), default=False):
        return jit
    return jit or not itex_lenient(draft.environment.get(DISABLE), default=False)


def guard_on(draft: Draft) -> bool:
    """Return whether ITEX ends the process in ``compile``/``predict`` when jit_compile is off."""
    environment = draft.environment
    return (
        draft.itex_main
        and not draft.legacy
        and not guard_disabled(environment.get(DISABLE))
        and not guard_sees_auto_jit(environment.get(FLAGS))
    )


def imports_keras_at_load(draft: Draft) -> bool:
    """Return whether loading the plug-in, inside ``import tensorflow``, imports Keras."""
    if draft.itex is None:
        return False
    return draft.itex_main or itex_strict(draft.environment.get(OVERRIDE)) is True


def _keras(draft: Draft) -> int | None:
    return draft.keras


def _loading(draft: Draft) -> bool:
    return draft.itex_main and not draft.tensorflow_loaded


def _loading_device(draft: Draft) -> bool:
    # The build for CPUs has the guard and no more: no device to choose, no XLA, no flags of its own.
    return _loading(draft) and draft.itex_device


def _is_fatal(draft: Draft) -> bool:
    return _loading_device(draft) and not npd(draft) and xla_on(draft)


def _quits(draft: Draft) -> bool:
    return _keras(draft) == 3 and draft.backend == "tensorflow" and guard_on(draft)


def _disable_xla(draft: Draft) -> tuple[Cure, ...]:
    return (Cure(DISABLE, "1"),)


def _disable_xla_or_npd(draft: Draft) -> tuple[Cure, ...]:
    return (Cure(DISABLE, "1"), Cure(NPD, "1"))


def _npd_or_no_auto_jit(draft: Draft) -> tuple[Cure, ...]:
    return (Cure(NPD, "1"), Cure(FLAGS, str(draft.flags.with_flag(AUTO_JIT, "0"))))


def _disable_xla_or_level_1(draft: Draft) -> tuple[Cure, ...]:
    return (Cure(DISABLE, "1"), Cure(FLAGS, str(draft.flags.with_flag(AUTO_JIT, "1"))))


def _no_override_or_level_1(draft: Draft) -> tuple[Cure, ...]:
    level_1 = Cure(FLAGS, str(draft.flags.with_flag(AUTO_JIT, "1")))
    return (level_1,) if draft.situation.usage.ops_override else (Cure(OVERRIDE, "0"), level_1)


def _read_strictly(draft: Draft) -> Iterator[str]:
    yield from STRICT
    yield from (old for old, others in STRICT_OLD.items() if draft.environment.keys().isdisjoint(others))
    if not draft.itex_device:
        yield STRICT_ON_CPU
    elif not draft.itex_main:
        yield STRICT_ON_GPU_2_15


def _misspelt_strict(draft: Draft) -> str | None:
    names = _read_strictly(draft)
    return next((n for n in names if itex_strict(draft.environment.get(n)) == "abort"), None)


def _spell_strictly(draft: Draft) -> bool:
    # What a person meant by "yes" is kept; what means nothing goes back to ITEX's default.
    spelling = {True: "1", False: "0", None: None}
    while name := _misspelt_strict(draft):
        value = draft.environment[name]
        if not draft.set(name, spelling[intended(value)] if value else None, "AX213"):
            return False
    return True


def _misread(draft: Draft) -> str | None:
    for name in LENIENT:
        value = draft.environment.get(name)
        if value is not None and intended(value) and not itex_lenient(value, default=False):
            return name
    return None


def _inline_file(draft: Draft) -> bool:
    flags = draft.flags
    return not flags.opaque and not flags.errors and draft.set(FLAGS, str(flags.inlined()), "AX214")


def _import_tensorflow_first(draft: Draft) -> bool:
    draft.import_first = ("tensorflow",)
    return True


def _keras_comes_first(draft: Draft) -> bool:
    situation = draft.situation
    return (
        imports_keras_at_load(draft)
        and draft.backend == "tensorflow"
        and not situation.imported & {"tensorflow", "keras"}
    )


def _leave_jit_off(code: str) -> Callable[[Draft], bool]:
    def act(draft: Draft) -> bool:
        draft.jit_compile = False
        draft.jit_because.append(code)
        return True

    return act


def _clusters_with_keras(draft: Draft) -> bool:
    undecided = draft.jit is None and _keras(draft) in (3, None)
    return draft.itex_main and level(draft) > 0 and undecided


def _runs_without_xla(draft: Draft) -> bool:
    undecided = draft.jit is None and _keras(draft) in (3, None)
    return draft.itex_main and draft.itex_device and not xla_on(draft) and undecided


RULES = (
    Rule(
        "AX213",
        "error",
        "An ITEX variable is spelt so that ITEX aborts",
        "{it}: ITEX takes only 0, 1, true and false for it, and aborts the process on anything else",
        "set it to 0 or 1",
        MACHINE,
        lambda d: d.itex is not None and not d.tensorflow_loaded and _misspelt_strict(d) is not None,
        act=_spell_strictly,
        subject=_misspelt_strict,
        deadly=True,
    ),
    Rule(
        "AX214",
        "error",
        "TF_XLA_FLAGS names a file, and ITEX appends to it",
        "TF_XLA_FLAGS={TF_XLA_FLAGS} is a file name, to which ITEX appends a flag of its own; "
        "TensorFlow then finds no such file and ends the process",
        "put the file's flags into TF_XLA_FLAGS",
        MACHINE,
        lambda d: _loading_device(d) and d.flags.file is not None,
        act=_inline_file,
        deadly=True,
    ),
    Rule(
        "AX206",
        "error",
        "Auto-clustering without the next pluggable device",
        "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE={ITEX_ENABLE_NEXTPLUGGABLE_DEVICE} with "
        "--tf_xla_auto_jit=1 ends the process: ITEX cannot close NPD then",
        "set ITEX_ENABLE_NEXTPLUGGABLE_DEVICE=1",
        TABLE.format(6),
        lambda d: _is_fatal(d) and level(d) == 1,
        cures=_npd_or_no_auto_jit,
        deadly=True,
    ),
    Rule(
        "AX207",
        "error",
        "Compiling everything without the next pluggable device",
        "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE={ITEX_ENABLE_NEXTPLUGGABLE_DEVICE} with "
        "--tf_xla_auto_jit=2 ends the process: ITEX cannot close NPD then",
        "set ITEX_ENABLE_NEXTPLUGGABLE_DEVICE=1",
        TABLE.format(7),
        lambda d: _is_fatal(d) and level(d) > 1,
        cures=_npd_or_no_auto_jit,
        deadly=True,
    ),
    Rule(
        "AX201",
        "error",
        "Stream executor with XLA on, no Keras",
        "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE={ITEX_ENABLE_NEXTPLUGGABLE_DEVICE} ends the process as long "
        "as ITEX's XLA is on: PluggableDevice cannot work with the latest Keras",
        "set ITEX_DISABLE_XLA=1",
        TABLE.format(1),
        lambda d: _keras(d) == 0 and _is_fatal(d) and level(d) == 0,
        cures=_disable_xla_or_npd,
        deadly=True,
        about="keras",
    ),
    Rule(
        "AX204",
        "error",
        "Stream executor with Keras 3",
        "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE={ITEX_ENABLE_NEXTPLUGGABLE_DEVICE} with Keras 3 ends the "
        "process: ITEX cannot close NPD while its XLA is on",
        "set ITEX_DISABLE_XLA=1",
        TABLE.format(4),
        lambda d: _keras(d) != 0 and _is_fatal(d) and level(d) == 0,
        cures=_disable_xla_or_npd,
        deadly=True,
        about="keras",
    ),
    Rule(
        "AX208",
        "warning",
        "Custom operations in a program that XLA compiles as a whole",
        "ITEX's ops override with --tf_xla_auto_jit=2: XLA does not support the custom operations",
        "set ITEX_OPS_OVERRIDE=0, or --tf_xla_auto_jit=1 in TF_XLA_FLAGS",
        TABLE.format(8),
        lambda d: _loading_device(d) and overrides_ops(d) and level(d) > 1 and npd(d),
        cures=_no_override_or_level_1,
        about="ops_override",
    ),
    Rule(
        "AX203",
        "warning",
        "Keras 2 with jit_compile=True",
        "jit_compile=True with Keras 2 is not supported by ITEX; what it does is not defined",
        "leave jit_compile out and set TF_XLA_FLAGS=--tf_xla_auto_jit=1 (or 2) to enable XLA",
        TABLE.format(3),
        lambda d: d.itex_main and _keras(d) == 2 and d.jit is True,
        act=lambda d: d.situation.usage.jit_compile is None and _leave_jit_off("AX203")(d),
        about="jit_compile",
    ),
    Rule(
        "AX219",
        "info",
        "Auto-clustering with Keras",
        "TF_XLA_FLAGS={TF_XLA_FLAGS} clusters operations into XLA; Keras' own jit_compile would do so twice",
        "jit_compile=False where the program gives none",
        GUIDE + ", Enable XLA through TensorFlow",
        _clusters_with_keras,
        act=_leave_jit_off("AX219"),
    ),
    Rule(
        "AX205",
        "error",
        "Keras 3 with jit_compile=False while ITEX's XLA is on",
        "jit_compile=False with Keras 3 ends the process with status 0 in compile() or predict(), "
        "because ITEX's XLA is on (ITEX_DISABLE_XLA={ITEX_DISABLE_XLA})",
        "set ITEX_DISABLE_XLA=1",
        TABLE.format(5),
        lambda d: _quits(d) and d.jit is False and level(d) == 0,
        cures=_disable_xla,
        deadly=True,
        about="jit_compile",
    ),
    Rule(
        "AX212",
        "error",
        "Auto-clustering that ITEX's guard does not recognise",
        "jit_compile is off and TF_XLA_FLAGS={TF_XLA_FLAGS} enables auto-clustering, but ITEX looks for "
        "the text --tf_xla_auto_jit=1 only and ends the process with status 0 in compile() or predict()",
        "set ITEX_DISABLE_XLA=1, which leaves XLA on here",
        GUARD,
        lambda d: _quits(d) and d.jit is False and level(d) > 0,
        cures=_disable_xla_or_level_1,
        deadly=True,
        about="jit_compile",
    ),
    Rule(
        "AX210",
        "error",
        "ITEX's ops override with Keras 3",
        "ITEX's ops override replaces layers by ones that do not support jit_compile; ITEX then ends the "
        "process with status 0 in compile() or predict()",
        "set ITEX_DISABLE_XLA=1",
        GUIDE + ", Keras 3 with jit_compile disabled",
        lambda d: _quits(d) and d.jit is None and overrides_ops(d),
        cures=_disable_xla,
        deadly=True,
        about="ops_override",
    ),
    Rule(
        "AX211",
        "error",
        "Keras 3 and ITEX on a machine without an accelerator",
        "without an accelerator Keras resolves jit_compile to False, and ITEX ends the process with "
        "status 0 in every compile() or predict()",
        "set ITEX_DISABLE_XLA=1",
        GUARD,
        lambda d: _quits(d) and d.jit is None and d.situation.hardware.accelerator == "none",
        cures=_disable_xla,
        deadly=True,
        about="keras",
    ),
    Rule(
        "AX202",
        "warning",
        "XLA on in a program without Keras",
        "the program uses neither Keras nor XLA, and ITEX's XLA, on by default, makes it slower",
        "set ITEX_DISABLE_XLA=1",
        TABLE.format(2),
        lambda d: (
            _loading_device(d)
            and _keras(d) == 0
            and level(d) == 0
            and npd(d)
            and xla_on(d)
            and not d.situation.usage.enables_xla
        ),
        cures=_disable_xla,
        about="keras",
    ),
    Rule(
        "AX220",
        "info",
        "Keras without ITEX's XLA",
        "ITEX's XLA is off, so its device cannot run what Keras' jit_compile would compile",
        "jit_compile=False where the program gives none",
        GUIDE + ", Keras 3 with jit_compile disabled",
        _runs_without_xla,
        act=_leave_jit_off("AX220"),
    ),
    Rule(
        "AX217",
        "warning",
        "An ITEX variable is spelt so that ITEX reads it as off",
        "{it}: ITEX takes only 1 and true for on, so that it reads as off",
        "write 1",
        MACHINE,
        lambda d: d.itex_main and d.itex_device and _misread(d) is not None,
        subject=_misread,
    ),
    Rule(
        "AX218",
        "info",
        "Next pluggable device or stream executor",
        "ITEX's XLA is off, so its device can be the next pluggable device (the default) or the stream "
        "executor (ITEX_ENABLE_NEXTPLUGGABLE_DEVICE=0); which one is faster depends on the model",
        "measure both",
        GUIDE + ", Default and Legacy Keras",
        lambda d: _loading_device(d) and not xla_on(d) and NPD not in d.environment,
    ),
    Rule(
        "AX101",
        "error",
        "Keras before TensorFlow under ITEX",
        "keras is imported before tensorflow: ITEX imports it again while TensorFlow loads, "
        "and the process ends",
        "import tensorflow first",
        GUIDE + ", note on the import order",
        lambda d: _keras_comes_first(d) and d.situation.importing == "keras",
        act=_import_tensorflow_first,
        deadly=True,
        about="importing",
    ),
    Rule(
        "AX216",
        "error",
        "ITEX without Keras 3",
        "ITEX needs Keras 3, also for legacy Keras, and it is not installed: every import of tensorflow "
        "ends the process with status 0",
        "pip install 'keras>=3'",
        MACHINE,
        lambda d: _loading(d) and not d.has("keras", KERAS_3),
    ),
)

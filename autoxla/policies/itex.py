"""Intel's plug-in ITEX: the guide's table, and the machine behind it as it really behaves.

The guide's eight rows are AX201 to AX208, in its order. Where the machine ends the process although
the table is silent, the rule has a code from AX212 on. A row that ends the process fires only where
the machine really ends it: ``TF_USE_LEGACY_KERAS=1``, which the table leaves out, takes XLA away.

Published wheels end at 2.15 and know nothing of Keras 3; the machine is in later builds ("main").
"""

from __future__ import annotations

from collections.abc import Mapping

from autoxla.policies.draft import AUTO_JIT, FLAGS, KERAS_3, NPD, Draft
from autoxla.policies.rule import KERAS, TF_KERAS, Example, Rule
from autoxla.situation.env_parsing import (
    guard_disabled,
    guard_sees_auto_jit,
    intended,
    itex_lenient,
    itex_strict,
)

DISABLE = "ITEX_DISABLE_XLA"
OVERRIDE = "ITEX_OPS_OVERRIDE"

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
#: Read with a reader that takes anything but 1 and true for false.
LENIENT = (NPD, DISABLE, "ITEX_CACHE_PJRT_BUFFER")

GUIDE = "Intel Extension for TensorFlow, Keras 3 Overview"
TABLE = GUIDE + ", situations that lead to a warning or an error, row {}"
MACHINE = "Intel Extension for TensorFlow, NPD configuration as read at plug-in load"

_PLAIN = """\
import tensorflow as tf

print(tf.reduce_sum(tf.random.normal([1000, 1000])))
"""
_NO_JIT = TF_KERAS.replace('"mse")', '"mse", jit_compile=False)')
#: By the fact of which Keras 3 does not compile a model.
_OFF = {
    "jit_compile": "jit_compile=False with Keras 3",
    "ops_override": "the layers of ITEX's ops override do not support jit_compile",
    "keras": "without an accelerator Keras resolves jit_compile to False",
}
_STREAM = {NPD: "0"}
_DISABLED = {DISABLE: "1"}
_LEVEL_2 = {FLAGS: "--tf_xla_auto_jit=2"}


def overrides_ops(draft: Draft) -> bool:
    """Return whether ITEX replaces operations, by variable or by a call in the program."""
    return itex_strict(draft.environment.get(OVERRIDE)) is True or draft.situation.usage.ops_override


def xla_on(draft: Draft) -> bool:
    """Return whether ITEX's C++ side turns XLA on for its device."""
    jit = draft.flags.auto_jit > 0
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


def _loading(draft: Draft) -> bool:
    return draft.itex_main and not draft.tensorflow_loaded


def _loading_device(draft: Draft) -> bool:
    # The build for CPUs has the guard and no more: no device to choose, no XLA, no flags of its own.
    return _loading(draft) and draft.itex_device


def _has_xla_by_default(draft: Draft) -> bool:
    return _loading_device(draft) and draft.flags.auto_jit == 0 and xla_on(draft)


def _quits(draft: Draft) -> bool:
    return draft.keras == 3 and draft.backend == "tensorflow" and guard_on(draft)


def _auto_jit(draft: Draft, at: str) -> dict[str, str]:
    """Return the cure that puts auto-clustering at a level and keeps all other flags."""
    return {FLAGS: str(draft.flags.with_flag(AUTO_JIT, at))}


def _what_turns_compile_off(draft: Draft) -> str | None:
    """Return the fact of which Keras 3 does not compile a model, None where it does or may."""
    if draft.flags.auto_jit > 0 or draft.jit:
        return None
    if draft.jit is False:
        return "jit_compile"
    if overrides_ops(draft):
        return "ops_override"
    return "keras" if draft.situation.hardware.accelerator == "none" else None


def _misspelt_strict(draft: Draft) -> str | None:
    """Return the variable on whose value this build of ITEX aborts the process, if there is one."""
    names = list(STRICT)
    names += (old for old, others in STRICT_OLD.items() if draft.environment.keys().isdisjoint(others))
    if not draft.itex_device:
        names.append("TF_ENABLE_ONEDNN_OPTS")
    elif not draft.itex_main:
        names.append("ITEX_TILE_AS_DEVICE")
    return next((n for n in names if itex_strict(draft.environment.get(n)) == "abort"), None)


def _spell_strictly(draft: Draft) -> bool:
    # What a person meant by "yes" is kept; what means nothing goes back to ITEX's default.
    spelling = {True: "1", False: "0", None: None}
    while name := _misspelt_strict(draft):
        value = draft.environment[name]
        if not draft.set(name, spelling[intended(value)] if value else None):
            return False
    return True


def _imports_keras_again(draft: Draft) -> bool:
    """Return whether ITEX, as it loads, imports a Keras whose own import is still under way."""
    # Release 2.15 does so for its ops override alone, and knows the modules of Keras 2 alone.
    overrides = itex_strict(draft.environment.get(OVERRIDE)) is True and not draft.has("keras", KERAS_3)
    is_first = draft.situation.importing == "keras" and draft.backend == "tensorflow"
    is_loaded = draft.situation.imported & {"tensorflow", "keras"}
    return is_first and not is_loaded and (draft.itex_main or (draft.itex is not None and overrides))


def _clustering_without_npd(code: str, row: int, level: int, title: str) -> Rule:
    """Return the rule for a level of auto-clustering."""
    return Rule(
        code=code,
        level="error",
        title=title,
        applies=lambda d: _loading_device(d) and not d.npd and min(d.flags.auto_jit, 2) == level,
        message=lambda d: (
            f"{NPD}={d.value(NPD)} with --tf_xla_auto_jit={d.flags.auto_jit} ends the process: ITEX's XLA "
            "needs NPD"
        ),
        remedy=f"set {NPD}=1",
        why="""Auto-clustering turns ITEX's XLA on, even with `ITEX_DISABLE_XLA=1` or legacy Keras. ITEX's XLA
        runs on the next pluggable device (NPD) only. Without NPD, ITEX aborts the process while TensorFlow
        loads. Either NPD has to be on, or auto-clustering off.""",
        example=Example(TF_KERAS, {**_STREAM, FLAGS: f"--tf_xla_auto_jit={level}"}, "ITEX"),
        source=TABLE.format(row),
        cures=lambda d: {NPD: "1", **_auto_jit(d, "0")},
        fatal=True,
    )


def _stream_executor(code: str, row: int, program: str, title: str) -> Rule:
    """Return the rule for programs with Keras, or for those without."""
    return Rule(
        code=code,
        level="error",
        title=title,
        applies=lambda d: _has_xla_by_default(d) and not d.npd and (d.keras == 0) == (program == _PLAIN),
        message=lambda d: f"{NPD}={d.value(NPD)} ends the process: ITEX's XLA is on, and needs NPD",
        remedy=f"set {DISABLE}=1",
        why="""ITEX's XLA is on by default, whether or not the program uses Keras, and runs on the next
        pluggable device (NPD) only. Without it ITEX aborts the process inside `import tensorflow`, without a
        Python exception. XLA has to be off for the stream executor.""",
        example=Example(program, _STREAM, "ITEX"),
        source=TABLE.format(row),
        about="keras",
        cures=lambda d: {DISABLE: "1", NPD: "1"},
        fatal=True,
    )


RULES = (
    Rule(
        code="AX213",
        level="error",
        title="ITEX aborts on this spelling of its variable",
        applies=lambda d: d.itex is not None and not d.tensorflow_loaded and _misspelt_strict(d),
        message=lambda d: (
            f"{d.found}={d.value(d.found)}: ITEX takes only 0, 1, true and false for it, and aborts the "
            "process on anything else"
        ),
        remedy="set it to 0 or 1",
        why="""ITEX aborts inside `import tensorflow`, without a Python exception, also on the empty string.
        Its build for CPUs reads TensorFlow's `TF_ENABLE_ONEDNN_OPTS` in the same way. autoxla keeps what the
        value evidently means.""",
        example=Example(TF_KERAS, {OVERRIDE: "yes"}, "ITEX 2.15"),
        source=MACHINE,
        act=_spell_strictly,
        fatal=True,
    ),
    _clustering_without_npd("AX206", 6, 1, "Auto-clustering without the next pluggable device"),
    _clustering_without_npd("AX207", 7, 2, "Compiling everything without the next pluggable device"),
    _stream_executor("AX201", 1, _PLAIN, "Stream executor with XLA on, no Keras"),
    _stream_executor("AX204", 4, TF_KERAS, "Stream executor with Keras 3"),
    Rule(
        code="AX208",
        level="warning",
        title="Custom operations in a program that XLA compiles as a whole",
        applies=lambda d: _loading_device(d) and overrides_ops(d) and d.flags.auto_jit > 1 and d.npd,
        message="ITEX's ops override with --tf_xla_auto_jit=2: XLA does not support the custom operations",
        remedy="set ITEX_OPS_OVERRIDE=0, or --tf_xla_auto_jit=1 in TF_XLA_FLAGS",
        why="""ITEX's ops override puts custom operations into the graph, and level 2 asks XLA to compile all
        of the graph. XLA does not implement those operations. Level 1 leaves them out of its clusters.""",
        example=Example(TF_KERAS, {**_LEVEL_2, OVERRIDE: "1"}, "ITEX"),
        source=TABLE.format(8),
        about="ops_override",
        # No variable takes back what a call in the program does.
        cures=lambda d: {**({} if d.situation.usage.ops_override else {OVERRIDE: "0"}), **_auto_jit(d, "1")},
    ),
    Rule(
        code="AX203",
        level="warning",
        title="Keras 2 with jit_compile=True",
        applies=lambda d: d.itex_main and d.keras == 2 and d.jit is True,
        message="jit_compile=True with Keras 2 is not supported by ITEX; what it does is not defined",
        remedy="leave jit_compile out and set TF_XLA_FLAGS=--tf_xla_auto_jit=1 (or 2) to enable XLA",
        why="""ITEX does not support `jit_compile=True` with Keras 2 and does not check for it: nothing stops
        the program, and nothing says what happens.""",
        example=Example(
            "import tf_keras\n\nmodel = tf_keras.Sequential()\nmodel.compile(jit_compile=True)\n",
            {"TF_USE_LEGACY_KERAS": "1"},
            "ITEX",
        ),
        source=TABLE.format(3),
        about="jit_compile",
        act=lambda d: d.situation.usage.jit_compile is None and d.choose_jit(False),
    ),
    Rule(
        code="AX205",
        level="error",
        title="Keras 3 without jit_compile while ITEX's XLA is on",
        applies=lambda d: _quits(d) and _what_turns_compile_off(d),
        message=lambda d: (
            f"{_OFF[d.found]}; ITEX then ends the process with status 0 in compile() or predict(), because "
            f"its XLA is on ({DISABLE}={d.value(DISABLE)})"
        ),
        remedy=f"set {DISABLE}=1",
        why="""ITEX replaces `compile` and `predict` of Keras 3. While ITEX's XLA is on, its default, they
        call `quit()` for a model that XLA does not compile. A scheduler takes status 0 for success.""",
        example=Example(_NO_JIT, machine="ITEX"),
        source=TABLE.format(5),
        cures=lambda d: {DISABLE: "1"},
        fatal=True,
    ),
    Rule(
        code="AX212",
        level="error",
        title="Auto-clustering that ITEX's guard does not recognise",
        applies=lambda d: _quits(d) and not d.jit and d.flags.auto_jit > 0,
        message=lambda d: (
            f"jit_compile is off and TF_XLA_FLAGS={d.value(FLAGS)} enables auto-clustering, but ITEX looks "
            "for --tf_xla_auto_jit=1 and ends the process with status 0 in compile() or predict()"
        ),
        remedy=f"set {DISABLE}=1, which leaves XLA on here",
        why="""ITEX accepts a model without `jit_compile` if it recognises auto-clustering by that text. With
        auto-clustering on, `ITEX_DISABLE_XLA=1` silences the check and leaves XLA on.""",
        example=Example(_NO_JIT, _LEVEL_2, "ITEX"),
        source="Intel Extension for TensorFlow, override of Keras 3's compile and predict",
        about="jit_compile",
        cures=lambda d: {DISABLE: "1", **_auto_jit(d, "1")},
        fatal=True,
    ),
    Rule(
        code="AX202",
        level="warning",
        title="XLA on in a program without Keras",
        applies=lambda d: (
            _has_xla_by_default(d) and d.npd and d.keras == 0 and not d.situation.usage.enables_xla
        ),
        message="the program uses neither Keras nor XLA, and ITEX's XLA, on by default, makes it slower",
        remedy=f"set {DISABLE}=1",
        why="""A program that neither uses Keras nor compiles with XLA gains nothing from ITEX's XLA. It loses
        ITEX's own graph optimisations, which ITEX switches off in favour of XLA.""",
        example=Example(_PLAIN, machine="ITEX"),
        source=TABLE.format(2),
        about="keras",
        cures=lambda d: {DISABLE: "1"},
    ),
    Rule(
        code="AX220",
        level="info",
        title="Keras leaves XLA to the flag, or off, under ITEX",
        applies=lambda d: (
            d.itex_main
            and d.jit is None
            and d.keras in (3, None)
            and (d.flags.auto_jit > 0 or (d.itex_device and not xla_on(d)))
        ),
        message=lambda d: (
            f"TF_XLA_FLAGS={d.value(FLAGS)} clusters operations into XLA; Keras' own jit_compile would do so "
            "twice"
            if d.flags.auto_jit > 0
            else "ITEX's XLA is off, so its device cannot run what Keras' jit_compile would compile"
        ),
        remedy="jit_compile=False where the program gives none",
        why="""Where Keras 3 sees an accelerator it compiles the whole step by default. With auto-clustering
        nothing would be left to cluster. With ITEX's XLA off there is no compiler for its device, and the
        first step would fail.""",
        example=Example("import keras\nimport tensorflow\n", _DISABLED, "ITEX"),
        source=GUIDE + ", Keras 3 with jit_compile disabled",
        act=lambda d: d.choose_jit(False),
    ),
    Rule(
        code="AX217",
        level="warning",
        title="ITEX reads this spelling of its variable as off",
        # The name of a variable that means on.
        applies=lambda d: next(
            (
                name
                for name in (LENIENT if d.itex_main and d.itex_device else ())
                if intended(d.environment.get(name, ""))
                and not itex_lenient(d.environment.get(name), default=True)
            ),
            None,
        ),
        message=lambda d: (
            f"{d.found}={d.value(d.found)}: ITEX takes only 1 and true for on, so that it reads as off"
        ),
        remedy="write 1",
        why="""ITEX's C++ code reads `yes` as off. The Python side of ITEX reads `ITEX_DISABLE_XLA`
        the other way round, so that the two sides of one process can disagree.""",
        example=Example(TF_KERAS, {DISABLE: "yes"}, "ITEX"),
        source=MACHINE,
    ),
    Rule(
        code="AX101",
        level="error",
        title="Keras before TensorFlow under ITEX",
        applies=_imports_keras_again,
        message=lambda d: (
            "keras is imported before tensorflow: ITEX imports it again while TensorFlow loads, and "
            f"{'the process ends' if d.itex_main else 'the first tf.keras.… raises RecursionError'}"
        ),
        remedy="import tensorflow first",
        why="""While TensorFlow loads, ITEX imports Keras to replace some of its methods. If the program began
        with `import keras`, ITEX meets half a module and calls `quit()`: a job counts as passed. The wheels
        of 2.15 do so under the ops override only, and replace nothing.""",
        example=Example(KERAS, machine="ITEX"),
        source=GUIDE + ", note on the import order",
        about="importing",
        milder=lambda d: not d.itex_main and d.says("attribute", "tensorflow.keras", certain=False) is None,
        act=Draft.import_tensorflow_first,
        fatal=True,
    ),
    Rule(
        code="AX216",
        level="error",
        title="ITEX without Keras 3",
        applies=lambda d: _loading(d) and not d.has("keras", KERAS_3),
        message="ITEX needs Keras 3, also for legacy Keras, and it is not installed: every import of "
        "tensorflow ends the process with status 0",
        remedy="pip install 'keras>=3'",
        why="""Builds of ITEX later than 2.15 import Keras 3 while TensorFlow loads, even for programs that
        use legacy Keras or none at all. Without it ITEX prints a traceback and calls `quit()`.""",
        example=Example(_PLAIN, machine="ITEX without Keras 3"),
        source=MACHINE,
    ),
    Rule(
        code="AX501",
        level="warning",
        title="ITEX 2.15 with Keras 3",
        applies=lambda d: d.itex is not None and not d.itex_main and d.has("keras", KERAS_3),
        message="this release of ITEX was made for Keras 2: import intel_extension_for_tensorflow fails with "
        "Keras 3, and ITEX_OPS_OVERRIDE has no effect",
        remedy="pip install 'keras<3', or leave out ITEX's Python module",
        why="""ITEX 2.15 knows the modules of Keras 2. Beside Keras 3 its ops override prints a traceback and
        is left out. The plug-in itself works with either generation.""",
        example=Example(TF_KERAS, machine="ITEX 2.15"),
        source="Intel Extension for TensorFlow 2.15, release notes",
    ),
)

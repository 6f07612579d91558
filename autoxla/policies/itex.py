"""Intel's plug-in ITEX: the guide's table, and the machine behind it as it really behaves.

The guide's eight rows are AX201 to AX208, in its order. Where the machine ends the process although
the table is silent, the rule has a code from AX210 on. A row that ends the process fires only where
the machine really ends it: ``TF_USE_LEGACY_KERAS=1``, which the table leaves out, takes XLA away.

Published wheels end at 2.15 and know nothing of Keras 3; the machine is in later builds ("main").
"""

from __future__ import annotations

from collections.abc import Mapping

from autoxla.policies.example import KERAS, TF_KERAS, Example
from autoxla.policies.rule import AUTO_JIT, FLAGS, KERAS_3, NPD, Cure, Draft, Rule
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
#: The same, in the build for CPUs; and in the one for GPUs of the release 2.15.
STRICT_ON_CPU = "TF_ENABLE_ONEDNN_OPTS"
STRICT_ON_GPU_2_15 = "ITEX_TILE_AS_DEVICE"
#: Read with a reader that takes anything but 1 and true for false.
LENIENT = (NPD, DISABLE, "ITEX_CACHE_PJRT_BUFFER")

GUIDE = "Intel Extension for TensorFlow, Keras 3 Overview"
TABLE = GUIDE + ", situations that lead to a warning or an error, row {}"
MACHINE = "Intel Extension for TensorFlow, NPD configuration as read at plug-in load"
GUARD = "Intel Extension for TensorFlow, override of Keras 3's compile and predict"

_PLAIN = """\
import tensorflow as tf

print(tf.reduce_sum(tf.random.normal([1000, 1000])))
"""
_NO_JIT = TF_KERAS.replace('"mse")', '"mse", jit_compile=False)')
_STREAM = {NPD: "0"}
_DISABLED = {DISABLE: "1"}
_LEVEL_1 = {FLAGS: "--tf_xla_auto_jit=1"}
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


def imports_keras_at_load(draft: Draft) -> bool:
    """Return whether loading the plug-in, inside ``import tensorflow``, imports Keras."""
    if draft.itex is None:
        return False
    return draft.itex_main or itex_strict(draft.environment.get(OVERRIDE)) is True


def _loading(draft: Draft) -> bool:
    return draft.itex_main and not draft.tensorflow_loaded


def _loading_device(draft: Draft) -> bool:
    # The build for CPUs has the guard and no more: no device to choose, no XLA, no flags of its own.
    return _loading(draft) and draft.itex_device


def _is_fatal(draft: Draft) -> bool:
    return _loading_device(draft) and not draft.npd and xla_on(draft)


def _quits(draft: Draft) -> bool:
    return draft.keras == 3 and draft.backend == "tensorflow" and guard_on(draft)


def _disable_xla(draft: Draft) -> tuple[Cure, ...]:
    return (Cure(DISABLE, "1"),)


def _disable_xla_or_npd(draft: Draft) -> tuple[Cure, ...]:
    return (Cure(DISABLE, "1"), Cure(NPD, "1"))


def _auto_jit(draft: Draft, at: str) -> Cure:
    """Return the cure that puts auto-clustering at a level and keeps all other flags."""
    return Cure(FLAGS, str(draft.flags.with_flag(AUTO_JIT, at)))


def _npd_or_no_auto_jit(draft: Draft) -> tuple[Cure, ...]:
    return (Cure(NPD, "1"), _auto_jit(draft, "0"))


def _misspelt_strict(draft: Draft) -> str | None:
    """Return the variable on whose value this build of ITEX aborts the process, if there is one."""
    names = list(STRICT)
    names += (old for old, others in STRICT_OLD.items() if draft.environment.keys().isdisjoint(others))
    if not draft.itex_device:
        names.append(STRICT_ON_CPU)
    elif not draft.itex_main:
        names.append(STRICT_ON_GPU_2_15)
    return next((n for n in names if itex_strict(draft.environment.get(n)) == "abort"), None)


def _spell_strictly(draft: Draft) -> bool:
    # What a person meant by "yes" is kept; what means nothing goes back to ITEX's default.
    spelling = {True: "1", False: "0", None: None}
    while name := _misspelt_strict(draft):
        value = draft.environment[name]
        if not draft.set(name, spelling[intended(value)] if value else None):
            return False
    return True


def _misread(draft: Draft) -> str | None:
    for name in LENIENT:
        value = draft.environment.get(name)
        if value is not None and intended(value) and not itex_lenient(value, default=False):
            return name
    return None


def _assigned(draft: Draft, name: str | None) -> str:
    return f"{name}={draft.environment[name]!r}" if name is not None else ""


def _is_jit_open(draft: Draft) -> bool:
    """Return whether Keras 3 may decide on ``jit_compile`` itself."""
    return draft.jit is None and draft.keras in (3, None)


RULES = (
    Rule(
        code="AX213",
        level="error",
        title="ITEX aborts on this spelling of its variable",
        applies=lambda d: d.itex is not None and not d.tensorflow_loaded and _misspelt_strict(d) is not None,
        message=lambda d: (
            f"{_assigned(d, _misspelt_strict(d))}: ITEX takes only 0, 1, true and false for it, and aborts "
            "the process on anything else"
        ),
        remedy="set it to 0 or 1",
        why="""ITEX reads a dozen of its variables with a reader that knows `0`, `1`, `true` and `false` and
        aborts the process on anything else, the empty string included. Its build for CPUs reads TensorFlow's
        `TF_ENABLE_ONEDNN_OPTS` in the same way. The process ends inside `import tensorflow`, without a Python
        exception. autoxla keeps what the value evidently means and spells it so that ITEX understands it.""",
        example=Example(TF_KERAS, {OVERRIDE: "yes"}, "ITEX 2.15"),
        source=MACHINE,
        act=_spell_strictly,
        fatal=True,
    ),
    Rule(
        code="AX206",
        level="error",
        title="Auto-clustering without the next pluggable device",
        applies=lambda d: _is_fatal(d) and d.flags.auto_jit == 1,
        message=lambda d: (
            f"{NPD}={d.value(NPD)} with --tf_xla_auto_jit=1 ends the process: ITEX's XLA needs NPD"
        ),
        remedy=f"set {NPD}=1",
        why="""Auto-clustering turns ITEX's XLA on, even where `ITEX_DISABLE_XLA` or legacy Keras asks for the
        opposite, and that XLA runs on the next pluggable device (NPD) only. Without the device ITEX aborts
        the process while TensorFlow loads. Either the device has to be on or auto-clustering off.""",
        example=Example(TF_KERAS, {**_STREAM, **_LEVEL_1}, "ITEX"),
        source=TABLE.format(6),
        cures=_npd_or_no_auto_jit,
        fatal=True,
    ),
    Rule(
        code="AX207",
        level="error",
        title="Compiling everything without the next pluggable device",
        applies=lambda d: _is_fatal(d) and d.flags.auto_jit > 1,
        message=lambda d: (
            f"{NPD}={d.value(NPD)} with --tf_xla_auto_jit=2 ends the process: ITEX's XLA needs NPD"
        ),
        remedy=f"set {NPD}=1",
        why="""The same as AX206 at level 2, which compiles everything: it turns ITEX's XLA on, XLA needs the
        next pluggable device, and without that device ITEX aborts the process while TensorFlow loads.
        `ITEX_DISABLE_XLA=1` does not help, since ITEX ignores it here.""",
        example=Example(TF_KERAS, {**_STREAM, **_LEVEL_2}, "ITEX"),
        source=TABLE.format(7),
        cures=_npd_or_no_auto_jit,
        fatal=True,
    ),
    Rule(
        code="AX201",
        level="error",
        title="Stream executor with XLA on, no Keras",
        applies=lambda d: d.keras == 0 and _is_fatal(d) and d.flags.auto_jit == 0,
        message=lambda d: (
            f"{NPD}={d.value(NPD)} ends the process while ITEX's XLA is on, because that XLA needs the next "
            "pluggable device"
        ),
        remedy=f"set {DISABLE}=1",
        why="""ITEX's XLA runs on the next pluggable device only, and is on by default whether or not the
        program uses Keras. If the stream executor is asked for meanwhile, ITEX aborts the process inside
        `import tensorflow`, without a Python exception. A program without Keras loses nothing when ITEX's XLA
        goes off.""",
        example=Example(_PLAIN, _STREAM, "ITEX"),
        source=TABLE.format(1),
        about="keras",
        cures=_disable_xla_or_npd,
        fatal=True,
    ),
    Rule(
        code="AX204",
        level="error",
        title="Stream executor with Keras 3",
        applies=lambda d: d.keras != 0 and _is_fatal(d) and d.flags.auto_jit == 0,
        message=lambda d: (
            f"{NPD}={d.value(NPD)} with Keras 3 ends the process: ITEX's XLA is on, and needs NPD"
        ),
        remedy=f"set {DISABLE}=1",
        why="""With Keras 3 ITEX's XLA is on unless it is disabled, and it needs the next pluggable device.
        Without that device ITEX aborts the process inside `import tensorflow`. Its message asks for the
        device; if you want the stream executor, XLA has to go off instead.""",
        example=Example(TF_KERAS, _STREAM, "ITEX"),
        source=TABLE.format(4),
        about="keras",
        cures=_disable_xla_or_npd,
        fatal=True,
    ),
    Rule(
        code="AX208",
        level="warning",
        title="Custom operations in a program that XLA compiles as a whole",
        applies=lambda d: _loading_device(d) and overrides_ops(d) and d.flags.auto_jit > 1 and d.npd,
        message="ITEX's ops override with --tf_xla_auto_jit=2: XLA does not support the custom operations",
        remedy="set ITEX_OPS_OVERRIDE=0, or --tf_xla_auto_jit=1 in TF_XLA_FLAGS",
        why="""ITEX's ops override puts custom operations into the graph, and level 2 asks XLA to compile all
        of the graph. XLA does not implement those operations. Level 1 leaves them out of its clusters and
        works.""",
        example=Example(TF_KERAS, {**_LEVEL_2, OVERRIDE: "1"}, "ITEX"),
        source=TABLE.format(8),
        about="ops_override",
        # No variable takes back what a call in the program does.
        cures=lambda d: (
            *(() if d.situation.usage.ops_override else (Cure(OVERRIDE, "0"),)),
            _auto_jit(d, "1"),
        ),
    ),
    Rule(
        code="AX203",
        level="warning",
        title="Keras 2 with jit_compile=True",
        applies=lambda d: d.itex_main and d.keras == 2 and d.jit is True,
        message="jit_compile=True with Keras 2 is not supported by ITEX; what it does is not defined",
        remedy="leave jit_compile out and set TF_XLA_FLAGS=--tf_xla_auto_jit=1 (or 2) to enable XLA",
        why="""ITEX does not support `jit_compile=True` with Keras 2 and does not check for it: nothing stops
        the program, and nothing says what happens. Use auto-clustering for XLA with Keras 2.""",
        example=Example(
            "import tensorflow as tf\nimport tf_keras\n\n"
            "model = tf_keras.Sequential([tf_keras.layers.Dense(1)])\n"
            'model.compile("adam", "mse", jit_compile=True)\n',
            {"TF_USE_LEGACY_KERAS": "1"},
            "ITEX",
        ),
        source=TABLE.format(3),
        about="jit_compile",
        act=lambda d: d.situation.usage.jit_compile is None and d.choose_jit(False),
    ),
    Rule(
        code="AX219",
        level="info",
        title="Auto-clustering with Keras under ITEX",
        applies=lambda d: d.itex_main and d.flags.auto_jit > 0 and _is_jit_open(d),
        message=lambda d: (
            f"TF_XLA_FLAGS={d.value(FLAGS)} clusters operations into XLA; Keras' own jit_compile would do so "
            "twice"
        ),
        remedy="jit_compile=False where the program gives none",
        why="""Auto-clustering hands parts of the graph to XLA, and `jit_compile` hands over the whole step.
        On an accelerator Keras would choose the second by itself, and auto-clustering would have nothing left
        to do. Where the program says nothing, autoxla leaves the work to auto-clustering.""",
        example=Example(TF_KERAS, _LEVEL_1, "ITEX"),
        source=GUIDE + ", Enable XLA through TensorFlow",
        act=lambda d: d.choose_jit(False),
    ),
    Rule(
        code="AX205",
        level="error",
        title="Keras 3 with jit_compile=False while ITEX's XLA is on",
        applies=lambda d: _quits(d) and d.jit is False and d.flags.auto_jit == 0,
        message=lambda d: (
            "jit_compile=False with Keras 3 ends the process with status 0 in compile() or predict(), "
            f"because ITEX's XLA is on ({DISABLE}={d.value(DISABLE)})"
        ),
        remedy=f"set {DISABLE}=1",
        why="""ITEX replaces `compile` and `predict` of Keras 3. While ITEX's XLA is on, they refuse a model
        that XLA does not compile: they print a line and call `quit()`. The process ends with exit status 0
        before the first step, which a scheduler takes for success.""",
        example=Example(_NO_JIT, machine="ITEX"),
        source=TABLE.format(5),
        about="jit_compile",
        cures=_disable_xla,
        fatal=True,
    ),
    Rule(
        code="AX212",
        level="error",
        title="Auto-clustering that ITEX's guard does not recognise",
        applies=lambda d: _quits(d) and d.jit is False and d.flags.auto_jit > 0,
        message=lambda d: (
            f"jit_compile is off and TF_XLA_FLAGS={d.value(FLAGS)} enables auto-clustering, but ITEX looks "
            "for the text --tf_xla_auto_jit=1 only and ends the process with status 0 in compile() or "
            "predict()"
        ),
        remedy=f"set {DISABLE}=1, which leaves XLA on here",
        why="""ITEX accepts a model without `jit_compile` if auto-clustering is on, but it recognises that by
        one text, `--tf_xla_auto_jit=1`. At level 2 and for `fusible` it recognises nothing and ends the
        process with exit status 0. With auto-clustering on, `ITEX_DISABLE_XLA=1` silences that check and
        leaves XLA on.""",
        example=Example(_NO_JIT, _LEVEL_2, "ITEX"),
        source=GUARD,
        about="jit_compile",
        cures=lambda d: (Cure(DISABLE, "1"), _auto_jit(d, "1")),
        fatal=True,
    ),
    Rule(
        code="AX210",
        level="error",
        title="ITEX's ops override with Keras 3",
        applies=lambda d: _quits(d) and d.jit is None and overrides_ops(d),
        message="ITEX's ops override replaces layers by ones that do not support jit_compile; ITEX then "
        "ends the process with status 0 in compile() or predict()",
        remedy=f"set {DISABLE}=1",
        why="""The layers that ITEX puts in place of Keras' own do not support compilation. Keras therefore
        resolves `jit_compile="auto"` to off for any model that has one. ITEX then finds its XLA on and the
        model not compiled, and ends the process with exit status 0 in `compile` or `predict`.""",
        example=Example(TF_KERAS, {OVERRIDE: "1"}, "ITEX"),
        source=GUIDE + ", Keras 3 with jit_compile disabled",
        about="ops_override",
        cures=_disable_xla,
        fatal=True,
    ),
    Rule(
        code="AX211",
        level="error",
        title="Keras 3 and ITEX on a machine without an accelerator",
        applies=lambda d: _quits(d) and d.jit is None and d.situation.hardware.accelerator == "none",
        message="without an accelerator Keras resolves jit_compile to False, and ITEX ends the process with "
        "status 0 in every compile() or predict()",
        remedy=f"set {DISABLE}=1",
        why="""Where TensorFlow sees no accelerator, Keras 3 never compiles by default, while ITEX's XLA is on
        by default. ITEX takes that for a model that cannot be compiled: every plain `compile` or `predict`
        ends the process with exit status 0. Such machines are common: a build server, a login node, a
        notebook without the GPU.""",
        example=Example(TF_KERAS, machine="ITEX without GPU"),
        source=GUARD,
        about="keras",
        cures=_disable_xla,
        fatal=True,
    ),
    Rule(
        code="AX202",
        level="warning",
        title="XLA on in a program without Keras",
        applies=lambda d: (
            _loading_device(d)
            and d.keras == 0
            and d.flags.auto_jit == 0
            and d.npd
            and xla_on(d)
            and not d.situation.usage.enables_xla
        ),
        message="the program uses neither Keras nor XLA, and ITEX's XLA, on by default, makes it slower",
        remedy=f"set {DISABLE}=1",
        why="""ITEX turns XLA on for its device unless legacy Keras is asked for. A program that neither uses
        Keras nor compiles with XLA gains nothing from that. It loses ITEX's own graph optimisations, which
        ITEX switches off in favour of XLA.""",
        example=Example(_PLAIN, machine="ITEX"),
        source=TABLE.format(2),
        about="keras",
        cures=_disable_xla,
    ),
    Rule(
        code="AX220",
        level="info",
        title="Keras without ITEX's XLA",
        applies=lambda d: d.itex_main and d.itex_device and not xla_on(d) and _is_jit_open(d),
        message="ITEX's XLA is off, so its device cannot run what Keras' jit_compile would compile",
        remedy="jit_compile=False where the program gives none",
        why="""Where Keras 3 sees an accelerator it compiles models by default. With ITEX's XLA off there is
        no compiler for that device, and the first step would fail. Where the program says nothing, autoxla
        keeps `jit_compile` off.""",
        example=Example("import keras\nimport tensorflow\n", _DISABLED, "ITEX"),
        source=GUIDE + ", Keras 3 with jit_compile disabled",
        act=lambda d: d.choose_jit(False),
    ),
    Rule(
        code="AX217",
        level="warning",
        title="ITEX reads this spelling of its variable as off",
        applies=lambda d: d.itex_main and d.itex_device and _misread(d) is not None,
        message=lambda d: (
            f"{_assigned(d, _misread(d))}: ITEX takes only 1 and true for on, so that it reads as off"
        ),
        remedy="write 1",
        why="""ITEX takes `1` and `true` for on and everything else for off, and says nothing. So `yes` means
        the opposite of what it says. The Python side of ITEX reads `ITEX_DISABLE_XLA` the other way round, so
        that the two sides of one process can disagree.""",
        example=Example(TF_KERAS, {DISABLE: "yes"}, "ITEX"),
        source=MACHINE,
    ),
    Rule(
        code="AX218",
        level="info",
        title="Next pluggable device or stream executor",
        applies=lambda d: _loading_device(d) and not xla_on(d) and NPD not in d.environment,
        message="ITEX's XLA is off, so its device can be the next pluggable device (the default) or the "
        f"stream executor ({NPD}=0); which one is faster depends on the model",
        remedy="measure both",
        why="""With ITEX's XLA off you can choose between its two kinds of device, and neither is always the
        faster one. The choice holds for the whole process and is made before TensorFlow is imported. `python
        -m autoxla tune` can measure both.""",
        example=Example(TF_KERAS, _DISABLED, "ITEX"),
        source=GUIDE + ", Default and Legacy Keras",
    ),
    Rule(
        code="AX101",
        level="error",
        title="Keras before TensorFlow under ITEX",
        applies=lambda d: (
            imports_keras_at_load(d)
            and d.backend == "tensorflow"
            and d.situation.importing == "keras"
            and not d.situation.imported & {"tensorflow", "keras"}
            # Release 2.15 knows the modules of Keras 2 alone.
            and (d.itex_main or not d.has("keras", KERAS_3))
        ),
        message=lambda d: (
            "keras is imported before tensorflow: ITEX imports it again while TensorFlow loads, and "
            + (
                "the process ends"
                if d.itex_main
                else f"{OVERRIDE} has no effect; the first tf.keras.… raises RecursionError"
            )
        ),
        remedy="import tensorflow first",
        why="""While TensorFlow loads, ITEX imports Keras in order to replace some of its methods. If the
        program began with `import keras`, that import is still under way, and ITEX meets half a module.
        Builds later than 2.15 then print a traceback and call `quit()`: the process ends with exit status 0,
        so that a test run or a job counts as passed. The wheels of 2.15, under the ops override, replace
        nothing: a program with `keras` alone trains, without ITEX's operations, and `tf.keras` as an
        attribute raises `RecursionError`.""",
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
        use legacy Keras or none at all. If it is missing or older than 3, ITEX prints a traceback and ends
        the process with exit status 0.""",
        example=Example(_PLAIN, machine="ITEX without Keras 3"),
        source=MACHINE,
    ),
)

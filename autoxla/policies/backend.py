"""Which backend Keras 3 runs on."""

from __future__ import annotations

from autoxla.model import BACKENDS
from autoxla.policies.draft import KERAS_3, SWITCHABLE, Draft
from autoxla.policies.rule import TF_KERAS, Example, Rule, set_late

VARIABLE = "KERAS_BACKEND"
OVERRIDE = "Intel Extension for TensorFlow, override of Keras 3's compile and predict"
CONFIGURING = "Keras 3: A new multi-backend Keras, Configuring your backend"


def _will_choose(draft: Draft) -> bool:
    """Return whether Keras 3 is going to be imported, and so to choose its backend."""
    # With the switch on, only a bare import of keras imports Keras 3.
    is_reached = not draft.legacy or draft.situation.importing == "keras"
    return is_reached and draft.has("keras", KERAS_3) and "keras" not in draft.situation.imported


def _name_unknown(draft: Draft) -> str | None:
    """Return what names a backend that Keras 3 does not know: the variable or ``keras.json``."""
    if not _will_choose(draft) or draft.backend in BACKENDS:
        return None
    return VARIABLE if draft.environment.get(VARIABLE) else "keras.json"


RULES = (
    Rule(
        code="AX405",
        level="error",
        title="ITEX with another Keras backend than TensorFlow",
        applies=lambda d: d.itex_main and not d.tensorflow_loaded and d.backend != "tensorflow",
        message=lambda d: (
            f"under ITEX every import of tensorflow with the Keras backend {d.backend!r} ends the process "
            "with status 0, because ITEX reaches for Keras' TensorFlow backend"
        ),
        remedy="set KERAS_BACKEND=tensorflow, or take ITEX out of this environment",
        why="""While TensorFlow loads, ITEX replaces methods of Keras' TensorFlow backend. With another one
        they are missing, and ITEX calls `quit()`. Where the program imports Keras alone this is a warning:
        libraries import tensorflow for small things, such as a summary writer.""",
        example=Example(TF_KERAS, {VARIABLE: "jax"}, "ITEX"),
        source=OVERRIDE,
        about=VARIABLE,
        milder=lambda d: d.situation.importing == "keras",
    ),
    Rule(
        code="AX402",
        level="error",
        title="Keras 3 does not know the backend",
        applies=_name_unknown,
        message=lambda d: (
            f"{d.found} names the backend {d.backend!r}, which Keras 3 does not know: importing keras, and "
            "so tensorflow, raises ValueError"
        ),
        remedy="set KERAS_BACKEND to tensorflow, jax, torch, numpy or openvino, or correct keras.json",
        why="""TensorFlow imports Keras and does not catch this error, so programs stop that never use Keras,
        too. Often an old Keras wrote `keras.json`; `KERAS_BACKEND` overrides the file.""",
        example=Example(TF_KERAS, keras_json="theano"),
        source=CONFIGURING,
        stops_keras=True,
        # A file that makes `import tensorflow` fail gives way; with the switch on that imports no Keras 3.
        cures=lambda d: (
            {VARIABLE: "tensorflow"}
            if d.found != VARIABLE
            and d.situation.importing != "keras"
            and d.has("tensorflow", SWITCHABLE)
            and not d.legacy
            else {}
        ),
    ),
    Rule(
        code="AX401",
        level="error",
        title="The backend is not installed",
        applies=lambda d: _will_choose(d) and d.keras != 0 and d.backend in BACKENDS - d.situation.backends,
        message=lambda d: (
            f"the Keras backend {d.backend!r} is not installed; tf.keras then says only that Keras cannot be "
            "imported"
        ),
        remedy="install its package, or set KERAS_BACKEND to one that is installed",
        why="""Keras 3 imports its backend when it is imported itself. If that fails inside TensorFlow, the
        first use of `tf.keras` says that Keras cannot be imported, although it is installed.""",
        example=Example(TF_KERAS, {VARIABLE: "jax"}),
        source=CONFIGURING,
        about=VARIABLE,
        stops_keras=True,
    ),
    Rule(
        code="AX404",
        level="warning",
        title="KERAS_BACKEND was set too late",
        applies=lambda d: (
            d.situation.keras_backend is not None
            and d.situation.environment.get(VARIABLE, "") not in ("", d.situation.keras_backend)
        ),
        message=lambda d: (
            f"KERAS_BACKEND={d.value(VARIABLE)} has no effect: keras is imported already, with another "
            "backend"
        ),
        remedy="set it before the first import of keras or tensorflow",
        why="""Keras chooses its backend once, when it is first imported, and TensorFlow's own import of it
        counts. With a later value the program trains on another backend than its source says.""",
        example=set_late(VARIABLE, "jax", keras_backend="tensorflow", imported=frozenset({"keras"})),
        source=CONFIGURING,
        about=VARIABLE,
        late=lambda d: (VARIABLE,),
        after_restart="set it in its first cell",
        checked_again=True,
    ),
)

"""Which backend Keras 3 runs on."""

from __future__ import annotations

from autoxla.policies.example import FROM_A_FILE, KERAS, TF_KERAS, Example
from autoxla.policies.rule import KERAS_3, SWITCHABLE, Cure, Draft, Rule

VARIABLE = "KERAS_BACKEND"
BACKENDS = frozenset({"tensorflow", "jax", "torch", "numpy", "openvino"})
OVERRIDE = "Intel Extension for TensorFlow, override of Keras 3's compile and predict"
CONFIGURING = "Keras 3: A new multi-backend Keras, Configuring your backend"


def _will_choose(draft: Draft) -> bool:
    """Return whether Keras 3 is going to be imported, and so to choose its backend."""
    # With the switch on, only a bare import of keras imports Keras 3.
    is_reached = not draft.legacy or draft.situation.importing == "keras"
    return is_reached and draft.has("keras", KERAS_3) and "keras" not in draft.situation.imported


def _is_unknown_in_file(draft: Draft) -> bool:
    config = draft.situation.keras_config
    named = config.backend if config is not None and not draft.environment.get(VARIABLE) else None
    return _will_choose(draft) and named is not None and named not in BACKENDS


def _tensorflow_if_loaded(draft: Draft) -> tuple[Cure, ...]:
    """Return the cure where `import tensorflow` fails; with the switch on it imports no Keras 3."""
    loads_it = draft.situation.importing in ("tensorflow", "tf_keras", None)
    fails = loads_it and draft.has("tensorflow", SWITCHABLE) and not draft.legacy
    return (Cure(VARIABLE, "tensorflow"),) if fails else ()


def _is_out_of_reach(draft: Draft) -> bool:
    """Return whether loading ITEX would reach for a TensorFlow backend that Keras does not have."""
    return draft.itex_main and not draft.tensorflow_loaded and draft.backend != "tensorflow"


RULES = (
    Rule(
        code="AX405",
        level="error",
        title="ITEX with another Keras backend than TensorFlow",
        applies=lambda d: _is_out_of_reach(d) and d.situation.importing != "keras",
        message=lambda d: (
            f"under ITEX every import of tensorflow with the Keras backend {d.backend!r} ends the process "
            "with status 0, because ITEX reaches for Keras' TensorFlow backend"
        ),
        remedy="set KERAS_BACKEND=tensorflow, or take ITEX out of this environment",
        why="""While TensorFlow loads, ITEX replaces methods of Keras' TensorFlow backend. With another
        backend they are not there: ITEX prints a traceback and ends the process with exit status 0. Every
        import of tensorflow ends so, before or after keras, and with legacy Keras, too.""",
        example=Example(TF_KERAS, {VARIABLE: "jax"}, "ITEX"),
        source=OVERRIDE,
        about=VARIABLE,
    ),
    Rule(
        code="AX406",
        level="warning",
        title="ITEX in the environment of a program on another Keras backend",
        applies=lambda d: _is_out_of_reach(d) and d.situation.importing == "keras",
        message=lambda d: (
            f"ITEX is installed and the Keras backend is {d.backend!r}: should anything import tensorflow, "
            "the process ends with status 0"
        ),
        remedy="keep tensorflow out of this process, or take ITEX out of this environment",
        why="""As long as nothing imports tensorflow, ITEX is not loaded, and Keras runs on its other backend.
        But libraries import tensorflow for small things, a summary writer or a data set, and that import ends
        the process with exit status 0.""",
        example=Example(KERAS, {VARIABLE: "jax"}, "ITEX"),
        source=OVERRIDE,
        about=VARIABLE,
    ),
    Rule(
        code="AX402",
        level="error",
        title="keras.json names an unknown backend",
        applies=_is_unknown_in_file,
        message=lambda d: (
            f"keras.json names the backend {d.backend!r}, which Keras 3 does not know: importing keras, and "
            "so tensorflow, raises ValueError"
        ),
        remedy="set KERAS_BACKEND=tensorflow, or correct keras.json",
        why="""An old Keras wrote the file once, and nothing has changed it since. TensorFlow imports Keras
        while it is imported itself and does not catch this error, so that `import tensorflow` fails.
        `KERAS_BACKEND` overrides the file.""",
        example=Example(TF_KERAS, keras_json="theano"),
        source=CONFIGURING,
        about="keras.json",
        stops_keras=True,
        cures=_tensorflow_if_loaded,
    ),
    Rule(
        code="AX403",
        level="error",
        title="KERAS_BACKEND names an unknown backend",
        applies=lambda d: _will_choose(d) and bool(d.environment.get(VARIABLE)) and d.backend not in BACKENDS,
        message=lambda d: (
            f"KERAS_BACKEND={d.value(VARIABLE)} names no backend of Keras 3: importing keras raises "
            "ValueError"
        ),
        remedy="set KERAS_BACKEND to tensorflow, jax, torch, numpy or openvino",
        why="""Keras 3 knows five backends and raises ValueError for any other name while it is imported.
        TensorFlow imports Keras, so a misspelt value stops programs that never use Keras, too.""",
        example=Example(KERAS, {VARIABLE: "theano"}),
        source=CONFIGURING,
        about=VARIABLE,
        stops_keras=True,
    ),
    Rule(
        code="AX401",
        level="error",
        title="The backend is not installed",
        applies=lambda d: (
            _will_choose(d)
            and d.backend in BACKENDS
            and d.backend not in d.situation.backends
            and d.keras != 0
        ),
        message=lambda d: (
            f"the Keras backend {d.backend!r} is not installed; tf.keras then says only that Keras cannot be "
            "imported"
        ),
        remedy="install its package, or set KERAS_BACKEND to one that is installed",
        why="""Keras 3 imports its backend when it is imported itself. If that fails inside TensorFlow,
        TensorFlow swallows the error. The first use of `tf.keras` then says that Keras cannot be imported,
        although it is installed: the package of the backend is missing.""",
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
        counts. A value that is set later changes nothing: the program trains on another backend than its
        source says.""",
        example=Example(
            FROM_A_FILE,
            known={
                "environment": {VARIABLE: "jax"},
                "keras_backend": "tensorflow",
                "imported": frozenset({"keras", "tensorflow"}),
            },
            told=f'variables.json holds {{"{VARIABLE}": "jax"}}',
            command="python -m autoxla",
        ),
        source=CONFIGURING,
        about=VARIABLE,
        late=lambda d: (VARIABLE,),
        after_restart="set it in its first cell",
        checked_again=True,
    ),
)

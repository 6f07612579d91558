"""Which backend Keras 3 runs on."""

from __future__ import annotations

from autoxla.policies.rule import KERAS_3, SWITCHABLE, Cure, Draft, Rule

VARIABLE = "KERAS_BACKEND"
BACKENDS = frozenset({"tensorflow", "jax", "torch", "numpy", "openvino"})
OVERRIDE = "Intel Extension for TensorFlow, override of Keras 3's compile and predict"
KERAS = "Keras 3: A new multi-backend Keras, Configuring your backend"


def _from_file(draft: Draft) -> str | None:
    """Return the backend that keras.json names and no variable overrides."""
    config = draft.situation.keras_config
    return config.backend if config is not None and not draft.environment.get(VARIABLE) else None


def _reads_it(draft: Draft) -> bool:
    return draft.has("keras", KERAS_3) and "keras" not in draft.situation.imported


def _is_unknown(draft: Draft) -> bool:
    return _reads_it(draft) and bool(draft.environment.get(VARIABLE)) and draft.backend not in BACKENDS


def _is_missing(draft: Draft) -> bool:
    return _reads_it(draft) and draft.backend in BACKENDS and draft.backend not in draft.situation.backends


def _reaches_keras_3(draft: Draft) -> bool:
    # With the switch on only a bare import of keras does.
    return not draft.legacy or draft.situation.importing == "keras"


def _is_unknown_in_file(draft: Draft) -> bool:
    named = _from_file(draft)
    return _reads_it(draft) and named is not None and named not in BACKENDS


def _breaks_tensorflow(draft: Draft) -> bool:
    # With the switch on TensorFlow imports tf_keras, which reads no backend.
    loads_it = draft.situation.importing in ("tensorflow", "tf_keras", None)
    return loads_it and draft.has("tensorflow", SWITCHABLE) and not draft.legacy


def _tensorflow_if_loaded(draft: Draft) -> tuple[Cure, ...]:
    return (Cure(VARIABLE, "tensorflow"),) if _breaks_tensorflow(draft) else ()


def _is_out_of_reach(draft: Draft) -> bool:
    """Return whether loading ITEX would reach for a TensorFlow backend that Keras does not have."""
    return draft.itex_main and not draft.tensorflow_loaded and draft.backend != "tensorflow"


RULES = (
    Rule(
        "AX405",
        "error",
        "ITEX with another Keras backend than TensorFlow",
        "under ITEX every import of tensorflow with the Keras backend {backend} ends the process with "
        "status 0, because ITEX reaches for Keras' TensorFlow backend",
        "set KERAS_BACKEND=tensorflow, or take ITEX out of this environment",
        OVERRIDE,
        lambda d: _is_out_of_reach(d) and d.situation.importing != "keras",
        about="KERAS_BACKEND",
    ),
    Rule(
        "AX406",
        "warning",
        "ITEX in the environment of a program on another Keras backend",
        "ITEX is installed and the Keras backend is {backend}: should anything import tensorflow, the "
        "process ends with status 0",
        "keep tensorflow out of this process, or take ITEX out of this environment",
        OVERRIDE,
        lambda d: _is_out_of_reach(d) and d.situation.importing == "keras",
        about="KERAS_BACKEND",
    ),
    Rule(
        "AX402",
        "error",
        "keras.json names an unknown backend",
        "keras.json names the backend {backend}, which Keras 3 does not know: importing keras, and so "
        "tensorflow, raises ValueError",
        "set KERAS_BACKEND=tensorflow, or correct keras.json",
        KERAS,
        lambda d: _is_unknown_in_file(d) and _reaches_keras_3(d),
        cures=_tensorflow_if_loaded,
        about="keras.json",
    ),
    Rule(
        "AX403",
        "error",
        "KERAS_BACKEND names an unknown backend",
        "KERAS_BACKEND={KERAS_BACKEND} is no backend that Keras 3 knows: importing keras raises ValueError",
        "set KERAS_BACKEND to tensorflow, jax, torch, numpy or openvino",
        KERAS,
        lambda d: _is_unknown(d) and _reaches_keras_3(d),
        about="KERAS_BACKEND",
    ),
    Rule(
        "AX401",
        "error",
        "The backend is not installed",
        "the Keras backend {backend} is not installed; tf.keras then says only that Keras cannot be imported",
        "install its package, or set KERAS_BACKEND to one that is installed",
        KERAS,
        lambda d: _is_missing(d) and d.keras != 0 and _reaches_keras_3(d),
        about="KERAS_BACKEND",
    ),
    Rule(
        "AX404",
        "warning",
        "KERAS_BACKEND was set too late",
        "KERAS_BACKEND={KERAS_BACKEND} has no effect: keras is imported already, with another backend",
        "set it before the first import of keras or tensorflow",
        KERAS,
        lambda d: (
            d.situation.keras_backend is not None
            and d.situation.environment.get(VARIABLE, "") not in ("", d.situation.keras_backend)
        ),
        about="KERAS_BACKEND",
    ),
)

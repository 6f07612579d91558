"""Which backend Keras runs on, by whom it was chosen, and whether it is installed."""

from __future__ import annotations

from collections.abc import Iterator

from autoxla.commands.diagnosis.findings import judge
from autoxla.commands.diagnosis.line import Line, Scene, State
from autoxla.facts import KerasConfig
from autoxla.situation.env_parsing import tensorflow_bool

SUBJECT = "keras backend"
KERAS_3 = (3,)
_ALLOWED = {
    "floatx": ("float16", "float32", "float64"),
    "image_data_format": ("channels_last", "channels_first"),
}
_LARGEST_EPSILON = 1e-3
#: By value: how grave it is, what it does to every program, and the usual value.
_EFFECTS: dict[str, tuple[State, str, str]] = {
    "channels_first": (
        "warning",
        "layers for images expect channels before height and width; other input gives wrong results",
        "channels_last",
    ),
    "float16": (
        "warning",
        "all weights and computations of layers are float16: small gradients become 0, large values infinite",
        "float32, with keras.config.set_dtype_policy('mixed_float16') where speed is wanted",
    ),
    "float64": ("note", "all layers compute in float64, slower and with twice the memory", "float32"),
}


def check(scene: Scene) -> Iterator[Line]:
    """Say which backend, and a ``keras.json`` that cannot be read; what is wrong with it is a rule's."""
    config = scene.situation.keras_config
    if config is not None and config.error:
        yield _unreadable(config.file, config.error)
    if config is not None:
        yield from _judge_fields(config)
    keras = scene.inventory.provider("keras")
    if keras is None or keras.version < KERAS_3:
        return
    backend, chosen = find_backend(scene)
    if backend in scene.situation.backends:
        yield Line("ok", "AX830", SUBJECT, f"{backend}, installed; chosen by {chosen}")
    elif not _is_told(scene) and not tensorflow_bool(scene.environ.get("TF_USE_LEGACY_KERAS")):
        text = f"the backend {backend}, chosen by {chosen}, is not installed: keras cannot be imported"
        yield Line("error", "AX833", SUBJECT, text, "install it, or choose one that is installed")


def find_backend(scene: Scene) -> tuple[str, str]:
    """Return the backend, and what chose it."""
    named, config = scene.environ.get("KERAS_BACKEND"), scene.situation.keras_config
    if named:
        return named, "KERAS_BACKEND"
    if config is not None and config.backend:
        return config.backend, config.file
    return "tensorflow", "default"


def _is_told(scene: Scene) -> bool:
    """Return whether a rule says of the backend what is wrong; where autoxla changes much, none may."""
    return any(finding.stops_keras for finding in judge(scene.situation))


def _judge_fields(config: KerasConfig) -> Iterator[Line]:
    """Say what the fields beside the backend do to every program, and which of them Keras refuses."""
    for name, value in config.others.items():
        told = f"{config.file}: {name} is {value!r}"
        remedy = f"correct or remove {name} in {config.file}"
        allowed = _ALLOWED.get(name)
        is_epsilon = name == "epsilon"
        if (is_epsilon and not isinstance(value, float)) or (allowed is not None and value not in allowed):
            wanted = "a number with a decimal point or exponent" if is_epsilon else " or ".join(allowed or ())
            text = f"{told}, and Keras takes only {wanted}: import keras fails"
            yield Line("error", "AX835", SUBJECT, text, remedy)
        elif is_epsilon and isinstance(value, float) and not 0 < value <= _LARGEST_EPSILON:
            text = f"{told}: Keras adds it where it divides, so that results are wrong or not a number"
            yield Line("warning", "AX834", SUBJECT, text, f"set epsilon to 1e-7 in {config.file}")
        elif isinstance(value, str) and value in _EFFECTS:
            state, effect, usual = _EFFECTS[value]
            yield Line(
                state, "AX834", SUBJECT, f"{told}: {effect}", f"set {name} to {usual} in {config.file}"
            )


def _unreadable(file: str, error: str) -> Line:
    if error == "it holds no JSON object":
        text = f"{file} holds no JSON object: import keras raises AttributeError"
        return Line("error", "AX832", SUBJECT, text, f"correct or remove {file}")
    text = f"{file}: {error}; Keras takes its defaults instead, or fails"
    return Line("warning", "AX831", SUBJECT, text, f"correct or remove {file}")

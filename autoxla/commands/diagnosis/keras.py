"""Which backend Keras runs on, by whom it was chosen, and whether it is installed."""

from __future__ import annotations

from collections.abc import Iterator

from autoxla.commands.diagnosis.findings import judge
from autoxla.commands.diagnosis.line import Line, Scene
from autoxla.readers import tensorflow_bool

SUBJECT = "keras backend"
KERAS_3 = (3,)


def check(scene: Scene) -> Iterator[Line]:
    """Say which backend, and a ``keras.json`` that cannot be read; what is wrong with it is a rule's."""
    config = scene.situation.keras_config
    if config is not None and config.error:
        yield _unreadable(config.file, config.error)
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


def _unreadable(file: str, error: str) -> Line:
    if error == "it holds no JSON object":
        text = f"{file} holds no JSON object: import keras raises AttributeError"
        return Line("error", "AX832", SUBJECT, text, f"correct or remove {file}")
    text = f"{file}: {error}; Keras takes its defaults instead, or fails"
    return Line("warning", "AX831", SUBJECT, text, f"correct or remove {file}")

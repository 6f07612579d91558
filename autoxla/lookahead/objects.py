"""What the public names of the Keras packages make: layers, models, optimizers, symbolic tensors."""

from __future__ import annotations

from typing import Literal, TypeAlias

Role: TypeAlias = Literal["layer", "model", "optimizer", "tensor", "operation"]

#: The packages whose objects do not fit each other, by the names under which programs reach them.
_FAMILIES = (
    ("tensorflow.compat.v2.keras.", "tensorflow.keras"),
    ("tensorflow.compat.v1.keras.", "tensorflow.keras"),
    ("tensorflow.keras.", "tensorflow.keras"),
    ("tensorflow.optimizers.", "tensorflow.keras"),
    ("keras.", "keras"),
    ("tf_keras.", "tf_keras"),
)
#: What other packages make with tf_keras, whatever ``tf.keras`` is.
_BROUGHT: tuple[tuple[str, Role], ...] = (
    ("transformers.TF", "model"),
    ("tensorflow_hub.KerasLayer", "layer"),
    ("tensorflow_probability.layers.", "layer"),
)
_BRINGING = tuple(start for start, _ in _BROUGHT)
_STARTS = tuple(start.rstrip(".") for start, _ in _FAMILIES)
#: Importing a name that begins so makes ``tf.keras`` tf_keras, unless it has been used before.
SWITCHING = "transformers.TF"
_MAKERS = frozenset({"clone_model", "load_model", "model_from_config", "model_from_json", "model_from_yaml"})
#: Layers without weights work in models of another generation, as functions do.
_WEIGHTLESS = frozenset(
    (
        *("Activation", "ActivityRegularization", "Add", "AlphaDropout", "Average", "AveragePooling1D"),
        *("AveragePooling2D", "AveragePooling3D", "Concatenate", "Cropping1D", "Cropping2D", "Cropping3D"),
        *("Dot", "Dropout", "ELU", "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D"),
        *("GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D"),
        *("GlobalMaxPooling3D", "Lambda", "Layer", "LeakyReLU", "Masking", "MaxPooling1D", "MaxPooling2D"),
        *("MaxPooling3D", "Maximum", "Minimum", "Multiply", "Normalization", "Permute", "RandomCrop"),
        *("RandomFlip", "RandomRotation", "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape"),
        *("Resizing", "Softmax", "SpatialDropout1D", "SpatialDropout2D", "Subtract", "ThresholdedReLU"),
        *("UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"),
    )
)


def find_family(name: str) -> str | None:
    """Return the package whose objects a dotted name makes, None for no package of Keras."""
    if name.startswith(_BRINGING):
        return "tf_keras"
    if not name.startswith(_STARTS):
        return None
    return next((family for start, family in _FAMILIES if f"{name}.".startswith(start)), None)


def find_role(name: str) -> Role | None:
    """Return what calling a dotted name gives, None where it does not matter to models."""
    brought = next((role for start, role in _BROUGHT if name.startswith(start)), None)
    if brought is not None:
        # ``TFBertModel(…)`` and ``TFBertModel.from_pretrained(…)``, but no function of the class.
        return brought if name.rpartition(".")[2] == "from_pretrained" or name.count(".") < 3 else None
    start = next((start for start, _ in _FAMILIES if name.startswith(start)), None)
    return None if start is None else _role_in_keras(name.removeprefix(start).split("."))


def _role_in_keras(parts: list[str]) -> Role | None:
    top, last = parts[0], parts[-1]
    if last == "Input":
        return "tensor"
    if last in ("Model", "Sequential") or last in _MAKERS:
        return "model"
    is_class = last[:1].isupper()
    if top == "applications":
        return "model" if is_class else None
    if top == "layers":
        return "layer" if is_class else "operation"
    is_optimizer = top in ("optimizers", "Adam", "SGD") and "schedules" not in parts
    return "optimizer" if is_optimizer and is_class else None


def is_reader(name: str) -> bool:
    """Tell whether a function makes a model of what it is given, be it of another generation."""
    return name.rpartition(".")[2] in _MAKERS


def has_weights(name: str) -> bool:
    """Tell whether a layer certainly has something to train, which is unknown of the program's own."""
    return name.rpartition(".")[2] not in _WEIGHTLESS

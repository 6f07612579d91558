"""A stand-in for ``Sequential``."""

from keras.src.backend.tensorflow.trainer import TensorFlowTrainer
from keras.src.layers.layer import Layer


class Sequential(TensorFlowTrainer):
    """A model of layers."""

    def __init__(self, name="sequential"):
        self.name = name
        self.layers = []
        self.weight = 0.5

    def add(self, layer):
        """Add a layer."""
        if not isinstance(layer, Layer):
            raise ValueError(
                f"Only instances of `keras.Layer` can be added to a Sequential model. Received: {layer} "
                f"(of type {type(layer)})"
            )
        self.layers.append(layer)

    def _flatten_layers(self):
        return self.layers

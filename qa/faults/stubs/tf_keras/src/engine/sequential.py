"""A stand-in for ``Sequential`` of Keras 2."""

from tf_keras.src.engine.training import Model


class Sequential(Model):
    """A model of layers."""

    def add(self, layer):
        """Add a layer."""
        self.layers.append(layer)

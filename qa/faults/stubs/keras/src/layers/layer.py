"""Stand-ins for layers."""


class Layer:
    """Anything that can be added."""

    built = trainable = True
    trainable_weights = ()


class Dense(Layer):
    """A layer."""

"""A stand-in for the module that knows whether TensorFlow has started."""

_context = None


def global_seed():
    """Return that no seed was set."""

"""A stand-in for ``Model`` of Keras 2."""

import tensorflow as tf

from tf_keras.src.engine.base_layer import Layer


class Model(Layer):
    """A model with one weight."""

    run_eagerly = False
    train_function = None
    _steps_per_execution = None
    _train_counter = 0

    def __init__(self, name="model"):
        self.name = name
        self.layers = []
        self.weight = 0.5

    def compile(self, optimizer="sgd", loss=None, jit_compile=None):
        """Keep what is chosen."""
        self.optimizer, self.loss, self.jit_compile = optimizer, loss, jit_compile

    def make_train_function(self, force=False):
        """Return the function that runs one step."""
        return self._run_step if self.train_function is None or force else self.train_function

    def _run_step(self, iterator):
        x, y = iterator.get_next()
        error = self.weight * x - y
        self.weight -= 0.02 * error * x
        return {"loss": error * error}

    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, initial_epoch=0):
        """Train on each pair."""
        iterator = tf.data.Iterator(zip(x, y, strict=True))
        self.history = None
        self.train_function = self.make_train_function()
        for _ in range(initial_epoch, epochs):
            for _ in x:
                logs = self.train_function(iterator)
        return logs

    def predict(self, x):
        """Return the results for ``x``."""
        return [self.weight * value for value in x]

"""Imports autoxla behind TensorFlow, which is late."""

import sys

import tensorflow as tf

if "plain" not in sys.argv:
    import autoxla  # noqa: F401
import keras

model = keras.Sequential()
model.compile("sgd", "mse")
print(tf.__version__, model.fit([1.0], [2.0]).losses)

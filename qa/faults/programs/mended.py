"""Asks for Keras 2 in a spelling that TensorFlow does not take; autoxla puts it right."""

import tensorflow as tf

print("keras", tf.keras.__name__, tf.keras.__version__)
model = tf.keras.Sequential()
model.add(tf.keras.layers.Dense())
model.compile("sgd", "mse")
model.fit([1.0, 2.0], [2.0, 4.0], epochs=2)
print("predicted", model.predict([1.0]))

"""Trains a small model on numbers that are the same each time, saves it, loads it, and ends as it is told."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

keras = tf.keras
x = np.sin(np.arange(64 * 4, dtype="float32") * 1.3).reshape(64, 4)
y = x.sum(1, keepdims=True)


def make():
    model = keras.Sequential([keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)])
    model.build((None, 4))
    for index, weight in enumerate(model.trainable_weights):
        shape = tuple(weight.shape)
        weight.assign(np.cos(np.arange(int(np.prod(shape))) + index).reshape(shape) * 0.4)
    return model


def show(title, values):
    print(title, [f"{float(value):.4f}" for value in np.ravel(values)])


def end(how):
    if how == "error":
        model.compile("no optimizer")
    if how == "exit":
        sys.exit(3)


print(keras.layers.Dense.__module__.partition(".")[0])
model = make()
model.compile(keras.optimizers.SGD(0.1), "mse")
history = model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
show("loss", history.history["loss"])
show("predicted", model.predict(x[:4], verbose=0))
model.save("model.keras")
again = keras.models.load_model("model.keras")
show("loaded", again.predict(x[:4], verbose=0))
again.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)
show("again", again.predict(x[:4], verbose=0))
Path("written.txt").write_text("done\n")
end(sys.argv[1])
print("end")

"""A stand-in for Keras 2: models with one weight, trained in plain Python."""

from types import SimpleNamespace

from tf_keras.src.engine.base_layer import Dense, Layer
from tf_keras.src.engine.sequential import Sequential
from tf_keras.src.engine.training import Model
from tf_keras.src.saving import saving_api

__version__ = "2.21.0"
layers = SimpleNamespace(Dense=Dense, Layer=Layer)
models = SimpleNamespace(load_model=saving_api.load_model, save_model=saving_api.save_model)
__all__ = ["Model", "Sequential", "layers", "models"]

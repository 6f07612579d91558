"""A stand-in for Keras 3: models with one weight, trained in plain Python."""

from types import SimpleNamespace

from keras.src.backend.tensorflow.trainer import TensorFlowTrainer
from keras.src.layers.layer import Dense, Layer
from keras.src.models.sequential import Sequential
from keras.src.saving import saving_api
from keras.src.trainers.trainer import Trainer

__version__ = "3.15.1"
Model = Trainer
layers = SimpleNamespace(Dense=Dense, Layer=Layer)
models = SimpleNamespace(
    load_model=saving_api.load_model, save_model=saving_api.save_model, Sequential=Sequential
)
__all__ = ["Model", "Sequential", "TensorFlowTrainer", "layers", "models"]

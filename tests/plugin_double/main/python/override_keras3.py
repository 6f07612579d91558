"""The Python side of the double: the guard of ITEX's main on ``compile`` and ``predict``.

Keras is imported and touched when this module is imported, whatever Keras the program wants: that
is what fails when Keras is half imported, has another backend than TensorFlow, or is not there.
"""

import os
from typing import Any

import keras

TRAINER = keras.src.trainers.trainer.Trainer
TENSORFLOW_TRAINER = keras.src.backend.tensorflow.trainer.TensorFlowTrainer
keras_compile = TRAINER.compile
keras_predict = TENSORFLOW_TRAINER.predict

#: A test of the text, so that ``=10`` counts, too, and ``=2`` does not; it sees what Python sees,
#: not what the C side of the plug-in appended.
AUTO_CLUSTERING = "--tf_xla_auto_jit=1" in os.environ.get("TF_XLA_FLAGS", "").replace(" ", "")


def quit_unless_compiled(model: Any, message: str) -> None:
    """End the process, with status 0, where the model runs without XLA and ITEX expects XLA."""
    expects_xla = os.environ.get("ITEX_DISABLE_XLA", "0") in ("0", "false")
    if not model.jit_compile and expects_xla and not AUTO_CLUSTERING:
        print(message)
        quit()


def guarded_compile(
    self: Any,
    optimizer: Any = "rmsprop",
    loss: Any = None,
    loss_weights: Any = None,
    metrics: Any = None,
    weighted_metrics: Any = None,
    run_eagerly: bool = False,
    steps_per_execution: int = 1,
    jit_compile: Any = "auto",
    auto_scale_loss: bool = True,
) -> None:
    """Compile, then look; the signature is Keras' own, without ``*args``, as ITEX's is."""
    keras_compile(
        self,
        optimizer,
        loss,
        loss_weights,
        metrics,
        weighted_metrics,
        run_eagerly,
        steps_per_execution,
        jit_compile,
        auto_scale_loss,
    )
    quit_unless_compiled(
        self,
        "This keras model does not support jit compile, please use legacy keras or set ITEX_DISABLE_XLA=1",
    )


def guarded_predict(
    self: Any, x: Any, batch_size: Any = None, verbose: Any = "auto", steps: Any = None, callbacks: Any = None
) -> Any:
    """Look, then predict."""
    quit_unless_compiled(
        self,
        "This keras model is not jit compiled, please compile it or use legacy keras "
        "or set ITEX_DISABLE_XLA=1",
    )
    return keras_predict(self, x, batch_size, verbose, steps, callbacks)


def override_keras3() -> None:
    """Install the guard, unless TensorFlow's reader of the variable sees legacy Keras."""
    if os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True"):
        return
    TRAINER.compile = guarded_compile
    TENSORFLOW_TRAINER.predict = guarded_predict

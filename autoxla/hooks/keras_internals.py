"""What of Keras and TensorFlow autoxla reaches into, release by release, and whether it is there.

All that differs between releases is in this module. A release that it does not know is asked for what the
hooks need: a class that has it is wrapped, wherever it is; without it, the hook is left out.

No backend is imported here: `TARGETS` is read before any is there.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from autoxla.hooks.finder import attempt

Role = Literal["compile", "infer", "predict", "train"]


@dataclass(frozen=True, slots=True)
class Target:
    """Methods of one class of Keras that one of our hooks wraps.

    `methods` are pairs of a name and the parameters that it must have. `since` is the first release of
    the top-level package of `module` that has them there.
    """

    role: Role
    since: tuple[int, int]
    module: str
    owner: str
    methods: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def package(self) -> str:
        """The top-level package that the class is in."""
        return self.module.partition(".")[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the methods."""
        return tuple(name for name, _ in self.methods)

    def find(self, module: ModuleType) -> Any:
        """Return the class in ``module`` with the methods as a hook needs them, None for none."""
        owner = getattr(module, self.owner, None)
        return None if owner is None or self.lacking(owner) else owner

    def lacking(self, owner: Any) -> tuple[str, ...]:
        """Return the names of the methods that ``owner`` itself has not, or not with their parameters."""
        return tuple(name for name, needed in self.methods if not _takes(vars(owner).get(name), needed))


def _takes(function: Any, needed: tuple[str, ...]) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    # Somebody else's wrapper takes whatever comes.
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return takes_all or all(name in parameters for name in needed)


_COMPILE_2 = (("compile", ("jit_compile",)),)
_COMPILE_3 = (*_COMPILE_2, ("compile_from_config", ()))
_TRAIN = (("make_train_function", ()), ("fit", ()))
_INFER = (("make_predict_function", ()),)
_TRAINER_3 = ("keras.src.backend.tensorflow.trainer", "TensorFlowTrainer")

#: In Keras 3 ``compile`` is the same for all backends, the rest is each backend's own. ``jit_compile`` is
#: "auto" there and None in Keras 2 where a program leaves it open.
TARGETS = (
    Target("compile", (3, 0), "keras.src.trainers.trainer", "Trainer", _COMPILE_3),
    Target("predict", (3, 0), *_TRAINER_3, (("predict", ()),)),
    Target("infer", (3, 0), *_TRAINER_3, _INFER),
    Target("train", (3, 0), *_TRAINER_3, _TRAIN),
    Target("compile", (2, 13), "keras.src.engine.training", "Model", _COMPILE_2),
    Target("infer", (2, 13), "keras.src.engine.training", "Model", _INFER),
    Target("train", (2, 13), "keras.src.engine.training", "Model", _TRAIN),
    Target("compile", (2, 15), "tf_keras.src.engine.training", "Model", _COMPILE_2),
    Target("infer", (2, 15), "tf_keras.src.engine.training", "Model", _INFER),
    Target("train", (2, 15), "tf_keras.src.engine.training", "Model", _TRAIN),
)
#: What ``tune`` times: the trainers of all backends. The trial is TensorFlow's alone.
TRAINERS = (
    *(target for target in TARGETS if target.role == "train"),
    Target("train", (3, 0), "keras.src.backend.jax.trainer", "JAXTrainer", _TRAIN),
    Target("train", (3, 0), "keras.src.backend.torch.trainer", "TorchTrainer", _TRAIN),
)
#: By what a program asks for it: the attribute of a model that holds the function over one batch, which its
#: method ``make_…`` makes.
PHASES = {"train": "train_function", "evaluate": "test_function", "predict": "predict_function"}
#: Where ``tf.function`` has its class, called ``Function``.
FUNCTIONS = "tensorflow.python.eager.polymorphic_function.polymorphic_function"
#: Where Keras 3 has ``draw_seed``, through which all of its random numbers go, on each backend.
SEEDS = "keras.src.random.seed_generator"
#: The packages whose ``Model`` is looked at once they are imported.
KERAS_PACKAGES = tuple(dict.fromkeys(target.package for target in TARGETS))

#: Where the base class ``Layer`` of each generation is defined, and what people call that generation.
GENERATIONS = {
    "keras.src.layers.layer": "Keras 3",
    "tf_keras.src.engine.base_layer": "Keras 2 (tf_keras)",
    "keras.src.engine.base_layer": "Keras 2",
    "tensorflow.python.keras.engine.base_layer": "TensorFlow's private Keras",
    "keras_core.src.layers.layer": "Keras Core",
}
#: Two of these are loaded where a program can mix. TensorFlow's private Keras is no sign: it loads always.
SIGNS = ("keras.src.layers.layer", "tf_keras.src.engine.base_layer", "keras_core.src.layers.layer")
#: What objects of Keras 2 have, and what is assigned to those of Keras 3 without any effect: the class that
#: takes it there, and what to write instead. A model is a layer, too.
SET_IN_VAIN: Mapping[str, tuple[str, str]] = {
    "lr": ("BaseOptimizer", "assign optimizer.learning_rate"),
    "_autocast": ("Layer", "assign autocast"),
    "_batch_input_shape": ("Layer", "keras.models.clone_model(model, input_tensors=keras.Input(shape))"),
    "_name": ("Layer", "assign name"),
}
#: The modules of these classes, of ``Trainer``, whose `metrics_names` changed, and of what loads files.
SILENT = (
    "keras.src.optimizers.base_optimizer",
    "keras.src.layers.layer",
    "keras.src.trainers.trainer",
    "keras.src.saving.saving_api",
)

#: The function over one batch in Keras 3. Until 3.6 it is made in ``make_train_function`` itself, since then
#: in ``_make_function``; it is reached through closures in both. Keras 2 has none.
STEP_OVER_DATA = "one_step_on_data"
#: What a trial needs of a traced function of TensorFlow's, and of its eager context and executors: the same
#: in 2.15 to 2.21, and private.
TRACED = ("_call_flat", "captured_inputs", "variables", "graph", "structured_input_signature")
EAGER = {"context": ("executor_scope",), "executor": ("new_executor",)}
#: What lists the traces of a ``tf.function``.
LISTING = "_list_all_concrete_functions"


def is_keras_3_variable(cls: type) -> bool:
    """Return whether objects of ``cls`` are what a layer of Keras 3 has as weights."""
    return any(base.__module__ == "keras.src.backend.common.variables" for base in cls.__mro__)


def of_module(module: ModuleType, *roles: Role) -> Iterator[Target]:
    """Yield the targets of ``roles`` in ``module``, by the name that it has itself."""
    name = module.__name__
    return (target for target in TARGETS if target.module == name and target.role in roles)


def steps_per_call(model: Any) -> int | None:
    """Return how many steps one call of ``train_function`` is, None where that is not a number."""
    steps = getattr(model, "_steps_per_execution", None)
    # Keras 2 keeps a variable, and None until compile; Keras 3 has the number.
    steps = getattr(model, "steps_per_execution", None) if steps is None else steps
    try:
        return 1 if steps is None else int(steps.numpy() if hasattr(steps, "numpy") else steps)
    except (TypeError, ValueError):
        return None


def in_strategy(model: object) -> bool:
    """Return whether ``model``, or the code that runs, is under a ``tf.distribute`` strategy.

    True also where that cannot be found out: nothing is to be tried there, and XLA stays off.
    """
    module: Any = sys.modules.get("tensorflow.python.distribute.distribute_lib")

    def ask() -> bool:
        # A model may be made of anything.
        strategy = getattr(model, "distribute_strategy", None)
        is_default = strategy is None or type(strategy).__name__.startswith("_DefaultDistribution")
        return bool(module.has_strategy()) or not is_default

    return module is not None and bool(attempt("search for a strategy", ask, otherwise=lambda: True))

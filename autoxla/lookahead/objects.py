"""Objects of Keras: which public names make them, and where those of two packages meet."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from typing import Literal

from autoxla.hooks.keras_internals import SET_IN_VAIN
from autoxla.lookahead.notes import Notes
from autoxla.lookahead.values import Arguments, Binding, Bindings, Instance, Items, Part, Thing, flatten
from autoxla.model import Place

#: The packages whose objects do not fit each other, by the names under which programs reach them.
_FAMILIES = (
    ("tensorflow.compat.v2.keras.", "tensorflow.keras"),
    ("tensorflow.compat.v1.keras.", "tensorflow.keras"),
    ("tensorflow.keras.", "tensorflow.keras"),
    ("tensorflow.optimizers.", "tensorflow.keras"),
    ("keras.", "keras"),
    ("tf_keras.", "tf_keras"),
)
#: What other packages make with tf_keras, whatever ``tf.keras`` is.
_BROUGHT = {
    "transformers.TF": "model",
    "tensorflow_hub.KerasLayer": "layer",
    "tensorflow_probability.layers.": "layer",
}
#: What classes make, by the module that they are in.
_ROLES = {
    "applications": "model",
    "callbacks": "callback",
    "layers": "layer",
    "metrics": "metric",
    "optimizers": "optimizer",
    "Adam": "optimizer",
    "SGD": "optimizer",
}
#: Functions that make a model of what they are given, be it of another generation.
_MAKERS = frozenset({"clone_model", "load_model", "model_from_config", "model_from_json", "model_from_yaml"})
#: What refuses to be made of objects of another generation. Other layers may take them for functions.
_REFUSING = frozenset({"Bidirectional", "Model", "Sequential", "TimeDistributed", "Wrapper"})
#: Layers that do what the program gives them to do, which may suit tensors of any generation.
_OPEN = frozenset({"Lambda", "Layer"})
#: In Keras 2, the names of what ``evaluate`` returns.
METRICS_NAMES = "metrics_names"
#: What a model or an optimizer is given beside its layers. Keras 3 takes callbacks and metrics of tf_keras.
PARTS = frozenset({"callback", "metric", "schedule", "sequence"})
_TAKEN = frozenset({"callback", "metric"})
_RUNNING = frozenset({"evaluate", "fit", "fit_generator", "predict"})
_TRAINING = frozenset({"fit", "fit_generator", "train_on_batch"})
#: How the names begin of layers that certainly have weights to train.
_WEIGHTED = (
    *("BatchNormalization", "Conv1D", "Conv2D", "Conv3D", "ConvLSTM", "Dense", "DepthwiseConv", "Embedding"),
    *("EinsumDense", "GRU", "GroupNormalization", "LSTM", "LayerNormalization", "LocallyConnected", "PReLU"),
    *("MultiHeadAttention", "SeparableConv", "SimpleRNN"),
)


@cache
def find_family(name: str) -> str | None:
    """Return the package whose objects a dotted name makes, None for no package of Keras."""
    if name.startswith(tuple(_BROUGHT)):
        return "tf_keras"
    return next((family for start, family in _FAMILIES if f"{name}.".startswith(start)), None)


@cache
def find_role(name: str) -> str | None:
    """Return what calling a dotted name gives, None where it does not matter to models.

    That is an operation on tensors, or a layer, model, optimizer, tensor, callback, metric, schedule or
    sequence.
    """
    brought = next((role for start, role in _BROUGHT.items() if name.startswith(start)), None)
    if brought is not None:
        # ``TFBertModel(…)`` and ``TFBertModel.from_pretrained(…)``, but no function of the class.
        return brought if name.rpartition(".")[2] == "from_pretrained" or name.count(".") < 3 else None
    start = next((start for start, _ in _FAMILIES if name.startswith(start)), None)
    if start is None:
        return None
    top, *_ = parts = name.removeprefix(start).split(".")
    last = parts[-1]
    if last == "Input":
        return "tensor"
    if last in ("Model", "Sequential") or last in _MAKERS:
        return "model"
    if not last[:1].isupper():
        return "operation" if top == "layers" else None
    if last in ("PyDataset", "Sequence"):
        return "sequence"
    return "schedule" if "schedules" in parts else _ROLES.get(top)


def get_thing_attribute(thing: Thing, name: str) -> Bindings:
    """Return an attribute of an object of Keras."""
    if thing.role == "tensor":
        return () if name in ("dtype", "ndim", "rank", "shape") else (Binding(thing),)
    if name in ("input", "inputs", "output", "outputs"):
        return (Binding(thing._replace(role="tensor")),)
    if name == "layers":
        return (Binding(Items([(Binding(thing._replace(role="layer"), certain=False),)], open=True)),)
    if name == "optimizer":
        own = thing._replace(role="optimizer", name=f"{thing.family}.optimizers.Optimizer")
        return (Binding(own),) if thing.role == "model" else ()
    return (Binding(Part(thing, name)),)


class Objects(Notes):
    """Follows what calls make of objects of Keras, and notes where those of two packages meet.

    That is certain only where it was seen to raise an error, or to train less than the program asks for.
    """

    #: Something may have been told not to be trained.
    freezes = False

    def find_family(self, name: str) -> str | None:
        """Return the package of what a dotted name makes, as ``tf.keras`` is by now."""
        family = find_family(name)
        return "tf_keras" if family == "tensorflow.keras" and self.is_switched else family

    def make(self, node: ast.Call, name: str, arguments: Arguments) -> Bindings:
        """Return the object of Keras that calling a public name gives."""
        family, role = self.find_family(name), find_role(name)
        if family is None or role is None:
            return ()
        last = name.rpartition(".")[2]
        made = Thing(family, name, role, self.spot(node), self.is_certain())
        self.freezes |= "trainable" in [keyword.arg for keyword in node.keywords]
        if role != "tensor" and last not in _MAKERS:
            refuses = last in _REFUSING or role == "optimizer"
            symbolic = self.meet(node, made, arguments.all(), certain=refuses)
            if role == "operation":
                return () if symbolic is None else (Binding(symbolic),)
            if symbolic is not None and family == "tf_keras":
                made = made._replace(lost=symbolic.lost)
        return (Binding(made),)

    def call_thing(
        self, node: ast.Call, thing: Thing, arguments: Arguments, *, certain: bool = True
    ) -> Bindings:
        """Return what calling a layer or model gives: a symbolic tensor where it is given some."""
        if thing.role not in ("layer", "model"):
            return ()
        certain = certain and thing.name.rpartition(".")[2] not in _OPEN
        symbolic = self.meet(node, thing, arguments.all(), "called", certain=certain)
        return () if symbolic is None else (Binding(symbolic),)

    def call_method(self, node: ast.Call, thing: Thing, name: str, arguments: Arguments) -> Bindings:
        """Return what a method of an object gives."""
        if name in _RUNNING and thing.role == "model":
            self.meet(node, thing, arguments.all(), "runs")
        if name in ("add", "compile") and thing.role == "model":
            self.meet(node, thing, arguments.all())
        elif name == "__init__":
            self.meet(node, thing, arguments.all(), certain=thing.name.rpartition(".")[2] in _REFUSING)
        elif name in _TRAINING and thing.lost is not None:
            # tf_keras trains no weights of Keras 3, and says nothing.
            self._add_meeting(node, thing.lost, thing, certain=not self.freezes)
        elif name == "__call__":
            return self.call_thing(node, thing, arguments)
        elif name == "get_layer":
            return (Binding(thing._replace(role="layer")),)
        return ()

    def meet(
        self,
        node: ast.AST,
        into: Thing,
        values: Iterable[Bindings],
        how: Literal["holds", "called", "runs"] = "holds",
        *,
        certain: bool = True,
    ) -> Thing | None:
        """Note objects that come to one of another package: it holds them, is called or run with them.

        Return the symbolic tensor that is made of those among them, None without any.
        """
        tensors: list[Thing] = []
        lost = None
        if into.role in PARTS:
            return None
        for target, sure in flatten(b for value in values for b in value):
            thing = target.thing if isinstance(target, Instance) else target
            if not isinstance(thing, Thing) or (how == "runs" and thing.role not in PARTS):
                continue
            if thing.role == "tensor":
                tensors.append(thing)
            if thing.family != into.family and (thing.family != "tf_keras" or thing.role not in _TAKEN):
                is_certain = certain and sure and thing.certain and into.certain
                # Keras 3 takes tensors of tf_keras for TensorFlow's, and computes with them.
                works = how == "called" and thing.role == "tensor" and thing.family == "tf_keras"
                is_weighted = into.name.rpartition(".")[2].startswith(_WEIGHTED)
                if works and is_certain and self.is_certain() and is_weighted:
                    lost = into._replace(place=self.spot(node))
                self._add_meeting(node, thing, into, certain=is_certain and not works)
        if not tensors:
            return None
        # Of tensors of tf_keras even layers of Keras 3 make tensors of tf_keras.
        family = "tf_keras" if any(tensor.family == "tf_keras" for tensor in tensors) else into.family
        lost = next((tensor.lost for tensor in tensors if tensor.lost is not None), lost)
        return into._replace(role="tensor", family=family, place=self.spot(node), lost=lost)

    def _add_meeting(self, node: ast.AST, thing: Thing, into: Thing, *, certain: bool) -> None:
        self.add(node, "meets", thing.name, into.name, certain=certain, origin=Place(*thing.place))

    def note_set(self, node: ast.Attribute, owners: Bindings) -> None:
        """Note that an attribute of Keras 2 is set; an unknown object counts if its name tells its role."""
        name = node.attr
        roles = ("layer", "model") if SET_IN_VAIN[name][0] == "Layer" else ("optimizer",)
        for target, certain in owners:
            # A class of the program's own may have that attribute for itself.
            is_own = isinstance(target, Instance)
            thing = target.thing if isinstance(target, Instance) else target
            if isinstance(thing, Thing) and thing.role in roles:
                self.add(node, "old", name, thing.family, certain=certain and thing.certain and not is_own)
        called = str(getattr(node.value, "attr", getattr(node.value, "id", "")))
        is_called_so = not {*roles, "opt"}.isdisjoint(called.lower().split("_"))
        # Before objects are followed, all are unknown.
        if not owners and (is_called_so or not self.deep):
            self.add(node, "old", name, certain=False)

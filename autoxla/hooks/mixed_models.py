"""Models with parts of two generations of Keras, of which nothing fails and part is not trained.

`autoxla.activation` loads this module with the second generation. From then on ``compile`` of both looks for
parts of the other one in its model, and so does the first step of ``fit``, where the model is built.

Known limits: a Keras 3 layer without bias called on a ``tf_keras.Input`` leaves a plain tensor in the
model, which nothing tells from a constant that belongs there. The function of a ``Lambda`` layer is not
looked into. Layers of TensorFlow's private Keras are looked for only where two of the other generations are
loaded.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import ModuleType
from typing import Any

from autoxla.hooks import finder
from autoxla.hooks.keras_internals import GENERATIONS, TARGETS, is_keras_3_variable, of_module
from autoxla.hooks.wrapping import Wrapper, behind
from autoxla.model import Finding, Place
from autoxla.running import calling_place
from autoxla.runtime import current

#: Objects of a model that are looked at, and items of one container.
MOST_OBJECTS = 5000
MOST_ITEMS = 500
_CONTAINERS = (list, tuple, set, frozenset, dict)
_KERAS_3, _CORE = "keras.src.layers.layer", "keras_core.src.layers.layer"
_KERAS_2 = ("tf_keras.src.engine.base_layer", "keras.src.engine.base_layer")


class Seen:
    """What this process saw of models with two generations.

    `settled` are the models that were looked at when all of their parts were built. `said` has what was said
    of which class, and in which line: one that trains many models of one make says it once.
    """

    def __init__(self) -> None:
        self.settled: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.said: set[tuple[str, str, Place]] = set()


def register() -> None:
    """Look for mixtures in every model that is compiled or trained from now on."""
    for target in TARGETS:
        if target.role == "compile":
            finder.on_import(target.module, hook)


def hook(module: ModuleType) -> None:
    """Wrap what compiles a model in ``module``, and what its first step ends with, which builds it; once."""
    for target in of_module(module, "compile"):
        owner = getattr(module, target.owner, None)
        current().wrap(owner, "compile", _LOOK_AT_COMPILED)
        current().wrap(owner, "get_metrics_result", _LOOK_AT_BUILT)


def check_mixing(model: Any, *, is_built: bool) -> None:
    """Say what ``model`` silently loses to a second generation of Keras.

    Of a part that is not built the weights are not known: unless ``is_built``, the model is looked at again.
    """
    settled = current().of(Seen).settled
    if settled.get(id(model)) is model:
        return
    family = generation_of(type(model))
    is_open = False
    if family in _KERAS_2:
        _report("AX132", model, _KERAS_3, list(find_loose_variables(model)))
    # A model's own ``train_step`` decides what is trained; that may be anything.
    step = getattr(getattr(type(model), "train_step", None), "__module__", "")
    if family in (_KERAS_3, _CORE) and step.startswith(("keras.src.", "keras_core.src.")):
        lost, other = [], ""
        for layer, path in find_foreign(model, family):
            of = str(generation_of(type(layer)))
            try:
                count = len(layer.trainable_weights) if layer.trainable else 0
            except ValueError:  # a Keras 2 model that is not built
                count = 0
            if count:
                other = other or of
                lost.append(
                    f"{_class(model)} of {GENERATIONS[family]} holds {_class(layer)} of {GENERATIONS[of]} "
                    f"as {path}: Keras 3 trains and saves none of its {count} trainable weights"
                )
            elif layer.trainable and not layer.built:
                is_open = True
        _report("AX131", model, other, lost)
    if is_built or not is_open:
        settled[id(model)] = model


def generation_of(cls: type) -> str | None:
    """Return the module that defines the base ``Layer`` of ``cls``, one of `GENERATIONS`, or None."""
    for base in cls.__mro__:
        if base.__name__ == "Layer" and base.__module__ in GENERATIONS:
            return base.__module__
    return None


def find_foreign(model: Any, family: str | None) -> Iterator[tuple[Any, str]]:
    """Yield the layers of other generations that ``model`` holds, with the way to them.

    Keras 3 finds layers in attributes, lists and dictionaries of layers; so does this.
    """
    waiting = deque([(model, type(model).__name__)])
    seen: set[int] = set()
    while waiting and len(seen) < MOST_OBJECTS:
        thing, path = waiting.popleft()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        other = generation_of(type(thing))
        members: Iterator[tuple[Any, str]] = iter(())
        if other is not None and other != family:
            yield thing, path
        elif other is not None:
            # TensorFlow's own book of what it tracks begins with _self_.
            names = (name for name in vars(thing) if not name.startswith("_self_"))
            members = ((vars(thing)[name], f"{path}.{name}") for name in names)
        elif isinstance(thing, dict):
            members = ((value, f"{path}[{key!r}]") for key, value in thing.items())
        else:
            members = ((value, f"{path}[{at}]") for at, value in enumerate(thing))
        waiting += (
            (value, way)
            for value, way in islice(members, MOST_ITEMS)
            if isinstance(value, _CONTAINERS) or generation_of(type(value)) is not None
        )


def find_loose_variables(model: Any) -> Iterator[str]:
    """Yield what is lost with each trainable variable of Keras 3 that a functional Keras 2 model uses.

    Keras 2 made a layer of each TensorFlow operation between its own, in models inside, too, and of what the
    operation uses a constant.
    """
    seen: set[int] = set()
    waiting = [model]
    for _ in range(MOST_OBJECTS):
        if not waiting:
            return
        layer = waiting.pop()
        waiting += getattr(layer, "layers", None) or ()
        if type(layer).__name__ not in ("TFOpLambda", "SlicingOpLambda", "ClassMethod"):
            continue
        for node in getattr(layer, "inbound_nodes", ())[:MOST_ITEMS]:
            for value in _flat((node.call_args, node.call_kwargs)):
                if id(value) in seen or not is_keras_3_variable(type(value)) or not value.trainable:
                    continue
                seen.add(id(value))
                yield (
                    f"{_class(model)} of {GENERATIONS[generation_of(type(model)) or '']} uses {value.path} "
                    f"({_class(value)}) of Keras 3 in its operation {layer.name}: a Keras 3 layer was called "
                    "on a Keras 2 Input; its weights are neither trained nor saved"
                )


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple, dict)):
        for item in islice(value.values() if isinstance(value, dict) else value, MOST_ITEMS):
            yield from _flat(item)
    else:
        yield value


def _class(thing: Any) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def _report(code: str, model: Any, other: str, messages: Sequence[str]) -> None:
    """Say the first of ``messages``, which are about parts of the generation ``other`` in ``model``."""
    said, place = current().of(Seen).said, calling_place()
    if not messages or (code, _class(model), place) in said:
        return
    said.add((code, _class(model), place))
    more = f", and {len(messages) - 1} more like it" if len(messages) > 1 else ""
    packages = [family.partition(".")[0] for family in (str(generation_of(type(model))), other)]
    public = " or ".join(package for package in packages if package != "tensorflow")
    remedy = f"take all of the model's parts from one package: {public}"
    current().add_finding(Finding(code, "warning", f"{messages[0]}{more}", remedy, place))


def _look(*, is_built: bool) -> Wrapper:
    def look(_: Any, args: Sequence[Any], __: Mapping[str, Any]) -> None:
        for model in args[:1]:
            check_mixing(model, is_built=is_built)

    return behind("search for mixed generations", look)


_LOOK_AT_COMPILED, _LOOK_AT_BUILT = _look(is_built=False), _look(is_built=True)

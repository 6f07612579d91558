"""What Keras does not say: notes on known errors, and warnings of two generations in one model.

`register` wraps ``fit``, ``Sequential.add`` and the saving functions of every Keras that is imported,
and chains ``sys.excepthook`` and ``threading.excepthook`` for the errors that no wrapper sees. A
wrapper adds a note to an exception on its way out; type, arguments and traceback stay as they are,
without a frame of ours. Up to Python 3.10 the frame remains, and exceptions have no notes: there the note
is a line on stderr that only an uncaught exception gets, for a program that handles its errors shall not
hear of them. (Without its C extension wrapt leaves a frame of its own.)

`check_mixing` looks for what goes wrong without any error. In mode ``observe`` there is none of this.

Known limits: a Keras 3 layer without bias called on a ``tf_keras.Input`` leaves a plain tensor in the
model, which nothing tells from a constant that belongs there. Layers of TensorFlow's private Keras are
looked for only where two of the other generations are loaded.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import FrameType, FunctionType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from autoxla.facts import Finding, Place
from autoxla.hooks import finder
from autoxla.hooks.boundary import attempt
from autoxla.hooks.wrapping import leave_no_frame
from autoxla.notice import notify
from autoxla.running import place_of
from autoxla.runtime import Runtime, current
from autoxla.situation.env_parsing import tensorflow_bool
from autoxla.situation.environment import read_environ

if TYPE_CHECKING:
    from autoxla.hooks.error_matching import Hint

#: What `Exception.add_note` puts in front of every note of ours.
PREFIX = "autoxla: "
HAS_NOTES = sys.version_info >= (3, 11)  # PYVERSION
#: Exceptions of one chain (cause, context, group) that are looked at.
LONGEST_CHAIN = 20
#: Objects of a model that are looked at, and items of one container.
MOST_OBJECTS = 5000
MOST_ITEMS = 500
#: What a fault is said to be in.
_NOTE, _SEARCH = "exception note", "search for mixed generations"
_SAVING = ("load_model", "save_model", "load_weights", "save_weights")

#: Where the base class ``Layer`` of each generation is defined, and what people call that generation.
GENERATIONS = {
    "keras.src.layers.layer": "Keras 3",
    "tf_keras.src.engine.base_layer": "Keras 2 (tf_keras)",
    "keras.src.engine.base_layer": "Keras 2",
    "tensorflow.python.keras.engine.base_layer": "TensorFlow's private Keras",
    "keras_core.src.layers.layer": "Keras Core",
}
#: Two of these are loaded where a program can mix. TensorFlow's private Keras is no sign: it loads always.
_SIGNS = ("keras.src.layers.layer", "tf_keras.src.engine.base_layer", "keras_core.src.layers.layer")


class Seen:
    """What this process saw of models with two generations.

    `settled` are the models that were looked at when all of their parts were built. `said` has what was said,
    and for which line: one that trains many models of one make says it once. Of models in `watching` the next
    training step is shadowed.
    """

    def __init__(self) -> None:
        self.settled: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.said: set[tuple[Place, tuple[str, ...]]] = set()
        self.watching: set[int] = set()


# --- Registration


def register(runtime: Runtime) -> None:
    """Have the wrappers put on when their targets are imported, and chain the hooks for what is uncaught."""
    hooks = ExceptionHooks()
    hooks.install()
    runtime.on_uninstall(hooks.remove)
    for module, hook in HOOKS:
        finder.on_import(module, hook)


def hook_trainer(module: ModuleType) -> None:
    """Wrap ``fit`` of the class that trains: a backend's ``…Trainer`` in Keras 3, ``Model`` in Keras 2."""
    for owner in list(vars(module).values()):
        if isinstance(owner, type) and owner.__module__ == module.__name__ and "fit" in vars(owner):
            current().wrap(owner, "fit", _fit)


def hook_sequential(module: ModuleType) -> None:
    """Wrap ``Sequential.add``."""
    current().wrap(getattr(module, "Sequential", None), "add", _call)


def hook_saving(module: ModuleType) -> None:
    """Wrap the functions that load and save, before other modules import them from ``module``."""
    for name in _SAVING:
        current().wrap(module, name, _call)


HOOKS = (
    ("keras.src.backend.tensorflow.trainer", hook_trainer),
    ("keras.src.backend.jax.trainer", hook_trainer),
    ("keras.src.backend.torch.trainer", hook_trainer),
    ("keras.src.engine.training", hook_trainer),
    ("tf_keras.src.engine.training", hook_trainer),
    ("keras.src.models.sequential", hook_sequential),
    ("keras.src.engine.sequential", hook_sequential),
    ("tf_keras.src.engine.sequential", hook_sequential),
    ("keras.src.saving.saving_api", hook_saving),
    ("tf_keras.src.saving.saving_api", hook_saving),
)


# --- Wrapping


def _call(wrapped: Callable[..., Any], _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    try:
        return wrapped(*args, **kwargs)
    except Exception as error:
        attempt(_NOTE, add_note, error)
        attempt(_NOTE, leave_no_frame, error)
        raise


def _fit(wrapped: Callable[..., Any], _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    model = args[0] if args else None
    # A model may be made of anything.
    attempt(_SEARCH, _look_at_parts, model)
    try:
        return wrapped(*args, **kwargs)
    except Exception as error:
        attempt(_NOTE, add_note, error)
        attempt(_NOTE, leave_no_frame, error)
        raise
    finally:
        attempt(_SEARCH, _stop_watching, model)


def _look_at_parts(model: Any) -> None:
    if check_mixing(model):
        _watch_first_step(model)


# --- Notes


def add_note(error: BaseException) -> None:
    """Add to ``error``, or to the exception that it came from, the note that is known for it.

    Does nothing the second time, and nothing on Python 3.10, which has no notes.
    """
    found = _noted(error) if HAS_NOTES else None
    if found is not None:
        found[0].add_note(text_of(found[1]))  # type: ignore[attr-defined, unused-ignore]


def text_of(note: Hint) -> str:
    """Return ``note`` as it is shown."""
    return f"{PREFIX}{note.code} {note.text}"


def _noted(error: BaseException) -> tuple[BaseException, Hint] | None:
    """Return the exception in the chain of ``error`` that is known, with its note; None if it has one."""
    # Late, as most programs end without an error.
    from autoxla.hooks.error_matching import find_hint

    for link in _chain(error):
        if _has_note(link):
            return None
        note = find_hint(link)
        if note is not None:
            return link, note
    return None


def _has_note(error: BaseException) -> bool:
    notes = getattr(error, "__notes__", ())
    return isinstance(notes, (list, tuple)) and any(str(note).startswith(PREFIX) for note in notes)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and the exceptions that are printed with it, each once."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < LONGEST_CHAIN:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        earlier = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        inside = getattr(link, "exceptions", ())
        waiting += [e for e in (earlier, *inside) if isinstance(e, BaseException)][:LONGEST_CHAIN]


# --- What nobody caught


class ExceptionHooks:
    """Lets uncaught exceptions have their hint, then go to the hooks that the program had before."""

    def __init__(self) -> None:
        self.main, self.thread = sys.excepthook, threading.excepthook

    def install(self) -> None:
        """Stand in front of the program's hooks."""
        sys.excepthook, threading.excepthook = self._except, self._except_in_thread

    def remove(self) -> None:
        """Put the program's hooks back, where ours are still in place."""
        if sys.excepthook == self._except:
            sys.excepthook = self.main
        if threading.excepthook == self._except_in_thread:
            threading.excepthook = self.thread

    def _except(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        line = attempt(_NOTE, _prepare, error)
        try:
            self.main(kind, error, trace)
        finally:
            attempt(_NOTE, _say_line, line)

    def _except_in_thread(self, args: Any) -> None:
        line = attempt(_NOTE, _prepare, args.exc_value)
        try:
            self.thread(args)
        finally:
            attempt(_NOTE, _say_line, line)


def _prepare(error: BaseException | None) -> str | None:
    """Add the note; return it instead where the exception has no notes."""
    if error is None or not isinstance(error, Exception):
        return None
    if HAS_NOTES:
        add_note(error)
        return None
    found = _noted(error)
    return None if found is None else text_of(found[1]).removeprefix(PREFIX)


def _say_line(line: str | None) -> None:
    if line is not None:
        notify(line)


# --- Two generations in one model


@dataclass(frozen=True, slots=True)
class Mixture:
    """A part of another generation in a model.

    `families` are the generations of the two, see `GENERATIONS`; `key` tells it from other mixtures,
    but not from the same one in another model of the same make.
    """

    code: str
    key: tuple[str, ...]
    message: str
    remedy: str
    families: tuple[str, ...]


def check_mixing(model: Any) -> bool:
    """Say what ``model`` silently loses to a second generation of Keras.

    Returns whether a part is not built yet, so that its weights are not known.
    """
    settled = current().of(Seen).settled
    if len([name for name in _SIGNS if name in sys.modules]) < 2 or settled.get(id(model)) is model:
        return False
    is_open = _check(model)
    if not is_open:
        settled[id(model)] = model
    return is_open


def _check(model: Any) -> bool:
    family = generation_of(type(model))
    if family in ("tf_keras.src.engine.base_layer", "keras.src.engine.base_layer"):
        _report(model, list(find_loose_variables(model)))
    if family not in ("keras.src.layers.layer", "keras_core.src.layers.layer") or _trains_itself(model):
        return False
    foreign = list(find_foreign(model, family))
    _report(model, [_lost(model, layer, path) for layer, path in foreign if _trainable(layer)])
    return any(_may_get_weights(layer) for layer, _ in foreign)


def generation_of(cls: type) -> str | None:
    """Return the module that defines the base ``Layer`` of ``cls``, one of `GENERATIONS`, or None."""
    for base in cls.__mro__:
        if base.__name__ == "Layer" and base.__module__ in GENERATIONS:
            return base.__module__
    return None


def package_of(family: str) -> str:
    """Return what a program imports to get the generation ``family``."""
    return "tensorflow.python.keras" if family.startswith("tensorflow") else family.partition(".")[0]


def find_foreign(model: Any, family: str | None) -> Iterator[tuple[Any, str]]:
    """Yield the layers of other generations that ``model`` holds, with the way to them.

    Keras 3 finds layers in attributes, lists and dictionaries of layers; so does this, and it looks
    into the functions of ``Lambda`` layers, too.
    """
    waiting = deque([(model, type(model).__name__)])
    seen: set[int] = set()
    while waiting and len(seen) < MOST_OBJECTS:
        thing, path = waiting.popleft()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        other = generation_of(type(thing))
        if other is not None and other != family:
            yield thing, path
        elif other is not None:
            waiting += _members(thing, path)
        elif isinstance(thing, (list, tuple, set, frozenset, dict)):
            waiting += _items(thing, path)


def _members(layer: Any, path: str) -> Iterator[tuple[Any, str]]:
    for name, value in islice(vars(layer).items(), MOST_ITEMS):
        if name.startswith("_self_"):
            continue  # TensorFlow's own book of what it tracks
        if isinstance(value, FunctionType) and name == "function":
            yield from ((used, f"{path}.function") for used in _used_by(value))
        elif _can_hold(value):
            yield value, f"{path}.{name}"


def _items(thing: Any, path: str) -> Iterator[tuple[Any, str]]:
    pairs = thing.items() if isinstance(thing, dict) else enumerate(thing)
    return ((value, f"{path}[{key!r}]") for key, value in islice(pairs, MOST_ITEMS) if _can_hold(value))


def _can_hold(value: Any) -> bool:
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return True
    return not isinstance(value, type) and generation_of(type(value)) is not None


def _used_by(function: FunctionType) -> Iterator[Any]:
    """Yield what a function refers to from outside: its closure, and the globals that it names."""
    for cell in function.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:
            continue  # not assigned yet
        if _can_hold(value):
            yield value
    for name in function.__code__.co_names[:MOST_ITEMS]:
        value = function.__globals__.get(name)
        if value is not None and _can_hold(value):
            yield value


def _trainable(layer: Any) -> int:
    """Return how many weights of ``layer`` want training; 0 where they do not exist yet."""
    try:
        return len(layer.trainable_weights) if layer.trainable else 0
    except ValueError:
        return 0  # a Keras 2 model that is not built


def _may_get_weights(layer: Any) -> bool:
    return bool(layer.trainable) and not layer.built and not _trainable(layer)


def _trains_itself(model: Any) -> bool:
    """Return whether the model's own ``train_step`` decides what is trained; that may be anything."""
    step = getattr(type(model), "train_step", None)
    return not getattr(step, "__module__", "").startswith(("keras.src.", "keras_core.src."))


def find_loose_variables(model: Any) -> Iterator[Mixture]:
    """Yield the trainable variables of Keras 3 that a functional Keras 2 model uses as constants."""
    seen: set[int] = set()
    for layer in _operations(model):
        for node in getattr(layer, "inbound_nodes", ())[:MOST_ITEMS]:
            for value in _flat((node.call_args, node.call_kwargs)):
                if id(value) not in seen and _is_keras_3_variable(value) and value.trainable:
                    seen.add(id(value))
                    yield _loose(model, layer, value)


def _operations(model: Any) -> Iterator[Any]:
    """Yield the layers that Keras 2 made of single TensorFlow operations, in models inside, too."""
    waiting = [model]
    for _ in range(MOST_OBJECTS):
        if not waiting:
            return
        layer = waiting.pop()
        waiting += getattr(layer, "layers", None) or ()
        if type(layer).__name__ in ("TFOpLambda", "SlicingOpLambda", "ClassMethod"):
            yield layer


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple, dict)):
        for item in islice(value.values() if isinstance(value, dict) else value, MOST_ITEMS):
            yield from _flat(item)
    else:
        yield value


def _is_keras_3_variable(value: Any) -> bool:
    return any(base.__module__ == "keras.src.backend.common.variables" for base in type(value).__mro__)


def _lost(model: Any, layer: Any, path: str) -> Mixture:
    families = _families(model, layer)
    message = (
        f"{_named(model)} holds {_named(layer)} as {path}: Keras 3 trains and saves none of its "
        f"{_trainable(layer)} trainable weights"
    )
    return Mixture("AX131", (_class(model), _class(layer), path), message, _remedy(families), families)


def _loose(model: Any, layer: Any, variable: Any) -> Mixture:
    keras_3 = "keras.src.layers.layer"
    families = (generation_of(type(model)) or "", keras_3)
    message = (
        f"{_named(model)} uses {variable.path} ({_class(variable)}) of Keras 3 in its operation "
        f"{layer.name}: a Keras 3 layer was called on a Keras 2 Input; its weights are neither trained nor "
        "saved"
    )
    return Mixture("AX132", (_class(model),), message, _remedy(families), families)


def _families(*things: Any) -> tuple[str, ...]:
    return tuple(generation_of(type(thing)) or "" for thing in things)


def _named(thing: Any) -> str:
    return f"{_class(thing)} of {GENERATIONS[generation_of(type(thing)) or '']}"


def _class(thing: Any) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def _remedy(families: Iterable[str]) -> str:
    names = [package_of(family) for family in families]
    public = " or ".join(name for name in names if "." not in name)
    return f"take all of the model's parts from one package: {public}"


def _report(model: Any, mixtures: Sequence[Mixture]) -> None:
    first, place = next(iter(mixtures), None), calling_place()
    said = current().of(Seen).said
    if first is None or (place, first.key) in said:
        return
    said.add((place, first.key))
    lines = importing_lines(first.families, _files(model, place))
    more = f", and {len(mixtures) - 1} more like it" if len(mixtures) > 1 else ""
    message = f"{first.message}{more}" + (f" ({lines})" if lines else "")
    current().add_finding(Finding(first.code, "warning", message, first.remedy, place))


def calling_place() -> Place:
    """Return the line of the program that called into Keras."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_library(frame):
        frame = frame.f_back
    return place_of(frame)


def _is_library(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] in ("autoxla", "wrapt", "contextlib", "keras", "tf_keras", "tensorflow")


def _files(model: Any, place: Place) -> list[str]:
    """Return the files in which the program may import what it mixes, the likeliest first."""
    modules = [sys.modules.get(type(model).__module__), sys.modules.get("__main__")]
    files = [place.file, *(getattr(module, "__file__", None) for module in modules)]
    unique = dict.fromkeys(str(Path(file).absolute()) for file in files if file)
    return [file for file in unique if "site-packages" not in file]


def importing_lines(families: Iterable[str], files: Iterable[str]) -> str:
    """Return where ``files`` first import each of ``families``; what is not found is left out."""
    found: dict[str, str] = {}
    for file in files:
        for package, line in _imports(file):
            found.setdefault(package, f"{package} is imported at {place_name(file)}:{line}")
    wanted = dict.fromkeys(package_of(family) for family in families)
    return ", ".join(found[package] for package in wanted if package in found)


def place_name(file: str) -> str:
    """Return ``file`` as notices write it."""
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative


def _imports(file: str) -> Iterator[tuple[str, int]]:
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        for name in _imported_names(node):
            package = _package_named(name)
            if package is not None:
                yield package, node.lineno  # type: ignore[attr-defined]


def _imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _package_named(name: str) -> str | None:
    """Return the package that ``import name`` gets Keras from, None for other modules."""
    if f"{name}.".startswith("tensorflow.keras."):
        return "tf_keras" if tensorflow_bool(read_environ().get("TF_USE_LEGACY_KERAS")) else "keras"
    if f"{name}.".startswith("tensorflow.python.keras."):
        return "tensorflow.python.keras"
    top = name.partition(".")[0]
    return top if top in ("keras", "tf_keras", "keras_core") else None


# --- Parts that are not built before the first step


def _watch_first_step(model: Any) -> None:
    """Look at ``model`` again after its first step, when all of its parts have weights.

    The step is shadowed on the instance, past Keras' own ``__setattr__``, which tracks what it sees.
    """
    if "train_step" in vars(model):
        return
    original = model.train_step

    def train_step(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        attempt(_SEARCH, _stop_watching, model)
        attempt(_SEARCH, check_mixing, model)
        return result

    current().of(Seen).watching.add(id(model))
    object.__setattr__(model, "train_step", train_step)


def _stop_watching(model: Any) -> None:
    watching = current().of(Seen).watching
    if id(model) in watching:
        watching.discard(id(model))
        vars(model).pop("train_step", None)

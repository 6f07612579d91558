"""Follows a program's events from its main module through its own modules, without running anything.

One explicit stack of frames stands for the interpreter's: chains of imports may be thousands long.
Each unit is followed at most twice, once as possible and once as certain.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from autoxla.facts import Evidence, EvidenceKind, Place
from autoxla.lookahead import events as ev
from autoxla.lookahead.events import (
    AWAITED,
    CAUGHT,
    GLOBAL,
    HANDLER,
    POSSIBLE,
    Const,
    Items,
    Ref,
    Result,
    Table,
    Unit,
    Value,
)

BACKENDS = frozenset({"keras", "keras_core", "tensorflow", "tf_keras"})
#: Packages whose attributes are evidence, beside all that are called after TensorFlow or Keras.
TRACKED = BACKENDS | {"intel_extension_for_tensorflow", "transformers"}
_TRACKED_PREFIXES = ("tensorflow", "keras", "tf_")
#: Packages that may import a backend when they are imported, beside the tracked ones.
_BRINGERS = frozenset({"autokeras", "deepface", "ktrain", "larq", "scikeras", "sonnet", "spektral", "trax"})
# Parts of names whose calls change how the rest runs; of all others only the attribute is evidence.
_CONFIGURING = frozenset(
    (
        *(
            "backend",
            "config",
            "debugging",
            "distribute",
            "enable_op_determinism",
            "experimental",
            "function",
        ),
        *("intel_extension_for_tensorflow", "mixed_precision", "models", "random", "saving"),
        *("set_backend", "utils"),
    )
)
_SEEDS = frozenset({"numpy.random.seed", "random.seed"})
_EXITS = frozenset({"builtins.exit", "builtins.quit", "os._exit", "os.abort", "sys.exit"})
_DYNAMIC = frozenset({"builtins.eval", "builtins.exec", "runpy.run_module", "runpy.run_path"})
_IMPORTERS = frozenset({"builtins.__import__", "importlib.import_module"})
_BUILTINS = frozenset({"__import__", "eval", "exec", "exit", "get_ipython", "quit"})
#: What runs the function that it is given first.
_RUNNERS = frozenset({"absl.app.run", "anyio.run", "tensorflow.compat.v1.app.run", "trio.run"})
_MODEL_SUFFIXES = ("", ".h5", ".hdf5", ".keras", ".tf")
_MOST_BINDINGS = 8


def is_tracked(module: str) -> bool:
    """Tell whether attributes of a module outside the program are evidence."""
    top = module.partition(".")[0]
    return top in TRACKED or top.startswith(_TRACKED_PREFIXES)


def brings_backend(module: str) -> bool:
    """Tell whether importing a module outside the program may import a backend."""
    return is_tracked(module) or module.partition(".")[0] in _BRINGERS


class Outside(NamedTuple):
    """A module, or what is in one, that is not the program's own."""

    name: str


class Own(NamedTuple):
    """One of the program's own modules."""

    module: Module


class Function(NamedTuple):
    """A function of the program's."""

    unit: Unit
    scope: Scope
    module: Module
    plain: bool


Target = Outside | Own | Function | Const | Table | Items


class Binding(NamedTuple):
    """What a name may stand for."""

    target: Target
    certain: bool = True


Bindings = tuple[Binding, ...]


class Scope:
    """Names at one place; those that are bound but unknown have no binding."""

    __slots__ = ("names", "parent", "stars")

    def __init__(self, parent: Scope | None = None) -> None:
        self.parent = parent
        self.names: dict[str, Bindings] = {}
        self.stars: list[str] = []

    def get(self, name: str) -> Bindings:
        """Return what a name may be here; nothing for one that is unknown."""
        scope: Scope | None = self
        stars: list[str] = []
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            stars += scope.stars
            scope = scope.parent
        if name in _BUILTINS:
            return (Binding(Outside(f"builtins.{name}")),)
        # A star import may bring anything.
        return tuple(Binding(Outside(f"{module}.{name}"), certain=False) for module in stars)

    def set(self, name: str, bindings: Bindings, *, certain: bool) -> None:
        """Bind a name; under a condition, what it was before remains possible."""
        if not certain:
            both = (*self.names.get(name, ()), *bindings)
            bindings = tuple({b.target: b._replace(certain=False) for b in both if _is_hashable(b)}.values())
        self.names[name] = bindings[:_MOST_BINDINGS]


def _is_hashable(binding: Binding) -> bool:
    return not isinstance(binding.target, (Table, Items))


@dataclass(slots=True, eq=False)
class Module:
    """One of the program's own modules while it is followed.

    `units`: one, or one a cell of a notebook. `package`: for relative imports, None where they fail.
    `doubtful`: which of the units, counted from 0, may not run.
    """

    name: str
    package: str | None
    units: tuple[Unit, ...]
    scope: Scope = field(default_factory=Scope)
    doubtful: frozenset[int] = frozenset()


@dataclass(slots=True)
class Frame:
    """A unit that is being followed."""

    unit: Unit
    scope: Scope
    module: Module
    certain: bool
    in_handler: bool
    at: int = 0


class Library(Protocol):
    """Where modules come from. `load` returns None for those that are not the program's own."""

    def load(self, module: str) -> Module | None:
        """Return a module, whose units may have been followed already."""

    def loaded(self, module: str) -> Module | None:
        """Return a module if it was loaded already."""

    def add_folder(self, folder: str) -> None:
        """Search `folder`, too, from now on."""

    def check_time(self, size: int = 0) -> None:
        """Raise where nobody waits for more, nor for ``size`` bytes."""


class Follower:
    """Collects evidence. `each`: every place of an attribute, not only the first in each file."""

    def __init__(self, library: Library, *, each: bool = False) -> None:
        self._library, self._each = library, each
        self._evidence: dict[tuple[object, ...], Evidence] = {}
        self._places: dict[tuple[str, int, int], Place] = {}
        self._functions: list[Function] = []
        self._stack: list[Frame] = []
        self._ended = self._deferred = self._backend_seen = False
        #: What could not be followed, and why.
        self.unread: list[tuple[Place, str]] = []

    def follow(self, main: Module, before: Iterable[Module] = ()) -> tuple[Evidence, ...]:
        """Return the evidence of the program, in the order in which it would execute.

        `before` are the packages that are imported on the way to the main module.
        """
        for module in (*before, main):
            for at, unit in enumerate(module.units):
                self._run(Frame(unit, module.scope, module, at not in module.doubtful, False))
        self._deferred = True
        at = 0
        while at < len(self._functions):
            function = self._functions[at]
            if self._needs(function.unit, False):
                self._run(self._frame_of(function, False, False))
            at += 1
        self._functions.clear()
        return tuple(self._evidence.values())

    def _run(self, frame: Frame) -> None:
        stack = self._stack
        stack.append(self._visit(frame))
        while stack:
            frame = stack[-1]
            if frame.at >= len(frame.unit.events):
                stack.pop()
                continue
            event = frame.unit.events[frame.at]
            # A frame that comes back runs first; then the same event is handled again.
            inner = _HANDLERS[type(event)](self, frame, event)
            if inner is None:
                frame.at += 1
            else:
                stack.append(self._visit(inner))

    def _visit(self, frame: Frame) -> Frame:
        self._library.check_time()
        frame.unit.visited = max(frame.unit.visited, 2 if frame.certain else 1)
        return frame

    def _needs(self, unit: Unit, certain: bool) -> bool:
        return bool(unit.events) and unit.visited < (2 if certain else 1)

    # Imports

    def _import(self, frame: Frame, event: ev.Import) -> Frame | None:
        inner, module = self._load(frame, event, event.module)
        if inner is not None:
            return inner
        top = event.module.partition(".")[0]
        if module is None:
            self._add_import(frame, event, event.module)
            self._set(frame, event, event.name or top, Outside(event.module if event.name else top))
        else:
            own = module if event.name else self._library.load(top) or module
            self._set(frame, event, event.name or top, Own(own))
        return None

    def _import_from(self, frame: Frame, event: ev.FromImport) -> Frame | None:
        name = self._absolute(frame, event)
        if name is None:
            self._note(frame, event, "a relative import outside of any package")
            self._forget(frame, event)
            return None
        inner, module = self._load(frame, event, name)
        if inner is not None:
            return inner
        if module is None:
            self._from_outside(frame, event, name)
            return None
        return self._from_own(frame, event, module)

    def _absolute(self, frame: Frame, event: ev.FromImport) -> str | None:
        if not event.level:
            return event.module
        parts = (frame.module.package or "").split(".")
        kept = parts[: len(parts) - event.level + 1]
        if frame.module.package in (None, "") or not kept:
            return None
        return ".".join([*kept, event.module] if event.module else kept)

    def _load(self, frame: Frame, event: ev.Event, name: str) -> tuple[Frame | None, Module | None]:
        """Return a frame that must run first, else the module, None for one that is not the program's."""
        parts = name.split(".")
        module = None
        for end in range(1, len(parts) + 1):
            inner = self._library.load(".".join(parts[:end]))
            if inner is None:
                if module is not None:
                    self._note(frame, event, f"module {'.'.join(parts[:end])} is not there")
                return None, None if module is None else Module(name, None, ())
            module = inner
            certain = self._is_certain(frame, event)
            for unit in module.units:
                if self._needs(unit, certain):
                    return Frame(unit, module.scope, module, certain, self._in_handler(frame, event)), module
        return None, module

    def _from_outside(self, frame: Frame, event: ev.FromImport, module: str) -> None:
        self._add_import(frame, event, module)
        for name, bound in event.names:
            if name == "*":
                if is_tracked(module):
                    frame.scope.stars.append(module)
                continue
            target = f"{module}.{name}"
            if is_tracked(module):
                self._add(frame, event, "attribute", target, None)
            self._set(frame, event, bound, Outside(target))

    def _from_own(self, frame: Frame, event: ev.FromImport, module: Module) -> Frame | None:
        for name, bound in event.names:
            if name == "*":
                self._star(frame, event, module)
                continue
            found = module.scope.names.get(name)
            if found is None:
                submodule = self._library.load(f"{module.name}.{name}") if module.name != "__main__" else None
                if submodule is not None:
                    inner, _ = self._load(frame, event, submodule.name)
                    if inner is not None:
                        return inner
                    found = (Binding(Own(submodule)),)
            self._set_all(frame, event, bound, found or ())
        return None

    def _star(self, frame: Frame, event: ev.FromImport, module: Module) -> None:
        listed = module.scope.names.get("__all__", ())
        names = _texts(listed[0].target) if len(listed) == 1 else None
        for name, bindings in [*module.scope.names.items()]:
            if (not name.startswith("_")) if names is None else name in names:
                self._set_all(frame, event, name, bindings)
        frame.scope.stars += [star for star in module.scope.stars if star not in frame.scope.stars]

    def _forget(self, frame: Frame, event: ev.FromImport) -> None:
        for _, bound in event.names:
            self._set_all(frame, event, bound, ())

    def _add_import(self, frame: Frame, event: ev.Event, module: str) -> None:
        top = module.partition(".")[0]
        if not top or top == "__main__" or top in sys.stdlib_module_names:
            return
        self._add(frame, event, "import", module, None)
        if brings_backend(module):
            self._backend_seen = True

    # Names

    def _use(self, frame: Frame, event: ev.Use) -> None:
        for target, certain in self._resolve(frame, event.ref):
            if isinstance(target, Outside) and is_tracked(target.name):
                self._add(frame, event, "attribute", target.name, None, certain=certain)

    def _bind(self, frame: Frame, event: ev.Bind) -> Frame | None:
        value = event.value
        if isinstance(value, Result):
            importers = [b.target for b in self._resolve(frame, value.function)]
            bindings: Bindings = ()
            if isinstance(value.first, Const) and isinstance(value.first.value, str):
                names = {t.name for t in importers if isinstance(t, Outside)} & _IMPORTERS
                if names:
                    bindings = self._imported(value.first.value, names)
        else:
            bindings = self._values(frame, value)
        self._set_all(frame, event, event.name, bindings)
        return None

    def _imported(self, module: str, importers: set[str]) -> Bindings:
        name = module.partition(".")[0] if "builtins.__import__" in importers else module
        own = self._library.load(name)
        return (Binding(Outside(name) if own is None else Own(own)),)

    def _values(self, frame: Frame, value: Value) -> Bindings:
        if isinstance(value, Ref):
            return tuple(self._resolve(frame, value))
        if isinstance(value, (Const, Table, Items)):
            return (Binding(value),)
        return ()

    def _resolve(self, frame: Frame, ref: Ref) -> list[Binding]:
        found = list(frame.scope.get(ref.root))
        if len(found) == 1 and isinstance(found[0].target, Outside):
            # By far the most frequent case.
            return [Binding(Outside(".".join((found[0].target.name, *ref.rest))), found[0].certain)]
        for name in ref.rest:
            found = [inner for binding in found for inner in self._attribute(binding, name)][:_MOST_BINDINGS]
        return found

    def _attribute(self, binding: Binding, name: str) -> Iterator[Binding]:
        target = binding.target
        if isinstance(target, Outside):
            yield Binding(Outside(f"{target.name}.{name}"), binding.certain)
        elif isinstance(target, Own):
            inner = target.module.scope.names.get(name)
            if inner is None:
                submodule = self._library.loaded(f"{target.module.name}.{name}")
                inner = () if submodule is None else (Binding(Own(submodule)),)
            for found in inner:
                yield Binding(found.target, binding.certain and found.certain)

    def _set(self, frame: Frame, event: ev.Event, name: str, target: Target) -> None:
        self._set_all(frame, event, name, (Binding(target),))

    def _set_all(self, frame: Frame, event: ev.Event, name: str, bindings: Bindings) -> None:
        scope = frame.module.scope if event.flow & GLOBAL else frame.scope
        # ``except ImportError: tf = None``: whatever is used of the name later is the module's.
        nothing = all(b.target == Const(None) for b in bindings)
        if event.flow & HANDLER and nothing and _are_modules(scope.names.get(name, ())):
            return
        scope.set(name, bindings, certain=not event.flow & POSSIBLE)

    def _define(self, frame: Frame, event: ev.Define) -> None:
        parent = frame.scope
        if frame.unit.kind == "class" and parent.parent is not None:
            parent = parent.parent
        function = Function(event.unit, parent, frame.module, event.plain)
        if not event.unit.visited:
            self._functions.append(function)
        self._set(frame, event, event.name, function)

    def _enter(self, frame: Frame, event: ev.Enter) -> Frame | None:
        certain = self._is_certain(frame, event)
        if not self._needs(event.unit, certain):
            return None
        scope = Scope(frame.scope)
        return Frame(event.unit, scope, frame.module, certain, self._in_handler(frame, event))

    # Calls

    def _call(self, frame: Frame, event: ev.Call) -> Frame | None:
        found = self._resolve(frame, event.ref)
        for target, certain in found:
            if isinstance(target, Function):
                inner = self._run_function(frame, event, target, certain, len(found) == 1)
            elif isinstance(target, Outside):
                inner = self._call_outside(frame, event, target.name, certain)
            else:
                inner = None
            if inner is not None:
                return inner
        if event.ref.rest and not found:
            self._forget_changed(frame, event)
        self._note_jit_function(frame, event, found)
        return None

    def _run_function(
        self, frame: Frame, event: ev.Call, function: Function, certain: bool, only: bool
    ) -> Frame | None:
        runs = function.unit.lazy == "no" or (
            function.unit.lazy == "coroutine" and bool(event.flow & AWAITED)
        )
        certain = certain and only and runs and function.plain and self._is_certain(frame, event)
        if not self._needs(function.unit, certain):
            return None
        return self._frame_of(function, certain, self._in_handler(frame, event))

    def _frame_of(self, function: Function, certain: bool, in_handler: bool) -> Frame:
        scope = Scope(function.scope)
        scope.names.update(dict.fromkeys(function.unit.parameters, ()))
        return Frame(function.unit, scope, function.module, certain, in_handler)

    def _call_outside(self, frame: Frame, event: ev.Call, name: str, certain: bool) -> Frame | None:
        if name in _RUNNERS and event.arguments:
            inner = self._run_argument(frame, event, event.arguments[0], certain)
            if inner is not None:
                return inner
        if is_tracked(name):
            self._add(frame, event, "attribute", name, None, certain=certain)
            if not _CONFIGURING.isdisjoint(name.split(".")):
                self._add(frame, event, "call", name, self._first(frame, event), certain=certain)
        elif name in _SEEDS:
            self._add(frame, event, "call", name, self._first(frame, event), certain=certain)
        elif name in _IMPORTERS:
            return self._import_called(frame, event)
        elif name in _EXITS:
            self._exit(frame, event)
        elif name in _DYNAMIC:
            self._note(frame, event, f"{name.removeprefix('builtins.')} runs code that is not read")
        elif name.startswith(("os.", "sys.path.", "site.", "builtins.get_ipython")):
            self._change(frame, event, name, certain)
        return None

    def _run_argument(self, frame: Frame, event: ev.Call, value: Value, certain: bool) -> Frame | None:
        found = self._values(frame, value)
        functions = [b for b in found if isinstance(b.target, Function)]
        for target, sure in functions:
            if isinstance(target, Function):
                awaited = event._replace(flow=event.flow | AWAITED)
                inner = self._run_function(frame, awaited, target, certain and sure, len(found) == 1)
                if inner is not None:
                    return inner
        return None

    def _first(self, frame: Frame, event: ev.Call) -> str | None:
        value = self._constant(frame, event.arguments[0]) if event.arguments else None
        return None if value is None else str(value.value)

    def _import_called(self, frame: Frame, event: ev.Call) -> Frame | None:
        value = self._constant(frame, event.arguments[0]) if event.arguments else None
        if value is None or not isinstance(value.value, str):
            self._note(frame, event, "the name of an imported module is computed")
            return None
        name = value.value
        if name.startswith("."):
            level = len(name) - len(name.lstrip("."))
            relative = ev.FromImport(event.line, event.column, event.flow, name.lstrip("."), level, ())
            return self._import_from(frame, relative)
        inner, module = self._load(frame, event, name)
        if inner is None and module is None:
            self._add_import(frame, event, name)
        return inner

    # What else is wanted

    def _change(self, frame: Frame, event: ev.Call, name: str, certain: bool) -> None:
        arguments = event.arguments
        if name.startswith("os.environ") or name in ("os.putenv", "os.unsetenv"):
            self._change_environment(frame, event, name.rpartition(".")[2], certain)
        elif name.startswith("sys.path.") or name == "site.addsitedir":
            self._add_folder(frame, event, arguments[-1] if arguments else None)
        elif name == "builtins.get_ipython.magic":
            self._magic(frame, event)

    def _change_environment(self, frame: Frame, event: ev.Call, verb: str, certain: bool) -> None:
        arguments = event.arguments
        if verb in ("setdefault", "putenv", "__setitem__") and len(arguments) > 1:
            self._add_variable(frame, event, arguments[0], arguments[1], certain)
        elif verb in ("pop", "unsetenv") and arguments:
            self._add_variable(frame, event, arguments[0], None, certain)
        elif verb == "update":
            self._update(frame, event, arguments, certain)
            for key, value in event.keywords:
                self._add_variable(frame, event, None if key is None else Const(key), value, certain)

    def _update(self, frame: Frame, event: ev.Event, values: Iterable[Value], certain: bool) -> None:
        for value in values:
            known = [b.target for b in self._values(frame, value)]
            table = known[0] if len(known) == 1 else None
            items = table.items if isinstance(table, Table) else ((None, None),)
            for key, item in items:
                self._add_variable(frame, event, key, item, certain)

    def _add_variable(self, frame: Frame, event: ev.Event, key: Value, value: Value, certain: bool) -> None:
        name = self._constant(frame, key)
        given = self._constant(frame, value)
        text = given.value if given is not None else None
        self._add(
            frame,
            event,
            "variable",
            str(name.value) if name is not None else "*",
            text if isinstance(text, str) and name is not None else None,
            certain=certain and name is not None and isinstance(text, str),
            early=not self._backend_seen and not self._deferred,
        )

    def _add_folder(self, frame: Frame, event: ev.Event, value: Value) -> None:
        for part in value.values if isinstance(value, Items) else (value,):
            folder = self._constant(frame, part)
            if folder is not None and isinstance(folder.value, str):
                self._library.add_folder(folder.value)
            else:
                self._note(frame, event, "sys.path is changed to something computed")

    def _magic(self, frame: Frame, event: ev.Call) -> None:
        texts = [a.value for a in event.arguments if isinstance(a, Const) and isinstance(a.value, str)]
        words = " ".join(texts).lstrip("%").split(None, 1)
        if words[:1] == ["run"]:
            self._note(frame, event, "%run runs code that is not read")
        if len(words) < 2 or words[0] not in ("env", "set_env"):
            return
        name, _, value = words[1].partition("=" if "=" in words[1] else " ")
        # IPython takes ``$name`` and ``{name}`` from the program.
        computed = not value or any(sign in value for sign in "${")
        self._add_variable(
            frame, event, Const(name.strip()), None if computed else Const(value.strip()), True
        )

    def _store(self, frame: Frame, event: ev.Store) -> None:
        for target, certain in self._resolve(frame, event.ref):
            if not isinstance(target, Outside):
                self._forget_changed(frame, event)
            elif target.name == "os.environ":
                if event.key is None and isinstance(event.value, (Table, Ref)):
                    self._update(frame, event, [event.value], certain)
                else:
                    self._add_variable(frame, event, event.key, event.value, certain)
            elif target.name == "sys.path":
                self._add_folder(frame, event, event.value)

    def _forget_changed(self, frame: Frame, event: ev.Store | ev.Call) -> None:
        """Make a literal unknown that was changed in place."""
        name = event.ref.root
        if any(isinstance(b.target, (Const, Table, Items)) for b in frame.scope.get(name)):
            self._set_all(frame, event, name, ())

    def _jit(self, frame: Frame, event: ev.Jit) -> None:
        self._add_jit(frame, event, event.way, event.value)

    def _note_jit_function(self, frame: Frame, event: ev.Call, found: list[Binding]) -> None:
        given = [value for name, value in event.keywords if name in ("jit_compile", "experimental_compile")]
        if not given:
            return
        # ``functools.partial(tf.function, jit_compile=True)`` is one, too.
        first = event.arguments[:1]
        found = [*found, *(b for value in first for b in self._values(frame, value))]
        names = [b.target.name for b in found if isinstance(b.target, Outside)]
        if any(name.startswith("tensorflow.") and name.endswith(".function") for name in names):
            self._add_jit(frame, event, "function", given[0])

    def _add_jit(self, frame: Frame, event: ev.Event, way: str, given: Value) -> None:
        constant = self._constant(frame, given)
        if constant is None:
            self._add(frame, event, "jit_compile", way, None, certain=False)
            return
        value = constant.value
        self._add(frame, event, "jit_compile", way, value if isinstance(value, str) else _switch(value))

    def _file(self, frame: Frame, event: ev.File) -> None:
        path = self._constant(frame, event.path)
        if path is None or not isinstance(path.value, str):
            return
        owners = self._resolve(frame, event.owner) if event.owner is not None else []
        outside = [b.target.name for b in owners if isinstance(b.target, Outside)]
        if outside and not any(is_tracked(name) for name in outside):
            return
        name = path.value.replace("\\", "/").rpartition("/")[2]
        suffix = "." + name.rpartition(".")[2] if "." in name else ""
        if event.way == "load" or suffix in _MODEL_SUFFIXES:
            self._add(frame, event, "file", event.way, path.value)

    def _exit(self, frame: Frame, event: ev.Event) -> None:
        if not self._in_handler(frame, event):
            self._ended = True

    def _constant(self, frame: Frame, value: Value) -> Const | None:
        """Return the one constant that a value is, None where it is computed or may be several."""
        if isinstance(value, Const):
            return value
        found = self._resolve(frame, value) if isinstance(value, Ref) else []
        only = found[0] if len(found) == 1 and found[0].certain else None
        return only.target if only is not None and isinstance(only.target, Const) else None

    # Notes

    def _is_certain(self, frame: Frame, event: ev.Event) -> bool:
        return frame.certain and not self._ended and not event.flow & POSSIBLE

    def _in_handler(self, frame: Frame, event: ev.Event) -> bool:
        return frame.in_handler or bool(event.flow & HANDLER)

    def _add(
        self,
        frame: Frame,
        event: ev.Event,
        kind: EvidenceKind,
        name: str,
        value: str | bool | None,
        *,
        certain: bool = True,
        early: bool = False,
    ) -> None:
        certain = certain and self._is_certain(frame, event)
        file = frame.unit.file
        key: tuple[object, ...] = (kind, name, value, type(value), file)
        if self._each or kind not in ("attribute", "call"):
            key = (*key, event.line, event.column)
        known = self._evidence.get(key)
        caught = bool(event.flow & CAUGHT)
        is_graded = known is not None and (known.grade == "certain" or not certain)
        if known is not None and is_graded and known.early <= early and known.caught <= caught:
            return
        if known is not None:
            early, caught = early and known.early, caught and known.caught
            certain = certain or known.grade == "certain"
        grade: Literal["certain", "possible"] = "certain" if certain else "possible"
        self._evidence[key] = Evidence(kind, name, value, grade, self._place(frame, event), early, caught)

    def _place(self, frame: Frame, event: ev.Event) -> Place:
        key = (frame.unit.file, event.line, event.column)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = Place(*key)
        return place

    def _note(self, frame: Frame, event: ev.Event, reason: str) -> None:
        note = (self._place(frame, event), reason)
        if note not in self.unread:
            self.unread.append(note)


def _are_modules(bindings: Bindings) -> bool:
    return bool(bindings) and all(isinstance(b.target, (Outside, Own, Function)) for b in bindings)


def _switch(value: object) -> str | bool | None:
    # None is what Keras 2 takes for "not given" and Keras 3 for off.
    return "None" if value is None else bool(value)


def _texts(value: Target) -> frozenset[str] | None:
    if not isinstance(value, Items):
        return None
    return frozenset(str(part.value) for part in value.values if isinstance(part, Const))


_HANDLERS: dict[type, Callable[..., Frame | None]] = {
    ev.Import: Follower._import,
    ev.FromImport: Follower._import_from,
    ev.Use: Follower._use,
    ev.Call: Follower._call,
    ev.Bind: Follower._bind,
    ev.Store: Follower._store,
    ev.Jit: Follower._jit,
    ev.File: Follower._file,
    ev.Exit: Follower._exit,
    ev.Define: Follower._define,
    ev.Enter: Follower._enter,
}

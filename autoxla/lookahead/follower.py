"""Follows a program from its main module through its own modules, without running anything.

Each function is followed once for each of a few sets of arguments, and once more where it turns out to run
for certain.
"""

# ruff: noqa: PTH117, PTH118, PTH120 - what is evaluated are expressions over strings

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Iterable
from typing import Literal, Protocol

from autoxla.facts import Evidence, EvidenceKind, Place
from autoxla.lookahead.interest import name_of
from autoxla.lookahead.objects import SWITCHING, find_family, find_role, has_weights, is_reader
from autoxla.lookahead.values import (
    CAUGHT,
    HANDLER,
    POSSIBLE,
    SURVIVES,
    Arguments,
    Binding,
    Bindings,
    Class,
    Const,
    Coroutine,
    Frame,
    Function,
    Instance,
    Items,
    Method,
    Module,
    Outside,
    Own,
    Part,
    Scope,
    Source,
    Super,
    Table,
    Target,
    Thing,
    doubt,
    flatten,
)
from autoxla.lookahead.visitor import Visitor, find_getattr, is_generator, list_parameters

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
        *("intel_extension_for_tensorflow", "mixed_precision", "models", "random", "saving", "set_backend"),
        "utils",
    )
)
_SEEDS = frozenset({"numpy.random.seed", "random.seed"})
_EXITS = frozenset({"builtins.exit", "builtins.quit", "os._exit", "os.abort", "sys.exit"})
_DYNAMIC = frozenset({"builtins.eval", "builtins.exec", "runpy.run_module", "runpy.run_path"})
_IMPORTERS = frozenset({"builtins.__import__", "importlib.import_module"})
#: What runs the function that it is given first, and what runs a coroutine.
_RUNNERS = frozenset({"absl.app.run", "anyio.run", "tensorflow.compat.v1.app.run", "trio.run"})
_AWAITING = frozenset({"create_task", "gather", "run", "run_until_complete", "wait_for"})
_JIT_KEYWORDS = ("jit_compile", "experimental_compile")
#: Decorators that leave a function what it is.
_PLAIN = frozenset({"classmethod", "property", "staticmethod"})
_PATHS = frozenset(
    {"abspath", "absolute", "as_posix", "normpath", "realpath", "resolve", "Path", "PurePath", "fspath"}
)
_MODEL_SUFFIXES = ("", ".h5", ".hdf5", ".keras", ".tf")
#: The position of the path in the calls that read and write files.
_FILES = {"load_model": 0, "load_weights": 0, "save": 0, "save_model": 1, "save_weights": 0}
#: Calls and imports within each other; what lies deeper is followed later.
_DEEPEST = 25
#: With how many sets of arguments a function is followed.
_MOST_RUNS, _MOST_RUNS_DEEP = 3, 8


def is_tracked(module: str) -> bool:
    """Tell whether attributes of a module outside the program are evidence."""
    top = module.partition(".")[0]
    return top in TRACKED or top.startswith(_TRACKED_PREFIXES)


def brings_backend(module: str) -> bool:
    """Tell whether importing a module outside the program may import a backend."""
    return is_tracked(module) or module.partition(".")[0] in _BRINGERS


class Library(Protocol):
    """Where modules come from. `load` returns None for those that are not the program's own."""

    def load(self, module: str) -> Module | None:
        """Return a module, which may have been followed already."""

    def loaded(self, module: str) -> Module | None:
        """Return a module if it was loaded already."""

    def add_folder(self, folder: str) -> None:
        """Search `folder`, too, from now on."""

    def check_time(self, size: int = 0) -> None:
        """Raise where nobody waits for more, nor for ``size`` bytes."""


class Follower(Visitor):
    """Collects evidence. `each`: every place of an attribute, not only the first in each file."""

    def __init__(self, library: Library, *, each: bool = False, deep: bool = False) -> None:
        super().__init__(deep=deep)
        self._library, self._each = library, each
        self._evidence: dict[tuple[object, ...], Evidence] = {}
        self._functions: list[Function] = []
        self._pending: list[Callable[[], object]] = []
        #: The level at which code was followed, and what functions return, by their arguments.
        self._sources: dict[Source, int] = {}
        self._runs: dict[ast.AST, dict[object, tuple[int, Bindings]]] = {}
        self._instances: dict[tuple[ast.Call | None, Class], Instance] = {}
        self._scopes: list[Scope] = []
        self._depth = 0
        self._ended = self._deferred = self._backend_seen = False
        self._is_switched = self._is_resolved = False
        #: What could not be followed, and why.
        self.unread: list[tuple[Place, str]] = []

    def follow(self, main: Module, before: Iterable[Module] = ()) -> tuple[Evidence, ...]:
        """Return the evidence of the program, in the order in which it would execute.

        `before` are the packages that are imported on the way to the main module.
        """
        for module in (*before, main):
            for at, source in enumerate(module.sources):
                self._run_source(module, source, at not in module.doubtful, 0)
        self._run_pending()
        self._deferred = True
        for function in self._functions:  # grows while it is gone through
            if not self._runs.get(function.node):
                frame = Frame(function.source, function.scope, function.module, certain=False)
                self.frame = frame
                self._run(function, self._unknown_arguments(function), sure=False, awaited=True)
                self._run_pending()
        return tuple(self._evidence.values())

    def forget(self) -> None:
        """Let go of all scopes, which refer to each other and to the trees."""
        for scope in self._scopes:
            scope.names.clear()
        for known in (self._functions, self._runs, self._sources, self._instances, self._scopes):
            known.clear()

    def _scope(self, parent: Scope | None) -> Scope:
        scope = Scope(parent)
        self._scopes.append(scope)
        return scope

    def _run_pending(self) -> None:
        while self._pending:
            self._pending.pop(0)()

    def _visit(self, frame: Frame, body: list[ast.stmt]) -> None:
        self._library.check_time()
        outer = getattr(self, "frame", frame)
        self.frame = frame
        self._depth += 1
        try:
            self.block(body)
        except RecursionError:
            self.unread.append((Place(frame.source.label), "it is nested too deeply"))
        finally:
            self.frame = outer
            self._depth -= 1

    def _run_source(self, module: Module, source: Source, certain: bool, outer: int) -> None:
        level = _level(certain, outer)
        if level <= self._sources.get(source, 0):
            return
        if self._depth > _DEEPEST:
            self._pending.append(lambda: self._run_source(module, source, certain, outer))
            return
        self._sources[source] = level
        if source.place is not None:
            module.scope.names["__file__"] = (Binding(Const(source.place)),)
        self._visit(Frame(source, module.scope, module, certain, outer), source.tree.body)

    # Imports

    def import_module(self, node: ast.Import) -> None:
        """Bind the names of ``import``, after following the program's own modules."""
        for alias in node.names:
            module = self._load(node, alias.name)
            top = alias.name.partition(".")[0]
            if module is None:
                self._add_import(node, alias.name)
                self._set(alias.asname or top, Outside(alias.name if alias.asname else top))
            else:
                own = module if alias.asname else self._library.load(top) or module
                self._set(alias.asname or top, Own(own))

    def import_from(self, node: ast.ImportFrom) -> None:
        """Bind the names of ``from … import``, likewise."""
        name = self._absolute(node)
        if name is None:
            self._note(node, "a relative import outside of any package")
            for alias in node.names:
                self.bind(alias.asname or alias.name, ())
            return
        module = self._load(node, name)
        if module is None:
            self._from_outside(node, name)
            return
        for alias in node.names:
            if alias.name == "*":
                self._star(module)
            else:
                self.bind(alias.asname or alias.name, self._from_own(node, module, alias.name))

    def _absolute(self, node: ast.ImportFrom) -> str | None:
        if not node.level:
            return node.module
        package = self.frame.module.package
        kept = (package or "").split(".")[: (package or "").count(".") + 2 - node.level]
        if not package or not kept:
            return None
        return ".".join([*kept, node.module] if node.module else kept)

    def _load(self, node: ast.AST, name: str) -> Module | None:
        """Return a module of the program's after what importing it runs, None for all others."""
        parts = name.split(".")
        module = None
        for end in range(1, len(parts) + 1):
            inner = self._library.load(".".join(parts[:end]))
            if inner is None:
                if module is None:
                    return None
                self._note(node, f"module {'.'.join(parts[:end])} is not there")
                return Module(name, None, ())
            module = inner
            for source in module.sources:
                self._run_source(module, source, self._is_certain(), self._outer())
        return module

    def _from_outside(self, node: ast.ImportFrom, module: str) -> None:
        self._add_import(node, module)
        for alias in node.names:
            if alias.name == "*":
                if is_tracked(module):
                    self.frame.scope.stars.append(module)
                continue
            target = f"{module}.{alias.name}"
            if is_tracked(module):
                self._add(node, "attribute", target, None)
            self._set(alias.asname or alias.name, Outside(target))

    def _from_own(self, node: ast.AST, module: Module, name: str) -> Bindings:
        found = module.scope.names.get(name)
        if found is None and module.name != "__main__":
            submodule = self._library.load(f"{module.name}.{name}")
            if submodule is not None:
                self._load(node, submodule.name)
                return (Binding(Own(submodule)),)
        return found or ()

    def _star(self, module: Module) -> None:
        listed = module.scope.names.get("__all__", ())
        names = _texts(listed[0].target) if len(listed) == 1 else None
        for name, bindings in [*module.scope.names.items()]:
            if (not name.startswith("_")) if names is None else name in names:
                self.bind(name, bindings)
        scope = self.frame.scope
        scope.stars += [star for star in module.scope.stars if star not in scope.stars]

    def _add_import(self, node: ast.AST, module: str) -> None:
        top = module.partition(".")[0]
        if not top or top == "__main__" or top in sys.stdlib_module_names:
            return
        self._add(node, "import", module, None)
        self._backend_seen |= brings_backend(module)

    # Names

    def bind(self, name: str, value: Bindings) -> None:
        """Let a name stand for a value, unless it is of no interest."""
        frame = self.frame
        is_known = self.deep or frame.source.lines is None or name in frame.source.known
        # Folders are told to ``sys.path`` by names of any kind.
        if not is_known and not any(isinstance(b.target, Const) for b in value):
            return
        scope = frame.module.scope if name in frame.globals else frame.scope
        # ``except ImportError: tf = None``: whatever is used of the name later is the module's.
        nothing = all(b.target == Const(None) for b in value)
        if frame.flow & HANDLER and nothing and _are_modules(scope.names.get(name, ())):
            return
        scope.set(name, value, certain=not frame.flow & POSSIBLE)

    def _set(self, name: str, target: Target) -> None:
        self.bind(name, (Binding(target),))

    def refer(self, node: ast.expr) -> Bindings:
        """Return what a name with its attributes is; what belongs to a backend is evidence."""
        found, is_guarded = self._resolve(node)
        for target, certain in found:
            if type(target) is Outside and is_tracked(target.name):
                self._add(node, "attribute", target.name, None, certain=certain, caught=is_guarded)
        return found

    def callee(self, node: ast.expr) -> Bindings:
        """Return what a name with its attributes is."""
        return self._resolve(node)[0] if isinstance(node, (ast.Name, ast.Attribute)) else self.evaluate(node)

    def _resolve(self, node: ast.expr) -> tuple[Bindings, bool]:
        """Return what a chain of attributes is, and whether it is one that may be missing."""
        names: list[str] = []
        is_guarded = False
        while True:
            if isinstance(node, ast.Attribute):
                names.append(node.attr)
                node = node.value
            elif isinstance(node, ast.Call) and (given := find_getattr(node)) is not None:
                names.append(given)
                is_guarded |= len(node.args) > 2
                node = node.args[0]
            else:
                break
        found = self.frame.scope.get(node.id) if isinstance(node, ast.Name) else self.evaluate(node)
        if not names:
            return found, is_guarded
        names.reverse()
        if len(found) == 1 and type(found[0].target) is Outside:
            # By far the most frequent case.
            return (Binding(Outside(".".join((found[0].target.name, *names))), found[0].certain),), is_guarded
        for name in names:
            found = tuple(inner for binding in found for inner in self._attribute(binding, name))[:8]
        return found, is_guarded

    def _attribute(self, binding: Binding, name: str) -> Bindings:
        target = binding.target
        found: Bindings = ()
        if isinstance(target, Outside):
            found = (Binding(Outside(f"{target.name}.{name}")),)
        elif isinstance(target, Own):
            found = target.module.scope.names.get(name, ())
            submodule = self._library.loaded(f"{target.module.name}.{name}") if not found else None
            found = found if submodule is None else (Binding(Own(submodule)),)
        elif isinstance(target, Instance):
            found = target.attributes.names.get(name) or self._member(target.owner, target, name)
        elif isinstance(target, Super):
            found = self._inherited(target.owner, target.instance, name)
        elif isinstance(target, Class):
            found = self._member(target, None, name)
        elif isinstance(target, Const):
            found = _path_attribute(target, name)
        elif isinstance(target, Thing):
            found = _thing_attribute(target, name)
        elif isinstance(target, (Items, Table)):
            found = (Binding(Part(target, name)),)
        return found if binding.certain else doubt(found)

    def _member(self, owner: Class, instance: Target | None, name: str) -> Bindings:
        """Return what a class has under a name, as a method where it belongs to an object."""
        found = owner.scope.names.get(name)
        if found is None:
            return self._inherited(owner, instance, name)
        if instance is None or len(found) != 1 or not isinstance(function := found[0].target, Function):
            return found
        kinds = {name_of(decorator) for decorator in function.node.decorator_list}
        if "property" in kinds:
            return self._run(function, Arguments(((Binding(instance),),)), sure=True)
        return found if "staticmethod" in kinds else (Binding(Method(function, instance), found[0].certain),)

    def _inherited(self, owner: Class, instance: Target | None, name: str) -> Bindings:
        for base in owner.bases:
            if isinstance(base.target, Class) and base.target is not owner:
                found = self._member(base.target, instance, name)
                if found:
                    return found
        if isinstance(instance, Instance) and instance.thing is not None:
            return (Binding(Part(instance.thing, name)),)
        return ()

    # Definitions

    def define(self, node: ast.FunctionDef | ast.AsyncFunctionDef, decorators: list[Bindings]) -> None:
        """Bind a function; it is followed when it is called, else at the end."""
        frame = self.frame
        parent = frame.scope
        if frame.in_class is not None and parent.parent is not None:
            parent = parent.parent
        names = [
            name_of(d) in _PLAIN or _leaves_plain(f)
            for d, f in zip(node.decorator_list, decorators, strict=True)
        ]
        function = Function(node, parent, frame.module, frame.source, all(names), frame.in_class)
        if self.has_interest(node.body):
            if not self._runs.get(node):
                self._functions.append(function)
        else:
            self._runs[node] = {None: (_MOST_CERTAIN, ())}
        self._set(node.name, function)

    def define_class(self, node: ast.ClassDef, bases: list[Bindings]) -> None:
        """Follow the body of a class."""
        frame = self.frame
        owner = Class(node, tuple(b for base in bases for b in base[:1]), self._scope(frame.scope))
        if self.has_interest(node.body):
            inner = Frame(frame.source, owner.scope, frame.module, self._is_certain(), self._outer())
            inner.in_class = owner
            self._visit(inner, node.body)
        self._set(node.name, owner)

    # Calls

    def call(self, node: ast.Call, found: Bindings, arguments: Arguments) -> Bindings:
        """Note what a call says, follow what it runs, and return what it gives."""
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else name_of(function) or ""
        if node.keywords:
            self._note_jit(node, name, found, arguments)
        if name in _FILES:
            self._note_file(node, name, found, arguments)
        if name in _AWAITING and arguments.positional:
            self.wait(arguments.positional[0])
        if len(found) == 1:
            return self._apply(node, found[0].target, arguments, sure=found[0].certain)
        return doubt([b for target, _ in found for b in self._apply(node, target, arguments, sure=False)])

    def _apply(self, node: ast.Call, target: Target, arguments: Arguments, *, sure: bool) -> Bindings:
        if isinstance(target, Outside):
            return self._call_outside(node, target.name, arguments, sure)
        if isinstance(target, Function):
            return self._run(target, arguments, sure=sure)
        if isinstance(target, Method):
            given = arguments._replace(positional=[(Binding(target.owner),), *arguments.positional])
            return self._run(target.function, given, sure=sure)
        if isinstance(target, Class):
            return self._instantiate(node, target, arguments, sure)
        if isinstance(target, Part):
            return self._call_part(node, target, arguments, sure)
        if isinstance(target, Thing):
            return self._call_thing(node, target, arguments, sure)
        return self._call_instance(node, target, arguments, sure) if isinstance(target, Instance) else ()

    def _run(
        self, function: Function, arguments: Arguments, *, sure: bool, awaited: bool = False
    ) -> Bindings:
        """Return what a function returns, after following it where that has not been done."""
        node = function.node
        runs = self._runs.setdefault(node, {})
        if None in runs or (runs and self._deferred and not self.deep):
            # Nothing is in it, or nothing more than has been found.
            return ()
        if isinstance(node, ast.AsyncFunctionDef) and not awaited:
            return (Binding(Coroutine(function, arguments)),)
        if function.source.yields != [] and is_generator(node, function.source.yields):
            sure, arguments = False, self._unknown_arguments(function)
        certain, outer = sure and function.plain and self._is_certain(), self._outer()
        bound = _bind_arguments(function, arguments)
        signature: object = tuple(bound.items())
        if signature not in runs and len(runs) >= (_MOST_RUNS_DEEP if self.deep else _MOST_RUNS):
            bound = dict.fromkeys(bound, ())
            signature = tuple(bound.items())
        level = _level(certain, outer)
        known = runs.get(signature)
        if known is not None and known[0] >= level:
            return known[1]
        if self._depth > _DEEPEST:
            self._pending.append(lambda: self._run_body(function, bound, signature, certain, outer))
            return ()
        return self._run_body(function, bound, signature, certain, outer)

    def _run_body(
        self, function: Function, bound: dict[str, Bindings], signature: object, certain: bool, outer: int
    ) -> Bindings:
        runs = self._runs[function.node]
        if runs.get(signature, (0,))[0] >= (level := _level(certain, outer)):
            return runs[signature][1]
        runs[signature] = (level, ())
        scope = self._scope(function.scope)
        scope.names.update(bound)
        frame = Frame(function.source, scope, function.module, certain, outer, function=function)
        self._visit(frame, function.node.body)
        value = tuple(dict.fromkeys(frame.returned))[:8]
        runs[signature] = (level, value if function.plain else doubt(value))
        return runs[signature][1]

    def _unknown_arguments(self, function: Function) -> Arguments:
        """Return arguments of which only the object of a method is known, as one of its class."""
        owner = function.owner
        is_method = owner is not None and not any(
            name_of(d) in ("classmethod", "staticmethod") for d in function.node.decorator_list
        )
        if owner is None or not is_method:
            return Arguments()
        return Arguments(((Binding(self._instance_of(None, owner), certain=False),),))

    def _instance_of(self, node: ast.Call | None, owner: Class) -> Instance:
        """Return the object that a call makes, or the one that stands for all of a class."""
        found = self._instances.get((node, owner))
        if found is None:
            thing = self._thing_of_class(node or owner.node, owner) if self.deep else None
            found = self._instances[(node, owner)] = Instance(owner, thing, self._scope(None))
        return found

    def _thing_of_class(self, node: ast.AST, owner: Class, depth: int = 8) -> Thing | None:
        """Return what an object of a class is to Keras, by the nearest base that is Keras' own."""
        for base in owner.bases:
            target = base.target
            if isinstance(target, Class) and depth:
                thing = self._thing_of_class(node, target, depth - 1)
                if thing is not None:
                    return thing
            if isinstance(target, Outside):
                family, role = self._family(target.name), find_role(target.name)
                if family is not None and role in ("layer", "model", "optimizer"):
                    return Thing(family, target.name, role, self._spot(node), self._is_certain())
        return None

    def _instantiate(self, node: ast.Call, owner: Class, arguments: Arguments, sure: bool) -> Bindings:
        instance = self._instance_of(node, owner)
        made = (Binding(instance),)
        start = self._member(owner, instance, "__init__")
        for target, certain in start[:1]:
            self._apply(node, target, arguments, sure=sure and certain)
        return made

    def _call_instance(self, node: ast.Call, target: Instance, arguments: Arguments, sure: bool) -> Bindings:
        value: Bindings = ()
        for name in ("__call__", "call"):
            members = self._member(target.owner, target, name)
            if members and isinstance(members[0].target, Method):
                value = self._apply(node, members[0].target, arguments, sure=sure)
                break
        if target.thing is None:
            return value
        return self._call_thing(node, target.thing, arguments, sure) or value

    def _call_outside(self, node: ast.Call, name: str, arguments: Arguments, sure: bool) -> Bindings:
        if arguments.positional and name in _RUNNERS:
            for target, certain in arguments.positional[0]:
                if isinstance(target, Function):
                    self._run(target, Arguments(), sure=sure and certain, awaited=True)
        if is_tracked(name):
            self._add(node, "attribute", name, None, certain=sure)
            if not _CONFIGURING.isdisjoint(name.split(".")):
                self._add(node, "call", name, _first(arguments), certain=sure)
            return self._make(node, name, arguments, sure) if self.deep else ()
        if name in _SEEDS:
            self._add(node, "call", name, _first(arguments), certain=sure)
        elif name in _IMPORTERS:
            return self._import_called(node, name, arguments)
        elif name in _EXITS:
            self.end()
        elif name in _DYNAMIC:
            self._note(node, f"{name.removeprefix('builtins.')} runs code that is not read")
        elif name.startswith("builtins."):
            return self._call_builtin(node, name.removeprefix("builtins."), arguments)
        elif name.startswith(("os.path.", "pathlib.", "os.fspath")):
            return _evaluate_path(name.rpartition(".")[2], [_constant(a) for a in arguments.positional])
        elif name.startswith(("os.environ", "sys.path.")) or name in (
            "os.putenv",
            "os.unsetenv",
            "site.addsitedir",
        ):
            self._change(node, name, arguments, sure)
        return ()

    def _call_builtin(self, node: ast.Call, name: str, arguments: Arguments) -> Bindings:
        first = arguments.positional[0] if arguments.positional else ()
        if name == "str" and (constant := _constant(first)) is not None:
            return (Binding(Const(str(constant.value))),)
        if name == "dict" and not arguments.positional:
            keys = [() if key is None else (Binding(Const(key)),) for key, _ in arguments.keywords]
            return (Binding(Table([*zip(keys, (v for _, v in arguments.keywords), strict=True)])),)
        if name in ("list", "tuple"):
            return first
        if name == "range":
            last = _constant(arguments.positional[-1]) if arguments.positional else None
            is_filled = len(arguments.positional) == 1 and last is not None and bool(last.value)
            return (Binding(Items([()])),) if is_filled else ()
        if name == "enumerate" and len(first) == 1 and isinstance(items := first[0].target, Items):
            pairs: list[Bindings] = [(Binding(Items([(), value])),) for value in items.values]
            return (Binding(Items(pairs)),)
        function = self.frame.function
        if name == "super" and function is not None and function.owner is not None:
            parameters = list_parameters(function.node.args)
            own = self.frame.scope.get(parameters[0].arg) if parameters else ()
            return tuple(Binding(Super(function.owner, b.target), b.certain) for b in own[:1])
        if name == "get_ipython":
            return (Binding(Outside("builtins.get_ipython")),)
        if name.endswith("magic"):
            self._magic(node, arguments)
        return ()

    def _call_part(self, node: ast.Call, target: Part, arguments: Arguments, sure: bool) -> Bindings:
        owner, name = target
        if isinstance(owner, Const):
            parts = [_constant(a) for a in arguments.positional]
            return _evaluate_path("join" if name == "joinpath" else name, [owner, *parts])
        if isinstance(owner, Items):
            added = arguments.positional[-1:]
            if name in ("append", "insert", "add"):
                owner.values += added if self._is_certain() else [doubt(value) for value in added]
            elif name == "extend" and added:
                owner.values.append(tuple(flatten(added[0])))
            else:
                owner.values[:], owner.open = [doubt(b for v in owner.values for b in v)], True
        elif isinstance(owner, Table) and name in ("get", "pop"):
            found = self.item((Binding(owner),), arguments.get(0))
            if name == "pop":
                owner.items.append(((), ()))
            return found
        elif isinstance(owner, Table) and name in ("values", "items"):
            return (Binding(Items([value for _, value in owner.items])),) if name == "values" else ()
        elif isinstance(owner, Table) and name in ("update", "clear", "setdefault"):
            owner.items.append(((), ()))
        elif isinstance(owner, Thing):
            return self._call_method(node, owner, name, arguments, sure)
        return ()

    def wait(self, value: Bindings) -> Bindings:
        """Follow the coroutines that are awaited."""
        found: list[Binding] = []
        for target, certain in value:
            if isinstance(target, Coroutine):
                sure = certain and len(value) == 1
                found += self._run(target.function, target.arguments, sure=sure, awaited=True)
        return tuple(found)

    def _import_called(self, node: ast.Call, importer: str, arguments: Arguments) -> Bindings:
        value = _constant(arguments.get(0, "name"))
        if value is None or not isinstance(value.value, str):
            self._note(node, "the name of an imported module is computed")
            return ()
        name = value.value
        if name.startswith("."):
            level = len(name) - len(name.lstrip("."))
            relative = self._absolute(ast.ImportFrom(name.lstrip("."), [], level))
            if relative is None:
                self._note(node, "a relative import outside of any package")
                return ()
            name = relative
        module = self._load(node, name)
        if module is None:
            self._add_import(node, name)
        if importer == "builtins.__import__":
            name = name.partition(".")[0]
            module = module and self._library.load(name)
        return (Binding(Outside(name) if module is None else Own(module)),)

    # Objects of Keras

    def _family(self, name: str) -> str | None:
        family = find_family(name)
        return "tf_keras" if family == "tensorflow.keras" and self._is_switched else family

    def _make(self, node: ast.Call, name: str, arguments: Arguments, sure: bool) -> Bindings:
        """Return the object of Keras that calling a public name gives."""
        family, role = self._family(name), find_role(name)
        if family is None or role is None:
            return ()
        made = Thing(family, name, role, self._spot(node), sure and self._is_certain())
        if role == "tensor" or is_reader(name):
            return (Binding(made),)
        symbolic = self._meet(node, made, arguments.all(), sure)
        if role == "operation":
            return () if symbolic is None else (Binding(made._replace(role="tensor", family=symbolic)),)
        return (Binding(made),)

    def _call_thing(self, node: ast.Call, thing: Thing, arguments: Arguments, sure: bool) -> Bindings:
        if thing.role not in ("layer", "model"):
            return ()
        symbolic = self._meet(node, thing, arguments.all(), sure)
        if symbolic is None:
            return ()
        return (Binding(thing._replace(role="tensor", family=symbolic, place=self._spot(node))),)

    def _call_method(
        self, node: ast.Call, thing: Thing, name: str, arguments: Arguments, sure: bool
    ) -> Bindings:
        if name == "compile" and thing.role == "model":
            self._meet(node, thing, [arguments.get(0, "optimizer")], sure)
        elif name in ("add", "__init__") and thing.role in ("layer", "model"):
            self._meet(node, thing, arguments.all(), sure)
        elif name == "__call__":
            return self._call_thing(node, thing, arguments, sure)
        elif name == "get_layer":
            return (Binding(thing._replace(role="layer")),)
        return ()

    def _meet(self, node: ast.AST, into: Thing, values: Iterable[Bindings], sure: bool) -> str | None:
        """Note objects that come to one of another package.

        Return the package of the symbolic tensors that are made of those among them, None without any.
        """
        found = [b for value in values for b in flatten(value)]
        tensors: list[str] = []
        for target, certain in found:
            thing = target.thing if isinstance(target, Instance) else target
            if not isinstance(thing, Thing):
                continue
            if thing.role == "tensor":
                tensors.append(thing.family)
            if thing.family != into.family:
                # Keras 3 takes tensors of tf_keras for TensorFlow's, which does harm to weights only.
                taken = thing.role == "tensor" and thing.family == "tf_keras"
                works = taken and (into.role == "operation" or not has_weights(into.name))
                is_certain = sure and certain and thing.certain and into.certain and not works
                self._add_meeting(node, thing, into, certain=is_certain)
        # Of tensors of tf_keras even layers of Keras 3 make tensors of tf_keras.
        return ("tf_keras" if "tf_keras" in tensors else into.family) if tensors else None

    def _add_meeting(self, node: ast.AST, thing: Thing, into: Thing, *, certain: bool) -> None:
        caught = bool(self._outer() & SURVIVES)
        origin = Place(*thing.place)
        self._add(node, "meets", thing.name, into.name, certain=certain, caught=caught, origin=origin)

    def _hold(self, node: ast.AST, into: Thing, value: Bindings) -> None:
        """Note layers and models that become attributes of a model of another package.

        That is no error, and right for what is frozen or trained by the program itself: only possible.
        """
        for target, _ in flatten(value):
            thing = target.thing if isinstance(target, Instance) else target
            if not isinstance(thing, Thing) or thing.family == into.family:
                continue
            if {thing.role, into.role} <= {"layer", "model"} and has_weights(thing.name):
                self._add_meeting(node, thing, into, certain=False)

    # Containers and operators

    def item(self, owner: Bindings, key: Bindings) -> Bindings:
        """Return what an index or key gives."""
        found: list[Binding] = []
        for target, certain in owner:
            inner = _item(target, _constant(key))
            found += inner if certain and len(owner) == 1 else doubt(inner)
        return tuple(found)

    def combine(self, node: ast.BinOp, left: Bindings, right: Bindings) -> Bindings:
        """Return the path, list or symbolic tensor that an operator makes."""
        if len(left) == len(right) == 1:
            a, b = left[0].target, right[0].target
            if (
                isinstance(a, Const)
                and isinstance(b, Const)
                and isinstance(a.value, str)
                and isinstance(b.value, str)
            ):
                if isinstance(node.op, ast.Div):
                    return _evaluate_path("join", [a, b])
                return (Binding(Const(a.value + b.value)),) if isinstance(node.op, ast.Add) else ()
            if isinstance(a, Items) and isinstance(b, Items) and isinstance(node.op, ast.Add):
                return (Binding(Items([*a.values, *b.values], a.open or b.open)),)
        tensors = [b for b in (*left, *right) if isinstance(b.target, Thing) and b.target.role == "tensor"]
        if tensors and isinstance(first := tensors[0].target, Thing):
            self._meet(node, first, [tuple(tensors[1:])], sure=False)
        return tuple(tensors[:1])

    def store(self, target: ast.Attribute | ast.Subscript, value: Bindings, *, adds: bool = False) -> None:
        """Note what is set: variables, folders of modules, attributes of the program's own objects."""
        owners = self.callee(target.value)
        if isinstance(target, ast.Subscript):
            key = self.evaluate(target.slice)
            for owner, certain in owners:
                # What is added to an item makes something that is computed.
                self._store_item(target, owner, key, () if adds else value, certain)
            return
        if target.attr == "jit_compile":
            self._add_jit(target, "attribute", value)
        for owner, certain in owners:
            if isinstance(owner, Outside) and f"{owner.name}.{target.attr}" == "os.environ":
                self._update(target, [value], certain)
            elif isinstance(owner, Outside) and f"{owner.name}.{target.attr}" == "sys.path":
                self._add_folder(target, value)
            elif isinstance(owner, Instance) and not adds:
                owner.attributes.set(target.attr, value, certain=certain and not self.frame.flow & POSSIBLE)
                if owner.thing is not None:
                    self._hold(target, owner.thing, value)

    def _store_item(
        self, node: ast.AST, owner: Target, key: Bindings, value: Bindings, certain: bool
    ) -> None:
        if isinstance(owner, Outside) and owner.name == "os.environ":
            self._add_variable(node, key, value, certain)
        elif isinstance(owner, Outside) and owner.name == "sys.path":
            self._add_folder(node, value)
        elif isinstance(owner, Table):
            # A literal that is changed in place is no constant any more.
            owner.items[:] = [*((k, doubt(v)) for k, v in owner.items), ((), doubt(value))]
        elif isinstance(owner, Items):
            owner.values[:], owner.open = [*map(doubt, owner.values), doubt(value)], True

    # What else is wanted

    def _change(self, node: ast.AST, name: str, arguments: Arguments, certain: bool) -> None:
        verb = name.rpartition(".")[2]
        given = arguments.positional
        if name.startswith("sys.path.") or name == "site.addsitedir":
            self._add_folder(node, given[-1] if given else ())
        elif verb in ("setdefault", "putenv", "__setitem__") and len(given) > 1:
            self._add_variable(node, given[0], given[1], certain)
        elif verb in ("pop", "unsetenv") and given:
            self._add_variable(node, given[0], (), certain)
        elif verb == "update":
            self._update(node, given, certain)
            for key, value in arguments.keywords:
                self._add_variable(node, () if key is None else (Binding(Const(key)),), value, certain)

    def _update(self, node: ast.AST, values: Iterable[Bindings], certain: bool) -> None:
        for value in values:
            table = value[0] if len(value) == 1 else None
            if table is None or not isinstance(table.target, Table):
                self._add_variable(node, (), (), certain)
                continue
            for key, item in table.target.items:
                self._add_variable(node, key, item, certain and table.certain)

    def _add_variable(self, node: ast.AST, key: Bindings, value: Bindings, certain: bool) -> None:
        name, given = _constant(key), _constant(value)
        text = given.value if given is not None else None
        self._add(
            node,
            "variable",
            str(name.value) if name is not None else "*",
            text if isinstance(text, str) and name is not None else None,
            certain=certain and name is not None and isinstance(text, str),
            early=not self._backend_seen and not self._deferred,
        )

    def _add_folder(self, node: ast.AST, value: Bindings) -> None:
        only = value[0].target if len(value) == 1 else None
        for part in only.values if isinstance(only, Items) else [value]:
            folder = _constant(part)
            if folder is not None and isinstance(folder.value, str):
                self._library.add_folder(folder.value)
            else:
                self._note(node, "sys.path is changed to something computed")

    def _magic(self, node: ast.AST, arguments: Arguments) -> None:
        texts = [c.value for a in arguments.positional if (c := _constant(a)) and isinstance(c.value, str)]
        words = " ".join(texts).lstrip("%").split(None, 1)
        if words[:1] == ["run"]:
            self._note(node, "%run runs code that is not read")
        if len(words) < 2 or words[0] not in ("env", "set_env"):
            return
        name, _, value = words[1].partition("=" if "=" in words[1] else " ")
        # IPython takes ``$name`` and ``{name}`` from the program.
        computed = not value or any(sign in value for sign in "${")
        given = () if computed else (Binding(Const(value.strip())),)
        self._add_variable(node, (Binding(Const(name.strip())),), given, True)

    def _note_jit(self, node: ast.Call, name: str, found: Bindings, arguments: Arguments) -> None:
        given = [k for k in node.keywords if k.arg in _JIT_KEYWORDS]
        if name == "compile":
            if given:
                self._add_jit(given[0].value, "compile", arguments.get(-1, "jit_compile"))
            elif isinstance(node.func, ast.Attribute) and any(k.arg is None for k in node.keywords):
                self._add_jit(node, "compile", ())
        if not given:
            return
        # ``functools.partial(tf.function, jit_compile=True)`` is one, too.
        targets = [b.target for b in (*found, *(b for a in arguments.positional[:1] for b in a))]
        names = [target.name for target in targets if isinstance(target, Outside)]
        if any(name.startswith("tensorflow.") and name.endswith(".function") for name in names):
            self._add_jit(node, "function", arguments.get(-1, *_JIT_KEYWORDS))

    def _add_jit(self, node: ast.AST, way: str, given: Bindings) -> None:
        constant = _constant(given)
        if constant is None:
            self._add(node, "jit_compile", way, None, certain=False)
            return
        value = constant.value
        # None is what Keras 2 takes for "not given" and Keras 3 for off.
        switch = value if isinstance(value, str) else "None" if value is None else bool(value)
        self._add(node, "jit_compile", way, switch)

    def _note_file(self, node: ast.Call, name: str, found: Bindings, arguments: Arguments) -> None:
        path = _constant(arguments.get(_FILES[name], "filepath", "path"))
        if path is None or not isinstance(path.value, str):
            return
        outside = [b.target.name for b in found if isinstance(b.target, Outside)]
        if outside and not any(is_tracked(owner) for owner in outside):
            return
        last = path.value.replace("\\", "/").rpartition("/")[2]
        suffix = "." + last.rpartition(".")[2] if "." in last else ""
        if name.startswith("load"):
            self._add(node, "loads", name, path.value)
        elif suffix in _MODEL_SUFFIXES or name == "save_weights":
            self._add(node, "saves", name, path.value)

    def end(self) -> None:
        """Take note that the program ends here, unless it does so after an error."""
        if not self._outer() & HANDLER:
            self._ended = True

    # Notes

    def _is_certain(self) -> bool:
        return self.frame.certain and not self._ended and not self.frame.flow & POSSIBLE

    def _outer(self) -> int:
        return (self.frame.outer | self.frame.flow) & (HANDLER | CAUGHT | SURVIVES)

    def _spot(self, node: ast.AST) -> tuple[str, int, int]:
        return (self.frame.source.label, node.lineno, node.col_offset + 1)  # type: ignore[attr-defined]

    def _add(
        self,
        node: ast.AST,
        kind: EvidenceKind,
        name: str,
        value: str | bool | None,
        *,
        certain: bool = True,
        early: bool = False,
        caught: bool = False,
        origin: Place | None = None,
    ) -> None:
        frame = self.frame
        certain = certain and self._is_certain()
        caught = caught or bool((frame.outer | frame.flow) & CAUGHT)
        spot = (frame.source.label, node.lineno, node.col_offset + 1)  # type: ignore[attr-defined]
        key: tuple[object, ...] = (kind, name, value, type(value), spot[0])
        if self._each or kind not in ("attribute", "call"):
            key = (*key, spot, origin)
        if self.deep and certain and kind in ("attribute", "import"):
            self._resolve_keras(kind, name)
        known = self._evidence.get(key)
        is_graded = known is not None and (known.grade == "certain" or not certain)
        if known is not None and is_graded and known.early <= early and known.caught <= caught:
            return
        place = Place(*spot)
        if known is not None:
            early, caught = early and known.early, caught and known.caught
            certain = certain or known.grade == "certain"
        grade: Literal["certain", "possible"] = "certain" if certain else "possible"
        self._evidence[key] = Evidence(kind, name, value, grade, place, early, caught, origin)

    def _resolve_keras(self, kind: EvidenceKind, name: str) -> None:
        """Keep account of what ``tf.keras`` is: its first use decides, before which packages switch it."""
        if name.startswith("tensorflow.keras") and (kind == "import" or not self._is_switched):
            self._is_resolved, self._is_switched = True, False
        elif name.startswith(SWITCHING) and not self._is_resolved:
            self._is_switched = True

    def _note(self, node: ast.AST, reason: str) -> None:
        note = (Place(*self._spot(node)), reason)
        if note not in self.unread:
            self.unread.append(note)


_MOST_CERTAIN = 4


def _level(certain: bool, outer: int) -> int:
    """Return how much it says that code is followed: as possible or certain, in a ``try`` or not."""
    return 1 + 2 * certain + (not outer & (CAUGHT | SURVIVES))


def _bind_arguments(function: Function, arguments: Arguments) -> dict[str, Bindings]:
    """Return what the parameters of a function are in one call."""
    given = function.node.args
    names = [a.arg for a in (*given.posonlyargs, *given.args)]
    bound: dict[str, Bindings] = {a.arg: () for a in list_parameters(given)}
    if not arguments.is_open and arguments.positional:
        bound.update(zip(names, map(_telling, arguments.positional), strict=False))
        if given.vararg is not None and len(arguments.positional) > len(names):
            bound[given.vararg.arg] = (Binding(Items([*arguments.positional[len(names) :]])),)
    for name, value in arguments.keywords:
        if name in bound:
            bound[name] = _telling(value)
    return bound


def _telling(value: Bindings) -> Bindings:
    """Return a value without numbers, which tell nothing."""
    if any(isinstance(b.target, Const) and type(b.target.value) in (int, float) for b in value):
        return ()
    return value


def _leaves_plain(found: Bindings) -> bool:
    names = [b.target.name for b in found if isinstance(b.target, Outside)]
    return bool(names) and all(
        name.startswith("tensorflow.") and name.endswith(".function") for name in names
    )


def _are_modules(bindings: Bindings) -> bool:
    return bool(bindings) and all(isinstance(b.target, (Outside, Own, Function)) for b in bindings)


def _texts(value: Target) -> frozenset[str] | None:
    if not isinstance(value, Items):
        return None
    return frozenset(str(constant.value) for part in value.values if (constant := _constant(part)))


def _constant(value: Bindings) -> Const | None:
    """Return the one constant that a value is, None where it is computed or may be several."""
    only = value[0] if len(value) == 1 and value[0].certain else None
    return only.target if only is not None and isinstance(only.target, Const) else None


def _first(arguments: Arguments) -> str | None:
    value = _constant(arguments.positional[0]) if arguments.positional else None
    return None if value is None else str(value.value)


def _item(owner: Target, key: Const | None) -> Bindings:
    if isinstance(owner, Items):
        at = key.value if key is not None else None
        if isinstance(at, int) and not owner.open and -len(owner.values) <= at < len(owner.values):
            return owner.values[at]
        return doubt(b for value in owner.values for b in value)
    if isinstance(owner, Table):
        exact = [value for name, value in owner.items if key is not None and _constant(name) == key]
        return exact[-1] if exact else doubt(b for _, value in owner.items for b in value)
    # One of several outputs is symbolic, too.
    return (Binding(owner),) if isinstance(owner, Thing) and owner.role == "tensor" else ()


def _thing_attribute(thing: Thing, name: str) -> Bindings:
    if thing.role == "tensor":
        return () if name in ("dtype", "ndim", "rank", "shape") else (Binding(thing),)
    if name in ("input", "inputs", "output", "outputs"):
        return (Binding(thing._replace(role="tensor")),)
    if name == "layers":
        return (Binding(Items([(Binding(thing._replace(role="layer"), certain=False),)], open=True)),)
    if name == "optimizer":
        return ()
    return (Binding(Part(thing, name)),)


def _path_attribute(path: Const, name: str) -> Bindings:
    if not isinstance(path.value, str):
        return ()
    if name == "parent":
        return (Binding(Const(os.path.dirname(os.path.normpath(path.value)))),)
    if name == "parents":
        values: list[Bindings] = []
        folder = os.path.normpath(path.value)
        for _ in range(32):
            folder = os.path.dirname(folder)
            values.append((Binding(Const(folder)),))
        return (Binding(Items(values)),)
    return (Binding(Part(path, name)),)


def _evaluate_path(function: str, parts: list[Const | None]) -> Bindings:
    """Return the path that a function of ``os.path`` or ``pathlib`` makes of constant parts."""
    texts = [part.value for part in parts if part is not None and isinstance(part.value, str)]
    if not texts or len(texts) != len(parts):
        return ()
    if function == "dirname":
        return (Binding(Const(os.path.dirname(os.path.normpath(texts[0])))),)
    if function in ("join", "joinpath") or function in _PATHS:
        joined = os.path.join(*texts)
        return (Binding(Const(os.path.normpath(joined) if os.path.isabs(joined) else joined)),)
    return ()

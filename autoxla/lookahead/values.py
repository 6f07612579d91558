"""What names may stand for while a program is followed, and where names are kept."""

# ruff: noqa: PTH118 - what is evaluated are expressions over strings

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import NamedTuple, TypeAlias

# Flow: how a statement stands to the code around it, and code to the program.
POSSIBLE = 1  # under a condition, or after something that may have ended its function
HANDLER = 2  # in an ``except``: runs only after an error, which grades leave out of account
CAUGHT = 4  # in a ``try`` that goes on where something is missing, or objects do not fit each other

#: How many things one name may be at a time.
MOST_BINDINGS = 8
_BUILTINS = frozenset(
    ("__import__", "eval", "exec", "exit", "list", "quit", "range", "setattr", "str", "super", "tuple")
)
#: What functions and methods make of a path. One that is relative remains so.
_PATHS: dict[str, Callable[[str], str]] = {
    "dirname": os.path.dirname,
    **dict.fromkeys(("Path", "PurePath", "as_posix", "fspath", "join", "joinpath"), str),
    **dict.fromkeys(("abspath", "absolute", "normpath", "realpath", "resolve"), os.path.normpath),
}


class Const(NamedTuple):
    """A literal, or a path that is made of literals and ``__file__``."""

    value: str | bool | int | float | None


class Outside(NamedTuple):
    """A module, or what is in one, that is not the program's own."""

    name: str


class Function(NamedTuple):
    """A function of the program's; `owner` is the class of a method, `bound` the object it is called on.

    `kind`: it is a ``classmethod``, ``property`` or ``staticmethod``, empty for all others.
    `plain`: calling its name runs its body, and gives what that returns. Under an unknown decorator it may
    not, and in generators and coroutines it runs as far as somebody takes values from them.
    """

    node: ast.FunctionDef | ast.AsyncFunctionDef
    scope: Scope
    module: Module
    plain: bool
    kind: str
    owner: Class | None
    bound: Target | None = None


class Thing(NamedTuple):
    """An object of Keras: a layer, model, optimizer, or symbolic tensor of the package `family`.

    `place` is where it was made, as file, line, column. `lost`: a layer of Keras 3 before it in a model of
    tf_keras, which knows nothing of the weights of this layer.
    """

    family: str
    name: str
    role: str
    place: tuple[str, int, int]
    certain: bool
    lost: Thing | None = None


class Part(NamedTuple):
    """An attribute of an object, most often a method that is about to be called."""

    owner: Target
    name: str


class Super(NamedTuple):
    """``super()`` within a method of `owner`, of the object `instance`."""

    owner: Class
    instance: Target


@dataclass(slots=True, eq=False)
class Class:
    """A class of the program's own. `keras`: the nearest base that is Keras' own, empty for none."""

    node: ast.ClassDef
    bases: Bindings
    scope: Scope
    keras: str


@dataclass(slots=True, eq=False)
class Instance:
    """An object of one of the program's own classes; `thing`: what it is to Keras, if anything."""

    owner: Class
    thing: Thing | None
    attributes: Scope


@dataclass(slots=True, eq=False)
class Items:
    """A list or tuple; `open`: it may hold more than what is known."""

    values: list[Bindings]
    open: bool = False

    def forget(self) -> None:
        """Take all that is in it for merely possible, after a change that is not followed."""
        self.values, self.open = [doubt(b for value in self.values for b in value)], True


@dataclass(slots=True, eq=False)
class Table:
    """A dictionary: its keys and values."""

    items: list[tuple[Bindings, Bindings]]

    def forget(self) -> None:
        """Take all that is in it for merely possible, after a change that is not followed."""
        self.items = [*((key, doubt(value)) for key, value in self.items), ((), ())]


Target: TypeAlias = (
    "Const | Outside | Module | Function | Thing | Part | Super | Class | Instance | Items | Table"
)


class Binding(NamedTuple):
    """What a name may stand for."""

    target: Target
    certain: bool = True


#: What an expression may be; nothing where only running would tell.
Bindings: TypeAlias = tuple[Binding, ...]


class Arguments(NamedTuple):
    """What a call passes; a keyword None stands for ``**``. `is_open`: there is a ``*``."""

    positional: Sequence[Bindings] = ()
    keywords: Sequence[tuple[str | None, Bindings]] = ()
    is_open: bool = False

    def get(self, position: int, *names: str) -> Bindings:
        """Return an argument by its position or one of its names; nothing where it is not given."""
        for name, value in self.keywords:
            if name in names:
                return value
        return self.positional[position] if 0 <= position < len(self.positional) else ()

    def all(self) -> list[Bindings]:
        """Return the values of all arguments."""
        return [*self.positional, *(value for _, value in self.keywords)]


class Scope:
    """Names at one place; those that are bound but unknown have no binding."""

    __slots__ = ("names", "parent")

    def __init__(self, parent: Scope | None = None) -> None:
        self.parent = parent
        self.names: dict[str, Bindings] = {}

    def get(self, name: str) -> Bindings:
        """Return what a name may be here; nothing for one that is unknown."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return (Binding(Outside(f"builtins.{name}")),) if name in _BUILTINS else ()

    def set(self, name: str, bindings: Bindings, *, certain: bool) -> None:
        """Bind a name; under a condition, what it was before remains possible."""
        if not certain:
            bindings = doubt((*self.names.get(name, ()), *bindings))
        self.names[name] = bindings[:MOST_BINDINGS]


@dataclass(slots=True, eq=False)
class Module:
    """One of the program's own modules, or a cell of a notebook, while it is followed.

    `package`: for relative imports, None where they fail. `label` is its file as places have it, `file` its
    ``__file__``. `yields` are the lines with the word. `main`: it is the program's main module, or a cell of
    it. `certain`: it runs where it is imported. `scope` is one for all cells.
    """

    name: str
    package: str | None
    label: str
    file: str | None
    main: bool = False
    certain: bool = True
    scope: Scope = field(default_factory=Scope)
    body: Sequence[ast.stmt] = ()
    yields: Sequence[int] = ()


@dataclass(slots=True, eq=False)
class Frame:
    """Code that is being followed: a module, or the body of a function or class.

    `base` is how the code as a whole stands to the program, `flow` how its current statement stands to it.
    """

    module: Module
    scope: Scope
    base: int
    flow: int = 0
    function: Function | None = None
    in_class: Class | None = None
    globals: set[str] = field(default_factory=set)
    returned: list[Binding] = field(default_factory=list)


def doubt(bindings: Iterable[Binding]) -> Bindings:
    """Return the same values as merely possible, each once."""
    return tuple({b.target: Binding(b.target, certain=False) for b in bindings}.values())[:MOST_BINDINGS]


def flatten(bindings: Iterable[Binding], depth: int = 4) -> list[Binding]:
    """Return values with those in lists, tuples and dictionaries in the place of these."""
    found: list[Binding] = []
    for target, certain in bindings:
        if depth and isinstance(target, (Items, Table)):
            values = target.values if isinstance(target, Items) else [value for _, value in target.items]
            inner = [b for value in values for b in flatten(value, depth - 1)]
            found += inner if certain else [Binding(b.target, certain=False) for b in inner]
        else:
            found.append(Binding(target, certain))
    return found


def get_constant(value: Bindings) -> Const | None:
    """Return the one constant that a value is, None where it is computed or may be several."""
    only = value[0] if len(value) == 1 and value[0].certain else None
    return only.target if only is not None and isinstance(only.target, Const) else None


def get_text(value: Bindings) -> str | None:
    """Return the one string that a value is, None where it is computed, or something else."""
    constant = get_constant(value)
    return constant.value if constant is not None and isinstance(constant.value, str) else None


def make_constant(value: str | bool | int | float | None) -> Bindings:
    """Return the value of a literal."""
    return (Binding(Const(value)),)


def get_item(owners: Bindings, key: Bindings) -> Bindings:
    """Return what an index or key gives; a key that is computed may give any of the values."""
    found: list[Binding] = []
    at = get_constant(key)
    for owner, certain in owners:
        inner: Bindings = ()
        if isinstance(owner, Items):
            inner = doubt(b for value in owner.values for b in value)
            number = at.value if at is not None and not owner.open else None
            if isinstance(number, int) and -len(owner.values) <= number < len(owner.values):
                inner = owner.values[number]
        elif isinstance(owner, Table):
            exact = [value for name, value in owner.items if at is not None and get_constant(name) == at]
            inner = exact[-1] if exact else doubt(b for _, value in owner.items for b in value)
        elif isinstance(owner, Thing) and owner.role == "tensor":
            # One of several outputs is symbolic, too.
            inner = (Binding(owner),)
        found += inner if certain and len(owners) == 1 else doubt(inner)
    return tuple(found)


def get_path_attribute(path: str, name: str) -> Bindings:
    """Return an attribute of a path of ``pathlib``."""
    if name == "parent":
        return make_constant(str(PurePath(path).parent))
    if name == "parents":
        return (Binding(Items([make_constant(str(parent)) for parent in PurePath(path).parents])),)
    return (Binding(Part(Const(path), name)),)


def evaluate_path(function: str, parts: Sequence[Const | None]) -> Bindings:
    """Return the path that a function of ``os.path`` or ``pathlib`` makes of constant parts."""
    texts = [part.value for part in parts if part is not None and isinstance(part.value, str)]
    is_known = function in _PATHS and texts and len(texts) == len(parts)
    return make_constant(_PATHS[function](os.path.join(*texts))) if is_known else ()

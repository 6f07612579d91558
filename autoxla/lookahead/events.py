"""What the syntax of a file amounts to: units of code, each a list of events in order of execution.

Syntax is read without knowledge of other files; names are resolved when the events are followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

# Flow: how an event stands to the code around it, in its own unit.
POSSIBLE = 1  # under a condition, or after something that may have ended the unit
HANDLER = 2  # in an ``except``: runs only after an error, which grades leave out of account
GLOBAL = 4  # binds a name that is declared global
AWAITED = 8  # the coroutine that is called runs here
CAUGHT = 16  # in a ``try`` that goes on where an import or an attribute is missing


class Const(NamedTuple):
    """A literal."""

    value: str | bool | int | float | None


class Ref(NamedTuple):
    """A name and the attributes that are taken from it."""

    root: str
    rest: tuple[str, ...] = ()


class Result(NamedTuple):
    """What a call returns: only calls that import are followed."""

    function: Ref
    first: Value


class Table(NamedTuple):
    """A literal of a dictionary."""

    items: tuple[tuple[Value, Value], ...]


class Items(NamedTuple):
    """A literal of a list or tuple."""

    values: tuple[Value, ...]


#: What an expression stands for; None where only running would tell.
Value: TypeAlias = Const | Ref | Result | Table | Items | None


class Import(NamedTuple):
    """``import module`` or ``import module as name``."""

    line: int
    column: int
    flow: int
    module: str
    name: str | None


class FromImport(NamedTuple):
    """``from module import name as bound, …``; the only name of a star import is ``*``."""

    line: int
    column: int
    flow: int
    module: str
    level: int
    names: tuple[tuple[str, str], ...]


class Use(NamedTuple):
    """Attributes are taken from a name."""

    line: int
    column: int
    flow: int
    ref: Ref


class Call(NamedTuple):
    """Something is called by a name, with the arguments that may say something.

    A keyword None stands for ``**``.
    """

    line: int
    column: int
    flow: int
    ref: Ref
    arguments: tuple[Value, ...]
    keywords: tuple[tuple[str | None, Value], ...]


class Bind(NamedTuple):
    """A name gets a value; None makes it unknown."""

    line: int
    column: int
    flow: int
    name: str
    value: Value


class Store(NamedTuple):
    """An item of an object is set; `key` None: the object as a whole or a part that is computed."""

    line: int
    column: int
    flow: int
    ref: Ref
    key: Value
    value: Value


class Jit(NamedTuple):
    """``jit_compile`` is given to a call named ``compile``, or set as an attribute."""

    line: int
    column: int
    flow: int
    way: Literal["compile", "attribute"]
    value: Value


class File(NamedTuple):
    """A model is loaded or saved; `owner` is what the method belongs to, None for an expression."""

    line: int
    column: int
    flow: int
    way: Literal["load", "save"]
    owner: Ref | None
    path: Value


class Exit(NamedTuple):
    """``raise SystemExit``."""

    line: int
    column: int
    flow: int


class Define(NamedTuple):
    """A function comes to be; `plain`: calling its name runs its body."""

    line: int
    column: int
    flow: int
    name: str
    unit: Unit
    plain: bool


class Enter(NamedTuple):
    """The body of a class runs."""

    line: int
    column: int
    flow: int
    unit: Unit


Event: TypeAlias = Import | FromImport | Use | Call | Bind | Store | Jit | File | Exit | Define | Enter


@dataclass(slots=True, eq=False)
class Unit:
    """Code that runs as one: a module, a cell, the body of a function or class.

    `lazy`: calling it runs nothing yet (generators, coroutines). `visited`: 0 not yet followed,
    1 as possible, 2 as certain; the only part that changes after the file was read.
    """

    file: str
    name: str
    kind: Literal["module", "function", "class"]
    parameters: tuple[str, ...] = ()
    events: list[Event] = field(default_factory=list)
    lazy: Literal["no", "generator", "coroutine"] = "no"
    visited: int = 0

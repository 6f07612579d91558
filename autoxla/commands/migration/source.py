"""What a module's names stand for, by libcst's scopes: imports, chains of attributes, strings.

Nothing here knows which generation is wanted. What a name stands for is a dotted path such as
``tensorflow.keras.layers``; None where that cannot be told, and `NOTHING` for the constant None:
programs write ``except ImportError: keras = None``.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import libcst as cst
import libcst.matchers as m
from libcst import metadata

from autoxla.commands.terminal import is_ignored

NOTHING = "None"
#: Parents of names that are no expressions.
_BINDERS = (cst.Param, cst.NameItem, cst.FunctionDef, cst.ClassDef)
_COLLECTED = (
    m.Import() | m.ImportFrom() | m.Assign() | m.NameItem() | m.Name() | m.SimpleString()
    | m.FormattedStringText()
)  # fmt: skip
_QUOTED = re.compile(r"""([uU]?(?:"{3}|'{3}|"|')\s*)([^\\\n]*?)(\s*["']+)\Z""")
_CODES = [f"AX12{digit}" for digit in range(1, 10)]
_PROVIDERS = (
    metadata.ExpressionContextProvider,
    metadata.ParentNodeProvider,
    metadata.PositionProvider,
    metadata.ScopeProvider,
)


@dataclass(frozen=True, slots=True, eq=False)
class Alias:
    """A name that an import statement binds: `path` is what is imported, `name` what it is called here.

    `module` is the part before ``import`` of a from-import, else None. In ``import keras.layers`` the name
    is ``keras``.
    """

    statement: Any
    item: Any
    path: str
    module: str | None
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A name with the attributes taken from it; `nodes` are ``a``, ``a.b`` and ``a.b.c``.

    An attribute taken by ``getattr(a, "b")`` has no node. `stored`: the chain is assigned to or deleted.
    """

    nodes: tuple[Any, ...]
    words: tuple[str, ...]
    scope: Any
    stored: bool

    def path(self, origin: str) -> str:
        """Return what the chain stands for where its name stands for ``origin``."""
        return ".".join((origin, *self.words[1:]))


class Source:
    """A module's imports, chains and strings in the order of the text. Raises SyntaxError for no Python."""

    def __init__(self, text: str) -> None:
        self.text, self.tree, self.lines = text, parse(text), re.split(r"\r\n|\n|\r", text)
        found = metadata.MetadataWrapper(self.tree, unsafe_skip_copy=True).resolve_many(_PROVIDERS)
        maps: list[dict[Any, Any]] = [dict(found[each]) for each in _PROVIDERS]
        self._contexts, self.parents, self._places, self._scopes = maps
        self.aliases: list[Alias] = []
        #: What is assigned to a name, and to it alone.
        self.values: dict[Any, Any] = {}
        self.stars: list[Any] = []
        self.chains: list[Chain] = []
        self.strings: list[tuple[Any, str]] = []
        #: Strings that are annotations, by the expression in them.
        self.quoted: dict[Any, Any] = {}
        self.declared: set[str] = set()
        for node in m.findall(self.tree, _COLLECTED):
            match node:
                case cst.ImportFrom(names=cst.ImportStar()):
                    self.stars.append(node)
                case cst.Import() | cst.ImportFrom():
                    module = module_of(node) if isinstance(node, cst.ImportFrom) else None
                    items: Any = node.names
                    for item in items:
                        name, asname = dotted(item.name), item.evaluated_alias
                        path = name if module is None else f"{module}.{name}"
                        self.aliases.append(Alias(node, item, path, module, asname or name.split(".")[0]))
                case cst.Assign(targets=[cst.AssignTarget(target=cst.Name())]):
                    self.values[node.targets[0].target] = node.value
                case cst.NameItem():
                    self.declared.add(node.name.value)
                case cst.Name() if self._scopes.get(node) and not isinstance(self.parents[node], _BINDERS):
                    self._add_chain(node)
                case cst.FormattedStringText():
                    self.strings.append((node, node.value))
                case cst.SimpleString():
                    if self.is_annotation(node) and (quoted := _QUOTED.match(node.value)):
                        self._read_annotation(node, quoted[2])
                    value = text_of(node)
                    if value is not None and not isinstance(self.parents[node], cst.Expr):
                        self.strings.append((node, value))

    def _read_annotation(self, node: cst.SimpleString, text: str) -> None:
        """Add the chains of the expression in a string that is an annotation, as if they stood without it."""
        try:
            expression = cst.parse_expression(text)
        except cst.ParserSyntaxError:
            return
        module = cst.Module([cst.SimpleStatementLine([cst.Expr(expression)])])
        wrapper = metadata.MetadataWrapper(module, unsafe_skip_copy=True)
        self.parents |= {**wrapper.resolve(metadata.ParentNodeProvider), expression: node}
        self.quoted[expression] = node
        for name in m.findall(expression, m.Name()):
            if getattr(self.parents[name], "attr", None) is not name:
                self._add_chain(name)

    def _add_chain(self, node: Any) -> None:
        nodes = [node]
        while isinstance(parent := self.parents[nodes[-1]], cst.Attribute) and parent.value is nodes[-1]:
            nodes.append(parent)
        words = [node.value, *(each.attr.value for each in nodes[1:])]
        # With a default, what ``getattr(node, "name")`` asks for need not be there.
        match parent, self.parents.get(parent):
            case cst.Arg(), cst.Call(func=cst.Name("getattr"), args=[first, second]) if first is parent:
                words += filter(None, [text_of(second.value)])
        stored = self._contexts.get(nodes[-1]) not in (None, metadata.ExpressionContext.LOAD)
        self.chains.append(Chain(tuple(nodes), tuple(words), self.scope_of(node), stored))

    # Where things stand

    def code(self, node: Any) -> str:
        """Return the text of ``node``."""
        return self.tree.code_for_node(node)

    def start(self, node: Any) -> tuple[int, int]:
        """Return the line and the column of ``node``, or of the string that it is in; both count from 1."""
        while node not in self._places:
            node = self.parents[node]
        start = self._places[node].start
        return start.line, start.column + 1

    def is_left_alone(self, node: Any) -> bool:
        """Tell whether a comment ``# autoxla: ignore[…]`` on the line means this command."""
        line = self.lines[self.start(node)[0] - 1]
        return any(is_ignored(line, code) for code in _CODES)

    def ancestors(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Yield each ancestor with the child through which it is reached."""
        while (parent := self.parents.get(node)) is not None:
            yield parent, node
            node = parent

    def scope_of(self, node: Any) -> Any:
        """Return the scope in which ``node`` stands."""
        while self._scopes.get(node) is None:
            node = self.parents[node]
        return self._scopes[node]

    def branches(self, statement: Any) -> dict[Any, str]:
        """Return the compound statements around a statement in its module, function or class, with the arm.

        Where there is none, it runs under no condition.
        """
        found = {}
        for parent, child in self.ancestors(statement):
            if isinstance(parent, (cst.FunctionDef, cst.ClassDef)):
                break
            if isinstance(parent, cst.BaseCompoundStatement):
                handler = isinstance(child, (cst.ExceptHandler, cst.ExceptStarHandler))
                body = getattr(parent, "body", None)
                found[parent] = "body" if child is body else "handler" if handler else "else"
        return found

    def is_annotation(self, node: Any) -> bool:
        """Tell a string in an annotation, and not in a ``Literal`` there."""
        for parent, _ in self.ancestors(node):
            is_literal = isinstance(parent, cst.Subscript) and dotted(parent.value).endswith("Literal")
            if is_literal or isinstance(parent, (cst.Call, cst.BaseStatement, cst.BaseSmallStatement)):
                return False
            if isinstance(parent, cst.Annotation):
                return True
        return False

    def around(self, node: Any) -> Any:
        """Return the statement that a string is in; of ``if`` and the like, the condition."""
        return next(
            parent if isinstance(parent, cst.BaseSmallStatement) else child
            for parent, child in self.ancestors(node)
            if isinstance(parent, (cst.BaseStatement, cst.BaseSmallStatement))
        )

    def names_around(self, node: Any) -> set[str]:
        """Return the names in the statement that a string is in."""
        return {each.value for each in m.findall(self.around(node), m.Name())}  # type: ignore[attr-defined]

    # What names stand for

    def bindings(self, scope: Any, name: str) -> list[Any]:
        """Return libcst's assignments of ``name`` as seen from ``scope``, without builtins."""
        return [found for found in scope[name] if isinstance(found, metadata.Assignment)]

    def all_bindings(self, name: str) -> list[Any]:
        """Return all assignments of ``name`` in the module."""
        scopes = dict.fromkeys(filter(None, self._scopes.values()))
        return [binding for scope in scopes for binding in scope.assignments[name]]

    def meanings(self, binding: Any, seen: frozenset[Any] = frozenset()) -> frozenset[str | None]:
        """Return what the name that is bound stands for."""
        if isinstance(binding, metadata.ImportAssignment):
            return frozenset(each.name for each in binding.get_qualified_names_for(binding.name))
        value = self.values.get(binding.node)
        root, dot, rest = dotted(value).partition(".")
        if root in ("", NOTHING):
            return frozenset([root or None])
        below = self.origins(self.scope_of(value), root, seen | {binding}) or {None}
        return frozenset(each if each in (None, NOTHING) else f"{each}{dot}{rest}" for each in below)

    def origins(self, scope: Any, name: str, seen: frozenset[Any] = frozenset()) -> frozenset[str | None]:
        """Return what ``name`` may stand for in ``scope``; empty where it is bound nowhere."""
        known = (binding for binding in self.bindings(scope, name) if binding not in seen)
        return frozenset().union(*(self.meanings(binding, seen) for binding in known))


def parse(text: str) -> cst.Module:
    """Return the tree of ``text``. Raises SyntaxError."""
    check(text)
    try:
        module = cst.parse_module(text)
    except cst.ParserSyntaxError as error:
        raise SyntaxError(error.message, ("<source>", error.raw_line, 1, None)) from None
    if module.code != text:
        raise SyntaxError("libcst would not give it back to the letter")
    return module


def check(text: str) -> None:
    """Raise SyntaxError for what Python would refuse.

    libcst's parser tells no line for some errors, and ends the process on what is nested too deeply,
    for which Python's own has a limit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<source>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True)
    except (ValueError, MemoryError, RecursionError) as error:
        raise SyntaxError(str(error) or "it is nested too deeply") from None


def module_of(node: cst.ImportFrom) -> str:
    """Return the dotted module of a from-import, relative as it is written."""
    return "." * len(node.relative) + dotted(node.module)


def dotted(node: Any) -> str:
    """Return a chain such as ``a.b.c`` as text; "" for any other expression."""
    if isinstance(node, cst.Attribute):
        value = dotted(node.value)
        return value and f"{value}.{node.attr.value}"
    return node.value if isinstance(node, cst.Name) else ""


def text_of(node: Any) -> str | None:
    """Return the value of a string that is no bytes; None for any other expression."""
    value = getattr(node, "evaluated_value", None)
    return value if isinstance(value, str) else None

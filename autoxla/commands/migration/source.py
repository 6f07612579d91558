"""What a module's names stand for, by libcst's scopes: imports, chains of attributes, strings.

Nothing here knows which generation is wanted. Where a name comes from is a dotted path such as
``tensorflow.keras.layers``; None where that cannot be told, and `NOTHING` for the constant None:
programs write ``except ImportError: keras = None``.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import libcst as cst
import libcst.matchers as m
from libcst import metadata

NOTHING = "None"
DEFINITIONS = (cst.FunctionDef, cst.ClassDef)
_STATEMENTS = (cst.BaseStatement, cst.BaseSmallStatement)
#: Parents of names that are no expressions.
_BINDERS = (cst.Param, cst.NameItem, *DEFINITIONS)
_COLLECTED = (
    m.Import() | m.ImportFrom() | m.Assign() | m.AnnAssign() | m.NamedExpr()
    | m.NameItem() | m.Name() | m.SimpleString() | m.FormattedStringText()
)  # fmt: skip
_QUOTED = re.compile(r"""([uU]?(?:"{3}|'{3}|"|')\s*)(.*?)(\s*["']+)\Z""", re.DOTALL)
_IGNORE = re.compile(r"#\s*autoxla:\s*ignore\s*(?:\[([^\]]*)\])?", re.IGNORECASE)
#: The codes of this command, as they stand in ``# autoxla: ignore[AX121]``.
_OWN_CODE = re.compile(r"\s*AX12\d?\s*$")
_NEWLINE = re.compile(r"\r\n|\n|\r")
_PROVIDERS = (
    metadata.ExpressionContextProvider,
    metadata.ParentNodeProvider,
    metadata.PositionProvider,
    metadata.ScopeProvider,
)
_STORED = (metadata.ExpressionContext.STORE, metadata.ExpressionContext.DEL)

#: Where something begins and ends in the text.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Alias:
    """A name that an import statement binds, or ``NAME = chain``, which has no `item`.

    `origin` is what the bound `name` stands for, `path` what is imported: they differ in
    ``import keras.layers``. `module` is the part before ``import`` of a from-import, else None.
    """

    statement: Any
    item: Any
    origin: str
    path: str
    module: str | None
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A name with the attributes taken from it; `nodes` are ``a``, ``a.b`` and ``a.b.c``.

    An attribute taken by ``getattr(a, "b")`` has no node. `stored`: the chain is assigned to or deleted.
    """

    nodes: tuple[Any, ...]
    attributes: tuple[str, ...]
    scope: Any
    stored: bool

    @property
    def root(self) -> str:
        """The name."""
        return str(self.nodes[0].value)


class Source:
    """A module's imports, chains and strings in the order of the text. Raises SyntaxError for no Python."""

    def __init__(self, text: str) -> None:
        self.text, self.tree = text, parse(text)
        found = metadata.MetadataWrapper(self.tree, unsafe_skip_copy=True).resolve_many(_PROVIDERS)
        maps: list[dict[Any, Any]] = [dict(found[each]) for each in _PROVIDERS]
        self._contexts, self.parents, self._places, self._scopes = maps
        #: Where each line begins.
        self._starts = [0, *(each.end() for each in _NEWLINE.finditer(text))]
        self.aliases: list[Alias] = []
        #: ``NAME = chain`` by the first and by the target's node.
        self.assigned: dict[Any, Alias] = {}
        #: What is assigned to a target, and to it alone.
        self.values: dict[Any, Any] = {}
        self.stars: list[Any] = []
        self.chains: list[Chain] = []
        self.strings: list[tuple[Any, str]] = []
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
                        bound = asname or name.split(".")[0]
                        origin = bound if module is None and not asname else path
                        self.aliases.append(Alias(node, item, origin, path, module, bound))
                case cst.Assign(targets=[cst.AssignTarget(target=target)]):
                    self.values[target] = node.value
                    if isinstance(target, cst.Name) and (path := dotted(node.value)):
                        first = node.value
                        while isinstance(first, cst.Attribute):
                            first = first.value
                        alias = Alias(node, None, path, path, None, target.value)
                        self.assigned[target] = self.assigned[first] = alias
                case cst.AnnAssign() | cst.NamedExpr():
                    self.values[node.target] = node.value
                case cst.NameItem():
                    self.declared.add(node.name.value)
                case cst.Name() if self._scopes.get(node) and not isinstance(self.parents[node], _BINDERS):
                    self._add_chain(node)
                case cst.FormattedStringText():
                    self.strings.append((node, node.value))
                case cst.SimpleString():
                    if self.is_annotation(node):
                        self._read_annotation(node)
                    value = text_of(node)
                    if value is not None and not isinstance(self.parents[node], cst.Expr):
                        self.strings.append((node, value))

    def _read_annotation(self, node: cst.SimpleString) -> None:
        """Add the chains of the expression in a string that is an annotation, as if they stood without it."""
        found = _QUOTED.match(node.value)
        if not found or "\\" in found[2] or _NEWLINE.search(node.value):
            return
        try:
            expression = cst.parse_expression(found[2])
        except cst.ParserSyntaxError:
            return
        module = cst.Module([cst.SimpleStatementLine([cst.Expr(expression)])])
        wrapper = metadata.MetadataWrapper(module, unsafe_skip_copy=True)
        parents: Any = wrapper.resolve(metadata.ParentNodeProvider)
        places = wrapper.resolve(metadata.PositionProvider)
        self.parents |= parents | {expression: node}
        line, column = self._places[node].start.line, self._places[node].start.column + len(found[1])
        for each, place in places.items():
            ends = ((line, column + end.column) for end in (place.start, place.end))
            self._places[each] = metadata.CodeRange(*ends)
        for name in [each for each in parents if isinstance(each, cst.Name)]:
            parent = parents[name]
            if not (isinstance(parent, cst.Attribute) and parent.attr is name):
                self._add_chain(name)

    def _add_chain(self, node: Any) -> None:
        nodes = [node]
        while isinstance(parent := self.parents[nodes[-1]], cst.Attribute) and parent.value is nodes[-1]:
            nodes.append(parent)
        attributes = [each.attr.value for each in nodes[1:]]
        # With a default, what ``getattr(node, "name")`` asks for need not be there.
        match parent, self.parents.get(parent):
            case cst.Arg(), cst.Call(func=cst.Name("getattr"), args=[first, second]) if first is parent:
                attributes += filter(None, [text_of(second.value)])
        stored = self._contexts.get(nodes[-1]) in _STORED
        self.chains.append(Chain(tuple(nodes), tuple(attributes), self.scope_of(node), stored))

    # Where things stand

    def span(self, node: Any) -> Span:
        """Return where ``node`` begins and ends in the text, without brackets around it."""
        place = self._places[node]
        first, last = (self._starts[each.line - 1] + each.column for each in (place.start, place.end))
        return first, last

    def code(self, node: Any) -> str:
        """Return the text of ``node``."""
        return self.text[slice(*self.span(node))]

    def start(self, node: Any) -> tuple[int, int]:
        """Return the line and the column of ``node``, both counted from 1."""
        start = self._places[node].start
        return start.line, start.column + 1

    def is_left_alone(self, node: Any) -> bool:
        """Tell whether a comment ``# autoxla: ignore[…]`` on the line means this command."""
        first = self._starts[self.start(node)[0] - 1]
        found = _IGNORE.search(self.text, first, self.end_of_line(self.span(node)[0]))
        codes = [code for code in (found[1] or "").split(",") if code.strip()] if found else []
        return found is not None and (not codes or any(map(_OWN_CODE.match, codes)))

    def end_of_line(self, at: int) -> int:
        """Return where the line that holds ``at`` ends."""
        found = _NEWLINE.search(self.text, at)
        return found.start() if found else len(self.text)

    def put_behind(self, statement: Any, lines: Iterable[str]) -> tuple[int, str]:
        """Return where ``lines`` are to be put behind a statement, and with what before them."""
        first, last = self.span(statement)
        line = self.parents[statement]
        # Where nothing else stands on the line of a statement, a line may follow it.
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) > 1:
            return last, "".join(f"; {each}" for each in lines)
        indent = self.text[self._starts[self.start(statement)[0] - 1] : first]
        newline = self.tree.default_newline
        return self.end_of_line(last), "".join(f"{newline}{indent}{each}" for each in lines)

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
            if isinstance(parent, DEFINITIONS):
                break
            if isinstance(parent, cst.BaseCompoundStatement):
                handler = isinstance(child, (cst.ExceptHandler, cst.ExceptStarHandler))
                body = getattr(parent, "body", None)
                found[parent] = "body" if child is body else "handler" if handler else "else"
        return found

    def is_annotation(self, node: Any) -> bool:
        """Tell a string in an annotation, and not in a ``Literal`` there."""
        for parent, _ in self.ancestors(node):
            is_literal = isinstance(parent, cst.Subscript) and last_name(parent.value) == "Literal"
            if is_literal or isinstance(parent, (cst.Call, *_STATEMENTS)):
                return False
            if isinstance(parent, cst.Annotation):
                return True
        return False

    def receivers(self, node: Any) -> set[str]:
        """Return the names of what a string is handed to: called, indexed, compared with, assigned to."""
        found: set[str] = set()
        for parent, child in self.ancestors(node):
            if isinstance(parent, cst.Call) and child is not parent.func:
                found.add(last_name(parent.func))
            elif isinstance(parent, cst.Subscript):
                found.add(last_name(parent.value))
            elif isinstance(parent, cst.Comparison):
                found.update(last_name(part.comparator) for part in parent.comparisons)
            elif isinstance(parent, cst.Assign):
                found.update(last_name(part.target) for part in parent.targets)
            elif isinstance(parent, (cst.AnnAssign, cst.AugAssign)):
                found.add(last_name(parent.target))
            if isinstance(parent, (cst.Lambda, *_STATEMENTS)):
                break
        return found

    # What names stand for

    def bindings(self, scope: Any, name: str) -> list[Any]:
        """Return libcst's assignments of ``name`` as seen from ``scope``, without builtins."""
        return [found for found in scope[name] if not isinstance(found, metadata.BuiltinAssignment)]

    def aliases_of(self, binding: Any) -> list[Alias]:
        """Return what of an import statement or of ``NAME = chain`` makes ``binding``."""
        made = self.assigned.get(binding.node)
        name = binding.name.split(".")[0]
        imported = [each for each in self.aliases if each.statement is binding.node and each.name == name]
        return [made] if made else imported

    def origins(self, scope: Any, name: str, seen: frozenset[Any] = frozenset()) -> frozenset[str | None]:
        """Return what ``name`` may stand for in ``scope``; empty where it is bound nowhere."""
        found: set[str | None] = set()
        for binding in self.bindings(scope, name):
            if binding in seen:
                continue
            if isinstance(binding.node, (cst.Import, cst.ImportFrom)):
                found |= {alias.origin for alias in self.aliases_of(binding)}
                continue
            value = self.values.get(binding.node)
            root, dot, rest = dotted(value).partition(".")
            if root in ("", NOTHING):
                found.add(root or None)
                continue
            below = self.origins(self.scope_of(value), root, seen | {binding}) or {None}
            found |= {each if each in (None, NOTHING) else f"{each}{dot}{rest}" for each in below}
        return frozenset(found)


def parse(text: str) -> cst.Module:
    """Return the tree of ``text``. Raises SyntaxError."""
    error = find_error(text)
    if error:
        raise error
    try:
        module = cst.parse_module(text)
    except cst.ParserSyntaxError as failure:
        raise SyntaxError(failure.message, ("<source>", failure.raw_line, 1, None)) from None
    if module.code != text:
        raise SyntaxError("libcst would not give it back to the letter")
    return module


def find_error(text: str) -> SyntaxError | None:
    """Return for what Python would refuse the text.

    libcst's parser tells no line for some errors, and ends the process on what is nested too deeply,
    for which Python's own has a limit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<source>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True)
    except SyntaxError as error:
        return error
    except (ValueError, MemoryError, RecursionError) as error:
        return SyntaxError(str(error) or "it is nested too deeply")
    return None


def module_of(node: cst.ImportFrom) -> str:
    """Return the dotted module of a from-import, relative as it is written."""
    return "." * len(node.relative) + dotted(node.module)


def dotted(node: Any) -> str:
    """Return a chain such as ``a.b.c`` as text; "" for any other expression."""
    if isinstance(node, cst.Attribute):
        value = dotted(node.value)
        return value and f"{value}.{node.attr.value}"
    return node.value if isinstance(node, cst.Name) else ""


def last_name(node: Any) -> str:
    """Return the last name of a chain; "" for most other expressions."""
    return node.attr.value if isinstance(node, cst.Attribute) else str(getattr(node, "value", ""))


def text_of(node: Any) -> str | None:
    """Return the value of a string that is no bytes; None for any other expression."""
    try:
        value = node.evaluated_value if isinstance(node, cst.SimpleString) else None
    except (SyntaxError, ValueError):
        return None
    return value if isinstance(value, str) else None

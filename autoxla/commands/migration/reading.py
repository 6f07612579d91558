"""What a module's names stand for: imports, chains of attributes and strings, resolved by libcst's scopes.

Nothing here knows which generation is wanted; it only tells where a name comes from, as a dotted
path such as ``tensorflow.keras.layers``. An origin that cannot be told is None, the constant None
is `NOTHING`: programs write ``except ImportError: keras = None``.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import libcst as cst
from libcst import metadata

from autoxla.commands.migration.text import Lines

NOTHING = "None"
_TRIES = (cst.Try, cst.TryStar)
_FUNCTIONS_AND_CLASSES = (cst.FunctionDef, cst.ClassDef)
_QUOTED = re.compile(r"""[uU]?("{3}|'{3}|"|')(.*)\1\Z""", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """A small statement. `alone`: nothing else stands on its line, so that a line may follow it.

    `direct`: it stands in the body of its module, function or class itself, under no condition.
    `branches` are the ``try`` and ``if`` statements around it, innermost first, with the arm.
    """

    node: Any
    start: int
    end: int
    scope: Any
    alone: bool
    direct: bool
    branches: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Alias:
    """One name of an import statement, or the name that ``X = tf.keras`` gives to a package.

    `origin` is what the bound `name` stands for, `path` what is imported: they differ in
    ``import keras.layers``. `module` is the part before ``import`` of a from-import, else None.
    """

    statement: Statement
    origin: str
    path: str
    module: str | None
    name: str
    asname: str | None
    start: int
    end: int
    path_end: int


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A name with the attributes taken from it. `ends` are where root and attributes end.

    A name taken by ``getattr(root, "name")`` has no end of its own, but the root's once more.
    `stored`: it is assigned to or deleted. `quoted`: it stands in a string that is an annotation.
    """

    root: str
    attributes: tuple[str, ...]
    start: int
    ends: tuple[int, ...]
    scope: Any
    stored: bool = False
    quoted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A string constant or the constant part of an f-string.

    `calls` are the functions it is handed to. `modules`: it is looked up in ``sys.modules``. `exported`:
    it stands in ``__all__``. `annotation`: it is one. `assigned`: what the environment variable that it
    names is set to, True where that is computed, None where it names none.
    """

    value: str
    start: int
    calls: tuple[str, ...]
    modules: bool
    exported: bool
    annotation: bool
    assigned: str | bool | None


class SourceError(ValueError):
    """The text cannot be read as Python. `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class Reading:
    """A module's imports, chains and strings, in the order of the text. Raises `SourceError`."""

    def __init__(self, text: str) -> None:
        self.lines = Lines(text)
        wrapper = metadata.MetadataWrapper(_parse(text), unsafe_skip_copy=True)
        self._scopes: Any = wrapper.resolve(metadata.ScopeProvider)
        self._positions: Any = wrapper.resolve(metadata.PositionProvider)
        self._parents: Any = wrapper.resolve(metadata.ParentNodeProvider)
        nodes = list(_walk(wrapper.module))
        self.aliases = [alias for node in nodes for alias in self._aliases(node)]
        self._by_node: dict[Any, list[Alias]] = {}
        for alias in self.aliases:
            self._by_node.setdefault(alias.statement.node, []).append(alias)
        self._assigned_by_node: dict[Any, Alias] = {}
        #: ``NAME = chain`` by the place where the chain starts.
        self.assigned = dict(pair for node in nodes for pair in self._assigned(node))
        self.stars = [self._statement(node) for node in nodes if _is_star(node)]
        self.global_names = {item.name.value for node in nodes for item in _declared(node)}
        self.chains = [chain for node in nodes for chain in self._chains(node)]
        self.texts = [text for node in nodes for text in self._texts(node)]

    # Places

    def _start(self, node: Any) -> int:
        place = self._positions[node].start
        return self.lines.offset(place.line, place.column)

    def _end(self, node: Any) -> int:
        place = self._positions[node].end
        return self.lines.offset(place.line, place.column)

    def _ancestors(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Yield each ancestor with the child through which it is reached."""
        while (parent := self._parents.get(node)) is not None:
            yield parent, node
            node = parent

    def _scope(self, node: Any) -> Any:
        while node is not None and self._scopes.get(node) is None:
            node = self._parents.get(node)
        return self._scopes.get(node)

    def _statement(self, node: Any) -> Statement:
        line = self._parents[node]
        alone = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
        block = self._parents.get(line)
        owner = self._parents.get(block) if isinstance(block, cst.IndentedBlock) else block
        direct = isinstance(owner, (cst.Module, *_FUNCTIONS_AND_CLASSES))
        branches = tuple(self._branches(node))
        return Statement(node, self._start(node), self._end(node), self._scope(node), alone, direct, branches)

    def _branches(self, node: Any) -> Iterator[tuple[int, str]]:
        for parent, child in self._ancestors(node):
            if isinstance(parent, _FUNCTIONS_AND_CLASSES):
                return
            if isinstance(parent, (cst.If, *_TRIES)):
                yield id(parent), _arm(parent, child)

    # Imports

    def _aliases(self, node: Any) -> Iterator[Alias]:
        if isinstance(node, cst.Import):
            yield from self._imports(node)
        elif isinstance(node, cst.ImportFrom) and not isinstance(node.names, cst.ImportStar):
            yield from self._from_imports(node)

    def _imports(self, node: Any) -> Iterator[Alias]:
        statement = self._statement(node)
        for item in node.names:
            path, asname = _dotted(item.name), _asname(item)
            origin = path if asname else path.split(".")[0]
            yield self._alias(statement, item, (origin, path, None, asname or origin))

    def _from_imports(self, node: Any) -> Iterator[Alias]:
        statement = self._statement(node)
        module = self.module_of(statement)
        for item in node.names:
            path, asname = f"{module}.{item.name.value}", _asname(item)
            yield self._alias(statement, item, (path, path, module, asname or item.name.value))

    def _alias(self, statement: Statement, item: Any, what: tuple[str, str, str | None, str]) -> Alias:
        origin, path, module, name = what
        path_end = self._end(item.name)
        end = self._end(item.asname.name) if item.asname else path_end
        return Alias(
            statement, origin, path, module, name, _asname(item), self._start(item.name), end, path_end
        )

    def module_of(self, statement: Statement) -> str:
        """Return the dotted module of a from-import."""
        node = statement.node
        return "." * len(node.relative) + (_dotted(node.module) if node.module else "")

    def module_span(self, statement: Statement) -> tuple[int, int]:
        """Return where the module of a from-import stands."""
        return self._start(statement.node.module), self._end(statement.node.module)

    def _assigned(self, node: Any) -> Iterator[tuple[int, Alias]]:
        """Yield ``NAME = chain`` as an alias, with where the chain starts."""
        if not isinstance(node, cst.Assign) or len(node.targets) != 1:
            return
        names, target = _attribute_names(node.value), node.targets[0].target
        if not names or not isinstance(target, cst.Name):
            return
        statement, path = self._statement(node), ".".join(names)
        where = (statement.start, statement.end, statement.end)
        alias = Alias(statement, path, path, None, target.value, None, *where)
        self._assigned_by_node[target] = alias
        yield self._start(node.value), alias

    # Chains

    def _chains(self, node: Any) -> Iterator[Chain]:
        if isinstance(node, cst.Name) and self._is_expression(node):
            yield self._chain(node)
        elif isinstance(node, cst.SimpleString) and self._is_annotation(node):
            yield from self._quoted_chains(node)

    def _is_expression(self, node: Any) -> bool:
        """Tell a name that is read or written from a keyword, an attribute or a definition's name."""
        return self._scopes.get(node) is not None and not isinstance(
            self._parents[node], (cst.Param, cst.NameItem, *_FUNCTIONS_AND_CLASSES)
        )

    def _chain(self, node: Any) -> Chain:
        attributes: list[str] = []
        ends = [self._end(node)]
        top = node
        while isinstance(parent := self._parents[top], cst.Attribute) and parent.value is top:
            top = parent
            attributes.append(parent.attr.value)
            ends.append(self._end(parent.attr))
        attributes += self._got_attribute(top)
        ends += ends[:1] * (len(attributes) + 1 - len(ends))
        stored = self._is_stored(top)
        return Chain(node.value, tuple(attributes), self._start(node), tuple(ends), self._scope(node), stored)

    def _got_attribute(self, node: Any) -> list[str]:
        """Return the name in ``getattr(node, "name")``; with a default it need not be there."""
        argument = self._parents[node]
        call = self._parents[argument] if isinstance(argument, cst.Arg) else None
        if not isinstance(call, cst.Call) or _last_name(call.func) != "getattr" or len(call.args) != 2:
            return []
        name = call.args[1].value
        found = _evaluated(name) if isinstance(name, cst.SimpleString) else None
        return [found] if found and call.args[0] is argument else []

    def _is_stored(self, node: Any) -> bool:
        parent = self._parents[node]
        if isinstance(parent, (cst.AssignTarget, cst.Del)):
            return True
        if isinstance(parent, (cst.AugAssign, cst.AnnAssign, cst.For, cst.CompFor, cst.NamedExpr)):
            return parent.target is node
        return isinstance(parent, cst.AsName)

    def _is_annotation(self, node: Any) -> bool:
        for parent, _ in self._ancestors(node):
            if isinstance(parent, (cst.Call, cst.BaseStatement, cst.BaseSmallStatement)):
                return False
            if isinstance(parent, cst.Subscript) and _last_name(parent.value) == "Literal":
                return False
            if isinstance(parent, cst.Annotation):
                return True
        return False

    def _quoted_chains(self, node: Any) -> Iterator[Chain]:
        found = _QUOTED.match(node.value)
        if not found or "\\" in found[2] or "\n" in found[2] or not found[2].isascii():
            return
        start, scope = self._start(node) + found.start(2), self._scope(node)
        try:
            tree = ast.parse(found[2], mode="eval")
        except (SyntaxError, ValueError):
            return
        yield from _chains_of(tree.body, start, scope)

    # Strings

    def _texts(self, node: Any) -> Iterator[Text]:
        if isinstance(node, cst.FormattedStringText):
            yield self._text(node, node.value)
        elif isinstance(node, cst.SimpleString) and not isinstance(self._parents[node], cst.Expr):
            value = _evaluated(node)
            if value is not None:
                yield self._text(node, value)

    def _text(self, node: Any, value: str) -> Text:
        calls: list[str] = []
        modules = exported = False
        for parent, child in self._ancestors(node):
            exported = exported or _is_export(parent)
            if isinstance(parent, (cst.BaseStatement, cst.BaseSmallStatement, cst.Lambda)):
                break
            if isinstance(parent, cst.Call) and child is not parent.func:
                calls.append(_last_name(parent.func))
            modules = modules or _is_in_modules(parent)
        assigned = self._assigned_value(node)
        return Text(
            value, self._start(node), tuple(calls), modules, exported, self._is_annotation(node), assigned
        )

    def _assigned_value(self, node: Any) -> str | bool | None:
        """Return what the variable ``node`` is set to: True where computed, None where it is not set."""
        parent = self._parents[node]
        if isinstance(parent, cst.DictElement) and parent.key is node:
            return _constant(parent.value)
        if isinstance(parent, cst.Arg) and isinstance(call := self._parents[parent], cst.Call):
            setter = _last_name(call.func) in ("setdefault", "putenv", "setenv") and len(call.args) > 1
            return _constant(call.args[1].value) if setter and call.args[0] is parent else None
        if isinstance(parent, cst.Index):
            subscript = self._parents[self._parents[parent]]
            target = self._parents[subscript]
            if isinstance(target, cst.AssignTarget):
                return _constant(self._parents[target].value)
        return None

    # Origins

    def bindings(self, scope: Any, name: str) -> list[Any]:
        """Return libcst's assignments of ``name`` as seen from ``scope``, without builtins."""
        return [found for found in scope[name] if not isinstance(found, metadata.BuiltinAssignment)]

    def origins(self, scope: Any, name: str) -> frozenset[str | None]:
        """Return what ``name`` may stand for in ``scope``; empty where it is bound nowhere."""
        return self._origins(scope, name, frozenset())

    def _origins(self, scope: Any, name: str, seen: frozenset[int]) -> frozenset[str | None]:
        found: set[str | None] = set()
        for binding in self.bindings(scope, name):
            found |= self._origins_of(binding, seen)
        return frozenset(found)

    def _origins_of(self, binding: Any, seen: frozenset[int]) -> frozenset[str | None]:
        if id(binding) in seen:
            return frozenset()
        if isinstance(binding.node, (cst.Import, cst.ImportFrom)):
            return frozenset(alias.origin for alias in self.aliases_of(binding))
        value = self._value_of(binding.node)
        if isinstance(value, cst.Name) and value.value == "None":
            return frozenset({NOTHING})
        names = _attribute_names(value)
        if not names:
            return frozenset({None})
        below = self._origins(self._scope(value), names[0], seen | {id(binding)})
        return frozenset(_join(origin, names[1:]) for origin in below) or frozenset({None})

    def aliases_of(self, binding: Any) -> list[Alias]:
        """Return the aliases of the import statement that makes ``binding``."""
        return [
            alias for alias in self._by_node.get(binding.node, []) if alias.name == binding.name.split(".")[0]
        ]

    def assigned_at(self, binding: Any) -> Alias | None:
        """Return the alias that ``NAME = chain`` makes, if that is what makes ``binding``."""
        return self._assigned_by_node.get(binding.node)

    def _value_of(self, node: Any) -> Any:
        target = self._parents.get(node)
        owner = self._parents.get(target)
        if isinstance(target, cst.AssignTarget) and isinstance(owner, cst.Assign) and len(owner.targets) == 1:
            return owner.value
        if isinstance(target, (cst.AnnAssign, cst.NamedExpr)) and target.target is node:
            return target.value
        return None


def check_syntax(text: str) -> None:
    """Raise `SourceError` where Python would refuse the text.

    libcst's parser tells no line for some errors, and ends the process on what is nested too deeply,
    for which Python's own has a limit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<source>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True)
    except SyntaxError as error:
        raise SourceError(error.lineno or 1, error.msg) from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise SourceError(1, str(error) or "it is nested too deeply") from None


def _parse(text: str) -> cst.Module:
    check_syntax(text)
    try:
        module = cst.parse_module(text)
    except cst.ParserSyntaxError as error:
        raise SourceError(error.raw_line, error.message) from None
    if module.code != text:
        raise SourceError(1, "libcst would not give it back to the letter")
    return module


def _walk(node: Any) -> Iterator[Any]:
    """Yield all nodes in the order of the text; no recursion, since expressions may nest deeply."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


def _arm(parent: Any, child: Any) -> str:
    if child is parent.body:
        return "body"
    return "handler" if isinstance(child, (cst.ExceptHandler, cst.ExceptStarHandler)) else "else"


def _is_star(node: Any) -> bool:
    return isinstance(node, cst.ImportFrom) and isinstance(node.names, cst.ImportStar)


def _declared(node: Any) -> Any:
    return node.names if isinstance(node, (cst.Global, cst.Nonlocal)) else ()


def _dotted(node: Any) -> str:
    return ".".join(_attribute_names(node))


def _asname(item: Any) -> str | None:
    return item.asname.name.value if item.asname else None


def _attribute_names(node: Any) -> tuple[str, ...]:
    """Return the names of a chain such as ``a.b.c``; () for any other expression."""
    names: list[str] = []
    while isinstance(node, cst.Attribute):
        names.append(node.attr.value)
        node = node.value
    return (node.value, *reversed(names)) if isinstance(node, cst.Name) else ()


def _last_name(node: Any) -> str:
    return node.attr.value if isinstance(node, cst.Attribute) else getattr(node, "value", "")


def _chains_of(tree: ast.AST, start: int, scope: Any) -> Iterator[Chain]:
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Name)) and id(node) not in inner:
            names, ends, root = [], [], node
            while isinstance(root, ast.Attribute):
                names.append(root.attr)
                ends.append(start + (root.end_col_offset or 0))
                root = root.value  # type: ignore[assignment]
            if isinstance(root, ast.Name):
                ends.append(start + (root.end_col_offset or 0))
                yield Chain(
                    root.id,
                    tuple(reversed(names)),
                    start + root.col_offset,
                    tuple(reversed(ends)),
                    scope,
                    quoted=True,
                )


def _evaluated(node: Any) -> str | None:
    try:
        value = node.evaluated_value
    except (SyntaxError, ValueError):
        return None
    return value if isinstance(value, str) else None


def _constant(node: Any) -> str | bool:
    return (_evaluated(node) if isinstance(node, cst.SimpleString) else None) or True


def _is_export(node: Any) -> bool:
    """Tell an assignment to ``__all__``."""
    if isinstance(node, cst.Assign):
        return any(_last_name(part.target) == "__all__" for part in node.targets)
    return isinstance(node, (cst.AnnAssign, cst.AugAssign)) and _last_name(node.target) == "__all__"


def _is_in_modules(node: Any) -> bool:
    """Tell ``sys.modules[…]`` and ``… in sys.modules``."""
    if isinstance(node, cst.Subscript):
        return _last_name(node.value) == "modules"
    compared = [part.comparator for part in node.comparisons] if isinstance(node, cst.Comparison) else []
    return any(_last_name(part) == "modules" for part in compared)


def _join(origin: str | None, names: tuple[str, ...]) -> str | None:
    if origin is None or origin == NOTHING:
        return origin
    return ".".join((origin, *names))

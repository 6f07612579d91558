"""From the bytes of one file to its syntax, by Python's own parser, and to the lines that matter.

Most lines of a program say nothing here. Which names could matter is known from the statements that
bind names; lines without any of them are not followed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

from autoxla.lookahead.values import Source

#: What parsing or following of a file may raise, whatever is in it.
SYNTAX_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)

#: Names that matter wherever they stand. All are identifiers: what is in strings may be escaped.
WORDS = frozenset(
    (
        *("SystemExit", "__all__", "__file__", "__import__", "_exit", "abort", "compile", "environ", "eval"),
        *("exec", "exit", "experimental_compile", "get_ipython", "getattr", "import", "import_module"),
        *("jit_compile", "load_model", "load_weights", "putenv", "quit", "run_module", "run_path", "save"),
        *("save_model", "save_weights", "seed", "sys", "unsetenv"),
    )
)
#: Standard modules in which names are followed.
FOLLOWED = frozenset({"asyncio", "importlib", "os", "random", "runpy", "site", "sys"})
_OWN_NAMES = frozenset({"__all__", "__import__", "eval", "exec", "exit", "get_ipython", "quit"})
_TYPING = ("typing", "typing_extensions")
_CALLED_BY_OTHERS = frozenset({"call", "compute_output_shape", "from_config", "get_config"})
# Makes spaces of all that is in no identifier, three times as fast as a regular expression finds them.
_ONLY_WORDS = bytes(
    byte if byte > 127 or byte == 10 or chr(byte).isalnum() or byte == 95 else 32 for byte in range(256)
)
# Lines that only the parser counts as such, and encodings in which bytes do not show identifiers.
_OTHER_LINES = re.compile(rb"\r(?!\n)")
_OTHER_CODING = re.compile(rb"(?:.*\n)?.*coding[:=][ \t]*(?!utf-?8|ascii|latin|iso-)", re.IGNORECASE)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def read_source(
    data: bytes | str,
    label: str,
    *,
    main: bool,
    matters: Callable[[str, int], bool],
    place: str | None = None,
    shared: bool = False,
) -> Source:
    """Return the syntax of a file with the lines that matter; raises one of `SYNTAX_ERRORS`.

    `label` is shown in places, `place` is where ``__file__`` lies. `matters` tells of a dotted module
    and its level (0 for absolute) whether what is imported from it is to be followed. `shared` tells
    that names come from elsewhere, too.
    """
    tree = cast("ast.Module", compile(data, label, "exec", ast.PyCF_ONLY_AST, dont_inherit=True))
    names = _Names(matters)
    names.collect(tree.body)
    names.close()
    source = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    # What ``:=`` binds shows in expressions only.
    every = shared or names.all or b":=" in source
    lines = None if every else find_lines(source, names.words)
    yields = [] if b"yield" not in source else _find_yields(source)
    return Source(label, place, tree, lines, names.known, names.typing, names.late_annotations, yields, main)


def find_lines(source: bytes, words: Iterable[str]) -> list[int] | None:
    """Return the numbers of the lines with one of `words` in ascending order, None for all lines."""
    joined = " ".join(words)
    if _OTHER_CODING.match(source) or not joined.isascii():
        return None
    if b"\r" in source and _OTHER_LINES.search(source):
        return None
    wanted = frozenset(joined.encode().split())
    lines = enumerate(source.translate(_ONLY_WORDS).split(b"\n"), 1)
    return [number for number, line in lines if not wanted.isdisjoint(line.split())]


def _find_yields(source: bytes) -> list[int] | None:
    if b"\r" in source or _OTHER_CODING.match(source):
        return None
    return [number for number, line in enumerate(source.split(b"\n"), 1) if b"yield" in line]


class _Names:
    """The names that a file binds. `known` are all of interest, `words` those that mark a line."""

    def __init__(self, matters: Callable[[str, int], bool]) -> None:
        self.matters = matters
        self.known: set[str] = {*_OWN_NAMES}
        self.words: set[str] = set(WORDS)
        self.typing: set[str] = {"TYPE_CHECKING"}
        self.all = False
        self.late_annotations = False
        self._aliases: list[tuple[tuple[str, ...], frozenset[str]]] = []

    def collect(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            kind = type(statement)
            if kind is ast.Expr or kind is ast.Return:
                continue
            if isinstance(statement, ast.Assign):
                self._assign(statement.targets, statement.value)
            elif isinstance(statement, ast.AnnAssign):
                self._assign([statement.target], statement.value)
            elif isinstance(statement, ast.Import):
                self._import(statement)
            elif isinstance(statement, ast.ImportFrom):
                self._import_from(statement)
            elif isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
                # Methods are called by their names, too, but for those that Keras and Python call.
                self.known.add(statement.name)
                if statement.name not in _CALLED_BY_OTHERS and not statement.name.startswith("__"):
                    self.words.add(statement.name)
                self.collect(statement.body)
            else:
                self._collect_inside(statement)

    def close(self) -> None:
        """Add what is assigned from a known name, over any number of steps."""
        grown = True
        while grown:
            grown = False
            for names, sources in self._aliases:
                if not sources.isdisjoint(self.known) and not self.words.issuperset(names):
                    self.words.update(names)
                    self.known.update(names)
                    grown = True

    def _import(self, statement: ast.Import) -> None:
        for alias in statement.names:
            name = alias.asname or alias.name.partition(".")[0]
            self.known.add(name)
            # What matters of os has names of its own, see `WORDS`; another module may be called so.
            if not (name == "os" and alias.name.partition(".")[0] == "os") and self.matters(alias.name, 0):
                self.words.add(name)

    def _import_from(self, statement: ast.ImportFrom) -> None:
        module = statement.module or ""
        if module == "__future__":
            self.late_annotations |= any(alias.name == "annotations" for alias in statement.names)
            return
        if module in _TYPING:
            checks = (alias for alias in statement.names if alias.name == "TYPE_CHECKING")
            self.typing.update(alias.asname or alias.name for alias in checks)
            return
        followed = self.matters(module, statement.level)
        for alias in statement.names:
            name = alias.asname or alias.name
            self.known.add(name)
            if name == "*":
                self.all |= followed
            elif followed:
                self.words.add(name)

    def _assign(self, targets: Sequence[ast.expr], value: ast.expr | None) -> None:
        if isinstance(value, ast.Constant):
            if isinstance(value.value, (str, bool)):
                self._keep(targets)
        elif isinstance(value, ast.Dict):
            keys = [key.value for key in value.keys if isinstance(key, ast.Constant)]
            # Environment variables are written in capitals.
            if any(isinstance(key, str) and key.isupper() for key in keys):
                self._keep(targets)
        elif isinstance(value, (ast.Name, ast.Attribute, ast.Tuple, ast.List, ast.Call)):
            sources = frozenset(_root_names(value))
            if sources:
                self._aliases.append((tuple(target_names(targets)), sources))

    def _keep(self, targets: Sequence[ast.expr]) -> None:
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        self.known.update(names)
        self.words.update(names)

    def _collect_inside(self, statement: ast.stmt) -> None:
        for part in ("body", "orelse", "finalbody"):
            inner = getattr(statement, part, None)
            if inner:
                self.collect(inner)
        for branch in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            self.collect(branch.body)


def _root_names(value: ast.expr) -> Iterator[str]:
    """Yield the names from which an alias could come by this assignment."""
    if isinstance(value, (ast.Tuple, ast.List)):
        for element in value.elts:
            yield from _root_names(element)
        return
    if isinstance(value, ast.Call):
        function = value.func.attr if isinstance(value.func, ast.Attribute) else name_of(value.func)
        if function in ("import_module", "__import__"):
            yield "__import__"
        if function != "getattr" or not value.args:
            # ``import_module`` may be called by any other name, too.
            yield from [value.func.id] if isinstance(value.func, ast.Name) else []
            return
        value = value.args[0]
    while isinstance(value, ast.Attribute):
        value = value.value
    if isinstance(value, ast.Name):
        yield value.id
    elif isinstance(value, ast.Call):
        yield from _root_names(value)


def target_names(targets: Iterable[ast.expr]) -> Iterator[str]:
    """Yield the names that an assignment to `targets` binds."""
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id
        elif isinstance(target, (ast.Tuple, ast.List)):
            yield from target_names(target.elts)
        elif isinstance(target, ast.Starred):
            yield from target_names([target.value])


def name_of(node: ast.expr) -> str | None:
    """Return the name that an expression is, None for any other expression."""
    return node.id if isinstance(node, ast.Name) else None

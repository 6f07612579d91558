"""From the bytes of one file to units of events, by Python's own parser.

Most lines of a program say nothing here. Which names could matter is known from the statements that
bind names; expressions on lines without any of them are not looked at.
"""

from __future__ import annotations

import _thread
import ast
import re
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, cast

from autoxla.lookahead import events as ev
from autoxla.lookahead.events import (
    AWAITED,
    CAUGHT,
    GLOBAL,
    HANDLER,
    POSSIBLE,
    Const,
    Event,
    Ref,
    Unit,
    Value,
)
from autoxla.lookahead.paths import evaluate_path

#: What parsing or walking of a file may raise, whatever is in it.
SYNTAX_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)

#: Names that matter wherever they stand. All are identifiers: what is in strings may be escaped.
WORDS = frozenset(
    (
        *(
            "SystemExit",
            "__all__",
            "__file__",
            "__import__",
            "_exit",
            "abort",
            "environ",
            "compile",
            "eval",
            "exec",
            "exit",
            "experimental_compile",
            "import",
        ),
        *("get_ipython", "getattr", "import_module", "jit_compile", "load_model", "putenv", "quit"),
        *("run_module", "run_path", "save", "save_model", "seed", "sys", "unsetenv", "yield"),
    )
)
#: Standard modules in which names are followed.
FOLLOWED = frozenset({"asyncio", "importlib", "os", "random", "runpy", "site", "sys"})
_OWN_NAMES = frozenset({"__import__", "eval", "exec", "exit", "get_ipython", "quit"})
_TYPING = ("typing", "typing_extensions")
_JIT_KEYWORDS = ("jit_compile", "experimental_compile")
_RUNNERS = ("run", "run_until_complete")
# Makes spaces of all that is in no identifier, three times as fast as a regular expression finds them.
_ONLY_WORDS = bytes(
    byte if byte > 127 or byte == 10 or chr(byte).isalnum() or byte == 95 else 32 for byte in range(256)
)
# Lines that only the parser counts as such, and encodings in which bytes do not show identifiers.
_OTHER_LINES = re.compile(rb"\r(?!\n)")
_OTHER_CODING = re.compile(rb"(?:.*\n)?.*coding[:=][ \t]*(?!utf-?8|ascii|latin|iso-)", re.IGNORECASE)
#: Bytes of a file in which no tree is so deep that it overflows a usual stack, and of stack for each byte
#: of a longer one: two bytes may be a level, which takes some 80.
_SHALLOW, _STACK = 100_000, 100
# What a statement may do to the rest of the block that it stands in.
_BREAK, _RAISE, _RETURN = 1, 2, 4
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_MISSING = frozenset({"ImportError", "ModuleNotFoundError", "AttributeError", "Exception", "BaseException"})
_TRIES: tuple[type, ...] = (ast.Try, getattr(ast, "TryStar", ast.Try))


def parse(data: bytes | str, file: str) -> ast.Module:
    """Return the syntax tree of a file; raises one of `SYNTAX_ERRORS`."""
    if sys.version_info < (3, 11) and len(data) > _SHALLOW:  # PYVERSION: 3.10 has no limit on the depth
        return _with_stack(len(data) * _STACK, lambda: _parse(data, file))
    return _parse(data, file)


def _parse(data: bytes | str, file: str) -> ast.Module:
    return cast("ast.Module", compile(data, file, "exec", ast.PyCF_ONLY_AST, dont_inherit=True))


def _with_stack(size: int, function: Callable[[], ast.Module]) -> ast.Module:
    """Return ``function()``, called in a thread with a stack of ``size`` bytes.

    Raises what it raises, and MemoryError where there is no such thread.
    """
    outcome: list[ast.Module | BaseException] = []
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # noqa: BLE001 - it is raised where the tree is waited for
            outcome.append(error)
        done.release()

    before = _thread.stack_size(size - size % 65_536)
    try:
        _thread.start_new_thread(run, ())
    except RuntimeError as error:
        raise MemoryError(str(error)) from error
    finally:
        _thread.stack_size(before)
    done.acquire()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def read_units(
    tree: ast.Module,
    data: bytes | str,
    file: str,
    *,
    main: bool,
    matters: Callable[[str, int], bool],
    place: str | None = None,
    shared: bool = False,
) -> Unit:
    """Return what the module does, as a unit with the units of its functions and classes within.

    `file` is shown in places, `place` is where ``__file__`` lies. `matters` tells of a dotted module
    and its level (0 for absolute) whether what is imported from it is to be followed. `shared` tells
    that names come from elsewhere, too.
    """
    names = _Names(matters)
    names.collect(tree.body)
    names.close()
    # What ``:=`` binds shows in expressions only.
    names.all |= shared
    names.all |= ":=" in data if isinstance(data, str) else b":=" in data
    lines = None if names.all else find_lines(data, names.words)
    return _Scanner(file, place, names, lines, main=main).read(tree)


def find_lines(data: bytes | str, words: Iterable[str]) -> list[int] | None:
    """Return the numbers of the lines with one of `words` in ascending order, None for all lines."""
    source = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    joined = " ".join(words)
    if _OTHER_CODING.match(source) or not joined.isascii():
        return None
    if b"\r" in source and _OTHER_LINES.search(source):
        return None
    wanted = frozenset(joined.encode().split())
    lines = enumerate(source.translate(_ONLY_WORDS).split(b"\n"), 1)
    return [number for number, line in lines if not wanted.isdisjoint(line.split())]


class _Names:
    """The names that a file binds. `known` are all of interest, `words` those that mark a line."""

    def __init__(self, matters: Callable[[str, int], bool]) -> None:
        self.matters = matters
        self.known: set[str] = {*_OWN_NAMES, "__all__"}
        self.words: set[str] = set(WORDS)
        self.typing: set[str] = {"TYPE_CHECKING"}
        self.all = False
        self.late_annotations = False
        self._aliases: list[tuple[tuple[str, ...], frozenset[str]]] = []

    def collect(self, body: Sequence[ast.stmt], *, in_class: bool = False) -> None:
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
            elif isinstance(statement, _FUNCTIONS):
                self._define(statement, in_class)
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

    def _define(self, function: ast.FunctionDef | ast.AsyncFunctionDef, in_class: bool) -> None:
        if not in_class:
            self.known.add(function.name)
            self.words.add(function.name)
        self.collect(function.body)

    def _assign(self, targets: Sequence[ast.expr], value: ast.expr | None) -> None:
        if value is None:
            return
        if isinstance(value, ast.Constant):
            self._assign_constant(targets, value.value)
        elif isinstance(value, ast.Dict):
            keys = [key.value for key in value.keys if isinstance(key, ast.Constant)]
            # Environment variables are written in capitals.
            if any(isinstance(key, str) and key.isupper() for key in keys):
                self._keep(targets)
        elif isinstance(value, (ast.Name, ast.Attribute, ast.Tuple, ast.List, ast.Call)):
            sources = frozenset(_root_names(value))
            if sources:
                self._aliases.append((tuple(_target_names(targets)), sources))

    def _assign_constant(self, targets: Sequence[ast.expr], value: object) -> None:
        if isinstance(value, (str, bool)):
            self._keep(targets)

    def _keep(self, targets: Sequence[ast.expr]) -> None:
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        self.known.update(names)
        self.words.update(names)

    def _collect_inside(self, statement: ast.stmt) -> None:
        in_class = isinstance(statement, ast.ClassDef)
        for part in ("body", "orelse", "finalbody"):
            inner = getattr(statement, part, None)
            if inner:
                self.collect(inner, in_class=in_class)
        for branch in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            self.collect(branch.body)


def _root_names(value: ast.expr) -> Iterator[str]:
    """Yield the names from which an alias could come by this assignment."""
    if isinstance(value, (ast.Tuple, ast.List)):
        for element in value.elts:
            yield from _root_names(element)
        return
    if isinstance(value, ast.Call):
        function = value.func.attr if isinstance(value.func, ast.Attribute) else _name_of(value.func)
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


def _target_names(targets: Iterable[ast.expr]) -> Iterator[str]:
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id
        elif isinstance(target, (ast.Tuple, ast.List)):
            yield from _target_names(target.elts)
        elif isinstance(target, ast.Starred):
            yield from _target_names([target.value])


def _name_of(node: ast.expr) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


class _Scanner:
    """Walks a tree in order of execution and notes events in the unit at hand."""

    def __init__(
        self, file: str, place: str | None, names: _Names, lines: list[int] | None, *, main: bool
    ) -> None:
        self._file, self._place, self._names, self._lines, self._main = file, place, names, lines, main
        self._unit = Unit(file, "<module>", "module")
        self._flow = 0
        self._hidden: frozenset[str] = frozenset()
        self._globals: set[str] = set()
        self._awaited = False

    def read(self, tree: ast.Module) -> Unit:
        self._block(tree.body)
        return self._unit

    # Statements return what they may have done to the rest of their block.

    def _block(self, body: Sequence[ast.stmt]) -> int:
        flow, ended = self._flow, 0
        for statement in body:
            handler = _STATEMENTS.get(type(statement))
            if handler is None:
                if self._is_of_interest(statement):
                    _SIMPLE.get(type(statement), _Scanner._any)(self, statement)
                continue
            done = handler(self, statement)
            if done:
                ended |= done
                self._flow |= POSSIBLE
        self._flow = flow
        return ended

    def _is_of_interest(self, node: ast.stmt | ast.expr) -> bool:
        if self._lines is None:
            return True
        at = bisect_left(self._lines, node.lineno)
        return at < len(self._lines) and self._lines[at] <= (node.end_lineno or node.lineno)

    def _is_body_of_interest(self, body: Sequence[ast.stmt]) -> bool:
        if self._lines is None:
            return True
        # The line of a function is that of its ``def``, below its decorators.
        decorators = getattr(body[0], "decorator_list", ())
        at = bisect_left(self._lines, decorators[0].lineno if decorators else body[0].lineno)
        return at < len(self._lines) and self._lines[at] <= (body[-1].end_lineno or 0)

    def _import(self, node: ast.Import) -> int:
        for alias in node.names:
            event = ev.Import(*self._at(node), alias.name, alias.asname)
            bound = alias.asname or alias.name.partition(".")[0]
            self._add(event._replace(flow=event.flow | self._global_flow(bound)))
        return 0

    def _import_from(self, node: ast.ImportFrom) -> int:
        if node.module in ("__future__", *_TYPING) and not node.level:
            return 0
        names = tuple((alias.name, alias.asname or alias.name) for alias in node.names)
        line, column, flow = self._at(node)
        for is_global in (True, False):
            chosen = tuple(n for n in names if (n[1] in self._globals) is is_global)
            if chosen:
                extra = GLOBAL if is_global else 0
                self._add(ev.FromImport(line, column, flow | extra, node.module or "", node.level, chosen))
        return 0

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
        arguments = node.args
        for part in (*node.decorator_list, *arguments.defaults, *filter(None, arguments.kw_defaults)):
            self._expression(part)
        listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        listed += [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
        if not self._names.late_annotations:
            for annotation in (*(a.annotation for a in listed), node.returns):
                if annotation is not None:
                    self._expression(annotation)
        unit = Unit(self._file, node.name, "function", tuple(a.arg for a in listed))
        if isinstance(node, ast.AsyncFunctionDef):
            unit.lazy = "coroutine"
        self._inside(unit, node.body)
        self._add(ev.Define(*self._at(node, node.name), node.name, unit, not node.decorator_list))
        return 0

    def _class(self, node: ast.ClassDef) -> int:
        for part in (*node.decorator_list, *node.bases, *(k.value for k in node.keywords)):
            self._expression(part)
        unit = Unit(self._file, node.name, "class")
        self._inside(unit, node.body)
        if unit.events:
            self._add(ev.Enter(*self._at(node), unit))
        self._bind(node, node.name, None)
        return 0

    def _inside(self, unit: Unit, body: Sequence[ast.stmt]) -> None:
        if not self._is_body_of_interest(body):
            return
        outer = (self._unit, self._flow, self._hidden, self._globals)
        self._unit, self._flow, self._hidden, self._globals = unit, 0, frozenset(), set()
        self._block(body)
        self._unit, self._flow, self._hidden, self._globals = outer

    def _if(self, node: ast.If) -> int:
        outer, ended = self._flow, 0
        branch: Sequence[ast.stmt] = [node]
        # A loop, since ``elif`` nests and there may be hundreds.
        while len(branch) == 1 and isinstance(branch[0], ast.If):
            node = branch[0]
            self._expression(node.test)
            truth = self._truth(node.test)
            branch = node.orelse
            if truth is not False:
                ended |= self._under(truth is None, node.body)
            if truth is True:
                self._flow = outer
                return ended
            self._flow |= POSSIBLE if truth is None else 0
        ended |= self._block(branch)
        self._flow = outer
        return ended

    def _under(self, doubtful: bool, body: Sequence[ast.stmt], flow: int = POSSIBLE) -> int:
        outer = self._flow
        self._flow |= flow if doubtful else 0
        ended = self._block(body)
        self._flow = outer
        return ended

    def _for(self, node: ast.For | ast.AsyncFor) -> int:
        self._expression(node.iter)
        outer, self._flow = self._flow, self._flow | POSSIBLE
        self._assign_to(node.target, None)
        ended = self._block(node.body) | self._block(node.orelse)
        self._flow = outer
        return ended & ~_BREAK

    def _while(self, node: ast.While) -> int:
        self._expression(node.test)
        if self._truth(node.test) is False:
            return self._block(node.orelse)
        return (self._under(True, node.body) | self._under(True, node.orelse)) & ~_BREAK

    def _with(self, node: ast.With | ast.AsyncWith) -> int:
        for item in node.items:
            self._expression(item.context_expr)
            if item.optional_vars is not None:
                self._assign_to(item.optional_vars, None)
        return self._block(node.body)

    def _try(self, node: ast.Try) -> int:
        caught = any(_catches_missing(handler) for handler in node.handlers)
        ended = self._under(caught, node.body, CAUGHT)
        if node.handlers:
            ended &= ~_RAISE
        for handler in node.handlers:
            if handler.type is not None:
                self._expression(handler.type)
            self._under(True, handler.body, POSSIBLE | HANDLER)
        ended |= self._under(bool(ended), node.orelse)
        return ended | self._block(node.finalbody)

    def _match(self, node: ast.Match) -> int:
        self._expression(node.subject)
        ended, outer = 0, self._flow
        self._flow |= POSSIBLE
        for case in node.cases:
            for part in ast.walk(case.pattern):
                name = getattr(part, "name", None) or getattr(part, "rest", None)
                if isinstance(name, str):
                    self._bind(node, name, None)
                elif isinstance(part, ast.expr):
                    self._expression(part)
            if case.guard is not None:
                self._expression(case.guard)
            ended |= self._block(case.body)
        self._flow = outer
        return ended

    def _return(self, node: ast.Return) -> int:
        if node.value is not None:
            self._expression(node.value)
        return _RETURN

    def _raise(self, node: ast.Raise) -> int:
        if node.exc is not None:
            self._expression(node.exc)
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if _name_of(raised) == "SystemExit":
                self._add(ev.Exit(*self._at(node)))
        return _RAISE

    def _break(self, _node: ast.stmt) -> int:
        return _BREAK

    def _global(self, node: ast.Global) -> int:
        self._globals.update(node.names)
        return 0

    def _assign(self, node: ast.Assign) -> None:
        self._walk(node.value)
        for target in node.targets:
            self._assign_to(target, node.value)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._walk(node.value)
            self._assign_to(node.target, node.value)
        # Annotations of local variables are never evaluated.
        if self._unit.kind != "function" and not self._names.late_annotations:
            self._walk(node.annotation)

    def _augmented(self, node: ast.AugAssign) -> None:
        self._walk(node.value)
        ref = self._reference(node.target)
        if isinstance(node.target, ast.Subscript):
            self._assign_to(node.target, None)
        elif ref is not None and self._knows(ref):
            self._add(ev.Store(*self._at(node), ref, None, self._value(node.value)))

    def _expression_statement(self, node: ast.Expr) -> None:
        self._walk(node.value)

    def _any(self, node: ast.stmt) -> None:
        self._children(node)

    def _assign_to(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            self._bind(target, target.id, None if value is None else self._value(value))
        elif isinstance(target, (ast.Tuple, ast.List)):
            values: Sequence[ast.expr | None] = [None] * len(target.elts)
            if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
                values = [None if isinstance(part, ast.Starred) else part for part in value.elts]
            for element, part in zip(target.elts, values, strict=True):
                self._assign_to(element, part)
        elif isinstance(target, ast.Starred):
            self._assign_to(target.value, None)
        else:
            self._assign_part(target, value)

    def _assign_part(self, target: ast.expr, value: ast.expr | None) -> None:
        if not isinstance(target, (ast.Attribute, ast.Subscript)):
            return
        given = None if value is None else self._value(value)
        owner = self._reference(target.value)
        if isinstance(target, ast.Subscript):
            self._walk(target.slice)
            key = self._value(target.slice)
        else:
            key = None
            if target.attr == "jit_compile":
                self._add(ev.Jit(*self._at(target), "attribute", given))
            owner = owner and Ref(owner.root, (*owner.rest, target.attr))
        if owner is None:
            self._walk(target.value)
        elif self._knows(owner):
            self._add(ev.Store(*self._at(target), owner, key, given))

    # Expressions

    def _expression(self, node: ast.expr) -> None:
        if self._is_of_interest(node):
            self._walk(node)

    def _walk(self, node: ast.AST) -> None:
        handler = _EXPRESSIONS.get(type(node))
        if handler is not None:
            handler(self, node)
        else:
            self._children(node)

    def _children(self, node: ast.AST) -> None:
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                for element in value:
                    if isinstance(element, ast.AST):
                        self._walk(element)
            elif isinstance(value, ast.AST):
                self._walk(value)

    def _nothing(self, _node: ast.expr) -> None:
        pass

    def _attribute(self, node: ast.Attribute) -> None:
        ref = self._reference(node)
        if ref is None:
            self._walk(node.value)
        elif self._knows(ref):
            self._add(ev.Use(*self._at(node), ref))

    def _call(self, node: ast.Call) -> None:
        awaited, self._awaited = self._awaited, False
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else _name_of(function) or ""
        got = self._reference(node)
        if got is not None:
            if self._knows(got):
                self._add(ev.Use(*self._at(node), got))
            return
        ref = self._reference(function)
        if ref is None:
            self._walk(function)
        self._arguments(node, runs=name in _RUNNERS)
        self._note_jit(node, name)
        self._note_file(node, name, ref)
        if ref is not None and self._knows(ref):
            self._note_call(node, ref, AWAITED if awaited else 0)
        elif ref is None and name in ("magic", "run_line_magic"):
            self._note_magic(node)

    def _arguments(self, node: ast.Call, *, runs: bool) -> None:
        for argument in node.args:
            self._awaited = runs and isinstance(argument, ast.Call)
            self._walk(argument)
            self._awaited = False
        for keyword in node.keywords:
            self._walk(keyword.value)

    def _note_call(self, node: ast.Call, ref: Ref, extra: int) -> None:
        line, column, flow = self._at(node)
        if ref.rest[:1] == ("path",):
            arguments = tuple(self._path(a) for a in node.args)
        else:
            arguments = tuple([self._value(a) for a in node.args[:2]])
        keywords: tuple[tuple[str | None, Value], ...] = ()
        if node.keywords:
            # All are variables in ``environ.update(…)``; else only these say anything.
            wanted = None if "update" in (*ref.rest, ref.root) else _JIT_KEYWORDS
            given = [k for k in node.keywords if wanted is None or k.arg in wanted]
            keywords = tuple((k.arg, self._value(k.value)) for k in given)
        self._add(ev.Call(line, column, flow | extra, ref, arguments, keywords))

    def _path(self, node: ast.expr) -> Value:
        path = evaluate_path(node, self._place)
        if path is not None:
            return Const(path)
        if isinstance(node, (ast.List, ast.Tuple)):
            return ev.Items(tuple(self._path(element) for element in node.elts))
        return self._value(node)

    def _note_jit(self, node: ast.Call, name: str) -> None:
        if name != "compile":
            return
        given = [k for k in node.keywords if k.arg == "jit_compile"]
        if given:
            at = self._at(given[0].value)
            self._add(ev.Jit(*at, "compile", self._value(given[0].value)))
        elif isinstance(node.func, ast.Attribute) and any(k.arg is None for k in node.keywords):
            self._add(ev.Jit(*self._at(node), "compile", None))

    def _note_file(self, node: ast.Call, name: str, ref: Ref | None) -> None:
        if name not in ("load_model", "save", "save_model"):
            return
        position = 1 if name == "save_model" else 0
        paths = node.args[position : position + 1]
        paths += [k.value for k in node.keywords if k.arg in ("filepath", "path")]
        if paths:
            way: Literal["load", "save"] = "load" if name == "load_model" else "save"
            self._add(ev.File(*self._at(node), way, ref, self._value(paths[0])))

    def _note_magic(self, node: ast.Call) -> None:
        # What IPython and converted notebooks make of ``%env``.
        inner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if isinstance(inner, ast.Call) and _name_of(inner.func) == "get_ipython":
            arguments = tuple(self._value(argument) for argument in node.args)
            self._add(ev.Call(*self._at(node), Ref("get_ipython", ("magic",)), arguments, ()))

    def _lambda(self, node: ast.Lambda) -> None:
        arguments = node.args
        for default in (*arguments.defaults, *filter(None, arguments.kw_defaults)):
            self._walk(default)
        listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        listed += [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
        self._walk_hidden({a.arg for a in listed}, [node.body])

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        self._walk(node.generators[0].iter)
        names = {name for g in node.generators for name in _target_names([g.target])}
        inner: list[ast.expr] = [test for g in node.generators for test in g.ifs]
        inner += [g.iter for g in node.generators[1:]]
        inner += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._walk_hidden(names, inner)

    def _walk_hidden(self, names: set[str], nodes: Iterable[ast.expr]) -> None:
        outer = (self._hidden, self._flow)
        self._hidden, self._flow = self._hidden | names, self._flow | POSSIBLE
        for node in nodes:
            self._walk(node)
        self._hidden, self._flow = outer

    def _choice(self, node: ast.IfExp) -> None:
        self._walk(node.test)
        truth = self._truth(node.test)
        for branch, chosen in ((node.body, truth), (node.orelse, None if truth is None else not truth)):
            if chosen is not False:
                self._doubt(chosen is None, branch)

    def _and_or(self, node: ast.BoolOp) -> None:
        self._walk(node.values[0])
        for value in node.values[1:]:
            self._doubt(True, value)

    def _doubt(self, doubtful: bool, node: ast.expr) -> None:
        outer = self._flow
        self._flow |= POSSIBLE if doubtful else 0
        self._walk(node)
        self._flow = outer

    def _walrus(self, node: ast.NamedExpr) -> None:
        self._walk(node.value)
        self._bind(node, node.target.id, self._value(node.value))

    def _await(self, node: ast.Await) -> None:
        self._awaited = isinstance(node.value, ast.Call)
        self._walk(node.value)
        self._awaited = False

    def _yield(self, node: ast.Yield | ast.YieldFrom) -> None:
        if self._unit.lazy == "no":
            self._unit.lazy = "generator"
        self._children(node)

    # What expressions stand for

    def _reference(self, node: ast.expr) -> Ref | None:
        """Return the name and attributes that an expression is, ``getattr`` of a constant included."""
        names: list[str] = []
        while True:
            if isinstance(node, ast.Attribute):
                names.append(node.attr)
                node = node.value
            elif isinstance(node, ast.Name):
                return Ref(node.id, tuple(reversed(names)))
            elif isinstance(node, ast.Call) and _name_of(node.func) == "getattr" and len(node.args) > 1:
                name = node.args[1]
                if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
                    return None
                names += reversed(name.value.split(".")[:1])
                node = node.args[0]
            else:
                return None

    def _value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant):
            value = node.value
            return Const(value) if value is None or isinstance(value, (str, bool, int, float)) else None
        if isinstance(node, (ast.Name, ast.Attribute)):
            ref = self._reference(node)
            if ref is None:
                path = evaluate_path(node, self._place)
                return None if path is None else Const(path)
            return ref if ref.root not in self._hidden else None
        if isinstance(node, ast.Call):
            return self._called(node)
        if isinstance(node, ast.Dict):
            return self._table(node)
        if isinstance(node, (ast.List, ast.Tuple)):
            return ev.Items(tuple(self._value(element) for element in node.elts))
        if isinstance(node, ast.BinOp):
            path = evaluate_path(node, self._place)
            return None if path is None else Const(path)
        return self._value(node.value) if isinstance(node, ast.NamedExpr) else _computed(node)

    def _table(self, node: ast.Dict) -> ev.Table:
        pairs = zip(node.keys, node.values, strict=True)
        return ev.Table(
            tuple((None if key is None else self._value(key), self._value(value)) for key, value in pairs)
        )

    def _called(self, node: ast.Call) -> Value:
        ref = self._reference(node)
        if ref is not None:
            return ref
        function = self._reference(node.func)
        first = self._value(node.args[0]) if node.args else None
        if function == Ref("str") and isinstance(first, (Const, Ref)):
            return Const(str(first.value)) if isinstance(first, Const) else first
        if function == Ref("dict") and not node.args:
            named = ((None if k.arg is None else Const(k.arg), self._value(k.value)) for k in node.keywords)
            return ev.Table(tuple(named))
        if function is None:
            return None
        path = evaluate_path(node, self._place)
        return ev.Result(function, first) if path is None else Const(path)

    def _truth(self, test: ast.expr) -> bool | None:
        """Return what a condition is in every run, None where that may differ."""
        if isinstance(test, ast.Constant):
            return bool(test.value)
        if isinstance(test, ast.Name):
            return False if test.id in self._names.typing else None
        if isinstance(test, ast.Attribute):
            return False if test.attr == "TYPE_CHECKING" else None
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            truth = self._truth(test.operand)
            return None if truth is None else not truth
        if isinstance(test, ast.BoolOp):
            return self._truth_of_several(test)
        return self._truth_of_name(test) if isinstance(test, ast.Compare) else None

    def _truth_of_several(self, test: ast.BoolOp) -> bool | None:
        deciding = isinstance(test.op, ast.Or)
        truths = [self._truth(value) for value in test.values]
        if deciding in truths:
            return deciding
        return None if None in truths else not deciding

    def _truth_of_name(self, test: ast.Compare) -> bool | None:
        """Return whether ``__name__ == "__main__"`` holds here."""
        if len(test.ops) != 1 or not isinstance(test.ops[0], (ast.Eq, ast.NotEq)):
            return None
        sides = (test.left, test.comparators[0])
        names = [_name_of(side) for side in sides if isinstance(side, ast.Name)]
        values = [side.value for side in sides if isinstance(side, ast.Constant)]
        if names != ["__name__"] or values != ["__main__"]:
            return None
        return self._main is isinstance(test.ops[0], ast.Eq)

    # Notes

    def _at(self, node: ast.stmt | ast.expr, name: str = "") -> tuple[int, int, int]:
        return node.lineno, node.col_offset + 1, self._flow | (self._global_flow(name) if name else 0)

    def _global_flow(self, name: str) -> int:
        return GLOBAL if name in self._globals else 0

    def _bind(self, node: ast.stmt | ast.expr, name: str, value: Value) -> None:
        # Folders are told to ``sys.path`` by names of any kind.
        if self._names.all or name in self._names.known or isinstance(value, Const):
            self._add(ev.Bind(*self._at(node, name), name, value))

    def _knows(self, ref: Ref) -> bool:
        """Tell whether what is said about a name may come to something."""
        return ref.root not in self._hidden and (self._names.all or ref.root in self._names.known)

    def _add(self, event: Event) -> None:
        self._unit.events.append(event)


def _computed(node: ast.expr) -> Const | None:
    """Return the value of a signed number."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        if isinstance(node.op, ast.USub) and isinstance(value, (int, float)):
            return Const(-value)
        if isinstance(node.op, ast.Not):
            return Const(not value)
    return None


_STATEMENTS: dict[type, Callable[..., int]] = {
    ast.Import: _Scanner._import,
    ast.ImportFrom: _Scanner._import_from,
    ast.FunctionDef: _Scanner._define,
    ast.AsyncFunctionDef: _Scanner._define,
    ast.ClassDef: _Scanner._class,
    ast.If: _Scanner._if,
    ast.For: _Scanner._for,
    ast.AsyncFor: _Scanner._for,
    ast.While: _Scanner._while,
    ast.With: _Scanner._with,
    ast.AsyncWith: _Scanner._with,
    ast.Match: _Scanner._match,
    ast.Return: _Scanner._return,
    ast.Raise: _Scanner._raise,
    ast.Break: _Scanner._break,
    ast.Continue: _Scanner._break,
    ast.Global: _Scanner._global,
    **dict.fromkeys(_TRIES, _Scanner._try),
}
_SIMPLE: dict[type, Callable[..., None]] = {
    ast.Assign: _Scanner._assign,
    ast.AnnAssign: _Scanner._annotated,
    ast.AugAssign: _Scanner._augmented,
    ast.Expr: _Scanner._expression_statement,
}
_EXPRESSIONS: dict[type, Callable[..., None]] = {
    ast.Constant: _Scanner._nothing,
    ast.Name: _Scanner._nothing,
    ast.Attribute: _Scanner._attribute,
    ast.Call: _Scanner._call,
    ast.Lambda: _Scanner._lambda,
    ast.ListComp: _Scanner._comprehension,
    ast.SetComp: _Scanner._comprehension,
    ast.DictComp: _Scanner._comprehension,
    ast.GeneratorExp: _Scanner._comprehension,
    ast.IfExp: _Scanner._choice,
    ast.BoolOp: _Scanner._and_or,
    ast.NamedExpr: _Scanner._walrus,
    ast.Await: _Scanner._await,
    ast.Yield: _Scanner._yield,
    ast.YieldFrom: _Scanner._yield,
}


def _catches_missing(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler goes on where an import or an attribute is missing."""
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(_name_of(kind) in _MISSING for kind in kinds)

"""Visits the syntax of a program in order of execution and keeps account of what certainly runs."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from autoxla.lookahead.interest import FUNCTIONS, name_of, target_names
from autoxla.lookahead.values import (
    CAUGHT,
    HANDLER,
    POSSIBLE,
    SURVIVES,
    Arguments,
    Binding,
    Bindings,
    Const,
    Frame,
    Items,
    Scope,
    Table,
    doubt,
)

# What a statement may do to the rest of the block that it stands in.
_BREAK, _RAISE, _RETURN = 1, 2, 4
_ANY_ERROR = frozenset({"Exception", "BaseException"})
_MISSING = _ANY_ERROR | {"ImportError", "ModuleNotFoundError", "AttributeError"}
_MISFIT = _ANY_ERROR | {"TypeError", "ValueError"}
_NONE = Arguments()
_TRIES: tuple[type, ...] = (ast.Try, getattr(ast, "TryStar", ast.Try))
_ENDS = (ast.Raise, ast.Return, ast.Break, ast.Continue)


class Visitor(ABC):
    """Walks blocks and expressions; what names stand for is a matter of the `Follower`.

    `deep`: every line is followed, not only those with names that matter.
    """

    def __init__(self, *, deep: bool = False) -> None:
        self.deep = deep
        self.frame: Frame

    @abstractmethod
    def import_module(self, node: ast.Import) -> None:
        """Follow ``import a.b as c``."""

    @abstractmethod
    def import_from(self, node: ast.ImportFrom) -> None:
        """Follow ``from a import b``."""

    @abstractmethod
    def define(self, node: ast.FunctionDef | ast.AsyncFunctionDef, decorators: list[Bindings]) -> None:
        """Bind the name of a function."""

    @abstractmethod
    def define_class(self, node: ast.ClassDef, bases: list[Bindings]) -> None:
        """Follow the body of a class and bind its name."""

    @abstractmethod
    def bind(self, name: str, value: Bindings) -> None:
        """Let a name stand for a value."""

    @abstractmethod
    def store(self, target: ast.Attribute | ast.Subscript, value: Bindings, *, adds: bool = False) -> None:
        """Set an attribute or an item, or add to it."""

    @abstractmethod
    def refer(self, node: ast.expr) -> Bindings:
        """Return what a name with its attributes is, and note it."""

    @abstractmethod
    def call(self, node: ast.Call, found: Bindings, arguments: Arguments) -> Bindings:
        """Return what a call gives."""

    @abstractmethod
    def callee(self, node: ast.expr) -> Bindings:
        """Return what is called, without noting it."""

    @abstractmethod
    def wait(self, value: Bindings) -> Bindings:
        """Return what ``await`` gives."""

    @abstractmethod
    def item(self, owner: Bindings, key: Bindings) -> Bindings:
        """Return an item of a container."""

    @abstractmethod
    def combine(self, node: ast.BinOp, left: Bindings, right: Bindings) -> Bindings:
        """Return what an operator makes of two values."""

    @abstractmethod
    def end(self) -> None:
        """Take note that the program ends here."""

    # Statements return what they may have done to the rest of their block.

    def block(self, body: Sequence[ast.stmt]) -> int:
        """Visit statements in order."""
        frame = self.frame
        flow, ended = frame.flow, 0
        for statement in body:
            handler = _STATEMENTS.get(type(statement))
            if handler is None:
                if self._matters(statement):
                    _SIMPLE.get(type(statement), Visitor._children)(self, statement)
                continue
            done = handler(self, statement)
            if done:
                ended |= done
                frame.flow |= POSSIBLE
        frame.flow = flow
        return ended

    def has_interest(self, body: Sequence[ast.stmt]) -> bool:
        """Tell whether any line of a body matters."""
        lines = None if self.deep else self.frame.source.lines
        if lines is None:
            return True
        # The line of a function is that of its ``def``, below its decorators.
        decorators = getattr(body[0], "decorator_list", ())
        at = bisect_left(lines, decorators[0].lineno if decorators else body[0].lineno)
        return at < len(lines) and lines[at] <= (body[-1].end_lineno or 0)

    def _matters(self, node: ast.stmt | ast.expr) -> bool:
        lines = self.frame.source.lines
        if lines is None or self.deep:
            return True
        at = bisect_left(lines, node.lineno)
        return at < len(lines) and lines[at] <= (node.end_lineno or node.lineno)

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
        arguments = node.args
        decorators = [self._expression(part) for part in node.decorator_list]
        for default in (*arguments.defaults, *filter(None, arguments.kw_defaults)):
            self._expression(default)
        if not self.frame.source.has_late_annotations:
            for annotation in (*(a.annotation for a in list_parameters(arguments)), node.returns):
                if annotation is not None:
                    self._expression(annotation)
        self.define(node, decorators)
        return 0

    def _class(self, node: ast.ClassDef) -> int:
        for decorator in node.decorator_list:
            self._expression(decorator)
        bases = [self._expression(base) for base in node.bases]
        for keyword in node.keywords:
            self._expression(keyword.value)
        self.define_class(node, bases)
        return 0

    def _if(self, node: ast.If) -> int:
        frame = self.frame
        outer, ended = frame.flow, 0
        branch: Sequence[ast.stmt] = [node]
        # A loop, since ``elif`` nests and there may be hundreds.
        while len(branch) == 1 and isinstance(branch[0], ast.If):
            node = branch[0]
            self._expression(node.test)
            truth = self._truth(node.test)
            branch = node.orelse
            if truth is not False:
                ended |= self._under(0 if truth else POSSIBLE, node.body)
            if truth is True:
                frame.flow = outer
                return ended
            frame.flow |= POSSIBLE if truth is None else 0
        ended |= self.block(branch)
        frame.flow = outer
        return ended

    def _under(self, flow: int, body: Sequence[ast.stmt]) -> int:
        outer = self.frame.flow
        self.frame.flow |= flow
        ended = self.block(body)
        self.frame.flow = outer
        return ended

    def _for(self, node: ast.For | ast.AsyncFor) -> int:
        elements, is_filled = self._iterate(node.iter)
        frame = self.frame
        outer = frame.flow
        frame.flow |= 0 if is_filled else POSSIBLE
        self._assign_to(node.target, elements)
        ended = self.block(node.body)
        frame.flow |= POSSIBLE
        ended |= self.block(node.orelse)
        frame.flow = outer
        return ended & ~_BREAK

    def _iterate(self, node: ast.expr) -> tuple[Bindings, bool]:
        """Return what the elements of a loop's subject may be, and whether there is one for sure."""
        subject = self._expression(node)
        if len(subject) == 1 and isinstance(items := subject[0].target, Items):
            found = [b for value in items.values for b in value]
            is_filled = bool(items.values) and subject[0].certain
            return (tuple(found) if len(items.values) == 1 else doubt(found)), is_filled
        return (), False

    def _while(self, node: ast.While) -> int:
        self._expression(node.test)
        truth = self._truth(node.test)
        if truth is False:
            return self.block(node.orelse)
        return (
            self._under(0 if truth else POSSIBLE, node.body) | self._under(POSSIBLE, node.orelse)
        ) & ~_BREAK

    def _with(self, node: ast.With | ast.AsyncWith) -> int:
        for item in node.items:
            value = self._expression(item.context_expr)
            if item.optional_vars is not None:
                self._assign_to(item.optional_vars, doubt(value) if self.deep else ())
        return self.block(node.body)

    def _try(self, node: ast.Try) -> int:
        flow = CAUGHT if any(_catches(handler, _MISSING) for handler in node.handlers) else 0
        flow |= SURVIVES if any(_catches(handler, _MISFIT) for handler in node.handlers) else 0
        ended = self._under(flow, node.body)
        if node.handlers:
            ended &= ~_RAISE
        for handler in node.handlers:
            if handler.type is not None:
                self._expression(handler.type)
            self._under(POSSIBLE | HANDLER, handler.body)
        ended |= self._under(POSSIBLE if ended else 0, node.orelse)
        return ended | self.block(node.finalbody)

    def _match(self, node: ast.Match) -> int:
        self._expression(node.subject)
        ended, outer = 0, self.frame.flow
        self.frame.flow |= POSSIBLE
        for case in node.cases:
            for part in ast.walk(case.pattern):
                name = getattr(part, "name", None) or getattr(part, "rest", None)
                if isinstance(name, str):
                    self.bind(name, ())
                elif isinstance(part, ast.expr):
                    self._expression(part)
            if case.guard is not None:
                self._expression(case.guard)
            ended |= self.block(case.body)
        self.frame.flow = outer
        return ended

    def _return(self, node: ast.Return) -> int:
        value = self._expression(node.value) if node.value is not None else ()
        frame = self.frame
        frame.returned += doubt(value) if frame.flow & POSSIBLE else value
        return _RETURN

    def _raise(self, node: ast.Raise) -> int:
        if node.exc is not None:
            self._expression(node.exc)
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if name_of(raised) == "SystemExit":
                self.end()
        return _RAISE

    def _break(self, _node: ast.stmt) -> int:
        return _BREAK

    def _import(self, node: ast.Import) -> int:
        self.import_module(node)
        return 0

    def _import_from(self, node: ast.ImportFrom) -> int:
        if node.level or node.module not in ("__future__", "typing", "typing_extensions"):
            self.import_from(node)
        return 0

    def _global(self, node: ast.Global) -> int:
        self.frame.globals.update(node.names)
        return 0

    def _assign(self, node: ast.Assign) -> None:
        value = self.evaluate(node.value)
        for target in node.targets:
            self._assign_to(target, value)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assign_to(node.target, self.evaluate(node.value))
        # Annotations of local variables are never evaluated.
        if self.frame.function is None and not self.frame.source.has_late_annotations:
            self.evaluate(node.annotation)

    def _augmented(self, node: ast.AugAssign) -> None:
        value = self.evaluate(node.value)
        if isinstance(node.target, (ast.Attribute, ast.Subscript)):
            self.store(node.target, value, adds=True)
        elif isinstance(node.target, ast.Name):
            lists = [b.target for b in self.frame.scope.get(node.target.id) if isinstance(b.target, Items)]
            for items in lists:
                items.values += [value]
            if not lists:
                self.bind(node.target.id, ())

    def _assign_to(self, target: ast.expr, value: Bindings) -> None:
        if isinstance(target, ast.Name):
            self.bind(target.id, value)
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            self.store(target, value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = self._unpack(target.elts, value)
            for element, part in zip(target.elts, parts, strict=True):
                self._assign_to(element, part)
        elif isinstance(target, ast.Starred):
            self._assign_to(target.value, ())

    def _unpack(self, targets: Sequence[ast.expr], value: Bindings) -> list[Bindings]:
        for binding in value[:1]:
            items = binding.target
            if isinstance(items, Items) and len(items.values) == len(targets) and len(value) == 1:
                return items.values
        return [self.item(value, (Binding(Const(at)),)) for at in range(len(targets))]

    # Expressions return what they may stand for.

    def _expression(self, node: ast.expr) -> Bindings:
        return self.evaluate(node) if self._matters(node) else ()

    def evaluate(self, node: ast.expr) -> Bindings:
        """Visit an expression and return what it may stand for."""
        handler = _EXPRESSIONS.get(type(node))
        if handler is not None:
            return handler(self, node)
        self._children(node)
        return ()

    def _children(self, node: ast.AST) -> None:
        for name in node._fields:
            value = getattr(node, name, None)
            for part in value if isinstance(value, list) else (value,):
                if isinstance(part, ast.expr):
                    self.evaluate(part)
                elif isinstance(part, (ast.comprehension, ast.keyword, ast.slice)):
                    self._children(part)

    def _statement(self, node: ast.Expr) -> None:
        self.evaluate(node.value)

    def _constant(self, node: ast.Constant) -> Bindings:
        value = node.value
        if value is None or isinstance(value, (str, bool, int, float)):
            return (Binding(Const(value)),)
        return ()

    def _name(self, node: ast.Name) -> Bindings:
        return self.frame.scope.get(node.id)

    def _reference(self, node: ast.Attribute) -> Bindings:
        return self.refer(node)

    def _call(self, node: ast.Call) -> Bindings:
        if type(node.func) is ast.Name and find_getattr(node) is not None:
            return self.refer(node)
        found = self.callee(node.func)
        if not node.args and not node.keywords:
            return self.call(node, found, _NONE)
        positional: list[Bindings] = []
        is_open = False
        for argument in node.args:
            if type(argument) is ast.Starred:
                is_open = True
                positional += self._spread(argument)
            else:
                positional.append(self.evaluate(argument))
        keywords = [(k.arg, self.evaluate(k.value)) for k in node.keywords]
        return self.call(node, found, Arguments(positional, keywords, is_open))

    def _spread(self, node: ast.Starred) -> list[Bindings]:
        value = self.evaluate(node.value)
        items = value[0].target if len(value) == 1 else None
        return items.values if isinstance(items, Items) else [()]

    def _lambda(self, node: ast.Lambda) -> Bindings:
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.evaluate(default)
        self._hide({a.arg: () for a in list_parameters(node.args)}, [node.body], POSSIBLE)
        return ()

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Bindings:
        elements, is_filled = self._iterate(node.generators[0].iter)
        tests = [test for g in node.generators for test in g.ifs]
        flow = 0 if is_filled and len(node.generators) == 1 and not tests else POSSIBLE
        names: dict[str, Bindings] = {name: () for g in node.generators for name in target_names([g.target])}
        if isinstance(node.generators[0].target, ast.Name):
            names[node.generators[0].target.id] = elements
        inner = [*tests, *(g.iter for g in node.generators[1:])]
        value = self._hide(names, [*inner, node.elt], flow)
        return (Binding(Items([doubt(value) if flow else value], open=True)),) if value else ()

    def _dict_comprehension(self, node: ast.DictComp) -> Bindings:
        self._iterate(node.generators[0].iter)
        names: dict[str, Bindings] = {name: () for g in node.generators for name in target_names([g.target])}
        inner = [test for g in node.generators for test in g.ifs]
        inner += [g.iter for g in node.generators[1:]]
        value = self._hide(names, [*inner, node.key, node.value], POSSIBLE)
        return (Binding(Table([((), doubt(value))])),) if value else ()

    def _hide(self, names: dict[str, Bindings], nodes: Iterable[ast.expr], flow: int) -> Bindings:
        frame = self.frame
        outer = (frame.scope, frame.flow)
        frame.scope, frame.flow = Scope(frame.scope), frame.flow | flow
        frame.scope.names.update(names)
        value: Bindings = ()
        for node in nodes:
            value = self.evaluate(node)
        frame.scope, frame.flow = outer
        return value

    def _choice(self, node: ast.IfExp) -> Bindings:
        self.evaluate(node.test)
        truth = self._truth(node.test)
        if truth is not None:
            return self.evaluate(node.body if truth else node.orelse)
        return doubt((*self._doubt(node.body), *self._doubt(node.orelse)))

    def _and_or(self, node: ast.BoolOp) -> Bindings:
        found = [*self.evaluate(node.values[0])]
        for value in node.values[1:]:
            found += self._doubt(value)
        return doubt(found)

    def _doubt(self, node: ast.expr) -> Bindings:
        outer = self.frame.flow
        self.frame.flow |= POSSIBLE
        value = self.evaluate(node)
        self.frame.flow = outer
        return value

    def _walrus(self, node: ast.NamedExpr) -> Bindings:
        value = self.evaluate(node.value)
        self.bind(node.target.id, value)
        return value

    def _await(self, node: ast.Await) -> Bindings:
        return self.wait(self.evaluate(node.value))

    def _items(self, node: ast.List | ast.Tuple | ast.Set) -> Bindings:
        values: list[Bindings] = []
        for element in node.elts:
            values += self._spread(element) if isinstance(element, ast.Starred) else [self.evaluate(element)]
        return (Binding(Items(values, any(isinstance(e, ast.Starred) for e in node.elts))),)

    def _table(self, node: ast.Dict) -> Bindings:
        keys = [() if key is None else self.evaluate(key) for key in node.keys]
        return (Binding(Table([*zip(keys, map(self.evaluate, node.values), strict=True)])),)

    def _subscript(self, node: ast.Subscript) -> Bindings:
        owner = self.evaluate(node.value)
        return self.item(owner, self.evaluate(node.slice))

    def _operator(self, node: ast.BinOp) -> Bindings:
        left = self.evaluate(node.left)
        return self.combine(node, left, self.evaluate(node.right))

    def _sign(self, node: ast.UnaryOp) -> Bindings:
        value = self.evaluate(node.operand)
        if isinstance(node.operand, ast.Constant) and len(value) == 1 and isinstance(value[0].target, Const):
            plain = value[0].target.value
            if isinstance(node.op, ast.USub) and isinstance(plain, (int, float)):
                return (Binding(Const(-plain)),)
            if isinstance(node.op, ast.Not):
                return (Binding(Const(not plain)),)
        return ()

    # Conditions

    def _truth(self, test: ast.expr) -> bool | None:
        """Return what a condition is in every run, None where that may differ."""
        if isinstance(test, ast.Constant):
            return bool(test.value)
        if isinstance(test, ast.Name):
            return False if test.id in self.frame.source.typing else None
        if isinstance(test, ast.Attribute):
            return False if test.attr == "TYPE_CHECKING" else None
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            truth = self._truth(test.operand)
            return None if truth is None else not truth
        if isinstance(test, ast.BoolOp):
            deciding = isinstance(test.op, ast.Or)
            truths = [self._truth(value) for value in test.values]
            if deciding in truths:
                return deciding
            return None if None in truths else not deciding
        return self._truth_of_name(test) if isinstance(test, ast.Compare) else None

    def _truth_of_name(self, test: ast.Compare) -> bool | None:
        """Return whether ``__name__ == "__main__"`` holds here."""
        if len(test.ops) != 1 or not isinstance(test.ops[0], (ast.Eq, ast.NotEq)):
            return None
        sides = (test.left, test.comparators[0])
        names = [side.id for side in sides if isinstance(side, ast.Name)]
        values = [side.value for side in sides if isinstance(side, ast.Constant)]
        if names != ["__name__"] or values != ["__main__"]:
            return None
        return self.frame.source.main is isinstance(test.ops[0], ast.Eq)


def list_parameters(arguments: ast.arguments) -> list[ast.arg]:
    """Return all parameters of a function."""
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return listed + [a for a in (arguments.vararg, arguments.kwarg) if a is not None]


def find_getattr(node: ast.Call) -> str | None:
    """Return the attribute that ``getattr`` with a constant name takes, None for any other call."""
    if name_of(node.func) != "getattr" or len(node.args) < 2:
        return None
    name = node.args[1]
    return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None


def is_generator(node: ast.stmt, lines: list[int] | None) -> bool:
    """Tell whether a function is a generator; `lines` are those with the word, None where all may be."""
    if lines is not None:
        at = bisect_left(lines, node.lineno)
        if at == len(lines) or lines[at] > (node.end_lineno or 0):
            return False
    left: list[ast.AST] = [node]
    while left:
        for inner in ast.iter_child_nodes(left.pop()):
            if isinstance(inner, (ast.Yield, ast.YieldFrom)):
                return True
            if not isinstance(inner, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
                left.append(inner)
    return False


def _catches(handler: ast.ExceptHandler, errors: frozenset[str]) -> bool:
    """Tell whether a handler goes on after one of `errors`."""
    if any(isinstance(statement, ast.Raise) and statement.exc is None for statement in handler.body):
        return False
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(name_of(kind) in errors for kind in kinds)


_STATEMENTS: dict[type, Callable[..., int]] = {
    ast.Import: Visitor._import,
    ast.ImportFrom: Visitor._import_from,
    ast.FunctionDef: Visitor._define,
    ast.AsyncFunctionDef: Visitor._define,
    ast.ClassDef: Visitor._class,
    ast.If: Visitor._if,
    ast.For: Visitor._for,
    ast.AsyncFor: Visitor._for,
    ast.While: Visitor._while,
    ast.With: Visitor._with,
    ast.AsyncWith: Visitor._with,
    ast.Match: Visitor._match,
    ast.Return: Visitor._return,
    ast.Raise: Visitor._raise,
    ast.Break: Visitor._break,
    ast.Continue: Visitor._break,
    ast.Global: Visitor._global,
    **dict.fromkeys(_TRIES, Visitor._try),
}
_SIMPLE: dict[type, Callable[..., None]] = {
    ast.Assign: Visitor._assign,
    ast.AnnAssign: Visitor._annotated,
    ast.AugAssign: Visitor._augmented,
    ast.Expr: Visitor._statement,
}
_EXPRESSIONS: dict[type, Callable[..., Bindings]] = {
    ast.Constant: Visitor._constant,
    ast.Name: Visitor._name,
    ast.Attribute: Visitor._reference,
    ast.Call: Visitor._call,
    ast.Lambda: Visitor._lambda,
    ast.ListComp: Visitor._comprehension,
    ast.SetComp: Visitor._comprehension,
    ast.GeneratorExp: Visitor._comprehension,
    ast.DictComp: Visitor._dict_comprehension,
    ast.IfExp: Visitor._choice,
    ast.BoolOp: Visitor._and_or,
    ast.NamedExpr: Visitor._walrus,
    ast.Await: Visitor._await,
    ast.List: Visitor._items,
    ast.Tuple: Visitor._items,
    ast.Set: Visitor._items,
    ast.Dict: Visitor._table,
    ast.Subscript: Visitor._subscript,
    ast.BinOp: Visitor._operator,
    ast.UnaryOp: Visitor._sign,
}

"""Follows a program from its main module through its own modules, without running anything.

Statements are followed in the order in which they would execute, with account of what certainly runs. Each
function is followed once for each of a few sets of arguments, and once more where it turns out to run for
certain.
"""

from __future__ import annotations

import ast
import sys
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from importlib.util import resolve_name
from typing import TYPE_CHECKING

from autoxla.hooks.keras_internals import SET_IN_VAIN
from autoxla.lookahead.files import is_tracked
from autoxla.lookahead.notes import FILES, brings_backend, is_tf_function
from autoxla.lookahead.objects import (
    METRICS_NAMES,
    PARTS,
    Objects,
    find_family,
    find_role,
    get_thing_attribute,
)
from autoxla.lookahead.values import (
    CAUGHT,
    HANDLER,
    MOST_BINDINGS,
    POSSIBLE,
    Arguments,
    Binding,
    Bindings,
    Class,
    Const,
    Frame,
    Function,
    Instance,
    Items,
    Module,
    Outside,
    Part,
    Scope,
    Super,
    Table,
    Target,
    Thing,
    doubt,
    evaluate_path,
    flatten,
    get_constant,
    get_item,
    get_path_attribute,
    get_text,
    make_constant,
)
from autoxla.model import Evidence, Place

if TYPE_CHECKING:
    from autoxla.lookahead.library import ProgramReader

# What a statement may do to the rest of the block that it stands in.
_BREAK, _RAISE, _RETURN = 1, 2, 4
#: What is raised where something is missing, or where objects of Keras do not fit each other.
_ERRORS = frozenset(
    (
        *("AttributeError", "BaseException", "Exception", "ImportError", "ModuleNotFoundError", "TypeError"),
        "ValueError",
    )
)
_TRIES = (ast.Try, getattr(ast, "TryStar", ast.Try))  # PYVERSION: ``except*`` came with 3.11
#: Parts of the names whose calls are evidence; of all others only the attribute is.
_CALLS = frozenset({"distribute", "legacy", "set_jit"})
_EXITS = frozenset({"builtins.exit", "builtins.quit", "os._exit", "os.abort", "sys.exit"})
_DYNAMIC = frozenset({"builtins.eval", "builtins.exec", "runpy.run_module", "runpy.run_path"})
_IMPORTERS = frozenset({"builtins.__import__", "importlib.import_module"})
_CHANGES = ("os.environ", "os.putenv", "os.unsetenv", "site.addsitedir", "sys.path.")
#: What runs the function that it is given first.
_RUNNERS = frozenset({"absl.app.run", "tensorflow.compat.v1.app.run"})
#: Decorators that leave a function what it is.
_PLAIN = frozenset({"classmethod", "property", "staticmethod"})
#: Context managers within which a program goes on after an error, or wants one.
_EXPECTING = frozenset({"assertRaises", "assertRaisesRegex", "raises", "suppress"})
#: What the program's own classes may be to Keras.
_DERIVED = ("layer", "model", "optimizer", *PARTS)
#: With how many sets of arguments a function is followed, and a loop with how many elements.
_MOST_RUNS, _MOST_ELEMENTS = 8, 3


class Follower(Objects):
    """Collects evidence; see `Notes` for `deep`."""

    def __init__(self, library: ProgramReader, *, deep: bool = False) -> None:
        super().__init__(library, deep=deep)
        self._functions: list[Function] = []
        #: The level at which code was followed, and what functions return, by their arguments.
        self._levels: dict[Module, int] = {}
        self._runs: dict[ast.AST, dict[object, tuple[int, Bindings]]] = {}
        self._instances: dict[tuple[ast.Call | None, Class], Instance] = {}
        self._scopes: list[Scope] = []

    def follow(self, modules: Iterable[Module]) -> tuple[Evidence, ...]:
        """Return the evidence of the program that runs `modules`, in the order in which it would execute."""
        for module in modules:
            self._run_module(module, 0 if module.certain else POSSIBLE)
        # What nothing has called may be called by others, with arguments that nobody knows.
        self.is_deferred = True
        for function in self._functions:  # grows while it is gone through
            if not self._runs.get(function.node):
                self.frame = Frame(function.module, function.scope, POSSIBLE)
                # Only the object of a method is known, as one of its class.
                given: list[Bindings] = []
                if function.owner is not None and function.kind not in ("classmethod", "staticmethod"):
                    given = [(Binding(self._instance_of(None, function.owner), certain=False),)]
                self._run(function, Arguments(given))
        return tuple(self.evidence.values())

    def forget(self) -> None:
        """Let go of all names: scopes, functions and objects refer to each other."""
        for scope in self._scopes:
            scope.names.clear()

    # Modules and functions

    def _scope(self, parent: Scope | None) -> Scope:
        scope = Scope(parent)
        self._scopes.append(scope)
        return scope

    def _visit(self, frame: Frame, body: Iterable[ast.stmt]) -> None:
        self.library.check_time()
        outer = getattr(self, "frame", frame)
        self.frame = frame
        try:
            self._block(body)
        except RecursionError:
            self.library.note(Place(frame.module.label), "it is nested too deeply")
        finally:
            self.frame = outer

    def _run_module(self, module: Module, flow: int) -> None:
        level = _level(flow)
        if level <= self._levels.get(module, 0):
            return
        self._levels[module] = level
        self._scopes.append(module.scope)
        if module.file is not None:
            module.scope.names["__file__"] = make_constant(module.file)
        self._visit(Frame(module, module.scope, flow), module.body)

    def _run(self, function: Function, arguments: Arguments) -> Bindings:
        """Return what a function returns, after following it where that has not been done."""
        runs = self._runs.setdefault(function.node, {})
        if runs and self.is_deferred:
            # There is nothing in it that has not been found.
            return next(reversed(runs.values()))[1]
        flow = self.get_flow() | (0 if function.plain else POSSIBLE)
        bound = _bind_arguments(function, arguments)
        signature: object = tuple(bound.items())
        if signature not in runs and len(runs) >= _MOST_RUNS:
            bound = dict.fromkeys(bound, ())
            signature = tuple(bound.items())
        level = _level(flow)
        if signature in runs and runs[signature][0] >= level:
            return runs[signature][1]
        # One that calls itself finds this.
        runs[signature] = (level, ())
        scope = self._scope(function.scope)
        scope.names.update(bound)
        frame = Frame(function.module, scope, flow, function=function)
        self._visit(frame, function.node.body)
        value = tuple(dict.fromkeys(frame.returned))[:MOST_BINDINGS]
        runs[signature] = (level, value if function.plain else doubt(value))
        return runs[signature][1]

    # Statements

    def _block(self, body: Iterable[ast.stmt], flow: int = 0) -> int:
        """Follow statements in order; return what they may have done to the block around them.

        What follows one that may have ended the block is only possible.
        """
        frame = self.frame
        outer, ended = frame.flow, 0
        frame.flow |= flow
        for statement in body:
            done = self._statement(statement)
            if done:
                ended |= done
                frame.flow |= POSSIBLE
        frame.flow = outer
        return ended

    def _statement(self, node: ast.stmt) -> int:
        frame = self.frame
        match node:
            case ast.Expr():
                self._evaluate(node.value)
            case ast.Assign():
                value = self._evaluate(node.value)
                for target in node.targets:
                    self._assign(target, value)
            case ast.Return():
                value = self._evaluate(node.value) if node.value is not None else ()
                frame.returned += doubt(value) if frame.flow & POSSIBLE else value
                return _RETURN
            case ast.If():
                self._evaluate(node.test)
                truth = self._truth(node.test)
                ended = 0
                if truth is not False:
                    # ``if hasattr(a, "b"):`` is how programs go on without it.
                    asks = isinstance(node.test, ast.Call) and _name_of(node.test.func) == "hasattr"
                    ended = self._block(node.body, 0 if truth else POSSIBLE | CAUGHT * asks)
                if truth is not True:
                    ended |= self._block(node.orelse, POSSIBLE if truth is None else 0)
                return ended
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._define(node)
            case ast.Import():
                for alias in node.names:
                    module = self._import(node, alias.name, top=alias.asname is None)
                    self._bind(alias.asname or alias.name.partition(".")[0], module)
            case ast.ImportFrom():
                self._import_from(node)
            case ast.ClassDef():
                self._define_class(node)
            case ast.For() | ast.AsyncFor():
                elements, is_filled = self._iterate(node.iter)
                outer, ended = frame.flow, 0
                frame.flow |= 0 if is_filled else POSSIBLE
                for element in elements:
                    self._assign(node.target, element)
                    ended |= self._block(node.body)
                    frame.flow |= POSSIBLE if ended else 0
                frame.flow = outer
                return (ended | self._block(node.orelse, POSSIBLE)) & ~_BREAK
            case ast.While():
                self._evaluate(node.test)
                ended = self._block(node.body, 0 if self._truth(node.test) else POSSIBLE)
                return (ended | self._block(node.orelse, POSSIBLE)) & ~_BREAK
            case ast.With() | ast.AsyncWith():
                flow = 0
                for item in node.items:
                    value = self._evaluate(item.context_expr)
                    if item.optional_vars is not None:
                        self._assign(item.optional_vars, doubt(value))
                    flow |= CAUGHT if self._may_suppress(item.context_expr, value) else 0
                return self._block(node.body, flow) & ~(_RAISE if flow else 0)
            case ast.Raise():
                if node.exc is not None:
                    self._evaluate(node.exc)
                    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                    if _name_of(raised) == "SystemExit":
                        self.has_ended |= not self.get_flow() & HANDLER
                return _RAISE
            case ast.Break() | ast.Continue():
                return _BREAK
            case ast.AugAssign(target=ast.Name(id=name)):
                self._evaluate(node.value)
                for binding in frame.scope.get(name):
                    if isinstance(binding.target, Items):
                        binding.target.open = True
                self._bind(name, ())
            case ast.AugAssign(target=(ast.Attribute() | ast.Subscript()) as owner):
                self._store(owner, self._evaluate(node.value), adds=True)
            case ast.AnnAssign():
                if node.value is not None:
                    self._assign(node.target, self._evaluate(node.value))
                # Those of local variables are never evaluated, and others not always.
                self._perhaps(node.annotation)
            case ast.Global():
                frame.globals.update(node.names)
            case ast.Match():
                self._evaluate(node.subject)
                ended = 0
                for case in node.cases:
                    for part in ast.walk(case.pattern):
                        for bound in (getattr(part, "name", None), getattr(part, "rest", None)):
                            if bound is not None:
                                self._bind(bound, ())
                    ended |= self._block(case.body, POSSIBLE)
                return ended
            case _ if isinstance(node, _TRIES):
                ended = self._block(node.body, CAUGHT if any(map(_catches, node.handlers)) else 0)
                if node.handlers:
                    ended &= ~_RAISE
                for handler in node.handlers:
                    if handler.type is not None:
                        self._evaluate(handler.type)
                    self._block(handler.body, POSSIBLE | HANDLER)
                ended |= self._block(node.orelse, POSSIBLE if ended else 0)
                return ended | self._block(node.finalbody)
            case _:
                self._children(node)
        return 0

    def _iterate(self, node: ast.expr) -> tuple[list[Bindings], bool]:
        """Return what the elements of a loop's subject are, and whether there is one for sure.

        Where they are many, or nothing but constants, one stands for all.
        """
        subject = self._evaluate(node)
        if len(subject) != 1 or not isinstance(items := subject[0].target, Items):
            return [()], False
        found = [b for value in items.values for b in value]
        is_filled = bool(items.values) and subject[0].certain
        is_followed = not items.open and not all(isinstance(b.target, Const) for b in found)
        if len(items.values) == 1 or (is_followed and 1 < len(items.values) <= _MOST_ELEMENTS):
            return [*items.values], is_filled
        return [doubt(found)], is_filled

    def _assign(self, target: ast.expr, value: Bindings) -> None:
        match target:
            case ast.Name():
                self._bind(target.id, value)
            case ast.Attribute() | ast.Subscript():
                self._store(target, value)
            case ast.Tuple() | ast.List():
                has_star = any(isinstance(element, ast.Starred) for element in target.elts)
                for at, element in enumerate(target.elts):
                    self._assign(element, get_item(value, () if has_star else make_constant(at)))
            case ast.Starred():
                self._assign(target.value, ())

    def _store(self, target: ast.Attribute | ast.Subscript, value: Bindings, *, adds: bool = False) -> None:
        """Note what is set: variables, folders of modules, attributes of the program's own objects.

        `adds`: something is added to what is there, which makes something that is computed.
        """
        owners = self._evaluate(target.value)
        if isinstance(target, ast.Subscript):
            attribute, key = "", self._evaluate(target.slice)
            value = () if adds else value
        else:
            attribute, key = target.attr, ()
            if attribute == "jit_compile":
                self.add_jit(target, "attribute", value)
            self.freezes |= attribute == "trainable"
            if attribute in SET_IN_VAIN and not adds:
                self.note_set(target, owners)
        for owner, certain in owners:
            match owner, attribute:
                case Outside("os.environ"), "":
                    self.add_variable(target, key, value, certain=certain)
                case Outside("os"), "environ":
                    self.update_environ(target, value, certain=certain)
                case (Outside("sys.path"), "") | (Outside("sys"), "path"):
                    self.add_folder(target, value)
                case Outside(name), _:
                    self._patch(f"{name}.{attribute}")
                case Table(), "" if get_constant(key) is not None and self.is_certain():
                    owner.items.append((key, value))
                case ((Items() | Table()), ""):
                    owner.forget()
                case Instance(), str() if attribute and not adds:
                    owner.attributes.set(attribute, value, certain=certain and self.is_certain())

    def _patch(self, name: str) -> None:
        """Note that the program puts something of its own in the place of what Keras has, or lacks."""
        if find_family(name) is not None:
            self.patched += (f"{name.partition('.__dict__')[0]}.",)

    def _may_suppress(self, node: ast.expr, value: Bindings) -> bool:
        """Tell whether a context manager may end an error: one of the program's own, or one made for that."""
        called = node.func if isinstance(node, ast.Call) else node
        name = called.attr if isinstance(called, ast.Attribute) else _name_of(called)
        makers = self._evaluate(called) if isinstance(called, (ast.Name, ast.Attribute)) else ()
        # What may swallow an error in a class, or in a generator under ``contextmanager``.
        bodies: list[ast.AST] = []
        for target, _ in (*value, *makers):
            if isinstance(target, Instance):
                exits = self._member(target.owner, None, "__exit__")
                bodies += [b.target.node for b in exits if isinstance(b.target, Function)]
            elif isinstance(target, Function) and not target.plain:
                bodies.append(target.node)
        parts = (part for body in bodies for part in ast.walk(body))
        return name in _EXPECTING or any(
            isinstance(part, ast.ExceptHandler) or (isinstance(part, ast.Return) and part.value is not None)
            for part in parts
        )

    # Expressions return what they may stand for.

    def _evaluate(self, node: ast.expr) -> Bindings:
        match node:
            case ast.Name():
                return self.frame.scope.get(node.id)
            case ast.Constant():
                value = node.value
                if value is None or isinstance(value, (str, int, float)):
                    return (Binding(Const(value)),)
                return ()
            case ast.Attribute():
                return self._refer(node)
            case ast.Call(func=ast.Name(id="getattr"), args=[owner, ast.Constant(value=str(name)), *others]):
                # As good as the attribute; with a default, the program goes on without it.
                attribute = ast.copy_location(ast.Attribute(owner, name, ast.Load()), node)
                for other in others:
                    self._evaluate(other)
                return doubt(self._perhaps(attribute, CAUGHT)) if others else self._refer(attribute)
            case ast.Call():
                return self._call(node)
            case ast.Subscript():
                return get_item(self._evaluate(node.value), self._evaluate(node.slice))
            case ast.List() | ast.Tuple() | ast.Set():
                return (Binding(Items(*self._list(node.elts))),)
            case ast.BinOp():
                left = self._evaluate(node.left)
                return self._combine(node, left, self._evaluate(node.right))
            case ast.Dict():
                keys = [() if key is None else self._evaluate(key) for key in node.keys]
                table = Table([*zip(keys, map(self._evaluate, node.values), strict=True)])
                if not all(keys):
                    # One that is computed may be any of the others.
                    table.forget()
                return (Binding(table),)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self._comprehension(node)
            case ast.Lambda():
                for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
                    self._evaluate(default)
                outer, self.frame.scope = self.frame.scope, Scope(self.frame.scope)
                self.frame.scope.names.update((each.arg, ()) for each in _list_parameters(node.args))
                self._perhaps(node.body)
                self.frame.scope = outer
                return ()
            case ast.IfExp():
                self._evaluate(node.test)
                return doubt(b for part in (node.body, node.orelse) for b in self._perhaps(part))
            case ast.BoolOp():
                found = [*self._evaluate(node.values[0])]
                for part in node.values[1:]:
                    found += self._perhaps(part)
                return doubt(found)
            case ast.NamedExpr():
                found_value = self._evaluate(node.value)
                self._bind(node.target.id, found_value)
                return found_value
            case _:
                self._children(node)
                return ()

    def _children(self, node: ast.AST) -> None:
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                self._evaluate(part)

    def _perhaps(self, node: ast.expr, flow: int = 0) -> Bindings:
        outer = self.frame.flow
        self.frame.flow |= POSSIBLE | flow
        value = self._evaluate(node)
        self.frame.flow = outer
        return value

    def _list(self, nodes: Iterable[ast.expr]) -> tuple[list[Bindings], bool]:
        """Return what elements or arguments are, and whether there is a ``*`` among them."""
        values: list[Bindings] = []
        is_open = False
        for node in nodes:
            if isinstance(node, ast.Starred):
                is_open, given = True, self._evaluate(node.value)
                items = given[0].target if len(given) == 1 else None
                values += items.values if isinstance(items, Items) else [()]
            else:
                values.append(self._evaluate(node))
        return values, is_open

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Bindings:
        frame = self.frame
        scope, flow = frame.scope, frame.flow
        frame.scope = Scope(scope)
        for generator in node.generators:
            each, is_filled = self._iterate(generator.iter)
            self._assign(generator.target, each[0] if len(each) == 1 else doubt(b for v in each for b in v))
            frame.flow |= POSSIBLE if generator.ifs or not is_filled else 0
            for test in generator.ifs:
                self._evaluate(test)
        if isinstance(node, ast.DictComp):
            self._evaluate(node.key)
        value = self._evaluate(node.value if isinstance(node, ast.DictComp) else node.elt)
        sure = frame.flow == flow
        frame.scope, frame.flow = scope, flow
        if isinstance(node, ast.DictComp):
            return (Binding(Table([((), doubt(value))])),)
        return (Binding(Items([value if sure else doubt(value)], open=True), certain=sure),)

    def _combine(self, node: ast.BinOp, left: Bindings, right: Bindings) -> Bindings:
        """Return the path, list or symbolic tensor that an operator makes of two values."""
        if len(left) == len(right) == 1 and left[0].certain and right[0].certain:
            match left[0].target, right[0].target:
                case ((Const(value=str(text)) as path), (Const(value=str(more)) as end)):
                    if isinstance(node.op, ast.Div):
                        return evaluate_path("join", [path, end])
                    return make_constant(text + more) if isinstance(node.op, ast.Add) else ()
                case ((Items() as some), (Items() as others)) if isinstance(node.op, ast.Add):
                    return (Binding(Items([*some.values, *others.values], some.open or others.open)),)
        tensors = (b for b in (*left, *right) if isinstance(b.target, Thing) and b.target.role == "tensor")
        return tuple(tensors)[:1]

    def _truth(self, test: ast.expr) -> bool | None:
        """Return what a condition is in every run, None where that may differ."""
        match test:
            case ast.Constant():
                return bool(test.value)
            case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
                return False
            case ast.UnaryOp(op=ast.Not()):
                truth = self._truth(test.operand)
                return None if truth is None else not truth
            case ast.Compare(left=left, ops=[(ast.Eq() | ast.NotEq()) as operator], comparators=[right]):
                sides = {getattr(p, "id", None) or getattr(p, "value", None) for p in (left, right)}
                if sides == {"__name__", "__main__"}:
                    return self.frame.module.main is isinstance(operator, ast.Eq)
        return None

    # Names

    def _bind(self, name: str, value: Bindings) -> None:
        """Let a name stand for a value."""
        frame = self.frame
        is_global = name in frame.globals
        scope = frame.module.scope if is_global else frame.scope
        if frame.flow & HANDLER and all(b.target == Const(None) for b in value):
            # ``except ImportError: tf = None``: whatever is used of the name later is the module's.
            before = scope.names.get(name)
            if before and all(isinstance(b.target, (Outside, Module, Function)) for b in before):
                return
        scope.set(name, value, certain=self.is_certain() if is_global else not frame.flow & POSSIBLE)

    def _refer(self, node: ast.Attribute) -> Bindings:
        """Return what a name with its attributes is; what belongs to a backend is evidence."""
        names, root = [node.attr], node.value
        while isinstance(root, ast.Attribute):
            names.append(root.attr)
            root = root.value
        found = self.frame.scope.get(root.id) if isinstance(root, ast.Name) else self._evaluate(root)
        if len(found) == 1 and type(found[0].target) is Outside:
            # By far the most frequent case.
            dotted = ".".join((found[0].target.name, *reversed(names)))
            found = (Binding(Outside(dotted), found[0].certain),)
        else:
            for name in reversed(names):
                found = tuple(b for binding in found for b in self._attribute(binding, name))[:MOST_BINDINGS]
        for target, certain in found:
            if type(target) is Outside and is_tracked(target.name):
                self.add(node, "attribute", target.name, certain=certain)
        if node.attr == METRICS_NAMES and (self.deep or not found):
            parts = [b.target.owner for b in found if isinstance(b.target, Part)]
            families = {owner.family for owner in parts if isinstance(owner, Thing)}
            for family in families if found else {None}:
                self.add(node, "old", METRICS_NAMES, family, certain=False)
        return found

    def _attribute(self, binding: Binding, name: str) -> Bindings:
        found: Bindings = ()
        match target := binding.target:
            case Outside():
                found = (Binding(Outside(f"{target.name}.{name}")),)
            case Module():
                found = target.scope.names.get(name, ())
            case Instance():
                names = target.attributes.names
                found = names[name] if name in names else self._member(target.owner, target, name)
            case Super():
                found = self._inherited(target.owner, target.instance, name)
            case Class():
                found = self._member(target, None, name)
            case Const(value=str(path)):
                found = get_path_attribute(path, name)
            case Thing():
                found = get_thing_attribute(target, name)
            case Items() | Table():
                found = (Binding(Part(target, name)),)
        return found if binding.certain else doubt(found)

    def _member(self, owner: Class, instance: Target | None, name: str) -> Bindings:
        """Return what a class has under a name, as a method where it belongs to an object."""
        found = owner.scope.names.get(name)
        if found is None:
            return self._inherited(owner, instance, name)
        if instance is None or len(found) != 1 or not isinstance(function := found[0].target, Function):
            return found
        if function.kind == "property":
            return self._run(function, Arguments(((Binding(instance),),)))
        is_static = function.kind == "staticmethod"
        return found if is_static else (Binding(function._replace(bound=instance), found[0].certain),)

    def _inherited(self, owner: Class, instance: Target | None, name: str) -> Bindings:
        for base in owner.bases:
            if isinstance(base.target, Class) and base.target is not owner:
                found = self._member(base.target, instance, name)
                if found:
                    return found
        if isinstance(instance, Instance) and instance.thing is not None:
            return (Binding(Part(instance.thing, name)),)
        return ()

    # Imports

    def _import_from(self, node: ast.ImportFrom) -> None:
        """Bind the names of ``from … import``, after following a module of the program's own."""
        try:
            name = resolve_name("." * node.level + (node.module or ""), self.frame.module.package)
        except ImportError:
            self.note(node, "a relative import outside of any package")
            for alias in node.names:
                self._bind(alias.asname or alias.name, ())
            return
        module = self._load(node, name)
        for alias in node.names:
            bound = alias.asname or alias.name
            if alias.name == "*":
                # Of a module that is not the program's own anything may come.
                for each, bindings in [] if module is None else [*module.scope.names.items()]:
                    if not each.startswith("_"):
                        self._bind(each, bindings)
            elif module is None:
                if is_tracked(name):
                    self.add(node, "attribute", f"{name}.{alias.name}")
                self._bind(bound, (Binding(Outside(f"{name}.{alias.name}")),))
            else:
                inner = f"{module.name}.{alias.name}"
                if alias.name not in module.scope.names and self.library.load(inner) is not None:
                    self._load(node, inner)
                self._bind(bound, module.scope.names.get(alias.name, ()))

    def _import(self, node: ast.AST, name: str, *, top: bool) -> Bindings:
        """Return what importing a module gives: the module, or the package at its top."""
        module = self._load(node, name)
        if top:
            name = name.partition(".")[0]
            module = module and self.library.load(name)
        return (Binding(module or Outside(name)),)

    def _load(self, node: ast.AST, name: str) -> Module | None:
        """Return a module of the program's after what importing it runs; None for all others, with a note."""
        parts = name.split(".")
        module = None
        for end in range(1, len(parts) + 1):
            inner = self.library.load(".".join(parts[:end]))
            if inner is None and module is None:
                if parts[0] not in ("", "__main__") and parts[0] not in sys.stdlib_module_names:
                    self.add(node, "import", name)
                    self.backend_seen |= brings_backend(name)
                return None
            if inner is None:
                self.note(node, f"module {'.'.join(parts[:end])} is not there")
                return Module(name, None, name, None)
            if module is not None:
                module.scope.names.setdefault(parts[end - 1], (Binding(inner),))
            module = inner
            self._run_module(module, self.get_flow())
        return module

    # Definitions

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Bind a function; it is followed when it is called, else at the end."""
        frame, given = self.frame, node.args
        is_plain = isinstance(node, ast.FunctionDef) and not _is_generator(node, frame.module.yields)
        kind = ""
        for decorator in node.decorator_list:
            names = [b.target.name for b in self._evaluate(decorator) if isinstance(b.target, Outside)]
            if (name := _name_of(decorator)) in _PLAIN:
                kind = name or ""
            else:
                is_plain &= any(map(is_tf_function, names))
        for part in (*given.defaults, *given.kw_defaults):
            if part is not None:
                self._evaluate(part)
        # Annotations are not evaluated in all releases, nor by all programs.
        for part in (*(a.annotation for a in _list_parameters(given)), node.returns):
            if part is not None:
                self._perhaps(part)
        # The names of a class are none of its methods'.
        scope = frame.scope if frame.in_class is None else frame.scope.parent or frame.scope
        function = Function(node, scope, frame.module, is_plain, kind, frame.in_class)
        if not self._runs.get(node):
            self._functions.append(function)
        self._bind(node.name, (Binding(function),))

    def _define_class(self, node: ast.ClassDef) -> None:
        frame = self.frame
        for part in (*node.decorator_list, *(keyword.value for keyword in node.keywords)):
            self._evaluate(part)
        bases = tuple(b for base in node.bases for b in self._evaluate(base)[:1])
        owner = Class(node, bases, self._scope(frame.scope), "")
        for target, _ in bases:
            name = target.keras if isinstance(target, Class) else getattr(target, "name", "")
            if not owner.keras and find_role(name) in _DERIVED:
                owner.keras = name
        self._visit(Frame(frame.module, owner.scope, self.get_flow(), in_class=owner), node.body)
        self._bind(node.name, (Binding(owner),))

    def _instance_of(self, node: ast.Call | None, owner: Class) -> Instance:
        """Return the object that a call makes, or the one that stands for all of a class."""
        found = self._instances.get((node, owner))
        if found is None:
            thing, family, role = None, self.find_family(owner.keras), find_role(owner.keras)
            if self.deep and family is not None and role is not None:
                place = self.spot(node or owner.node)
                thing = Thing(family, owner.keras, role, place, self.is_certain())
            found = self._instances[(node, owner)] = Instance(owner, thing, self._scope(None))
        return found

    # Calls

    def _call(self, node: ast.Call) -> Bindings:
        """Note what a call says, follow what it runs, and return what it gives."""
        found = self._evaluate(node.func)
        positional, is_open = self._list(node.args)
        keywords = [(keyword.arg, self._evaluate(keyword.value)) for keyword in node.keywords]
        arguments = Arguments(positional, keywords, is_open)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else _name_of(node.func) or ""
        if keywords:
            self.note_jit(node, name, found, arguments)
        if name in FILES:
            self.note_file(node, name, found, arguments)
        return self._apply(node, found, arguments)

    def _apply(self, node: ast.Call, found: Bindings, arguments: Arguments) -> Bindings:
        """Return what calling a value gives; where it may be several things, each is called only possibly."""
        if len(found) == 1 and found[0].certain:
            return self._apply_to(node, found[0].target, arguments)
        outer = self.frame.flow
        self.frame.flow |= POSSIBLE
        values = [self._apply_to(node, target, arguments) for target, _ in found]
        self.frame.flow = outer
        return values[0] if len(values) == 1 else doubt(b for value in values for b in value)

    def _apply_to(self, node: ast.Call, target: Target, arguments: Arguments) -> Bindings:
        match target:
            case Outside():
                return self._call_outside(node, target.name, arguments)
            case Function():
                if target.bound is not None:
                    own = (Binding(target.bound),)
                    arguments = arguments._replace(positional=[own, *arguments.positional])
                return self._run(target, arguments)
            case Class():
                instance = self._instance_of(node, target)
                self._add_call(node, target.keras, arguments)
                starts = self._member(target, instance, "__init__")[:1]
                self._apply(node, starts, arguments)
                if not starts:
                    # A dataclass, or a named tuple.
                    annotated = [each.target for each in target.node.body if isinstance(each, ast.AnnAssign)]
                    fields = [each.id for each in annotated if isinstance(each, ast.Name)]
                    named = {name: value for name, value in arguments.keywords if name in fields}
                    instance.attributes.names.update(zip(fields, arguments.positional, strict=False))
                    instance.attributes.names.update(named)
                return (Binding(instance),)
            case Part():
                return self._call_part(node, target, arguments)
            case Thing():
                return self.call_thing(node, target, arguments)
            case Instance():
                members = [self._member(target.owner, target, name) for name in ("__call__", "call")]
                method = next((m[:1] for m in members if m and isinstance(m[0].target, Function)), ())
                value = self._apply(node, method, arguments)
                if target.thing is None:
                    return value
                # What a method of the program's own does with objects shows in its own lines.
                return self.call_thing(node, target.thing, arguments, certain=not method) or value
        return ()

    def _call_outside(self, node: ast.Call, name: str, arguments: Arguments) -> Bindings:
        given = arguments.positional
        if given and name in _RUNNERS:
            self._apply(node, given[0], Arguments())
        if is_tracked(name):
            self._add_call(node, name, arguments)
            if ".__dict__." in name:
                self._patch(name)
            package, layers, _ = name.rpartition(".layers.")
            if layers and "hard_sigmoid" in map(get_text, arguments.all()):
                self.add(node, "attribute", f"{package}.activations.hard_sigmoid")
            return self.make(node, name, arguments) if self.deep else ()
        if name in _IMPORTERS:
            text = get_text(arguments.get(0, "name"))
            if text is None or text.startswith("."):
                self.note(node, "the name of an imported module is computed")
                return ()
            return self._import(node, text, top=name == "builtins.__import__")
        if name in _EXITS:
            # What ends the program after an error is left out of account.
            self.has_ended |= not self.get_flow() & HANDLER
        elif name in _DYNAMIC:
            self.note(node, f"{name.removeprefix('builtins.')} runs code that is not read")
        elif name.startswith("builtins."):
            return self._call_builtin(node, name.removeprefix("builtins."), arguments)
        elif name.startswith(("os.path.", "pathlib.", "os.fspath")):
            return evaluate_path(name.rpartition(".")[2], [*map(get_constant, given)])
        elif name.startswith(_CHANGES):
            self.note_change(node, name, arguments)
        return ()

    def _add_call(self, node: ast.Call, name: str, arguments: Arguments) -> None:
        """Note a call where it tells more than its name."""
        if is_tracked(name) and not _CALLS.isdisjoint(name.split(".")):
            first = get_constant(arguments.get(0))
            self.add(node, "call", name, None if first is None else str(first.value))

    def _call_builtin(self, node: ast.Call, name: str, arguments: Arguments) -> Bindings:
        first = arguments.positional[0] if arguments.positional else ()
        if name == "str" and (constant := get_constant(first)) is not None:
            return make_constant(str(constant.value))
        if name in ("list", "tuple"):
            return first
        if name == "setattr" and len(node.args) > 2:
            attribute = get_text(arguments.get(1))
            if attribute is not None:
                target = ast.Attribute(node.args[0], attribute, ast.Store())
                self._store(ast.copy_location(target, node), arguments.positional[2])
            for owner, _ in first if attribute is None else ():
                # It may be any.
                if isinstance(owner, Outside):
                    self._patch(owner.name)
        if name == "range":
            constant = get_constant(first) if len(arguments.positional) == 1 else None
            return (Binding(Items([()])),) if constant is not None and constant.value else ()
        function = self.frame.function
        if name == "super" and function is not None and function.owner is not None:
            parameters = _list_parameters(function.node.args)
            own = self.frame.scope.get(parameters[0].arg) if parameters else ()
            return tuple(Binding(Super(function.owner, b.target), b.certain) for b in own[:1])
        return ()

    def _call_part(self, node: ast.Call, target: Part, arguments: Arguments) -> Bindings:
        """Call a method of a path, a list, a dictionary or an object of Keras."""
        name = target.name
        match owner := target.owner:
            case Const():
                parts = map(get_constant, arguments.positional)
                return evaluate_path("join" if name == "joinpath" else name, [owner, *parts])
            case Items():
                added = arguments.positional[-1:]
                if name in ("append", "insert", "add"):
                    owner.values += added if self.is_certain() else map(doubt, added)
                elif name == "extend" and added:
                    owner.values.append(tuple(flatten(added[0])))
                else:
                    owner.forget()
            case Table() if name == "get":
                return get_item((Binding(owner),), arguments.get(0))
            case Table() if name == "items":
                return (Binding(Items([(Binding(Items([*pair])),) for pair in owner.items])),)
            case Table() if name == "values":
                return (Binding(Items([value for _, value in owner.items])),)
            case Table() if name not in ("copy", "keys"):
                owner.forget()
            case Thing():
                return self.call_method(node, owner, name, arguments)
        return ()


def _level(flow: int) -> int:
    """Return how much it says that code is followed: as possible or certain, in a ``try`` or not."""
    return 1 + 2 * (not flow & POSSIBLE) + (not flow & CAUGHT)


def _bind_arguments(function: Function, arguments: Arguments) -> dict[str, Bindings]:
    """Return what the parameters of a function are in one call, but numbers, which tell nothing."""
    given = function.node.args
    names = [a.arg for a in (*given.posonlyargs, *given.args)]
    bound: dict[str, Bindings] = {a.arg: () for a in _list_parameters(given)}
    if not arguments.is_open and arguments.positional:
        bound.update(zip(names, arguments.positional, strict=False))
        if given.vararg is not None and len(arguments.positional) > len(names):
            bound[given.vararg.arg] = (Binding(Items([*arguments.positional[len(names) :]])),)
    bound.update((name, value) for name, value in arguments.keywords if name is not None and name in bound)
    for name, value in bound.items():
        if any(isinstance(b.target, Const) and type(b.target.value) in (int, float) for b in value):
            bound[name] = ()
    return bound


def _list_parameters(arguments: ast.arguments) -> list[ast.arg]:
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return listed + [a for a in (arguments.vararg, arguments.kwarg) if a is not None]


def _name_of(node: ast.expr) -> str | None:
    """Return the name that an expression is, None for any other expression."""
    return node.id if isinstance(node, ast.Name) else None


def _is_generator(node: ast.FunctionDef, yields: Sequence[int]) -> bool:
    """Tell whether a function is a generator, given the lines with ``yield`` of its file."""
    first = bisect_left(yields, node.lineno)
    has_word = first < len(yields) and yields[first] <= (node.end_lineno or 0)
    left: list[ast.AST] = [*node.body] if has_word else []
    while left:
        part = left.pop()
        if isinstance(part, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            left += ast.iter_child_nodes(part)
    return False


def _catches(handler: ast.ExceptHandler) -> bool:
    """Tell whether the program goes on after one of `_ERRORS`."""
    if any(isinstance(statement, ast.Raise) and statement.exc is None for statement in handler.body):
        return False
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(_name_of(kind) in _ERRORS for kind in kinds)

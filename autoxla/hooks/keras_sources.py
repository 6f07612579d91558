"""What a package of Keras has, read from its source: attributes of classes, arguments of functions.

Nothing of the package is imported. An answer is yes only where the source shows it; what is computed, or
comes from another package, counts as missing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: How many names that stand for other names are followed, and how many classes of one ancestry are read.
_LONGEST = 50
#: What tf_keras no longer has of TensorFlow's copy of Keras 2.
_DROPPED = frozenset(
    ("apply", "get_losses_for", "get_updates_for", "op", "predict_classes", "predict_proba", "to_yaml")
)
_Function = ast.FunctionDef | ast.AsyncFunctionDef
#: What a name of a module is: its definition, or (module, name) of an import; no name: the module itself.
_Meaning = ast.stmt | tuple[str, str]


@dataclass(frozen=True, slots=True)
class Definition:
    """A class, function or value of ``module``; ``node`` is None for the module itself."""

    module: str
    node: ast.stmt | None = None


class Source:
    """The source of one package, for example the folder ``site-packages/tf_keras``."""

    def __init__(self, folder: Path) -> None:
        self.package = folder.name
        self._folder = folder
        self._modules: dict[str, dict[str, _Meaning] | None] = {}

    def find(self, public: str) -> Definition | None:
        """Return what ``public`` is, a dotted name below the package; None where it is not there."""
        found: Definition | None = Definition(self.package)
        for name in public.split("."):
            found = None if found is None or found.node is not None else self._resolve(found.module, name)
        return found

    def has(self, found: Definition, name: str) -> bool:
        """Return whether objects of the class ``found`` have the attribute ``name``."""
        for cls in self._ancestry(found):
            member = _names_of(cls.node.body).get(name) if isinstance(cls.node, ast.ClassDef) else None
            if member is not None:
                return not _only_raises(member)
            start = _names_of(cls.node.body).get("__init__") if isinstance(cls.node, ast.ClassDef) else None
            for node in ast.walk(start) if isinstance(start, _Function) else ():
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr == name:
                    return isinstance(node.value, ast.Name) and node.value.id == "self"
        return False

    def takes(self, found: Definition, method: str, keyword: str) -> bool:
        """Return whether ``method`` of the class ``found``, or the function itself, takes ``keyword``."""
        for function in self._methods(found, method):
            if keyword in {each.arg for each in (*_positional(function), *function.args.kwonlyargs)}:
                return True
            rest = function.args.kwarg
            if rest is None:
                return False
            if _picks(function, rest.arg, keyword):
                return True
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                if _passes(call, rest.arg) and _is_of_self(call.func):
                    helper = next(self._methods(found, call.func.attr), None)
                    if helper is not None and any(_picks(helper, a.arg, keyword) for a in _all(helper)):
                        return True
            if not any(k.arg is None and _is(k.value, rest.arg) for k in _keywords(function)):
                return False
        return False

    def order(self, found: Definition, method: str) -> list[str] | None:
        """Return the positional arguments of a method or function in order, None where it is not there."""
        function = next(self._methods(found, method), None)
        if function is None:
            return None
        names = [each.arg for each in _positional(function)]
        return names[1:] if isinstance(found.node, ast.ClassDef) else names

    def _methods(self, found: Definition, method: str) -> Iterator[_Function]:
        """Yield the definitions of ``method`` along the ancestry of a class, or the one function."""
        if isinstance(found.node, _Function):
            yield found.node
        for cls in self._ancestry(found):
            function = _names_of(cls.node.body).get(method) if isinstance(cls.node, ast.ClassDef) else None
            if isinstance(function, _Function) and not _only_raises(function):
                yield function

    def _ancestry(self, found: Definition) -> Iterator[Definition]:
        """Yield a class and its bases inside the package."""
        waiting, seen = [found], set[int]()
        while waiting and len(seen) < _LONGEST:
            cls = waiting.pop(0)
            if isinstance(cls.node, ast.ClassDef) and id(cls.node) not in seen:
                seen.add(id(cls.node))
                yield cls
                bases = (self._resolve_expression(cls.module, base) for base in cls.node.bases)
                waiting = [*(base for base in bases if base is not None), *waiting]

    def _resolve_expression(self, module: str, expression: ast.expr) -> Definition | None:
        if isinstance(expression, ast.Name):
            return self._resolve(module, expression.id)
        if isinstance(expression, ast.Attribute):
            owner = self._resolve_expression(module, expression.value)
            return None if owner is None or owner.node else self._resolve(owner.module, expression.attr)
        return None

    def _resolve(self, module: str, name: str) -> Definition | None:
        """Return what ``name`` is in ``module``, through imports and second names."""
        for _ in range(_LONGEST):
            names = self._read(module)
            if names is None:
                return None
            meaning = names.get(name)
            if isinstance(meaning, ast.Assign) and isinstance(meaning.value, ast.Name):
                name = meaning.value.id
            elif isinstance(meaning, ast.stmt):
                return Definition(module, meaning)
            elif meaning in (None, (module, name)):  # also a package that imports its own module
                below = f"{module}.{name}"
                return None if self._read(below) is None else Definition(below)
            elif meaning[0].partition(".")[0] != self.package:
                return None
            elif not meaning[1]:
                return Definition(meaning[0])
            else:
                module, name = meaning
        return None

    def _read(self, module: str) -> dict[str, _Meaning] | None:
        """Return the names that a module binds, None where there is no such module."""
        if module not in self._modules:
            path = self._folder.parent.joinpath(*module.split("."))
            file = next((f for f in (path / "__init__.py", path.with_suffix(".py")) if f.is_file()), None)
            try:
                tree = None if file is None else ast.parse(file.read_bytes())
            except (OSError, SyntaxError, ValueError):
                tree = None
            self._modules[module] = None if tree is None else _names_of(tree.body)
        return self._modules[module]


class OldSource(Source):
    """TensorFlow's private copy of an older Keras 2, for where tf_keras is not installed; classes only.

    What tf_keras has dropped since does not count, and nothing of the optimizers does, which are others now.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._classes: dict[str, list[str]] = {}
        for file in folder.glob("python/keras/**/[!_]*.py"):
            if not file.stem.endswith("_v1"):
                module = ".".join((self.package, *file.relative_to(folder).with_suffix("").parts))
                for name in re.findall(r"^class (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE):
                    self._classes.setdefault(name, []).append(module)

    def find(self, public: str) -> Definition | None:
        """Return the one class that has the last part of ``public`` as its name."""
        name = public.rpartition(".")[2]
        modules = self._classes.get(name, [])
        return self._resolve(modules[0], name) if len(modules) == 1 else None

    def has(self, found: Definition, name: str) -> bool:
        """See `Source.has`."""
        return _is_kept(found, name) and super().has(found, name)

    def takes(self, found: Definition, method: str, keyword: str) -> bool:
        """See `Source.takes`."""
        is_kept = _is_kept(found, keyword if method == "__init__" else method)
        return is_kept and super().takes(found, method, keyword)

    def order(self, found: Definition, method: str) -> list[str] | None:
        """See `Source.order`."""
        return super().order(found, method) if _is_kept(found, method) else None


def _is_kept(found: Definition, name: str) -> bool:
    """Return whether tf_keras still has what the old copy has under ``name``."""
    return name == "lr" if ".optimizer" in found.module else not name.startswith("_") and name not in _DROPPED


def _names_of(body: list[ast.stmt]) -> dict[str, _Meaning]:
    """Return what the statements of a module or class bind, those under conditions included."""
    names: dict[str, _Meaning] = {}
    for node in body:
        if isinstance(node, (ast.ClassDef, *_Function.__args__)):
            names[node.name] = node
        elif isinstance(node, ast.Import):
            names.update({a.asname or a.name: (a.name, "") for a in node.names})
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update({a.asname or a.name: (node.module, a.name) for a in node.names})
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update({target.id: node for target in targets if isinstance(target, ast.Name)})
        elif isinstance(node, (ast.If, ast.Try)):
            names.update(_names_of([*node.orelse, *node.body]))
    return names


def _only_raises(node: _Meaning) -> bool:
    """Return whether all that a function does is to raise an error."""
    if not isinstance(node, _Function):
        return False
    body = [each for each in node.body if not isinstance(each, ast.Expr)]
    return len(body) == 1 and isinstance(body[0], ast.Raise)


def _positional(function: _Function) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args]


def _all(function: _Function) -> list[ast.arg]:
    rest = [function.args.kwarg] if function.args.kwarg else []
    return [*_positional(function), *function.args.kwonlyargs, *rest]


def _keywords(function: _Function) -> Iterator[ast.keyword]:
    return (keyword for node in ast.walk(function) if isinstance(node, ast.Call) for keyword in node.keywords)


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_of_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and _is(node.value, "self")


def _passes(call: ast.Call, name: str) -> bool:
    return any(_is(value, name) for value in (*call.args, *(keyword.value for keyword in call.keywords)))


def _picks(function: _Function, rest: str, keyword: str) -> bool:
    """Return whether a function takes ``keyword`` out of ``rest``, its dictionary of further arguments.

    It may also name the argument in a set of those that are allowed.
    """
    refused = {
        id(each)
        for node in ast.walk(function)
        if isinstance(node, ast.If) and any(isinstance(inner, ast.Raise) for inner in node.body)
        for each in ast.walk(node.test)
    }
    for node in ast.walk(function):
        if id(node) in refused:
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is(node.func.value, rest):
            key = node.args[0] if node.args and node.func.attr in ("get", "pop") else None
        elif isinstance(node, ast.Subscript) and _is(node.value, rest):
            key = node.slice
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Set):
            is_list = any(isinstance(t, ast.Name) and t.id.startswith("allowed") for t in node.targets)
            key = next((each for each in node.value.elts if is_list and _says(each, keyword)), None)
        else:
            continue
        if key is not None and _says(key, keyword):
            return True
    return False


def _says(node: ast.expr, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text

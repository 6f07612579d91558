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
#: What optimizers of Keras 2 take with a warning, and do not use.
_IGNORED = "lr"
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
        for cls in self._list_ancestry(found):
            members = _names_of(cls.body)
            if name in members:
                return not _only_raises(members[name])
            start = members.get("__init__")
            for node in ast.walk(start) if isinstance(start, _Function) else ():
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr == name:
                    return True
        return False

    def takes(self, found: Definition, method: str, keyword: str) -> bool:
        """Return whether ``method`` of the class ``found``, or the function itself, takes ``keyword``."""
        for function in self._list_functions(found, method):
            arguments, rest = function.args, function.args.kwarg
            if keyword in {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}:
                return True
            if rest is None or keyword == _IGNORED:
                return False
            # Its dictionary of further arguments is read here, in a method that gets it, or in a base class.
            takers = list(_list_takers(function, rest.arg))
            helpers = [each for taker in takers for each in self._list_functions(found, taker)[:1]]
            if any(_picks(node, keyword) for each in (function, *helpers) for node in each.body):
                return True
            if method not in takers:
                return False
        return False

    def _list_functions(self, found: Definition, method: str) -> list[_Function]:
        """Return the definitions of ``method`` along the ancestry of a class, or the one function."""
        members = [_names_of(cls.body).get(method) for cls in self._list_ancestry(found)]
        return [
            each for each in (found.node, *members) if isinstance(each, _Function) and not _only_raises(each)
        ]

    def _list_ancestry(self, found: Definition) -> list[ast.ClassDef]:
        """Return a class and its bases inside the package."""
        waiting, ancestry = [found], list[ast.ClassDef]()
        while waiting and len(ancestry) < _LONGEST:
            cls = waiting.pop(0)
            if isinstance(cls.node, ast.ClassDef) and cls.node not in ancestry:
                ancestry.append(cls.node)
                bases = (self._resolve_expression(cls.module, base) for base in cls.node.bases)
                waiting = [*(base for base in bases if base is not None), *waiting]
        return ancestry

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

    What tf_keras has dropped since does not count. Its optimizers are others now: only ``lr`` is left.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._classes: dict[str, list[str]] = {}
        for file in folder.glob("python/keras/**/[!_]*.py"):
            module = ".".join((self.package, *file.relative_to(folder).with_suffix("").parts))
            # Of TensorFlow 1 are modules of these names.
            is_older = module.endswith("_v1") or ".legacy_" in module
            text = "" if is_older else file.read_text(encoding="utf-8")
            for name in re.findall(r"^class (\w+)", text, re.MULTILINE):
                self._classes.setdefault(name, []).append(module)

    def find(self, public: str) -> Definition | None:
        """Return the one class that has the last part of ``public`` as its name."""
        name = public.rpartition(".")[2]
        modules = self._classes.get(name, [])
        return self._resolve(modules[0], name) if len(modules) == 1 else None

    def has(self, found: Definition, name: str) -> bool:
        """See `Source.has`."""
        if ".optimizer" in found.module:
            return name == "lr"
        return not name.startswith("_") and name not in _DROPPED and super().has(found, name)

    def takes(self, found: Definition, method: str, keyword: str) -> bool:
        """See `Source.takes`."""
        is_kept = ".optimizer" not in found.module and method not in _DROPPED
        return is_kept and super().takes(found, method, keyword)


def _names_of(body: list[ast.stmt]) -> dict[str, _Meaning]:
    """Return what the statements of a module or class bind, those under conditions included."""
    names: dict[str, _Meaning] = {}
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
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


def _list_takers(function: _Function, rest: str) -> Iterator[str]:
    """Yield the names of the methods that ``function`` hands its dictionary ``rest`` to."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = [*node.args, *(each.value for each in node.keywords if each.arg is None)]
            if any(isinstance(each, ast.Name) and each.id == rest for each in given):
                yield node.func.attr


def _picks(node: ast.AST, keyword: str) -> bool:
    """Return whether code takes ``keyword`` out of a dictionary, and neither drops nor refuses it."""
    match node:
        case ast.Expr():
            return False
        case ast.If(body=body) if any(isinstance(each, ast.Raise) for each in body):
            return any(_picks(each, keyword) for each in node.orelse)
        case ast.Subscript(slice=ast.Constant(value=value)) if value == keyword:
            return True
        case ast.Call(func=ast.Attribute(attr="get" | "pop"), args=[ast.Constant(value=value), *_]):
            if value == keyword:
                return True
    return any(_picks(each, keyword) for each in ast.iter_child_nodes(node))

"""What a package of Keras has, read from its source: attributes of classes, arguments of functions.

Nothing of the package is imported. An answer is yes only where the source shows it; what is computed, or
comes from another package, counts as missing.
"""

from __future__ import annotations

import ast
import re
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
        for cls in self._list_ancestry(found):
            members = _names_of(cls.body)
            if name in members:
                return not _only_raises(members[name])
            start = members.get("__init__")
            if isinstance(start, _Function) and re.search(
                rf"\bself\.{re.escape(name)}(?:: [^=]+)? = ", _unparse(start)
            ):
                return True
        return False

    def takes(self, found: Definition, method: str, keyword: str) -> bool:
        """Return whether ``method`` of the class ``found``, or the function itself, takes ``keyword``."""
        for function in self._list_functions(found, method):
            arguments, rest = function.args, function.args.kwarg
            if keyword in {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}:
                return True
            if rest is None:
                return False
            text = _unparse(function)
            # What it hands its dictionary of further arguments to, and by which name that knows it.
            helpers = re.findall(rf"\bself\.(\w+)\((?:\*\*)?{rest.arg}\)", text)
            inner = [each for helper in helpers for each in self._list_functions(found, helper)[:1]]
            known = {a.arg for each in inner for a in (*each.args.args, each.args.kwarg) if a is not None}
            if _picks("\n".join((text, *map(_unparse, inner))), {rest.arg, *known}, keyword):
                return True
            if not re.search(rf"\*\*{rest.arg}\b", text):
                return False
        return False

    def order(self, found: Definition, method: str) -> list[str] | None:
        """Return the positional arguments of a method or function in order, None where it is not there."""
        functions = self._list_functions(found, method)
        if not functions:
            return None
        names = [each.arg for each in (*functions[0].args.posonlyargs, *functions[0].args.args)]
        return names[1:] if isinstance(found.node, ast.ClassDef) else names

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

    What tf_keras has dropped since does not count, and nothing of the optimizers does, which are others now.
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
        # The source does not show it: optimizers have their hyperparameters as attributes.
        is_rate = ".optimizer" in found.module and name == "lr"
        return is_rate or (_is_kept(found, name) and super().has(found, name))

    def takes(self, found: Definition, method: str, keyword: str) -> bool:
        """See `Source.takes`."""
        is_kept = _is_kept(found, keyword if method == "__init__" else method)
        return is_kept and super().takes(found, method, keyword)

    def order(self, found: Definition, method: str) -> list[str] | None:
        """See `Source.order`."""
        return super().order(found, method) if _is_kept(found, method) else None


def _is_kept(found: Definition, name: str) -> bool:
    """Return whether tf_keras still has what the old copy has under ``name``."""
    return not (".optimizer" in found.module or name.startswith("_") or name in _DROPPED)


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


def _unparse(function: _Function) -> str:
    """Return the statements of a function in one form, but for what it takes to refuse or ignore it.

    That is a condition under which it raises an error, and a value that is not kept or only tested to warn.
    """
    nodes = list(ast.walk(function))
    branches = [node for node in nodes if isinstance(node, ast.If)]
    warning = [each for each in branches if all(isinstance(n, ast.Expr | ast.Raise) for n in each.body)]
    tested = {id(node) for branch in warning for node in ast.walk(branch.test)}
    loads = [n for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    used = {node.id for node in loads if id(node) not in tested}
    texts = []
    for node in nodes:
        if isinstance(node, ast.If):
            is_refusal = any(isinstance(each, ast.Raise) for each in node.body)
            texts += [] if is_refusal or node in warning else [ast.unparse(node.test)]
        elif isinstance(node, ast.stmt) and not hasattr(node, "body"):
            popped = re.fullmatch(r"(?:(\w+) = )?\w+\.pop\([^()]*\)", ast.unparse(node))
            is_kept = popped is None or popped[1] in used
            texts += [ast.unparse(node)] if is_kept else []
    return "\n".join(texts)


def _picks(text: str, names: set[str], keyword: str) -> bool:
    """Return whether a function takes ``keyword`` out of a dictionary that has one of ``names`` in ``text``.

    It may also name the argument in a set of those that are allowed.
    """
    taken = rf"\b(?:{'|'.join(names)})(?:\.(?:get|pop)\(|\[)'{keyword}'"
    return re.search(rf"{taken}|\ballowed\w* = {{[^}}]*'{keyword}'", text) is not None

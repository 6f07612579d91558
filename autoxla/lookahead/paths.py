"""The few expressions with which programs find folders beside themselves, evaluated without running them."""

# ruff: noqa: PTH117, PTH118, PTH120 - what is evaluated are expressions over strings

from __future__ import annotations

import ast
import os

_SAME = frozenset(
    {"Path", "PurePath", "abspath", "absolute", "as_posix", "normpath", "realpath", "resolve", "str"}
)


def evaluate_path(node: ast.expr, file: str | None) -> str | None:
    """Return the path that an expression over ``__file__`` is, None where it is any other expression.

    A constant string counts only below one that begins with ``__file__``.
    """
    path = _evaluate(node, file)
    return None if path is None or not os.path.isabs(path) else os.path.normpath(path)


def _evaluate(node: ast.expr, file: str | None) -> str | None:
    if isinstance(node, ast.Name):
        return file if node.id == "__file__" else None
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Attribute):
        return _parent(_evaluate(node.value, file)) if node.attr == "parent" else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return _join([_evaluate(node.left, file), _evaluate(node.right, file)])
    if isinstance(node, ast.Subscript):
        return _ancestor(node, file)
    return _call(node, file) if isinstance(node, ast.Call) else None


def _call(node: ast.Call, file: str | None) -> str | None:
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    arguments = [_evaluate(argument, file) for argument in node.args]
    if name == "joinpath" and isinstance(function, ast.Attribute):
        return _join([_evaluate(function.value, file), *arguments])
    if name == "join":
        return _join(arguments)
    if name == "dirname" and len(arguments) == 1:
        return _parent(arguments[0])
    if name not in _SAME or len(arguments) > 1:
        return None
    if arguments:
        return arguments[0]
    return _evaluate(function.value, file) if isinstance(function, ast.Attribute) else None


def _ancestor(node: ast.Subscript, file: str | None) -> str | None:
    """Return the path of ``Path(__file__).parents[n]``."""
    owner, index = node.value, node.slice
    if not isinstance(owner, ast.Attribute) or owner.attr != "parents" or not isinstance(index, ast.Constant):
        return None
    path = _evaluate(owner.value, file)
    for _ in range(index.value + 1 if isinstance(index.value, int) and 0 <= index.value < 32 else 0):
        path = _parent(path)
    return path


def _parent(path: str | None) -> str | None:
    return None if path is None else os.path.dirname(os.path.normpath(path))


def _join(parts: list[str | None]) -> str | None:
    known = [part for part in parts if part is not None]
    return os.path.join(*known) if known and len(known) == len(parts) else None

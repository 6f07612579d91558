"""The scripts that installers write for the entry points of distributions."""

from __future__ import annotations

import ast
from pathlib import Path

from autoxla.lookahead.files import look

# Bytes: scripts that installers write have some hundred.
_LONGEST_SCRIPT = 4096


def read_entry(file: str) -> str | None:
    """Return the module whose function a script calls that an installer wrote; None for all others."""
    found = look(file)
    # A pipe is not even opened: what is read from it would be missing for its true reader.
    if found is None or found[0] != "f" or found[1] > _LONGEST_SCRIPT:
        return None
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError):
        return None
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    plain = all(isinstance(node, (ast.Import, ast.ImportFrom, ast.If)) for node in tree.body)
    if not plain or len(imports) != 1 or imports[0].level or len(imports[0].names) != 1:
        return None
    name = imports[0].names[0].asname or imports[0].names[0].name
    return imports[0].module if any(_calls(node, name) for node in ast.walk(tree)) else None


def _calls(node: ast.AST, name: str) -> bool:
    """Tell whether this is ``sys.exit(name(…))``, also of an attribute."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "exit":
        return False
    inner: ast.AST = node.args[0] if len(node.args) == 1 else node
    while isinstance(inner, (ast.Call, ast.Attribute)):
        inner = inner.func if isinstance(inner, ast.Call) else inner.value
    return isinstance(inner, ast.Name) and inner.id == name

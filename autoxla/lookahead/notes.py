"""What is noted of a program while it is followed: evidence with its grade, and what could not be read."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Literal

from autoxla.lookahead.files import is_tracked
from autoxla.lookahead.values import (
    CAUGHT,
    POSSIBLE,
    Arguments,
    Bindings,
    Frame,
    Items,
    Outside,
    Table,
    get_constant,
    get_text,
    make_constant,
)
from autoxla.model import Evidence, EvidenceKind, Place

if TYPE_CHECKING:
    from autoxla.lookahead.library import ProgramReader

#: Packages that may import a backend when they are imported, beside the tracked ones.
_BRINGERS = frozenset({"autokeras", "deepface", "ktrain", "larq", "scikeras", "sonnet", "spektral", "trax"})
#: Importing a name that begins so makes ``tf.keras`` tf_keras, unless it has been used before.
_SWITCHING = "transformers.TF"
_JIT_KEYWORDS = ("jit_compile", "experimental_compile")
#: The position of the path in the calls that read and write files.
FILES = {"load_model": 0, "load_weights": 0, "save": 0, "save_model": 1, "save_weights": 0}


def brings_backend(module: str) -> bool:
    """Tell whether importing a module outside the program may import a backend."""
    return is_tracked(module) or module.partition(".")[0] in _BRINGERS


class Notes:
    """Evidence and gaps of one program, as certain as the code of `frame`.

    `deep`: objects of Keras are followed.
    """

    def __init__(self, library: ProgramReader, *, deep: bool) -> None:
        self.library, self.deep = library, deep
        self.frame: Frame
        self.evidence: dict[tuple[object, ...], Evidence] = {}
        #: The program has ended; what is followed now runs whenever it may; a backend may be loaded.
        self.has_ended = self.is_deferred = self.backend_seen = False
        #: What the program has put in place itself: dotted names, each with a dot at its end.
        self.patched: tuple[str, ...] = ()
        #: ``tf.keras`` has been made tf_keras by a package; it has been used before.
        self.is_switched = self._is_resolved = False

    def get_flow(self) -> int:
        """Return how the statement that is followed stands to the program: `POSSIBLE` and the like."""
        return self.frame.base | self.frame.flow | (POSSIBLE if self.has_ended else 0)

    def is_certain(self) -> bool:
        """Tell whether the statement that is followed runs for sure."""
        return not ((self.frame.base | self.frame.flow) & POSSIBLE or self.has_ended)

    def spot(self, node: ast.AST) -> tuple[str, int, int]:
        """Return the place of a node: file, line, column."""
        return (self.frame.module.label, node.lineno, node.col_offset + 1)  # type: ignore[attr-defined]

    def note(self, node: ast.AST, reason: str) -> None:
        """Note what cannot be followed."""
        self.library.note(Place(*self.spot(node)), reason)

    def add(
        self,
        node: ast.AST,
        kind: EvidenceKind,
        name: str,
        value: str | bool | None = None,
        *,
        certain: bool = True,
        early: bool = False,
        origin: Place | None = None,
        default: bool = False,
    ) -> None:
        """Add evidence, or raise the grade of what is known from the same place."""
        flow = self.get_flow()
        is_own = bool(self.patched) and f"{name}.".startswith(self.patched)
        certain = certain and not flow & POSSIBLE and not is_own
        caught = bool(flow & CAUGHT)
        spot = self.spot(node)
        key: tuple[object, ...] = (kind, name, value, type(value), spot[0])
        if kind not in ("attribute", "call"):
            key = (*key, spot, origin)
        if self.deep and certain and kind in ("attribute", "import"):
            # The first use of ``tf.keras`` decides which Keras it is, before which packages switch it.
            if name.startswith("tensorflow.keras") and (kind == "import" or not self.is_switched):
                self._is_resolved, self.is_switched = True, False
            elif name.startswith(_SWITCHING) and not self._is_resolved:
                self.is_switched = True
        known = self.evidence.get(key)
        if known is not None:
            is_graded = known.grade == "certain" or not certain
            if is_graded and known.early <= early and known.caught <= caught:
                return
            early, caught = early and known.early, caught and known.caught
            certain = certain or known.grade == "certain"
        grade: Literal["certain", "possible"] = "certain" if certain else "possible"
        place = Place(*spot)
        self.evidence[key] = Evidence(kind, name, value, grade, place, early, caught, origin, default)

    # What programs set: environment variables, folders of modules

    def add_variable(
        self, node: ast.AST, key: Bindings, value: Bindings, *, certain: bool = True, default: bool = False
    ) -> None:
        """Note that an environment variable is set, to something computed where `value` is no constant."""
        name, text = get_text(key), get_text(value)
        if name is not None:
            early = not self.backend_seen and not self.is_deferred
            certain = certain and text is not None
            self.add(node, "variable", name, text, certain=certain, early=early, default=default)

    def update_environ(self, node: ast.AST, value: Bindings, *, certain: bool = True) -> None:
        """Note that all of a dictionary becomes environment variables."""
        for target, sure in value:
            for key, item in target.items if isinstance(target, Table) else ():
                self.add_variable(node, key, item, certain=certain and sure)

    def add_folder(self, node: ast.AST, value: Bindings) -> None:
        """Search the folder, or list of folders, that is added to ``sys.path``."""
        only = value[0].target if len(value) == 1 else None
        for part in only.values if isinstance(only, Items) else [value]:
            folder = get_text(part)
            if folder is not None:
                self.library.finder.add_folder(folder)
            else:
                self.note(node, "sys.path is changed to something computed")

    def note_change(self, node: ast.AST, name: str, arguments: Arguments) -> None:
        """Note a call of what changes ``os.environ`` or ``sys.path``."""
        verb, given = name.rpartition(".")[2], arguments.positional
        if name.startswith("sys.path.") or name == "site.addsitedir":
            self.add_folder(node, given[-1] if given else ())
        elif verb in ("setdefault", "putenv") and len(given) > 1:
            self.add_variable(node, given[0], given[1], default=verb == "setdefault")
        elif verb in ("pop", "unsetenv") and given:
            self.add_variable(node, given[0], ())
        elif verb == "update":
            self.update_environ(node, given[0] if given else ())
            for key, value in arguments.keywords:
                self.add_variable(node, make_constant(key), value)

    # What calls say by their arguments

    def note_jit(self, node: ast.Call, name: str, found: Bindings, arguments: Arguments) -> None:
        """Note ``jit_compile=`` where `name` is ``compile``, or `found` is ``tf.function``."""
        given = [keyword for keyword in node.keywords if keyword.arg in _JIT_KEYWORDS]
        is_method = isinstance(node.func, ast.Attribute)
        if name == "compile" and given:
            self.add_jit(given[0].value, "compile", arguments.get(-1, "jit_compile"))
        elif name == "compile" and is_method and any(keyword.arg is None for keyword in node.keywords):
            self.add_jit(node, "compile", ())
        elif given and any(isinstance(t, Outside) and is_tf_function(t.name) for t, _ in found):
            self.add_jit(node, "function", arguments.get(-1, *_JIT_KEYWORDS))

    def add_jit(self, node: ast.AST, way: str, given: Bindings) -> None:
        """Note one value of ``jit_compile``."""
        constant = get_constant(given)
        value: str | bool | None = None
        if constant is not None:
            # None is what Keras 2 takes for "not given" and Keras 3 for off.
            known = "None" if constant.value is None else constant.value
            value = known if isinstance(known, str) else bool(known)
        self.add(node, "jit_compile", way, value, certain=constant is not None)

    def note_file(self, node: ast.AST, name: str, found: Bindings, arguments: Arguments) -> None:
        """Note a path that a model is read from or written to, unless other packages do it."""
        path = get_text(arguments.get(FILES[name], "filepath", "path"))
        outside = [b.target.name for b in found if isinstance(b.target, Outside)]
        if path is None or (outside and not any(map(is_tracked, outside))):
            return
        self.add(node, "loads" if name.startswith("load") else "saves", name, path)


def is_tf_function(name: str) -> bool:
    """Tell whether a dotted name is that of ``tf.function``."""
    return name.startswith("tensorflow.") and name.endswith(".function")

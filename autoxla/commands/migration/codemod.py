"""What to change in a module, and what not to, by libcst's scopes and matchers.

Names stay: what a module binds keeps its name and gets it from the other package, so that nothing
which uses or imports it needs a change. Only three things need more: ``tf.keras.X``, where TensorFlow
keeps its name and an import of Keras is added behind it; ``import tensorflow.keras``; and
``import tf_keras``, whose name would tell a lie under Keras 3.

libcst's AddImportsVisitor is not used: it adds imports at the top of the module, and here they have to
follow TensorFlow's, in its block, behind the environment variables that are set before it. What is edited
is the text, so that all else keeps its characters.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import libcst.matchers as m

from autoxla.commands.migration import names
from autoxla.commands.migration.names import OTHER, PACKAGE, ROOTS, SPOKEN, Generation, Keras, classify
from autoxla.commands.migration.source import Alias, Chain, Source, Span, dotted, module_of, text_of

_IMPORTERS = {"__import__", "find_spec", "import_module", "importorskip", "modules", "patch", "reload"}
_EVALUATORS = {"compile", "eval", "exec"}
#: A chain of names without brackets and comments.
_PLAIN = re.compile(r"[\w\s.\\]+")
_WATCHED = ("keras", "tensorflow", "tf_keras")
_VARIABLE = m.SaveMatchedNode(
    m.SimpleString(value=m.MatchRegex(r"""['"](KERAS_BACKEND|TF_USE_LEGACY_KERAS)['"]""")), "variable"
)
_VALUE = m.SaveMatchedNode(m.DoNotCare(), "value")
_SETTER = m.Name("setdefault") | m.Name("putenv") | m.Name("setenv")
#: What sets an environment variable: ``environ[…] = …``, ``environ.setdefault(…)``, ``{…: …}``.
_SETS_VARIABLE = (
    m.Assign([m.AssignTarget(m.Subscript(slice=[m.SubscriptElement(m.Index(_VARIABLE))]))], _VALUE)
    | m.Call(_SETTER | m.Attribute(attr=_SETTER), [m.Arg(_VARIABLE), m.Arg(_VALUE), m.ZeroOrMore()])
    | m.DictElement(_VARIABLE, _VALUE)
)


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """What cannot be done safely. ``line`` and ``column`` count from 1."""

    line: int
    column: int
    code: str
    message: str


def migrate_text(text: str, target: Generation) -> tuple[str, tuple[Refusal, ...]]:
    """Return the module ``text`` brought to ``target``, and what is refused: then it stays as it is.

    Raises SyntaxError where it is no Python.
    """
    new, refusals = _Module(text, target).move()
    if new != text and _Module(new, target).move() != (new, ()):
        message = "the edited text would need another edit; please report this with the file"
        return text, (Refusal(1, 1, "AX129", message),)
    return new, refusals


class _Module(Source):
    """One module that is moved to one generation, or left with what is refused."""

    def __init__(self, text: str, target: Generation) -> None:
        self.target = target
        self.package = PACKAGE[target]
        super().__init__(text)
        self.refusals: set[Refusal] = set()
        #: What is to stand in the place of a part of the text.
        self.edits: dict[Span, str] = {}
        #: Lines to put behind a statement, each once.
        self.added: dict[Any, dict[str, None]] = {}
        # The imports in ``except ImportError`` behind one that has the right generation already.
        keras = [alias for alias in self.aliases if classify(alias.path)]
        arms = [(alias, *each) for alias in keras for each in self.branches(alias.statement).items()]
        good = {branch for alias, branch, arm in arms if _kind(alias) == self.package and arm == "body"}
        self.kept = {alias for alias, branch, arm in arms if arm == "handler" and branch in good}
        bound = [*self.aliases, *dict.fromkeys(self.assigned.values())]
        self.packages = [alias for alias in bound if self._is_package(alias)]

    def move(self) -> tuple[str, tuple[Refusal, ...]]:
        """Return the text with all edits made if nothing is refused."""
        for statement in {alias.statement: None for alias in self._live()}:
            self._edit_import(statement)
        self._edit_uses()
        self._refuse_mixtures()
        for star in self.stars:
            found = classify(module_of(star))
            if found and found.kind != self.package:
                message = f"`from {module_of(star)} import *` binds names that cannot be told"
                self._refuse(star, "AX122", message)
        for node, value in self.strings:
            if "keras" in value and self._names_module(node, value):
                message = f"the string {value!r} names a module of the other generation"
                self._refuse(node, "AX126", message)
        for setter in m.extractall(self.tree, _SETS_VARIABLE) if self.edits or self.added else ():
            name, text = text_of(setter["variable"]), text_of(setter["value"])
            legacy = name == "TF_USE_LEGACY_KERAS"
            right = text in ("", "0", "false", "False") if legacy else text in ("", "tensorflow")
            if not right and self.target == ("keras3" if legacy else "legacy"):
                message = f"the program sets {name}, which {SPOKEN[self.target]} does not go with"
                self._refuse(setter["variable"], "AX127", message)
        if self.edits or self.added or self.refusals:
            other = OTHER[self.target]
            bound = [(alias.item, names.find_bound(alias.path, other)) for alias in self.aliases]
            for chain in self.chains:
                for origin in self.origins(chain.scope, chain.root):
                    library = names.find_bound(".".join((origin or "", *chain.attributes)), other)
                    if library and "." in library and chain.attributes:
                        bound.append((chain.nodes[0], library))
            for node, library in bound:
                if library:
                    message = f"{library} works with {SPOKEN[other]}, whose objects do not mix"
                    self._refuse(node, "AX128", message)
        if self.refusals:
            return self.text, tuple(sorted(self.refusals))
        edits = list(self.edits.items())
        for statement, lines in self.added.items():
            at, more = self.put_behind(statement, lines)
            edits.append(((at, at), more))
        parts, done = [], 0
        for (first, last), new in sorted(edits):
            parts += [self.text[done:first], new]
            done = last
        return "".join([*parts, self.text[done:]]), ()

    # What there is

    def _live(self) -> list[Alias]:
        """Return the imports of Keras and TensorFlow that may be changed."""
        found = [alias for alias in self.aliases if alias.path.split(".")[0] in _WATCHED]
        return [alias for alias in found if alias not in self.kept and not self._is_left(alias)]

    def _is_left(self, alias: Alias) -> bool:
        return self.is_left_alone(alias.item or alias.statement)

    def _refuse(self, node: Any, code: str, message: str) -> None:
        if not self.is_left_alone(node):
            self.refusals.add(Refusal(*self.start(node), code, message))

    def _is_package(self, alias: Alias) -> bool:
        """Tell whether the package itself is bound, by an import or by ``NAME = chain``."""
        origins: Iterable[str | None] = [alias.origin]
        if not alias.item:
            root, dot, rest = alias.origin.partition(".")
            roots = self.origins(self.scope_of(alias.statement), root)
            origins = [f"{each}{dot}{rest}" for each in roots if each]
        found = [classify(origin) for origin in origins if origin]
        return bool(found) and all(each and not each.path and each.kind in _WATCHED for each in found)

    def _is_renamed(self, alias: Alias) -> bool:
        """Tell ``import tf_keras`` on the way to Keras 3."""
        plain = alias.item is not None and alias.module is None
        return plain and self.target == "keras3" and alias.origin == alias.name == "tf_keras"

    def _has(self, found: Keras, node: Any) -> bool:
        """Tell whether the other generation has a part of Keras; refuse what it lacks."""
        problem = self._find_problem(found)
        if problem:
            self._refuse(node, *problem)
        return problem is None

    def _find_problem(self, found: Keras) -> tuple[str, str] | None:
        if found.kind == "private":
            return "AX125", f"tensorflow.{found.path} is private and of neither generation"
        if found.kind == "v1":
            return "AX124", "tf.compat.v1.keras has no counterpart outside TensorFlow"
        part = names.missing_in(self.target, found.path)
        if part is None:
            return None
        if names.exists_in(OTHER[self.target], part):
            return "AX124", f"keras.{part} exists in {SPOKEN[OTHER[self.target]]} only"
        return "AX125", f"keras.{part} is no public name of either generation"

    # Imports

    def _edit_import(self, statement: Any) -> None:
        aliases = [alias for alias in self.aliases if alias.statement is statement]
        module, moved = aliases[0].module, []
        for alias in aliases:
            # Each name that is missing is told.
            found = classify(alias.path)
            if found is not None and found.kind != self.package and self._has(found, alias.item):
                moved.append(alias)
        spans = {alias: self.span(alias.item) for alias in aliases}
        if module is None and moved:
            items = {alias: self._moved_item(alias) for alias in moved}
            texts = [items.get(alias) or self.code(alias.item) for alias in aliases]
            if len(set(texts)) < len(texts):
                self.edits[spans[aliases[0]][0], spans[aliases[-1]][1]] = ", ".join(dict.fromkeys(texts))
            else:
                self.edits |= {spans[alias]: item for alias, item in items.items()}
        elif module in ROOTS and moved and not self._has_comment(statement):
            lines = [self._package_import(alias.name) for alias in moved if alias.path.endswith(".keras")]
            parts = [self.code(alias.item) for alias in moved if not alias.path.endswith(".keras")]
            lines += [f"from {self.package} import {', '.join(parts)}"] if parts else []
            kept = [alias for alias in aliases if alias not in moved]
            # What is taken out goes with the comma behind it, at the end with the one before it.
            last = aliases.index(kept[-1]) if kept else -1
            self.edits |= {
                (spans[alias][0], spans[following][0]): ""
                for alias, following in pairwise(aliases[: last + 1])
                if alias in moved
            }
            if not kept:
                self.edits[self.span(statement)] = lines.pop(0)
            elif kept[-1] is not aliases[-1]:
                self.edits[spans[kept[-1]][1], spans[aliases[-1]][1]] = ""
            self.added.setdefault(statement, {}).update(dict.fromkeys(lines))
        elif module is not None and (found := classify(module)) and len(moved) == len(aliases):
            self.edits[self.span(statement.module)] = ".".join(filter(None, (self.package, found.path)))

    def _moved_item(self, alias: Alias) -> str:
        """Return the text of an item of ``import …`` with the package in the place of the other one."""
        found = classify(alias.path)
        path = ".".join(filter(None, (self.package, found.path if found else "")))
        if alias.origin == "tensorflow":
            return "tensorflow"
        if alias.item.asname:
            behind = self.code(alias.item)[len(self.code(alias.item.name)) :]
            return path if path == alias.name else path + behind
        if alias.origin == "keras" or path.split(".")[0] != self.package:
            return f"{self.package} as {alias.name}"
        return path

    def _package_import(self, name: str) -> str:
        return f"import {self.package}" + ("" if name == self.package else f" as {name}")

    def _has_comment(self, statement: Any) -> bool:
        found = "#" in self.code(statement)
        if found:
            self._refuse(statement, "AX129", "a comment stands inside a statement that has to be split")
        return found

    # Uses

    def _edit_uses(self) -> None:
        """Edit all chains, those with one root in one scope together."""
        groups: dict[tuple[Any, str], list[tuple[Chain, Any]]] = {}
        for alias in self.packages:
            if self._is_renamed(alias) and not self._is_left(alias) and alias not in self.kept:
                groups.setdefault((self.scope_of(alias.statement), alias.name), [])
        told: set[tuple[Any, str]] = set()
        for chain in self.chains:
            if self.is_left_alone(chain.nodes[0]):
                continue
            origins = self.origins(chain.scope, chain.root)
            dotted_names = [(each, ".".join((each, *chain.attributes))) for each in origins if each]
            found = [(each, keras) for each, name in dotted_names if (keras := classify(name))]
            if not found:
                self._refuse_unknown(chain, origins)
                continue
            key = self.bindings(chain.scope, chain.root)[0].scope, chain.root
            if None in origins:
                roots = [(each, classify(each)) for each in origins if each]
                # The root stands for TensorFlow or a Keras package that is to be changed.
                if key not in told and any(
                    each in ROOTS or (keras and not keras.path and keras.kind != self.package)
                    for each, keras in roots
                ):
                    self._refuse(chain.nodes[0], "AX122", f"`{chain.root}` is bound to something else, too")
                told.add(key)
            elif self._is_sound(chain, found):
                node, made = self._renamed_node(chain, *found[0]), self.assigned.get(chain.nodes[0])
                if node and (node is not chain.nodes[-1] or made not in self.packages):
                    groups.setdefault(key, []).append((chain, node))
                # ``X = tf.keras`` becomes an import.
                elif node and made and not self._has_comment(made.statement):
                    self.edits[self.span(made.statement)] = self._package_import(made.name)
        for (scope, root), uses in groups.items():
            name: str | None = "keras"
            if root == "tf_keras" and self.target == "keras3":
                self._refuse_rename(scope, uses)
            else:
                uses.sort(key=lambda use: self.start(use[0].nodes[0]))
                name = self._reusable(uses) or self._add_package(scope, root, uses)
            for _, node in uses:
                if name:
                    self.edits[self.span(node)] = name

    def _refuse_unknown(self, chain: Chain, origins: frozenset[str | None]) -> None:
        """Refuse what looks like ``tf.keras`` though nothing tells that it is."""
        words = (chain.root, *chain.attributes)
        looks = [
            first for first, second in pairwise(words) if first in ("tf", "tensorflow") and second == "keras"
        ]
        known = origins and all(origin and not origin.startswith(".") for origin in origins)
        if looks and not (known and words[0] == looks[0]):
            self._refuse(chain.nodes[0], "AX122", f"it cannot be told where `{looks[0]}` comes from")

    def _is_sound(self, chain: Chain, found: list[tuple[str, Keras]]) -> bool:
        """Tell whether a chain may be edited; False, too, where it is right already."""
        if chain.stored and not chain.attributes:
            return True
        origin, keras = found[0]
        own = classify(origin)
        if any(each.kind == self.package for _, each in found) or (own and self._find_problem(own)):
            return False  # right already, or told where it was bound
        if chain.stored and not keras.path and origin in ROOTS:
            self._refuse(chain.nodes[0], "AX122", f"`{chain.root}.keras` is assigned to")
            return False
        return self._has(keras, chain.nodes[0])

    def _renamed_node(self, chain: Chain, origin: str, keras: Keras) -> Any:
        """Return the part of the chain that is to be replaced by another name of the package, if any."""
        if origin not in ROOTS:
            aliases = self._aliases_at(chain.scope, chain.root)
            return chain.nodes[0] if any(self._is_renamed(alias) for alias in aliases) else None
        last = keras.length - len(origin.split("."))
        node = chain.nodes[last] if last < len(chain.nodes) else None
        if node and _PLAIN.fullmatch(self.code(node)):
            return node
        self._refuse(chain.nodes[0], "AX129", "brackets, a comment or getattr stand inside the name")
        return None

    # Names

    def _refuse_rename(self, scope: Any, uses: list[tuple[Chain, Any]]) -> None:
        item = next(alias.item for alias in self.packages if self._is_renamed(alias))
        problem = self._find_clash("keras", scope, uses, item)
        if "tf_keras" in self.declared:
            problem = "`tf_keras` is declared global"
        if problem:
            self._refuse(item, "AX121", f"`tf_keras` cannot become `keras`: {problem}")
        for node, value in self.strings:
            if value == "tf_keras" and "__all__" in self.receivers(node):
                self._refuse(node, "AX126", "a string names `tf_keras`, which is renamed")

    def _reusable(self, uses: list[tuple[Chain, Any]]) -> str | None:
        """Return a name that the package has already wherever it is used."""
        for alias in self.packages:
            name = alias.name
            if name not in self.declared and all(
                all(map(self._binds_package, self.bindings(chain.scope, name)))
                and any(self._is_before(each, chain) for each in self._aliases_at(chain.scope, name))
                for chain, _ in uses
            ):
                return self.package if self._is_renamed(alias) else name
        return None

    def _aliases_at(self, scope: Any, name: str) -> list[Alias]:
        bindings = self.bindings(scope, name)
        return [alias for binding in bindings for alias in self.aliases_of(binding)]

    def _is_before(self, alias: Alias, chain: Chain) -> bool:
        start = self.start
        return not self.branches(alias.statement) and start(alias.statement) < start(chain.nodes[0])

    def _binds_package(self, binding: Any) -> bool:
        return any(alias in self.packages for alias in self.aliases_of(binding))

    def _add_package(self, scope: Any, root: str, uses: list[tuple[Chain, Any]]) -> str | None:
        """Import the package behind the statements that bind ``root``; return its name, None if refused."""
        first = uses[0][0]
        aliases = [alias for alias in self._aliases_at(first.scope, root) if alias.item]
        aliases = sorted(aliases, key=lambda a: self.start(a.statement))
        # One is enough if it stands before all uses.
        aliases = [alias for alias in aliases if self._is_before(alias, first)][:1] or aliases
        if root in self.declared or not aliases:
            self._refuse(first.nodes[0], "AX122", f"`{root}` is not bound by an import in its own scope")
            return None
        problem: str | None = None
        for name in dict.fromkeys(("keras", self.package)):
            problem = self._find_clash(name, scope, uses, aliases[0].statement)
            if problem is None:
                for alias in aliases:
                    self.added.setdefault(alias.statement, {})[self._package_import(name)] = None
                return name
        self._refuse(first.nodes[0], "AX121", f"no name is free for {self.package}: {problem}")
        return None

    def _find_clash(self, name: str, scope: Any, uses: list[tuple[Chain, Any]], node: Any) -> str | None:
        """Return why ``name`` cannot be bound in ``scope`` at ``node`` and used in all ``uses``, if so."""
        if name in self.declared:
            return f"`{name}` is declared global"
        if name in scope.assignments and not all(map(self._binds_package, scope.assignments[name])):
            return f"`{name}` is something else here"
        inner = [each for chain, _ in uses for each in _outward(chain.scope, scope)]
        if any(name in each.assignments for each in inner if each is not scope):
            return f"`{name}` is something else where it is used"
        for chain in self.chains:
            if chain.root == name and scope in _outward(chain.scope):
                bindings = self.bindings(chain.scope, name)
                if not bindings or not all(scope in _outward(binding.scope) for binding in bindings):
                    return f"`{name}` comes from elsewhere"
        for star in self.stars:
            # The standard library has no name of ours.
            is_standard = not star.relative and dotted(star.module).split(".")[0] in sys.stdlib_module_names
            if not is_standard and self.start(star) > self.start(node):
                return f"a star import behind it may bind `{name}`"
        return None

    # What cannot be done

    def _refuse_mixtures(self) -> None:
        """Refuse a choice between generations, and the use of both."""
        place = self.start
        named = [(alias.item, alias.statement, _kind(alias)) for alias in self._live() if _kind(alias)]
        named += [
            (alias.statement, alias.statement, "tensorflow")
            for alias in self.packages
            if not alias.item and "." in alias.path and not self._is_left(alias)
        ]
        named.sort(key=lambda each: place(each[0]))
        for at, (node, statement, kind) in enumerate(named):
            arms = self.branches(statement)
            for other, other_statement, other_kind in named[:at]:
                others = self.branches(other_statement)
                if kind != other_kind and any(others.get(each, arm) != arm for each, arm in arms.items()):
                    line = place(other)[0]
                    message = f"the program chooses Keras when it runs, here and in line {line}"
                    self._refuse(node, "AX123", message)
                    return
        first = {kind: node for node, _, kind in reversed(named)}
        if "keras" in first and "tf_keras" in first:
            line = place(first[self.package])[0]
            message = f"both generations are used on purpose or by mistake, here and in line {line}"
            self._refuse(first[PACKAGE[OTHER[self.target]]], "AX123", message)

    def _names_module(self, node: Any, value: str) -> bool:
        """Tell whether a string names a module that would have to change."""
        wrong, receivers = PACKAGE[OTHER[self.target]], self.receivers(node)
        if receivers & _EVALUATORS:
            return bool(re.search(rf"\b(import|from)\s+({wrong}|tensorflow\.keras)\b", value))
        if receivers & _IMPORTERS and re.match(rf"({wrong}|(tensorflow|tf)\.keras)(\.|\Z)", value):
            return True
        found = re.fullmatch(rf"({wrong}|[\w.]*\b(?:tensorflow|tf)\.keras)\.(\w+)[\w.]*", value)
        return bool(found and found[2] in names.MODULES) and not self.is_annotation(node)


def _kind(alias: Alias) -> str | None:
    found = classify(alias.path)
    return found.kind if found else None


def _outward(scope: Any, last: Any = None) -> Iterator[Any]:
    """Yield ``scope`` and those around it, up to ``last``."""
    while scope is not None:
        yield scope
        parent = getattr(scope, "parent", None)
        scope = None if parent is scope or scope is last else parent

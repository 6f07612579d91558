"""What to change in a module, and what not to: edits and refusals for one target generation.

Names stay: what a module binds keeps its name and gets it from the other package, so that nothing
which uses or imports it needs a change. Only three things need more: ``tf.keras.X``, where TensorFlow
keeps its name and an import of Keras is added behind it; ``import tensorflow.keras``; and
``import tf_keras``, whose name would tell a lie under Keras 3.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from autoxla.commands.migration.kinds import BOUND_TO, PACKAGE, ROOTS, SPOKEN, Keras, classify
from autoxla.commands.migration.names import OTHER, PUBLIC, Generation, exists_in, missing_in
from autoxla.commands.migration.reading import NOTHING, Alias, Chain, Reading, SourceError, Statement, Text
from autoxla.commands.migration.text import Edit, OverlapError, Refusal, apply_edits

_IMPORTERS = ("__import__", "find_spec", "import_module", "importorskip", "patch", "reload")
_EVALUATORS = ("compile", "eval", "exec")
_EDITABLE = re.compile(r"[\w\s.\\]+")
_WATCHED = ("keras", "tensorflow", "tf_keras")
_TRUE = ("1", "true", "True")


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a module. With a refusal, none of the edits is to be made."""

    edits: tuple[Edit, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def decide(text: str, target: Generation) -> Decision:
    """Return what to do with the module ``text`` to bring it to ``target``. Raises `SourceError`."""
    decision = _Module(text, target).decide()
    if decision.refusals or not decision.edits:
        return decision
    try:
        settled = _is_settled(apply_edits(text, decision.edits), target)
    except OverlapError:
        settled = False
    return decision if settled else _unsettled(text, decision)


def _is_settled(text: str, target: Generation) -> bool:
    """Tell whether nothing is left to do: an edit that does not come out so is a mistake of ours."""
    try:
        again = _Module(text, target).decide()
    except SourceError:
        return False
    return not again.edits and not again.refusals


def _unsettled(text: str, decision: Decision) -> Decision:
    line = text.count("\n", 0, decision.edits[0].start) + 1
    message = "the edited text would need another edit; please report this with the file"
    return Decision((), (Refusal(line, 1, "AX129", message),))


@dataclass(frozen=True, slots=True, eq=False)
class _Use:
    """A chain whose first words have to be replaced by another name of the package."""

    chain: Chain
    start: int
    end: int


class _Module:
    """One module on its way to one generation."""

    def __init__(self, text: str, target: Generation) -> None:
        self.text = text
        self.target = target
        self.package = PACKAGE[target]
        self.sources = {"keras", "tf_keras", "tensorflow"} - {self.package}
        self.reading = Reading(text)
        self.lines = self.reading.lines
        self.edits: list[Edit] = []
        self.refusals: list[Refusal] = []
        self.inserted: set[tuple[int, str]] = set()
        self.kept = self._fallbacks()
        self.packages = list(self._packages())

    def decide(self) -> Decision:
        for statement in {id(alias.statement): alias.statement for alias in self._live()}.values():
            self._edit_import(statement)
        self._edit_uses()
        self._refuse_stars()
        self._refuse_mixtures()
        for text in self.reading.texts:
            self._refuse_text(text)
        if self.edits or self.refusals:
            self._refuse_libraries()
        edits = sorted(dict.fromkeys(self.edits), key=lambda edit: (edit.start, edit.end))
        return Decision(tuple(edits), tuple(sorted(set(self.refusals), key=_place)))

    # What there is

    def _live(self) -> list[Alias]:
        """Return the imports of Keras and TensorFlow that may be changed."""
        found = [alias for alias in self.reading.aliases if alias.path.split(".")[0] in _WATCHED]
        return [alias for alias in found if id(alias) not in self.kept and not self._left(alias.start)]

    def _left(self, offset: int) -> bool:
        return self.lines.is_left_alone(offset)

    def _refuse(self, offset: int, code: str, message: str) -> None:
        if not self._left(offset):
            self.refusals.append(Refusal(*self.lines.place(offset), code, message))

    def _kind(self, alias: Alias) -> str | None:
        found = classify(alias.path)
        return found.kind if found else None

    def _fallbacks(self) -> frozenset[int]:
        """Return the imports in ``except ImportError`` behind one that has the right generation already."""
        good = {
            branch
            for alias in self.reading.aliases
            for branch in alias.statement.branches
            if self._kind(alias) == self.package and branch[1] == "body"
        }
        return frozenset(
            id(alias)
            for alias in self.reading.aliases
            if self._kind(alias)
            and any((key, "body") in good for key, arm in alias.statement.branches if arm == "handler")
        )

    def _packages(self) -> Iterator[tuple[Alias, str]]:
        """Yield every import that binds the package itself, with the name it has after the edit."""
        for alias in self.reading.aliases:
            found = classify(alias.origin)
            if found and not found.path and found.kind in ("keras", "tf_keras", "tensorflow"):
                yield alias, self._name_after(alias)
        for alias in self.reading.assigned.values():
            if self._is_package(alias):
                yield alias, alias.name

    def _is_package(self, alias: Alias) -> bool:
        root, _, rest = alias.path.partition(".")
        origins = self.reading.origins(alias.statement.scope, root)
        found = [classify(f"{origin}.{rest}" if rest else origin) for origin in origins if origin]
        return bool(found) and all(each is not None and not each.path for each in found)

    def _name_after(self, alias: Alias) -> str:
        return self.package if self._is_renamed(alias) else alias.name

    def _is_renamed(self, alias: Alias) -> bool:
        """Tell ``import tf_keras`` on the way to Keras 3."""
        return self.target == "keras3" and alias.module is None and alias.origin == alias.name == "tf_keras"

    # Imports

    def _edit_import(self, statement: Statement) -> None:
        aliases = [alias for alias in self.reading.aliases if alias.statement is statement]
        if aliases[0].module is None:
            self._edit_plain_import(aliases)
        elif classify(aliases[0].module) or aliases[0].module not in ROOTS:
            self._edit_from_keras(aliases)
        else:
            self._edit_from_tensorflow(aliases)

    def _is_movable(self, alias: Alias) -> bool:
        """Tell whether an import is of the wrong generation; refuse what the other one lacks."""
        found = classify(alias.path)
        if found is None or found.kind == self.package:
            return False
        return self._has(found, alias.start)

    def _has(self, found: Keras, offset: int) -> bool:
        problem = self._find_problem(found)
        if problem:
            self._refuse(offset, *problem)
        return problem is None

    def _find_problem(self, found: Keras) -> tuple[str, str] | None:
        if found.kind == "private":
            return "AX125", f"tensorflow.{found.path} is private and of neither generation"
        if found.kind == "v1":
            return "AX124", "tf.compat.v1.keras has no counterpart outside TensorFlow"
        part = missing_in(self.target, found.path)
        if part is None:
            return None
        if exists_in(OTHER[self.target], part):
            return "AX124", f"keras.{part} exists in {SPOKEN[OTHER[self.target]]} only"
        return "AX125", f"keras.{part} is no public name of either generation"

    def _edit_plain_import(self, aliases: list[Alias]) -> None:
        written: set[str] = {
            self.text[alias.start : alias.end] for alias in aliases if not self._needs_edit(alias)
        }
        for before, alias in zip([None, *aliases], aliases, strict=False):
            if not self._is_movable(alias):
                continue
            new = self._plain_text(alias)
            if new in written and before is not None:
                self._edit(before.end, alias.end, "")
            elif new not in written or self.text[alias.start : alias.end] != new:
                self._edit(alias.start, alias.end, new)
            written.add(new)

    def _needs_edit(self, alias: Alias) -> bool:
        found = classify(alias.path)
        return found is not None and found.kind != self.package

    def _plain_text(self, alias: Alias) -> str:
        found = classify(alias.path)
        path = ".".join(filter(None, (self.package, found.path if found else "")))
        if alias.asname:
            spaced = self.text[alias.path_end : alias.end]
            return path if path == alias.asname else path + spaced
        if alias.origin == "tensorflow":
            return "tensorflow"
        return path if alias.origin == "tf_keras" else f"{self.package} as {alias.name}"

    def _edit_from_keras(self, aliases: list[Alias]) -> None:
        module = classify(aliases[0].module or "")
        # No short cut: each name that is missing is told.
        movable = [self._is_movable(alias) for alias in aliases]
        if module and all(movable):
            start, end = self.reading.module_span(aliases[0].statement)
            self._edit(start, end, ".".join(filter(None, (self.package, module.path))))

    def _edit_from_tensorflow(self, aliases: list[Alias]) -> None:
        moved = [alias for alias in aliases if self._is_movable(alias)]
        if not moved or self._has_comment(aliases[0].statement):
            return
        statement, imports = aliases[0].statement, self._imports_of(moved)
        if len(moved) < len(aliases):
            self._cut(aliases, moved)
            for line in imports:
                self._insert_after(statement, line)
        else:
            self._replace(statement, imports)

    def _imports_of(self, moved: list[Alias]) -> list[str]:
        packages = [self._package_import(alias.name) for alias in moved if alias.path.endswith(".keras")]
        parts = [
            alias.path.rpartition(".")[2] + (f" as {alias.asname}" if alias.asname else "")
            for alias in moved
            if not alias.path.endswith(".keras")
        ]
        return packages + ([f"from {self.package} import {', '.join(parts)}"] if parts else [])

    def _package_import(self, name: str) -> str:
        return f"import {self.package}" + ("" if name == self.package else f" as {name}")

    def _cut(self, aliases: list[Alias], moved: list[Alias]) -> None:
        """Take ``moved`` out of the list of a from-import."""
        kept = [index for index, alias in enumerate(aliases) if alias not in moved]
        for index, alias in enumerate(aliases):
            if alias in moved and index < kept[-1]:
                self._edit(alias.start, aliases[index + 1].start, "")
        if kept[-1] < len(aliases) - 1:
            self._edit(aliases[kept[-1]].end, aliases[-1].end, "")

    def _has_comment(self, statement: Statement) -> bool:
        found = "#" in self.text[statement.start : statement.end]
        if found:
            self._refuse(statement.start, "AX129", "a comment stands inside a statement that has to be split")
        return found

    # Edits

    def _edit(self, start: int, end: int, text: str) -> None:
        self.edits.append(Edit(start, end, text))

    def _replace(self, statement: Statement, imports: list[str]) -> None:
        self._edit(statement.start, statement.end, imports[0])
        for line in imports[1:]:
            self._insert_after(statement, line)

    def _insert_after(self, statement: Statement, line: str) -> None:
        if (statement.start, line) in self.inserted:
            return
        self.inserted.add((statement.start, line))
        if statement.alone:
            lead = self.lines.newline + self.lines.indentation(statement.start)
            at = self.lines.end_of(statement.end)
        else:
            lead, at = "; ", statement.end
        self._edit(at, at, lead + line)

    # Uses

    def _edit_uses(self) -> None:
        groups: dict[tuple[int, str], list[_Use]] = {}
        for alias, _ in self.packages:
            if self._is_renamed(alias) and not self._left(alias.start) and id(alias) not in self.kept:
                groups.setdefault((id(alias.statement.scope), alias.name), [])
        told: set[tuple[int, str]] = set()
        for chain in self.reading.chains:
            if not self._left(chain.start):
                self._sort_chain(chain, groups, told)
        for (_, root), uses in groups.items():
            self._rename(root, uses)

    def _sort_chain(
        self, chain: Chain, groups: dict[tuple[int, str], list[_Use]], told: set[tuple[int, str]]
    ) -> None:
        origins = self.reading.origins(chain.scope, chain.root)
        found = self._found(chain, origins)
        if not found:
            self._refuse_unknown(chain, origins)
            return
        bindings = self.reading.bindings(chain.scope, chain.root)
        key = (id(bindings[0].scope), chain.root)
        if None in origins:
            if key not in told and self._is_base(origins):
                self._refuse(chain.start, "AX122", f"`{chain.root}` is bound to something else, too")
            told.add(key)
        elif self._is_sound(chain, found):
            use = self._use(chain, found)
            if use and not self._becomes_import(chain, use):
                groups.setdefault(key, []).append(use)

    def _found(self, chain: Chain, origins: Iterable[str | None]) -> list[tuple[str, Keras]]:
        """Return each origin of a chain's root by which the chain is a part of Keras."""
        pairs = [
            (origin, classify(".".join((origin, *chain.attributes))))
            for origin in origins
            if origin is not None and origin != NOTHING
        ]
        return [(origin, found) for origin, found in pairs if found]

    def _is_base(self, origins: Iterable[str | None]) -> bool:
        """Tell whether the root stands for TensorFlow or a Keras package that is to be changed."""
        for origin in origins:
            found = classify(origin) if origin else None
            if origin in ROOTS or (found and not found.path and found.kind != self.package):
                return True
        return False

    def _refuse_unknown(self, chain: Chain, origins: frozenset[str | None]) -> None:
        """Refuse what looks like ``tf.keras`` though nothing tells that it is."""
        names = (chain.root, *chain.attributes)
        looks = [
            first for first, second in pairwise(names) if first in ("tf", "tensorflow") and second == "keras"
        ]
        known = origins and all(origin and not origin.startswith(".") for origin in origins)
        if looks and not (known and names[0] == looks[0]):
            self._refuse(chain.start, "AX122", f"it cannot be told where `{looks[0]}` comes from")

    def _is_sound(self, chain: Chain, found: list[tuple[str, Keras]]) -> bool:
        if chain.stored and not chain.attributes:
            return True
        if any(each.kind == self.package for _, each in found):
            return False
        origin, keras = found[0]
        own = classify(origin)
        if own and self._find_problem(own):
            return False  # told where it was bound
        if chain.stored and not keras.path and origin in ROOTS:
            self._refuse(chain.start, "AX122", f"`{chain.root}.keras` is assigned to")
            return False
        return self._has(keras, chain.start)

    def _use(self, chain: Chain, found: list[tuple[str, Keras]]) -> _Use | None:
        origin, keras = found[0]
        if origin in ROOTS:
            last = keras.length - len(origin.split("."))
            return self._checked(_Use(chain, chain.start, chain.ends[last]), last)
        aliases = self._aliases_at(chain.scope, chain.root)
        if any(self._is_renamed(alias) for alias in aliases):
            return _Use(chain, chain.start, chain.ends[0])
        return None

    def _checked(self, use: _Use, attributes: int) -> _Use | None:
        plain = _EDITABLE.fullmatch(self.text, use.start, use.end)
        if plain and plain[0].count(".") == attributes:
            return use
        self._refuse(use.start, "AX129", "brackets, a comment or getattr stand inside the name")
        return None

    def _aliases_at(self, scope: Any, name: str) -> list[Alias]:
        bindings = self.reading.bindings(scope, name)
        return [alias for binding in bindings for alias in self.reading.aliases_of(binding)]

    def _becomes_import(self, chain: Chain, use: _Use) -> bool:
        """Make ``X = tf.keras`` an import."""
        alias = self.reading.assigned.get(chain.start)
        if alias is None or use.end != chain.ends[-1] or not self._is_package(alias):
            return False
        if not self._has_comment(alias.statement):
            self._replace(alias.statement, [self._package_import(alias.name)])
        return True

    # Names

    def _rename(self, root: str, uses: list[_Use]) -> None:
        """Give ``uses`` of ``root`` the name by which the package is known there."""
        if root == "tf_keras" and self.target == "keras3":
            self._rename_tf_keras(uses)
            return
        uses.sort(key=lambda use: use.start)
        places = self._import_places(root, uses)
        if root in self.reading.global_names or not places:
            self._refuse(uses[0].start, "AX122", f"`{root}` is not bound by an import in its own scope")
            return
        name = self._reusable(uses)
        if name is None:
            name = self._free_name(uses, min(place.start for place in places))
            if name is None:
                return
            for statement in places:
                self._insert_after(statement, self._package_import(name))
        for use in uses:
            self._edit(use.start, use.end, name)

    def _rename_tf_keras(self, uses: list[_Use]) -> None:
        aliases = [alias for alias, _ in self.packages if self._is_renamed(alias)]
        offset = min([alias.start for alias in aliases])
        problem = self._find_clash("keras", aliases[0].statement.scope, uses, offset)
        exported = [text.start for text in self.reading.texts if text.exported and text.value == "tf_keras"]
        if "tf_keras" in self.reading.global_names:
            problem = "`tf_keras` is declared global"
        if problem:
            self._refuse(offset, "AX121", f"`tf_keras` cannot become `keras`: {problem}")
        for start in exported:
            self._refuse(start, "AX126", "a string names `tf_keras`, which is renamed")
        for use in uses:
            self._edit(use.start, use.end, "keras")

    def _reusable(self, uses: list[_Use]) -> str | None:
        """Return a name that the package has already wherever it is used."""
        for alias, after in self.packages:
            if all(self._is_bound_before(use, alias.name) for use in uses):
                return after
        return None

    def _is_bound_before(self, use: _Use, name: str) -> bool:
        bindings = self.reading.bindings(use.chain.scope, name)
        if not bindings or name in self.reading.global_names:
            return False
        statements = [self._package_statement(binding) for binding in bindings]
        return all(statements) and any(
            each is not None and each.direct and each.end <= use.start for each in statements
        )

    def _package_statement(self, binding: Any) -> Statement | None:
        """Return the statement that binds the package by ``binding``, None if it binds anything else."""
        for alias, _ in self.packages:
            if binding in self.reading.bindings(alias.statement.scope, alias.name) and self._is_made_by(
                binding, alias
            ):
                return alias.statement
        return None

    def _is_made_by(self, binding: Any, alias: Alias) -> bool:
        made = self.reading.aliases_of(binding)
        return alias in made if made else self.reading.assigned_at(binding) is alias

    def _free_name(self, uses: list[_Use], offset: int) -> str | None:
        problem = None
        scope = self._scope_of(uses)
        for name in dict.fromkeys(("keras", self.package)):
            problem = self._find_clash(name, scope, uses, offset)
            if problem is None:
                return name
        self._refuse(uses[0].start, "AX121", f"no name is free for {self.package}: {problem}")
        return None

    def _scope_of(self, uses: list[_Use]) -> Any:
        return self.reading.bindings(uses[0].chain.scope, uses[0].chain.root)[0].scope

    def _find_clash(self, name: str, scope: Any, uses: list[_Use], offset: int) -> str | None:
        """Return why ``name`` cannot be bound in ``scope`` and used in all ``uses``, None if it can."""
        if name in self.reading.global_names:
            return f"`{name}` is declared global"
        if any(self._package_statement(binding) is None for binding in _own(scope, name)):
            return f"`{name}` is something else here"
        if any(name in inner.assignments for use in uses for inner in _between(use.chain.scope, scope)):
            return f"`{name}` is something else where it is used"
        if any(self._means_other(chain, scope) for chain in self.reading.chains if chain.root == name):
            return f"`{name}` comes from elsewhere"
        later = [star for star in self.reading.stars if star.start > offset and not _is_harmless(star)]
        return f"a star import behind it may bind `{name}`" if later else None

    def _means_other(self, chain: Chain, scope: Any) -> bool:
        if not _is_within(chain.scope, scope):
            return False
        bindings = self.reading.bindings(chain.scope, chain.root)
        return not bindings or not all(_is_within(binding.scope, scope) for binding in bindings)

    def _import_places(self, root: str, uses: list[_Use]) -> list[Statement]:
        """Return the statements that bind ``root``; one is enough if it stands before all uses."""
        scope = uses[0].chain.scope
        found = sorted((alias.statement for alias in self._aliases_at(scope, root)), key=lambda s: s.start)
        first = [each for each in found if each.direct and each.end <= uses[0].start]
        return first[:1] or found

    # What cannot be done

    def _refuse_stars(self) -> None:
        for star in self.reading.stars:
            module = self.reading.module_of(star)
            found = classify(module)
            if found and found.kind != self.package:
                message = f"`from {module} import *` binds names that cannot be told"
                self._refuse(star.start, "AX122", message)

    def _refuse_mixtures(self) -> None:
        named = [(alias, self._kind(alias)) for alias in self._live() if self._kind(alias)]
        named += [
            (alias, "tensorflow") for alias in self.reading.assigned.values() if self._is_tensorflow(alias)
        ]
        named.sort(key=lambda pair: pair[0].start)
        for at, (alias, kind) in enumerate(named):
            for other, other_kind in named[:at]:
                if kind != other_kind and self._is_choice(alias, other):
                    line = self.lines.place(other.start)[0]
                    message = f"the program chooses Keras when it runs, here and in line {line}"
                    self._refuse(alias.start, "AX123", message)
                    return
        self._refuse_both(named)

    def _is_tensorflow(self, alias: Alias) -> bool:
        return self._is_package(alias) and not self._left(alias.start) and "." in alias.path

    def _is_choice(self, alias: Alias, other: Alias) -> bool:
        arms = dict(other.statement.branches)
        return any(key in arms and arms[key] != arm for key, arm in alias.statement.branches)

    def _refuse_both(self, named: list[tuple[Alias, str | None]]) -> None:
        first = {kind: alias for alias, kind in reversed(named)}
        if "keras" in first and "tf_keras" in first:
            line = self.lines.place(first[self.package].start)[0]
            wrong = first["keras" if self.package == "tf_keras" else "tf_keras"]
            message = f"both generations are used on purpose or by mistake, here and in line {line}"
            self._refuse(wrong.start, "AX123", message)

    def _refuse_text(self, text: Text) -> None:
        if text.assigned is not None and text.value in ("KERAS_BACKEND", "TF_USE_LEGACY_KERAS"):
            self._refuse_variable(text)
        elif self._names_module(text):
            message = f"the string {text.value!r} names a module of the other generation"
            self._refuse(text.start, "AX126", message)

    def _names_module(self, text: Text) -> bool:
        source = "keras" if self.target == "legacy" else "tf_keras"
        handed = text.modules or any(call in _IMPORTERS for call in text.calls)
        if any(call in _EVALUATORS for call in text.calls):
            return bool(re.search(rf"\b(import|from)\s+({source}|tensorflow\.keras)\b", text.value))
        if handed and re.match(rf"({source}|(tensorflow|tf)\.keras)(\.|\Z)", text.value):
            return True
        found = re.fullmatch(rf"({source}|[\w.]*\b(?:tensorflow|tf)\.keras)\.(\w+)[\w.]*", text.value)
        if text.annotation:
            return False
        return bool(found and found[2] in _ALL_MODULES)

    def _refuse_variable(self, text: Text) -> None:
        variable, value = text.value, text.assigned
        bad = value not in ("", "tensorflow") if variable == "KERAS_BACKEND" else value in (True, *_TRUE)
        wanted: Generation = "legacy" if variable == "KERAS_BACKEND" else "keras3"
        if bad and self.target == wanted and self.edits:
            message = f"the program sets {variable}, which {SPOKEN[self.target]} does not go with"
            self._refuse(text.start, "AX127", message)

    def _refuse_libraries(self) -> None:
        for alias in self.reading.aliases:
            library = self._library(alias.path)
            if library:
                self._refuse_library(alias.start, library)
        for chain in self.reading.chains:
            for origin in self.reading.origins(chain.scope, chain.root):
                library = self._library(".".join((origin or "", *chain.attributes)))
                if library and "." in library and chain.attributes:
                    self._refuse_library(chain.start, library)

    def _library(self, dotted: str) -> str | None:
        bound = BOUND_TO[OTHER[self.target]]
        return next((name for name in bound if f"{dotted}.".startswith(f"{name}.")), None)

    def _refuse_library(self, offset: int, library: str) -> None:
        other = SPOKEN[OTHER[self.target]]
        self._refuse(offset, "AX128", f"{library} works with {other}, whose objects do not mix")


_ALL_MODULES = PUBLIC["legacy"][""] | PUBLIC["keras3"][""] | {"engine", "src", "__internal__"}


def _place(refusal: Refusal) -> tuple[int, int, str]:
    return refusal.line, refusal.column, refusal.code


def _own(scope: Any, name: str) -> list[Any]:
    return list(scope.assignments[name]) if name in scope.assignments else []


def _outward(scope: Any) -> Iterator[Any]:
    """Yield ``scope`` and those around it."""
    while scope is not None:
        yield scope
        parent = getattr(scope, "parent", None)
        scope = None if parent is scope else parent


def _is_within(scope: Any, outer: Any) -> bool:
    return any(each is outer for each in _outward(scope))


def _between(scope: Any, outer: Any) -> Iterator[Any]:
    for each in _outward(scope):
        if each is outer:
            return
        yield each


def _is_harmless(star: Statement) -> bool:
    """Tell a star import from the standard library, which has no name of ours."""
    module = star.node.module
    while module is not None and hasattr(module, "attr"):
        module = module.value
    return not star.node.relative and module is not None and module.value in sys.stdlib_module_names

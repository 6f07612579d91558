"""What to change in a module, and what not to: edits of libcst's tree, which keeps all other characters.

Names stay: what a module binds keeps its name and gets it from the other package, so that nothing
which uses or imports it needs a change. Only three things need more: ``tf.keras.X``, where TensorFlow
keeps its name and an import of Keras is added behind it; ``import tensorflow.keras``; and
``import tf_keras``, whose name would tell a lie under Keras 3.

libcst's AddImportsVisitor is not used: it adds imports at the top of the module, and here they have to
follow TensorFlow's, in its block, behind the environment variables that are set before it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import libcst as cst

from autoxla.commands.migration import names
from autoxla.commands.migration.names import OTHER, PACKAGE, ROOTS, SPOKEN, Generation, Keras, classify
from autoxla.commands.migration.source import Chain, Source, dotted, module_of

#: What takes the name of a module as a string, and what takes code.
_IMPORTERS = {"__import__", "find_spec", "import_module", "importorskip", "modules", "patch", "reload"}
_EVALUATORS = {"compile", "eval", "exec"}
#: What sets an environment variable, up to the value if it is a name or a string.
_SETS = r"""(?:(?:setdefault|setenv|putenv)\(\s*['"]{0}['"]\s*,|['"]{0}['"]\]?\s*[=:])\s*['"]?(\w*)"""
#: Uses of a name, each with the part that another name takes the place of.
Uses = list[tuple[Chain, Any]]


class Refusal(NamedTuple):
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


class _Editor(cst.CSTTransformer):
    """Puts other nodes in the place of some, and nodes behind some."""

    def __init__(self, edits: Mapping[Any, Any], behind: Mapping[Any, list[Any]]) -> None:
        super().__init__()
        self.edits, self.behind = edits, behind

    def on_leave(self, original: Any, updated: Any) -> Any:
        updated, more = self.edits.get(original, updated), self.behind.get(original)
        return cst.FlattenSentinel([updated, *more]) if more else updated


class _Module(Source):
    """One module that is moved to one generation, or left with what is refused."""

    def __init__(self, text: str, target: Generation) -> None:
        super().__init__(text)
        self.target, self.other = target, OTHER[target]
        self.package, self.wrong = PACKAGE[target], PACKAGE[self.other]
        self.refusals: set[Refusal] = set()
        self.edits: dict[Any, Any] = {}
        #: Imports to put behind a statement, each once.
        self.added: dict[Any, dict[str, None]] = {}
        # An import in ``except ImportError`` behind one that has the right generation already stays.
        keras = [(alias, classify(alias.path).kind) for alias in self.aliases]
        found = [(*each, *arm) for each in keras for arm in self.branches(each[0].statement).items()]
        good = {branch for _, kind, branch, arm in found if (kind, arm) == (self.package, "body")}
        kept = {alias for alias, _, branch, arm in found if arm == "handler" and branch in good}
        #: The imports that may be changed.
        self.live = [
            (alias, kind)
            for alias, kind in keras
            if kind and alias not in kept and not self.is_left_alone(alias.item)
        ]
        #: ``import tf_keras``, which becomes ``import keras``.
        self.renamed = {
            alias.statement
            for alias, _ in self.live
            if (alias.name, alias.module, alias.item.asname, target) == ("tf_keras", None, None, "keras3")
        }
        #: Statements ``NAME = tf.keras``, which become imports.
        self.assigned: list[Any] = []

    def move(self) -> tuple[str, tuple[Refusal, ...]]:
        """Return the text with all edits made if nothing is refused."""
        for statement in dict.fromkeys(alias.statement for alias, _ in self.live):
            self._edit_import(statement)
        self._edit_uses()
        self._refuse_mixtures()
        for star in self.stars:
            if classify(module_of(star)).kind not in ("", self.package):
                message = f"`from {module_of(star)} import *` binds names that cannot be told"
                self._refuse(star, "AX122", message)
        for node, value in self.strings:
            if "keras" in value and self._names_module(node, value):
                message = f"the string {value!r} names a module of the other generation"
                self._refuse(node, "AX126", message)
            if self.renamed and value == "tf_keras" and "__all__" in self.names_around(node):
                self._refuse(node, "AX126", "a string names `tf_keras`, which is renamed")
        if self.edits or self.added or self.refusals:
            self._refuse_companions()
        if self.refusals:
            return self.text, tuple(sorted(self.refusals))
        for expression, string in self.quoted.items():
            before, after = self.code(expression), self.code(expression.visit(_Editor(self.edits, {})))
            if before != after:
                self.edits[string] = string.with_changes(value=string.value.replace(before, after, 1))
        behind: dict[Any, list[Any]] = {}
        for statement, lines in self.added.items():
            made: list[Any] = [cst.parse_statement(line) for line in lines]
            # Where nothing else stands on the line of a statement, a line may follow it.
            place = self.parents[statement]
            if not isinstance(place, cst.SimpleStatementLine) or len(place.body) > 1:
                place, made = statement, [line.body[0] for line in made]
            behind[place] = made
        edited: Any = self.tree.visit(_Editor(self.edits, behind))
        return edited.code, ()

    def _refuse(self, node: Any, code: str, message: str) -> None:
        if not self.is_left_alone(node):
            self.refusals.add(Refusal(*self.start(node), code, message))

    def _has(self, found: Keras, node: Any) -> bool:
        """Tell whether the other generation has a part of Keras; refuse what it lacks."""
        part = names.missing_in(self.target, found.path)
        module, _, name = (part or "").rpartition(".")
        if found.kind == "private":
            self._refuse(node, "AX125", f"tensorflow.{found.path} is private and of neither generation")
        elif found.kind == "v1":
            self._refuse(node, "AX124", "tf.compat.v1.keras has no counterpart outside TensorFlow")
        elif part is None:
            return True
        elif name in names.PUBLIC[self.other].get(module, ()):
            self._refuse(node, "AX124", f"keras.{part} exists in {SPOKEN[self.other]} only")
        else:
            self._refuse(node, "AX125", f"keras.{part} is no public name of either generation")
        return False

    def _has_comment(self, statement: Any) -> bool:
        found = "#" in self.code(statement)
        if found:
            self._refuse(statement, "AX129", "a comment stands inside a statement that has to be split")
        return found

    # Imports

    def _edit_import(self, statement: Any) -> None:
        """Edit an import statement, or refuse what of it the other generation lacks."""
        aliases = [alias for alias in self.aliases if alias.statement is statement]
        wrong = [(alias, classify(alias.path)) for alias in aliases]
        wrong = [(alias, found) for alias, found in wrong if found.kind not in ("", self.package)]
        # Each name that is missing is told.
        moved = {alias: found for alias, found in wrong if self._has(found, alias.item)}
        module = aliases[0].module
        if not moved:
            return
        if module is None:
            items: dict[str, Any] = {}
            for alias in aliases:
                item = alias.item
                if alias in moved:
                    # An item of ``import …`` with the package in the place of the other one.
                    path = ".".join(filter(None, (self.package, moved[alias].path)))
                    asname = item.asname
                    if asname is None and alias.name == "tensorflow":
                        path = "tensorflow"
                    elif asname is None and alias.name == "keras":
                        path, asname = self.package, cst.AsName(cst.Name("keras"))
                    elif path == alias.name:
                        asname = None
                    item = item.with_changes(name=cst.parse_expression(path), asname=asname)
                items.setdefault(self.code(_without_comma(item)), item)
            self.edits[statement] = _with_names(statement, [*items.values()])
        elif module not in ROOTS:
            if len(moved) == len(aliases):
                path = ".".join(filter(None, (self.package, classify(module).path)))
                self.edits[statement] = statement.with_changes(module=cst.parse_expression(path))
        elif not self._has_comment(statement):
            whole = [alias for alias in moved if alias.path.endswith(".keras")]
            parts = [self.code(_without_comma(alias.item)) for alias in moved if alias not in whole]
            lines = [self._import_as(alias.name) for alias in whole]
            lines += [f"from {self.package} import {', '.join(parts)}"] if parts else []
            if kept := [alias.item for alias in aliases if alias not in moved]:
                self.edits[statement] = _with_names(statement, kept)
            else:
                self._replace(statement, lines.pop(0))
            if lines:
                self.added.setdefault(statement, {}).update(dict.fromkeys(lines))

    def _import_as(self, name: str) -> str:
        return f"import {self.package}" + ("" if name == self.package else f" as {name}")

    def _replace(self, statement: Any, text: str) -> None:
        line: Any = cst.parse_statement(text)
        self.edits[statement] = line.body[0].with_changes(semicolon=statement.semicolon)

    # Uses

    def _edit_uses(self) -> None:
        """Edit all chains; those with one root in one scope get one name of the package."""
        bindings = self.all_bindings("tf_keras")
        groups: dict[tuple[Any, str], Uses] = {
            (binding.scope, "tf_keras"): [] for binding in bindings if binding.node in self.renamed
        }
        for chain in self.chains:
            if not self.is_left_alone(chain.nodes[0]) and (node := self._find_moved(chain)):
                scope = self.bindings(chain.scope, chain.words[0])[0].scope
                groups.setdefault((scope, chain.words[0]), []).append((chain, node))
        for (scope, root), uses in groups.items():
            imports = [each.node for each in scope.assignments[root] if each.node in self.renamed]
            name = "keras" if imports else self._add_name(scope, root, uses)
            clash = self._find_clash("keras", imports[0], scope, uses) if imports else None
            if imports and "tf_keras" in self.declared:
                clash = "`tf_keras` is declared global"
            if clash:
                self._refuse(imports[0], "AX121", f"`tf_keras` cannot become `keras`: {clash}")
            for _, node in uses:
                self.edits[node] = cst.Name(name, lpar=node.lpar, rpar=node.rpar)

    def _find_moved(self, chain: Chain) -> Any:
        """Return the part of a chain that gets another name, None for no part; refuse what cannot be moved.

        ``NAME = tf.keras`` becomes an import at once.
        """
        bindings, root = self.bindings(chain.scope, chain.words[0]), chain.nodes[0]
        origins = self.origins(chain.scope, chain.words[0])
        known = sorted(filter(None, origins))
        found = [(each, part) for each in known if (part := classify(chain.path(each))).kind]
        if not found:
            # What looks like ``tf.keras`` though nothing tells that it is.
            pairs = [first for first, second in pairwise(chain.words) if second == "keras"]
            tf = next((first for first in pairs if first in ("tf", "tensorflow")), None)
            is_known = known and None not in origins and not known[0].startswith(".")
            if tf and not (is_known and chain.words[0] == tf):
                self._refuse(root, "AX122", f"it cannot be told where `{tf}` comes from")
            return None
        if None in origins:
            # It matters where the name stands for TensorFlow or a Keras package that is to be changed.
            wrong = [part.kind not in ("", self.package) and not part.path for part in map(classify, known)]
            for binding in bindings if any(wrong) or {*known}.intersection(ROOTS) else ():
                if None in self.meanings(binding):
                    text = f"`{chain.words[0]}` is bound to something else, too"
                    self._refuse(binding.node, "AX122", text)
            return None
        is_renamed = any(binding.node in self.renamed for binding in bindings)
        if chain.stored and len(chain.words) == 1:
            return root if is_renamed else None
        origin, part = found[0]
        own = classify(origin)
        is_told = own.kind in ("private", "v1") or names.missing_in(self.target, own.path)
        if is_told or any(each.kind == self.package for _, each in found):
            return None  # told where it was bound, or right already
        if chain.stored and not part.path and origin in ROOTS:
            self._refuse(root, "AX122", f"`{chain.words[0]}.keras` is assigned to")
        elif self._has(part, root) and is_renamed:
            return root
        elif origin in ROOTS:
            last = part.length - len(origin.split("."))
            node = chain.nodes[last] if last < len(chain.nodes) else None
            if node is None or "#" in self.code(node):
                self._refuse(root, "AX129", "a comment or getattr stands inside the name")
                return None
            match self.parents[node]:
                case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(name))]) as statement:
                    if not part.path and not self._has_comment(statement):
                        self._replace(statement, self._import_as(name))
                        self.assigned.append(statement)
                        return None
            return node
        return None

    # Names

    def _add_name(self, scope: Any, root: str, uses: Uses) -> str:
        """Return a name of the package for ``uses``, which it has already or is imported behind ``root``."""
        bound = [alias.name for alias, _ in self.live] + [target.value for target in self.values]
        for name in dict.fromkeys(bound):
            found = [(chain, self.bindings(chain.scope, name)) for chain, _ in uses]
            if name not in self.declared and all(
                all(map(self._binds_package, bindings))
                and any(self._is_before(binding.node, chain) for binding in bindings)
                for chain, bindings in found
            ):
                is_renamed = any(each.node in self.renamed for _, bindings in found for each in bindings)
                return "keras" if is_renamed else name
        first = min((chain for chain, _ in uses), key=lambda chain: self.start(chain.nodes[0]))
        nodes = (binding.node for binding in self.bindings(first.scope, root))
        imports = [node for node in nodes if isinstance(node, (cst.Import, cst.ImportFrom))]
        imports.sort(key=self.start)
        # One is enough if it stands before all uses.
        imports = [node for node in imports if self._is_before(node, first)][:1] or imports
        if root in self.declared or not imports:
            self._refuse(first.nodes[0], "AX122", f"`{root}` is not bound by an import in its own scope")
            return root
        problem: str | None = None
        for name in dict.fromkeys(("keras", self.package)):
            problem = self._find_clash(name, imports[0], scope, uses)
            if problem is None:
                for node in imports:
                    self.added.setdefault(node, {})[self._import_as(name)] = None
                return name
        self._refuse(first.nodes[0], "AX121", f"no name is free for {self.package}: {problem}")
        return root

    def _is_before(self, node: Any, chain: Chain) -> bool:
        return not self.branches(node) and self.start(node) < self.start(chain.nodes[0])

    def _binds_package(self, binding: Any) -> bool:
        """Tell whether a name is bound to a package of Keras, which is the wanted one in the end."""
        found = [classify(each or "") for each in self.meanings(binding)]
        are_packages = [each.kind in ("keras", "tensorflow", "tf_keras") and not each.path for each in found]
        return all(are_packages) and not self.is_left_alone(binding.node)

    def _find_clash(self, name: str, node: Any, scope: Any, uses: Uses) -> str | None:
        """Return why ``name`` cannot be bound in ``scope`` at ``node`` and used in all ``uses``, if so."""
        seen = [binding for chain, _ in uses for binding in self.bindings(chain.scope, name)]
        unbound = (c for c in self.chains if c.words[0] == name and not self.bindings(c.scope, name))
        if (
            name in self.declared
            or any(unbound)
            or not all(map(self._binds_package, self.all_bindings(name)))
        ):
            return f"`{name}` is something else in this module"
        if any(binding.scope is not scope for binding in seen):
            return f"`{name}` is bound elsewhere, too"
        for star in self.stars:
            # The standard library has no name of ours.
            is_standard = not star.relative and dotted(star.module).split(".")[0] in sys.stdlib_module_names
            if not is_standard and self.start(star) > self.start(node):
                return f"a star import behind it may bind `{name}`"
        return None

    # What cannot be done

    def _refuse_mixtures(self) -> None:
        """Refuse a choice between generations, and the use of both."""
        named = [(alias.item, alias.statement, kind) for alias, kind in self.live]
        named += [(statement, statement, "tensorflow") for statement in self.assigned]
        named.sort(key=lambda each: self.start(each[0]))
        for (other, before, other_kind), (node, statement, kind) in combinations(named, 2):
            others, arms = self.branches(before), self.branches(statement)
            if kind != other_kind and any(others.get(each, arm) != arm for each, arm in arms.items()):
                line = self.start(other)[0]
                message = f"the program chooses Keras when it runs, here and in line {line}"
                self._refuse(node, "AX123", message)
                return
        first = {kind: node for node, _, kind in reversed(named)}
        if "keras" in first and "tf_keras" in first:
            line = self.start(first[self.package])[0]
            message = f"both generations are used on purpose or by mistake, here and in line {line}"
            self._refuse(first[self.wrong], "AX123", message)

    def _names_module(self, node: Any, value: str) -> bool:
        """Tell whether a string names a module that would have to change."""
        around = self.names_around(node)
        if around & _EVALUATORS:
            return bool(re.search(rf"\b(import|from)\s+({self.wrong}|tensorflow\.keras)\b", value))
        if around & _IMPORTERS and re.match(rf"({self.wrong}|(tensorflow|tf)\.keras)(\.|\Z)", value):
            return True
        found = re.fullmatch(rf"({self.wrong}|[\w.]*\b(?:tensorflow|tf)\.keras)\.(\w+)[\w.]*", value)
        return bool(found and found[2] in names.MODULES) and not self.is_annotation(node)

    def _refuse_companions(self) -> None:
        """Refuse variables and libraries that do not go with the wanted generation."""
        for node, name in self.strings:
            if (name, self.target) not in (("KERAS_BACKEND", "legacy"), ("TF_USE_LEGACY_KERAS", "keras3")):
                continue
            value = re.search(_SETS.format(name), self.code(self.around(node)))
            if value and value[1] not in ("", "0", "false", "False", "tensorflow"):
                message = f"the program sets {name}, which {SPOKEN[self.target]} does not go with"
                self._refuse(node, "AX127", message)
        used = [(alias.item, names.find_bound(alias.path, self.other)) for alias in self.aliases]
        for chain in self.chains:
            for origin in filter(None, self.origins(chain.scope, chain.words[0])):
                # A library that is bound as a whole is told where it is imported.
                library = names.find_bound(chain.path(origin), self.other)
                used.append((chain.nodes[0], library if library and "." in library else None))
        for node, library in used:
            if library:
                message = f"{library} works with {SPOKEN[self.other]}, whose objects do not mix"
                self._refuse(node, "AX128", message)


def _without_comma(item: Any) -> Any:
    return item.with_changes(comma=cst.MaybeSentinel.DEFAULT)


def _with_names(statement: Any, items: list[Any]) -> Any:
    """Return an import of ``items``, the last of which ends as the last one did."""
    last = items[-1].with_changes(comma=statement.names[-1].comma)
    return statement.with_changes(names=[*items[:-1], last])

"""Let one top-level package answer for another: ``import keras`` gives tf_keras.

Every module of the alias *is* the target's module, under a second name in ``sys.modules``; its
``__spec__``, ``__loader__`` and ``__name__`` stay its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType


@dataclass(frozen=True)
class AliasFinder:
    """Finds ``alias`` and all below it as ``target`` and all below that, and loads them."""

    alias: str
    target: str

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return a spec that leads to the target's module, None for other names and missing targets."""
        is_below = fullname.partition(".")[0] == self.alias
        found = importlib.util.find_spec(self._target_of(fullname)) if is_below else None
        if found is None:
            return None
        is_package = found.submodule_search_locations is not None
        return ModuleSpec(fullname, self, origin=found.origin, is_package=is_package)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the import system; the module that it makes is thrown away.

        Giving it the target's module here would make it overwrite that module's ``__spec__``.
        """

    def exec_module(self, module: ModuleType) -> None:
        """Import the target, which takes the place of ``module`` where the import system looks afterwards."""
        sys.modules[module.__name__] = importlib.import_module(self._target_of(module.__name__))

    def _target_of(self, name: str) -> str:
        return self.target + name.removeprefix(self.alias)


def install_alias(alias: str, target: str) -> None:
    """Put an `AliasFinder` first on ``sys.meta_path``, unless it is there."""
    finder = AliasFinder(alias, target)
    if finder not in sys.meta_path:
        sys.meta_path.insert(0, finder)


def remove_aliases() -> None:
    """Take every `AliasFinder` off ``sys.meta_path``; modules that were imported stay."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, AliasFinder)]

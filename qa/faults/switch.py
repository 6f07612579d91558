"""Puts faults into autoxla: for tests only, loaded by `site/sitecustomize.py` before autoxla is.

Right after a module of autoxla has executed, functions and methods of it are replaced: one by a faulty one,
or all by ones that note that they were called. Modules that import a name from another one come later, and
get the replaced one. What is asked for stands in the variable `VARIABLE`, as JSON:

* ``{"site": "autoxla.runtime:Runtime.begin", "kind": "raise RuntimeError", "fired": FILE}``;
* ``{"record": FILE}``: every function notes in FILE that it was called;
* ``{"sites": [...], "fired": FILE}``: these can be switched on and off by `turn_on` while the program runs.

Nothing but what Python has loaded anyway is imported at the start of a process.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

#: Says what is to be done, as JSON.
VARIABLE = "INJECTED_FAULT"
#: The errors that a function may raise; a program's own KeyboardInterrupt and SystemExit are none of them.
ERRORS: dict[str, Callable[[], Exception]] = {
    "RuntimeError": lambda: RuntimeError("injected"),
    "OSError": lambda: OSError(5, "injected"),
    "MemoryError": lambda: MemoryError("injected"),
    "RecursionError": lambda: RecursionError("injected"),
    "KeyError": lambda: KeyError("injected"),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "injected"),
}
#: Seconds that a slow function takes longer, the first time in a process.
SLOW = 2.0


class Hostile:
    """An object that has nothing of what is asked of it."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(f"injected: {name}")


#: What a function may return instead of what it should.
NONSENSE: dict[str, object] = {"None": None, "hostile": Hostile(), "empty": "", "huge": 1 << 70}
KINDS = (
    *(f"raise {name}" for name in ERRORS),
    "slow",
    *(f"return {name}" for name in NONSENSE),
)


class Switch:
    """Wraps what autoxla defines; `active` is the site that is faulty now, and its kind."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.record: str = asked.get("record", "")
        self.fired: str = asked.get("fired", "")
        self.sites = frozenset(asked.get("sites", [asked["site"]] if "site" in asked else []))
        self.active: tuple[str, str] | None = (asked["site"], asked["kind"]) if "site" in asked else None
        self.noted: set[str] = set()
        self.slept = False

    def wrap_module(self, module: ModuleType) -> None:
        """Replace what is to be replaced in ``module``, which has just executed."""
        for site, owner, name, found in list_sites(module):
            if self.record or site in self.sites:
                setattr(owner, name, self._cover(site, found))

    def _cover(self, site: str, found: Any) -> Any:
        """Return what takes the place of ``found``, an entry of a module's or a class' dictionary."""
        if isinstance(found, (staticmethod, classmethod)):
            return type(found)(self._shim(site, found.__func__))
        if isinstance(found, property):
            return property(self._shim(site, found.fget), found.fset, found.fdel, found.__doc__)
        return self._shim(site, found)

    def _shim(self, site: str, function: Any) -> Any:
        def shim(*args: Any, **kwargs: Any) -> Any:
            if self.record:
                self.note(self.record, site)
            if self.active is None or self.active[0] != site:
                return function(*args, **kwargs)
            self.note(self.fired, site)
            return self._fail(self.active[1], function, args, kwargs)

        # autoxla tells its own frames from the program's by the name of their module.
        named = {"__name__": getattr(function, "__module__", "autoxla"), "__builtins__": __builtins__}
        make: Any = type(shim)
        covered = make(shim.__code__, named, shim.__name__, None, shim.__closure__)
        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(covered, name, getattr(function, name, None))
        covered.__wrapped__ = function
        return covered

    def _fail(self, kind: str, function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        verb, _, word = kind.partition(" ")
        if verb == "raise":
            raise ERRORS[word]()
        if verb == "return":
            return NONSENSE[word]
        if not self.slept:
            import time

            self.slept = True
            time.sleep(SLOW)
        return function(*args, **kwargs)

    def note_again(self) -> None:
        """Forget what was called so far."""
        self.noted.clear()
        if self.record:
            os.unlink(self.record)  # noqa: PTH108 - as all in here, without pathlib

    def note(self, file: str, text: str) -> None:
        """Append ``text`` to ``file``, once; at once, since a process may end in many ways."""
        if not file or text in self.noted:
            return
        self.noted.add(text)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, f"{text}\n".encode())
        os.close(descriptor)


class Finder:
    """Finds nothing by itself: it has the loaders of autoxla's modules call the switch."""

    def __init__(self, switch: Switch) -> None:
        self.switch = switch

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module of autoxla's, else None."""
        if fullname.partition(".")[0] != "autoxla":
            return None
        spec = sys.modules["_frozen_importlib_external"].PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            self._shadow(spec.loader, fullname)
        return spec  # type: ignore[no-any-return]

    def invalidate_caches(self) -> None:
        """Do nothing: there is no cache."""

    def _shadow(self, loader: Any, fullname: str) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            active = self.switch.active
            if active == (fullname, "broken"):
                self.switch.note(self.switch.fired, fullname)
                raise SyntaxError("injected")
            execute(module)
            self.switch.wrap_module(module)

        loader.exec_module = exec_module


def list_sites(module: ModuleType) -> Iterator[tuple[str, Any, str, Any]]:
    """Yield the public functions and methods that ``module`` defines: site, owner, name, entry."""
    for name, value in list(vars(module).items()):
        if getattr(value, "__module__", None) != module.__name__ or name.startswith("_"):
            continue
        if isinstance(value, type):
            for method, entry in list(vars(value).items()):
                if _is_method(method, entry):
                    yield f"{module.__name__}:{name}.{method}", value, method, entry
        elif callable(value):
            yield f"{module.__name__}:{name}", module, name, value


def _is_method(name: str, entry: Any) -> bool:
    if name.startswith("_") and name not in ("__init__", "__call__"):
        return False
    function = entry.fget if isinstance(entry, property) else getattr(entry, "__func__", entry)
    code = getattr(function, "__code__", None)
    # What dataclasses write has no file.
    return code is not None and not code.co_filename.startswith("<string>")


def install() -> Switch | None:
    """Do what the variable asks for; return the switch, None where nothing is asked for."""
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    import json

    switch = Switch(json.loads(text))
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "autoxla":
            switch.wrap_module(module)
    sys.meta_path.insert(0, Finder(switch))
    return switch


#: The switch of this process.
current: Switch | None = None


def turn_on(site: str, kind: str) -> None:
    """Make ``site`` faulty from now on; it must be one of those that were asked for."""
    switch = current
    if switch is None or site not in switch.sites:
        raise ValueError(f"{site} cannot be switched")
    switch.active, switch.slept = (site, kind), False
    switch.noted.clear()


def turn_off() -> bool:
    """Let everything work again; return whether the site was called meanwhile."""
    switch = current
    if switch is None or switch.active is None:
        raise ValueError("nothing was switched on")
    site, switch.active = switch.active[0], None
    return site in switch.noted

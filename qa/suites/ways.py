"""The ways to run a suite: environments without autoxla, and with it in each way that it can be there."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from installations import MARKER, unpack_wheel
from programs import clean_environment

#: Where the modules of the suites and of the tests are.
SOURCES = (Path(__file__).parents[1], Path(__file__).parents[2] / "tests")
PLAIN = "plain"
_PROBE = "import sys; print(any(type(finder).__name__ == 'AutoxlaFinder' for finder in sys.meta_path))"


@dataclass(frozen=True)
class Way:
    """An interpreter, what stands in front of ``-m`` in its command line, and variables."""

    python: Path
    words: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    #: Modules that pytest loads as plug-ins.
    plugins: tuple[str, ...] = ()

    def command(self, *words: str) -> list[str]:
        """Return the words of the command that runs ``python *words``."""
        return [str(self.python), *self.words, *words]

    def is_active(self, folder: Path) -> bool:
        """Return whether autoxla is in place when a program begins."""
        done = subprocess.run(
            self.command("-c", _PROBE),
            env=self.environment(folder),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip() == "True"

    def environment(self, folder: Path) -> dict[str, str]:
        """All variables of a process with its caches and its home in ``folder``."""
        own = {"AUTOXLA_CACHE": str(folder / "cache"), "HOME": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"}
        variables = clean_environment() | own | dict(self.variables)
        # What is on the path of this process must not be on that of a plain environment.
        return {name: value for name, value in variables.items() if name != "PYTHONPATH" or value != _ours()}


def make_ways(python: str, folder: Path, wheel: Path, *, frameworks: bool) -> dict[str, Way]:
    """Make environments of the interpreter ``python`` below ``folder`` and return the ways by their names.

    With ``frameworks`` the packages of this process are on their paths, behind their own.
    """
    plain = make_environment(python, folder / "plain", frameworks=frameworks)
    inactive = make_environment(python, folder / "inactive", wheel, frameworks=frameworks)
    hook = make_environment(python, folder / "hook", wheel, frameworks=frameworks)
    (find_site(hook) / MARKER).touch()
    ways = {
        PLAIN: Way(plain),
        "inactive": Way(inactive),
        "site hook": Way(hook),
        "launcher": Way(inactive, ("-m", "autoxla")),
    }
    if frameworks:
        ways["trials forced"] = Way(
            hook,
            (),
            {"PYTHONPATH": os.pathsep.join(map(str, SOURCES)), "AUTOXLA": "auto"},
            ("suites.forced",),
        )
    return ways


def make_environment(python: str, root: Path, wheel: Path | None = None, *, frameworks: bool = False) -> Path:
    """Make a virtual environment in ``root``, with ``wheel`` in it, and return its interpreter."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(root)], check=True)
    found = root / "bin" / "python"
    site = find_site(found)
    if wheel is not None:
        unpack_wheel(wheel, site)
    if frameworks:
        # As a line of a .pth file, whose own .pth files are not looked at: autoxla's may be there.
        (site / "frameworks.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return found


def find_site(python: Path) -> Path:
    """Return the site-packages of the environment of ``python``."""
    return next(python.parents[1].glob("lib/python*/site-packages"))


def _ours() -> str:
    return clean_environment().get("PYTHONPATH", os.devnull)

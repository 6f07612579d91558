"""Environments with autoxla in them, for the tests of how it comes into an interpreter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
LAUNCH = CHECKOUT / "autoxla" / "launch"
#: What `site enable` leaves.
MARKER = "autoxla.enabled"

PROBE = """
import json, sys
modules = sorted(sys.modules)
finders = [type(f).__name__ for f in sys.meta_path]
custom = sys.modules.get("sitecustomize")
spec = getattr(custom, "__spec__", None)
print(json.dumps(dict(
    active=finders.count("DormantFinder"), first=finders[0], modules=modules, path=sys.path,
    custom=custom and sorted(vars(custom)), file=getattr(custom, "__file__", None),
    spec=spec and [spec.name, spec.origin, spec.cached, spec.parent, type(spec.loader).__name__],
    loader=type(getattr(custom, "__loader__", None)).__name__,
)))
"""


@dataclass(frozen=True)
class Installation:
    """An environment with autoxla in it, which `activation` in the environment wakes."""

    root: Path
    package: Path
    activation: dict[str, str]
    line: str = ""

    @property
    def site(self) -> Path:
        return next(self.root.glob("lib/python*/site-packages"))

    def run(self, *words: str, active: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the environment's Python; without `active` as if autoxla had never been there."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "LANG": "C.UTF-8"}
        environment |= (self.activation if active else {}) | variables
        command = [str(self.root / "bin" / "python"), *words]
        # Not where the tests were started: that is a checkout, which -m and -c put on the path.
        return subprocess.run(
            command,
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def probe(self, *options: str, active: bool = True, **variables: str) -> dict[str, object]:
        """Return what a program sees; nothing but its own output may appear."""
        done = self.run(*options, "-c", (self.line if active else "") + PROBE, active=active, **variables)
        assert (done.returncode, done.stderr) == (0, "")
        seen: dict[str, object] = json.loads(done.stdout)
        return seen


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout in ``folder`` and return its file."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def make_environment(root: Path) -> Path:
    """Make a virtual environment without pip in ``root`` and return its site-packages."""
    venv.create(root, symlinks=True)
    return next(root.glob("lib/python*/site-packages"))


def unpack_wheel(wheel: Path, folder: Path) -> None:
    """Lay the wheel out in ``folder`` as an installer does."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)


def install_wheel(root: Path, wheel: Path) -> Installation:
    """Lay the wheel out in the environment ``root``; `AUTOXLA_ACTIVE` wakes it."""
    site = next(root.glob("lib/python*/site-packages"))
    unpack_wheel(wheel, site)
    return Installation(root, site / "autoxla", {"AUTOXLA_ACTIVE": "1"})


def install_enabled(root: Path, wheel: Path) -> Installation:
    """Lay the wheel out in the environment ``root``, and enable it there."""
    installation = install_wheel(root, wheel)
    (installation.site / MARKER).write_text("")
    return Installation(root, installation.package, {})


def copy_checkout(root: Path) -> Path:
    """Copy the package of this checkout below ``root`` and return it."""
    package = root / "check out" / "autoxla"
    shutil.copytree(CHECKOUT / "autoxla", package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def add_user_files(installation: Installation, text: str = "") -> Path:
    """Put a sitecustomize and a usercustomize that log their run behind all else on ``sys.path``."""
    folder, log = installation.root / "user", installation.root / "log"
    folder.mkdir()
    for name in ("sitecustomize", "usercustomize"):
        lines = [f"open({str(log)!r}, 'a').write(__name__ + '\\n')", "import sys", "path = list(sys.path)"]
        (folder / f"{name}.py").write_text("\n".join([*lines, text]))
    # Before our own in the alphabet would do as well: the folder is appended to sys.path either way.
    (installation.site / "user.pth").write_text(f"{folder}\n")
    settings = installation.root / "pyvenv.cfg"
    settings.write_text(settings.read_text().replace("packages = false", "packages = true"))
    return log


def take(log: Path) -> list[str]:
    lines = log.read_text().split()
    log.unlink()
    return lines

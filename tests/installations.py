"""Environments for tests: with autoxla in them, and with what ``doctor`` is to find."""

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

from autoxla.commands.diagnosis.packages import Scene, take_inventory
from autoxla.model import Settings, Usage
from autoxla.situation.gathering import gather

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
    active=finders.count("AutoxlaFinder"), first=finders[0], modules=modules, path=sys.path,
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


class Site:
    """A site-packages folder with distributions, below a root folder that stands for ``/``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "env/lib/python3/site-packages"
        self.program = root / "work"
        self.home = root / "home"
        for made in (self.folder, self.program, self.home, root / "dev", root / "opt/intel/oneapi"):
            made.mkdir(parents=True)

    def install(self, name: str, version: str, *requires: str, owns: str = "") -> Path:
        """Add a distribution, with a package if ``owns`` names one; return its metadata's folder."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        needed = "".join(f"Requires-Dist: {text}\n" for text in requires)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}\nVersion: 99\n"
        (info / "METADATA").write_text(metadata)
        listed = f"{owns}/__init__.py,sha256=x,1\n" if owns else ""
        (info / "RECORD").write_text(f"{listed}{info.name}/METADATA,,\n")
        if owns:
            (self.folder / owns).mkdir(exist_ok=True)
            (self.folder / owns / "__init__.py").touch()
        return info

    def scene(self, **variables: str) -> Scene:
        folders = {"AUTOXLA_CACHE": "cache", "ONEAPI_ROOT": "opt/intel/oneapi"}
        own = {name: str(self.root / folder) for name, folder in folders.items()}
        environ = {"HOME": str(self.home), **own, **variables}
        path = [str(self.folder)]
        situation = gather(Settings(), Usage(), environ=environ, modules={}, path=path, root=self.root)
        return Scene(situation, environ, tuple(path), self.program, take_inventory(path))


def build_library(file: Path, source: str, *options: str) -> Path:
    """Compile ``source``, in C, to the shared library ``file``."""
    file.parent.mkdir(parents=True, exist_ok=True)
    gcc = ["gcc", "-shared", "-fPIC", "-xc", "-", "-xnone", "-o", str(file), *options]
    subprocess.run(gcc, input=source, text=True, check=True)
    return file

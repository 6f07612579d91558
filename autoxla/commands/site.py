"""``python -m autoxla site enable|disable|status``: autoxla in every interpreter of this environment."""

from __future__ import annotations

import argparse
import json
import os
import site
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from autoxla import __version__
from autoxla.commands import CommandError
from autoxla.launch.launcher import PRIVATE, read_options
from autoxla.notice import printable
from autoxla.situation.environment import read_environ
from autoxla.situation.files import UnreadableError, is_file, read_bytes
from autoxla.store import write_whole

COMMAND = "python -m autoxla site"
MARKER = "autoxla.enabled"
#: The first line of each marker of ours; a file without it is somebody else's.
SIGNATURE = "autoxla is active in every interpreter that reads the autoxla.pth of this environment.\n"
_MARKER_TEXT = f"{SIGNATURE}Written by {COMMAND} enable, taken away by {COMMAND} disable.\n"
#: Seconds that an interpreter may take to start, before it is said that it did not.
_LIMIT = 10.0
_PACKAGE = Path(PRIVATE).parent.parent
_EXAMPLE = b'"""Activates autoxla in every Python process'
_SEE = ": see sitecustomize.py and the .pth files"
_PROBE = "import sys; print(any(type(f).__name__ == 'AutoxlaFinder' for f in sys.meta_path))"


class RefusalError(CommandError):
    """Why the environment cannot be changed, with the next step."""

    status = 1


def run(options: argparse.Namespace) -> int:
    """Do what ``options`` ask for; return the exit status. Raises `RefusalError`."""
    if options.action == "status":
        status = look()
        if options.json:
            print(json.dumps(status, indent=2))
            return 0
        lines = [f"autoxla is {describe(status)}"]
        if not options.quiet:
            lines += [f"  {reason}" for reason in status["because"]]
            lines += [f"{name:<13}{status[name]}" for name in ("interpreter", "package")]
            for each in status["folders"]:
                lines += [f"folder       {each['folder']}", f"  autoxla.pth      {each['pth']}"]
                lines += [f"  autoxla.start    {each['start']}, for Python 3.15 and later"]
                lines += [f"  {MARKER}  {'present' if each['enabled'] else 'missing'}"]
        print("\n".join(map(printable, lines)))
        return 0
    folder = Path(sysconfig.get_path("purelib"))
    if options.user and not site.ENABLE_USER_SITE:
        reason = "virtual environments" if sys.prefix != sys.base_prefix else "this interpreter's options"
        raise RefusalError(f"--user: {reason} leave the user's site-packages out; {COMMAND} enable")
    if options.user:
        folder = Path(site.getusersitepackages())
    done = (enable if options.action == "enable" else disable)(folder)
    if not options.quiet:
        print(printable(done))
    return 0


def enable(folder: Path) -> str:
    """Make the environment's interpreters active by a marker in ``folder``; return what was done.

    Raises RefusalError where no interpreter would heed it, or where it cannot be written.
    """
    marker = folder / MARKER
    if _is_ours(marker):
        return f"enabled already: {marker}"
    # Each autoxla.pth looks along sys.path, which at that moment holds its own folder and those read before.
    folders = site_folders()
    readers = [each for each in folders if (each / "autoxla.pth").is_file()]
    if folder not in folders or not set(readers).intersection(folders[folders.index(folder) :]):
        if readers:
            raise RefusalError(f"{folder}: autoxla is installed in {readers[0]}; {COMMAND} enable --user")
        home = _PACKAGE.parent
        source = home if (home / "pyproject.toml").is_file() else "the wheel of autoxla"
        raise RefusalError(
            f"{folder}: autoxla runs from {home} and is not installed in this environment; "
            f"{sys.executable} -m pip install {source}, then {COMMAND} enable"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Half of it would be somebody else's file.
        write_whole(marker, _MARKER_TEXT.encode())
    except OSError as error:
        other = f"{COMMAND} enable --user, or " if site.ENABLE_USER_SITE else ""
        remedy = f"{other}AUTOXLA_ACTIVE=1 in the environment of your programs"
        raise RefusalError(f"{folder}: {error.strerror}; {remedy}") from error
    is_off = read_environ().get("AUTOXLA") == "off"
    off = "; AUTOXLA=off, as it is set here, still switches it off" if is_off else ""
    return f"enabled: {marker}{off}"


def disable(folder: Path) -> str:
    """Take the marker in ``folder`` away and return what was done. Raises RefusalError."""
    marker = folder / MARKER
    done = f"not enabled in {folder}"
    if _is_ours(marker):
        try:
            marker.unlink()
        except OSError as error:
            raise RefusalError(f"{folder}: {error.strerror}; ask its owner to remove {marker}") from error
        done = f"disabled: {marker} is removed"
    left = [str(each / MARKER) for each in site_folders() if (each / MARKER).exists()]
    return done + (f"; still there: {', '.join(left)}" if left else "")


def look() -> dict[str, Any]:
    """Return what there is in this environment, and whether a new interpreter is active, as JSON has it.

    ``active`` was tried: None where the interpreter that was to show it did not end in time. ``because`` is
    what explains it.
    """
    folders: list[dict[str, Any]] = []
    for folder in site_folders():
        files = {ending: folder / f"autoxla.{ending}" for ending in ("pth", "start")}
        states = {ending: "present" if is_file(file) else "missing" for ending, file in files.items()}
        folders.append({"folder": str(folder), **states, "enabled": (folder / MARKER).exists()})
    # What keeps this interpreter from reading what activates autoxla keeps the new one, too.
    options, _ = read_options(sys.orig_argv[1:])
    active = None
    try:
        done = subprocess.run(
            [sys.executable, *options, "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT,
        )
        active = done.stdout.strip() == "True"
        because = list(_explain(folders, active=active)) or [f"by nothing that is known here{_SEE}"]
    except subprocess.TimeoutExpired:
        because = [f"{sys.executable} did not start and end within {_LIMIT:g} seconds{_SEE}"]
    return {
        "active": active,
        "because": because,
        "interpreter": " ".join([sys.executable, *options]),
        "package": f"{_PACKAGE}, version {__version__}",
        "folders": folders,
    }


def describe(status: Mapping[str, Any]) -> str:
    """Return whether new interpreters are active, in words."""
    words = {True: "active", False: "not active", None: "not known to be active"}
    return f"{words[status['active']]} in new interpreters of this environment"


def site_folders() -> list[Path]:
    """Return the folders whose ``.pth`` files Python reads at its start, in that order."""
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [Path(folder) for folder in dict.fromkeys([*user, *site.getsitepackages()])]


def _is_ours(marker: Path) -> bool:
    """Return whether ``marker`` is there. Raises RefusalError for a file of another's."""
    try:
        content = read_bytes(marker)
        reason = f"not written by {COMMAND} enable"
    except UnreadableError as error:
        content, reason = b"", str(error)
    if content is None and not os.path.lexists(marker):
        return False
    if not (content or b"").startswith(SIGNATURE.encode()):
        raise RefusalError(f"{marker}: {reason}; look at it, and remove it by hand")
    return True


def _explain(folders: list[dict[str, Any]], *, active: bool) -> Iterator[str]:
    """Yield what makes a new interpreter active, or what keeps it from that."""
    installed = [folder for folder in folders if folder["pth"] != "missing"]
    enabled = [folder for folder in folders if folder["enabled"]]
    examples = []
    for entry in dict.fromkeys(sys.path):
        file = Path(entry) / "sitecustomize.py"
        with suppress(UnreadableError):
            examples += [file] if (read_bytes(file) or b"").startswith(_EXAMPLE) else []
    environ = read_environ()
    if active:
        if installed and environ.get("AUTOXLA_ACTIVE"):
            yield f"AUTOXLA_ACTIVE is set, and {installed[0]['folder']} has an autoxla.pth"
        if installed:
            yield from (f"{Path(folder['folder']) / MARKER} is there" for folder in enabled)
        yield from (f"{file} imports autoxla" for file in examples)
        if PRIVATE in environ.get("PYTHONPATH", "").split(os.pathsep):
            yield f"PYTHONPATH begins with {PRIVATE}: the launcher, from a checkout"
        return
    if environ.get("AUTOXLA") == "off":
        yield "AUTOXLA=off is set"
    if sys.flags.no_site:
        # Nor does it know which environment it is in.
        yield "python -S reads no .pth file and no sitecustomize.py"
    elif not installed and not examples:
        looked = ", ".join(folder["folder"] for folder in folders)
        yield f"autoxla is not installed in this environment: no autoxla.pth in {looked}"
    elif not examples and not enabled:
        yield f"it is not enabled: {COMMAND} enable"

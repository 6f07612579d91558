"""``python -m autoxla site enable|disable|status``: autoxla in every interpreter of this environment.

enable   puts a file ``autoxla.enabled`` beside the ``autoxla.pth`` that the installation brought
disable  takes that file away
status   shows whether interpreters of this environment start with autoxla, and why; --json as JSON

--prefix, the default, is the environment's site-packages; --user is the user's own, which each
interpreter of this release reads that is in no virtual environment. An interpreter reads these files
at its start: those that run already stay as they are. ``AUTOXLA=off`` switches autoxla off wherever
it was enabled. Only files that this command wrote are taken away. -q, --quiet: enable and disable say
nothing where they succeed, status says in one line whether autoxla is active.

Exit status: 0; 1 where the environment refuses; 2 where an argument is bad.

example: python -m autoxla site enable --prefix
"""

from __future__ import annotations

import argparse
import json
import os
import site
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from autoxla import __version__
from autoxla.commands.arguments import BadArgumentsError, Parser, add_quiet
from autoxla.commands.terminal import print_help
from autoxla.launch.launcher import PRIVATE
from autoxla.notice import printable, say
from autoxla.report import write_whole
from autoxla.situation.environment import read_environ
from autoxla.situation.files import UnreadableError, read_bytes

USAGE = "usage: python -m autoxla site enable|disable|status [--prefix|--user|--json|-q]"
COMMAND = "python -m autoxla site"
MARKER = "autoxla.enabled"
#: The first line of each marker of ours; a file without it is somebody else's.
SIGNATURE = "autoxla is active in every interpreter that reads the autoxla.pth of this environment.\n"
_MARKER_TEXT = f"{SIGNATURE}Written by {COMMAND} enable, taken away by {COMMAND} disable.\n"
#: Seconds that an interpreter may take to start, before it is said that it did not.
_LIMIT = 10.0
_PACKAGE = Path(PRIVATE).parent.parent
_EXAMPLE = b'"""Activates autoxla in every Python process'
_PROBE = "import sys; print(any(type(f).__name__ == 'AutoxlaFinder' for f in sys.meta_path))"

#: What the start files of this release hold.
_STARTERS = {"autoxla.pth": b'exec("try: import autoxla\\n', "autoxla.start": b"_autoxla_start:start"}

#: A start file: it calls autoxla, it does not (an older release's, or edited), or it is not there.
State = Literal["present", "changed", "missing"]


class RefusalError(Exception):
    """Why the environment cannot be changed, with the next step."""


@dataclass(frozen=True)
class Folder:
    """What lies in a folder that Python reads at its start."""

    folder: str
    pth: State
    start: State
    enabled: bool


@dataclass(frozen=True)
class Status:
    """What of autoxla there is in this environment. `active` was tried, `because` is what explains it.

    `active` is None where the interpreter that was to show it did not end in time.
    """

    active: bool | None
    because: list[str]
    interpreter: str
    python: str
    prefix: str
    options: list[str]
    package: str
    version: str
    variables: dict[str, str | None]
    folders: list[Folder]
    sitecustomize: list[str]

    @property
    def state(self) -> str:
        """What `active` is in words."""
        return {True: "active", False: "not active", None: "not known to be active"}[self.active]


def main(argv: list[str]) -> int:
    """Do what ``argv`` asks for; return the exit status."""
    if "-h" in argv or "--help" in argv:
        print_help(USAGE, __doc__ or "")
        return 0
    try:
        arguments = _parse(argv)
        if arguments.action == "status":
            _print(look(), as_json=arguments.json, brief=arguments.quiet)
        else:
            done = {"enable": enable, "disable": disable}[arguments.action](_target(user=arguments.user))
            _tell(done, quiet=arguments.quiet)
    except BadArgumentsError as error:
        say(f"AX902 error arguments: {error}; {USAGE}")
        return 2
    except RefusalError as error:
        say(f"AX902 error {error}")
        return 1
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(add_help=False, allow_abbrev=False)
    add_quiet(parser, "")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=Parser)
    for name in ("enable", "disable"):
        action = actions.add_parser(name, add_help=False, allow_abbrev=False)
        add_quiet(action, "", below=True)
        places = action.add_mutually_exclusive_group()
        places.add_argument("--prefix", dest="user", action="store_false", default=False)
        places.add_argument("--user", dest="user", action="store_true")
    status = actions.add_parser("status", add_help=False, allow_abbrev=False)
    status.add_argument("--json", action="store_true")
    add_quiet(status, "", below=True)
    return parser.parse_args(argv)


def enable(folder: Path) -> str:
    """Make the environment's interpreters active by a marker in ``folder``; return what was done.

    Raises RefusalError where no interpreter would heed it, or where it cannot be written.
    """
    marker = folder / MARKER
    if _is_ours(marker):
        return f"enabled already: {marker}"
    _find_reader(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Half of it would be somebody else's file.
        write_whole(marker, _MARKER_TEXT)
    except OSError as error:
        raise RefusalError(f"{folder}: {error.strerror}; {_other_way(folder)}") from error
    off = "; AUTOXLA=off, as it is set here, still switches it off" if _is_off() else ""
    return f"enabled: {marker}{off}"


def disable(folder: Path) -> str:
    """Take the marker in ``folder`` away and return what was done. Raises RefusalError."""
    marker = folder / MARKER
    if not _is_ours(marker):
        return f"not enabled in {folder}{_still_enabled()}"
    try:
        marker.unlink()
    except OSError as error:
        raise RefusalError(f"{folder}: {error.strerror}; ask its owner to remove {marker}") from error
    return f"disabled: {marker} is removed{_still_enabled()}"


def look() -> Status:
    """Return what there is in this environment, and whether a new interpreter is active."""
    folders = [_look_into(folder) for folder in site_folders()]
    examples = list(_find_examples())
    active = _try_interpreter()
    return Status(
        active=active,
        because=_explain(active, folders, examples),
        interpreter=sys.executable,
        python=".".join(map(str, sys.version_info[:3])),
        prefix=sys.prefix,
        options=_options(),
        package=str(_PACKAGE),
        version=__version__,
        variables={name: read_environ().get(name) for name in ("AUTOXLA", "AUTOXLA_ACTIVE", "PYTHONPATH")},
        folders=folders,
        sitecustomize=examples,
    )


def site_folders() -> list[Path]:
    """Return the folders whose ``.pth`` files Python reads at its start, in that order."""
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [Path(folder) for folder in dict.fromkeys([*user, *site.getsitepackages()])]


def _target(*, user: bool) -> Path:
    if not user:
        return Path(sysconfig.get_path("purelib"))
    if site.ENABLE_USER_SITE:
        return Path(site.getusersitepackages())
    reason = "virtual environments" if sys.prefix != sys.base_prefix else "this interpreter's options"
    raise RefusalError(f"--user: {reason} leave the user's site-packages out; {COMMAND} enable")


def _is_ours(marker: Path) -> bool:
    """Return whether ``marker`` is there. Raises RefusalError for a file of another's."""
    try:
        if not stat.S_ISREG(marker.stat().st_mode):
            raise RefusalError(f"{marker}: it is no regular file; look at it, and remove it by hand")
        text = marker.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return False
    except OSError as error:
        raise RefusalError(f"{marker}: {error.strerror}; look at it, and remove it by hand") from error
    if not text.startswith(SIGNATURE):
        raise RefusalError(f"{marker}: not written by {COMMAND} enable; look at it, and remove it by hand")
    return True


def _find_reader(folder: Path) -> Path:
    """Return the ``autoxla.pth`` that heeds a marker in ``folder``.

    It looks along ``sys.path``, which at that moment holds its own folder and those read before.
    Raises RefusalError where there is none.
    """
    folders = site_folders()
    later = folders[folders.index(folder) :] if folder in folders else []
    readers = [each / "autoxla.pth" for each in folders if (each / "autoxla.pth").is_file()]
    for reader in readers:
        if reader.parent in later:
            return reader
    if readers:
        raise RefusalError(f"{folder}: autoxla is installed in {readers[0].parent}; {_other_way(folder)}")
    home = _PACKAGE.parent
    source = home if (home / "pyproject.toml").is_file() else "the wheel of autoxla"
    raise RefusalError(
        f"{folder}: autoxla runs from {home} and is not installed in this environment; "
        f"{sys.executable} -m pip install {source}, then {COMMAND} enable"
    )


def _other_way(folder: Path) -> str:
    if site.ENABLE_USER_SITE and folder != Path(site.getusersitepackages()):
        return f"{COMMAND} enable --user, or AUTOXLA_ACTIVE=1 in the environment of your programs"
    return "ask its owner, or set AUTOXLA_ACTIVE=1 in the environment of your programs"


def _still_enabled() -> str:
    left = [str(folder / MARKER) for folder in site_folders() if (folder / MARKER).exists()]
    return f"; still there: {', '.join(left)}" if left else ""


def _is_off() -> bool:
    return read_environ().get("AUTOXLA") == "off"


def _look_into(folder: Path) -> Folder:
    pth, start = (_state_of(folder / name) for name in ("autoxla.pth", "autoxla.start"))
    return Folder(str(folder), pth, start, (folder / MARKER).exists())


def _state_of(file: Path) -> State:
    try:
        content = read_bytes(file)
    except UnreadableError:
        return "changed"
    if content is None:
        return "missing"
    return "present" if _STARTERS[file.name] in content else "changed"


def _find_examples() -> Iterator[str]:
    """Yield the ``sitecustomize.py`` files on ``sys.path`` that are copies of the example."""
    for entry in dict.fromkeys(sys.path):
        file = Path(entry) / "sitecustomize.py"
        try:
            is_example = (read_bytes(file) or b"").startswith(_EXAMPLE)
        except UnreadableError:
            continue
        if is_example:
            yield str(file)


def _options() -> list[str]:
    """Return this interpreter's options that keep it from reading what activates autoxla."""
    flags = sys.flags
    chosen = {
        "-S": flags.no_site,
        "-I": flags.isolated,
        "-E": flags.ignore_environment,
        "-s": flags.no_user_site,
    }
    return [option for option, is_set in chosen.items() if is_set]


def _try_interpreter() -> bool | None:
    """Start an interpreter like this one and return whether autoxla is active in it, None if it hangs."""
    command = [sys.executable, *_options(), "-c", _PROBE]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_LIMIT
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() == "True"


def _explain(active: bool | None, folders: list[Folder], examples: list[str]) -> list[str]:
    if active is None:
        text = f"{sys.executable} did not start and end within {_LIMIT:g} seconds"
        return [f"{text}: see sitecustomize.py and the .pth files"]
    found = list(_reasons(folders, examples) if active else _hindrances(folders, examples))
    return found or ["by nothing that is known here: see sitecustomize.py and the .pth files"]


def _reasons(folders: list[Folder], examples: list[str]) -> Iterator[str]:
    installed = [f for f in folders if f.pth != "missing"]
    if installed and read_environ().get("AUTOXLA_ACTIVE"):
        yield f"AUTOXLA_ACTIVE is set, and {installed[0].folder} has an autoxla.pth"
    if installed:
        yield from (f"{Path(f.folder) / MARKER} is there" for f in folders if f.enabled)
    yield from (f"{file} imports autoxla" for file in examples)
    if PRIVATE in read_environ().get("PYTHONPATH", "").split(os.pathsep):
        yield f"PYTHONPATH begins with {PRIVATE}: the launcher, from a checkout"


def _hindrances(folders: list[Folder], examples: list[str]) -> Iterator[str]:
    if _is_off():
        yield "AUTOXLA=off is set"
    if sys.flags.no_site:
        # Nor does it know which environment it is in.
        yield "python -S reads no .pth file and no sitecustomize.py"
        return
    is_installed = any(folder.pth != "missing" for folder in folders)
    if not is_installed and not examples:
        yield f"autoxla is not installed in this environment: no autoxla.pth in {_join(folders)}"
    elif not examples and not any(folder.enabled for folder in folders):
        yield f"it is not enabled: {COMMAND} enable"


def _join(folders: list[Folder]) -> str:
    return ", ".join(folder.folder for folder in folders)


def _tell(done: str, *, quiet: bool) -> None:
    if not quiet:
        print(printable(done))


def _print(status: Status, *, as_json: bool, brief: bool) -> None:
    lines = list(map(printable, _lines(status)))[: 1 if brief else None]
    print(json.dumps(asdict(status), indent=2) if as_json else "\n".join(lines))


def _lines(status: Status) -> Iterator[str]:
    yield f"autoxla is {status.state} in new interpreters of this environment"
    yield from (f"  {reason}" for reason in status.because)
    yield f"interpreter  {' '.join([status.interpreter, *status.options])}, Python {status.python}"
    yield f"package      {status.package}, version {status.version}"
    for folder in status.folders:
        yield f"folder       {folder.folder}"
        yield f"  autoxla.pth      {folder.pth}"
        yield f"  autoxla.start    {folder.start}, for Python 3.15 and later"
        yield f"  {MARKER}  {'present' if folder.enabled else 'missing'}"
    for file in status.sitecustomize:
        yield f"example      {file}"
    for name, value in status.variables.items():
        yield f"{name:<15}{'not set' if value is None else value}"

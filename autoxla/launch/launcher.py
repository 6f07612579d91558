"""The launcher: replaces this process by the same interpreter running the program, shim active.

The process is replaced, not re-used: `runpy` and its like leave traces that programs stumble over
(``__main__``, ``sys.orig_argv``, stack depth, exit paths, multiprocessing), a new interpreter has
none. What the program can still notice: ``AUTOXLA_ACTIVE`` in ``os.environ`` and, where autoxla is
not installed, a folder in front of ``PYTHONPATH``.

Known limits: POSIX only, since ``exec`` on Windows does not wait for the program; what an interpreter
says at its own start (under ``-v``, ``-X importtime``, ``PYTHONCOERCECLOCALE=warn``, or about an invalid
``-W``) is said twice; ``python -m`` itself imports a ``types.py`` or the like from the current folder
before anything here runs, which the command ``autoxla`` does not.
"""

# ruff: noqa: PTH100, PTH113, PTH118, PTH120 - pathlib would cost more than the rest of the launcher

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

PRIVATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "private")

# What CPython's own parser knows: options that end the options, that take a value, joined or as
# the next word, and the only long one that takes a value; the locales that PEP 538 coerces to.
_ENDING, _VALUED, _LONG_VALUED = "cm", "WX", "--check-hash-based-pycs"
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
#: Bytes of a pyproject.toml that are looked at.
_LONGEST = 1 << 20


def launch(words: "list[str]", *, quiet: bool = False) -> "NoReturn":
    """Replace this process by ``python [options] words``, with the options that this interpreter was given.

    When that fails with the shim, it is done without it. ``quiet`` keeps the notices of the program and its
    children to errors that are left. Raises OSError where the system starts no process at all.
    """
    options, _ = read_options(sys.orig_argv[1:])
    command = [sys.orig_argv[0], *options, *words]
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        _replace(command, _make_environment(command, quiet=quiet))
    except Exception as error:  # noqa: BLE001 - the program must run, whatever is wrong here
        try:
            from autoxla.hooks import boundary

            boundary.say("in the launcher", error, first=True)
        except Exception:  # noqa: BLE001, S110 - what says it is broken, too
            pass
    _replace(command, dict(os.environ))


def wants_healing(words: "list[str]") -> bool:
    """Return whether ``AUTOXLA_HEAL`` or the project's settings ask to heal the program when it dies."""
    chosen = os.environ.get("AUTOXLA_HEAL")
    if chosen not in (None, "", "1", "true") or os.environ.get("AUTOXLA") == "off":
        return False
    try:
        folder = os.getcwd()  # noqa: PTH109
        if words and not words[0].startswith("-"):
            folder = os.path.dirname(os.path.realpath(words[0]))
        if not chosen:
            above = folder
            while not os.path.isfile(file := os.path.join(above, "pyproject.toml")):
                above, former = os.path.dirname(above), above
                if above == former:
                    return False
            # Most projects say nothing of this, and reading settings costs more than all the rest here.
            with open(file, "rb") as stream:  # noqa: PTH123
                if b"heal" not in stream.read(_LONGEST):
                    return False
        from pathlib import Path

        from autoxla.settings import read_settings
        from autoxla.situation.cluster import is_of_many

        settings = read_settings(Path(folder), os.environ)[0]
        is_asked = bool(chosen) or settings.heal
        # Workers of one job must not differ, and other modes change nothing.
        return is_asked and settings.mode in ("fix", "auto") and not is_of_many(os.environ)
    except Exception:  # noqa: BLE001 - the program's own process says what is wrong with its settings
        return False


def _replace(command: "list[str]", environment: "dict[str, str]") -> "NoReturn":
    # Without a slash in argv[0] and off PATH, Python does not know its own file.
    os.execve(sys.executable or "/proc/self/exe", command, environment)  # noqa: S606 - no shell wanted


def _make_environment(command: "list[str]", *, quiet: bool) -> "dict[str, str]":
    """Return the environment for ``command``, with what activates the shim in it; say why if nothing can."""
    environment = dict(os.environ)
    # Undo Python's coercion of the C locale (PEP 538), which the program's own start repeats: otherwise it
    # would start in C.UTF-8 and not in UTF-8 mode. Without its option or variable, that mode comes from the
    # C locale only.
    is_chosen = "utf8" in sys._xoptions or "PYTHONUTF8" in environment
    if sys.flags.utf8_mode and not is_chosen and environment.get("LC_CTYPE") in _COERCED:
        environment["LC_CTYPE"] = "C"
    if environment.get("AUTOXLA") == "off":
        return environment
    _, letters = read_options(command[1:])
    obstacle, is_installed = None, False
    if "S" in letters:
        obstacle = (
            'python -S loads nothing at start; leave -S out, or begin the program with "import autoxla"'
        )
    else:
        site = sys.modules["site"]
        folders = [*site.getsitepackages()]
        if site.ENABLE_USER_SITE and not {"s", "I"} & set(letters):
            folders.append(site.getusersitepackages())
        # Whether the program's interpreter is going to read an autoxla.pth.
        is_installed = any(os.path.isfile(os.path.join(folder, "autoxla.pth")) for folder in folders)
    ignoring = [letter for letter in "IE" if letter in letters]
    if not is_installed and not obstacle and ignoring:
        obstacle = f"python -{ignoring[0]} ignores PYTHONPATH; install autoxla, or leave -{ignoring[0]} out"
    elif not is_installed and not obstacle and os.pathsep in PRIVATE:
        obstacle = f"{PRIVATE} cannot stand in PYTHONPATH; install autoxla, or move it"
    if obstacle:
        from autoxla.notice import say

        say(f"the program runs without autoxla: {obstacle}")
        return environment
    environment["AUTOXLA_ACTIVE"] = "1"
    if quiet:
        environment["AUTOXLA_QUIET"] = "1"
    entries = environment.get("PYTHONPATH", "")
    # An empty entry would be the current directory.
    if not is_installed and entries.split(os.pathsep)[0] != PRIVATE:
        environment["PYTHONPATH"] = PRIVATE + os.pathsep + entries if entries else PRIVATE
    return environment


def read_options(words: "Iterable[str]") -> "tuple[list[str], str]":
    """Split the interpreter's options off the front of ``words``.

    Returns the options with their values, up to what names the program (a file, ``-``, ``-m``,
    ``-c``, in joined forms such as ``-Om`` too), and the letters of those that take no value.
    """
    options: list[str] = []
    letters = ""
    rest = iter(words)
    for word in rest:
        if word == _LONG_VALUED:
            options += word, next(rest, "")
            continue
        if word == "-" or not word.startswith("-") or word.startswith("--"):
            break
        # ``-bXdev`` is the flag b, and X with the value dev; where nothing is left, the next word is it.
        at = next((at for at, letter in enumerate(word) if letter in _ENDING + _VALUED), len(word))
        letters += word[1:at]
        if word[at : at + 1] in (*_ENDING,):
            return options + [word[:at]] * (at > 1), letters
        options.append(word)
        if at == len(word) - 1:
            options.append(next(rest, ""))
    return options, letters

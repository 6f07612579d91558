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
    from collections.abc import Iterable, Iterator
    from typing import NoReturn

PRIVATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "private")

# What CPython's own parser knows: options that end the options, that take a value, joined or as
# the next word, and the only long one that takes a value; the locales that PEP 538 coerces to.
_ENDING, _VALUED, _LONG_VALUED = "cm", "WX", "--check-hash-based-pycs"
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")


class Launcher:
    """Runs ``python [options] words`` with the options that this interpreter was started with.

    ``quiet`` keeps the notices of the program and its children to errors that are left.
    """

    def __init__(self, words: "list[str]", *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.words = words
        self.command: list[str] = []
        self.letters = ""

    def run(self) -> "NoReturn":
        """Replace this process; when that fails with the shim, without it.

        Raises OSError where the system starts no process at all.
        """
        try:
            _flush()
            self._replace(self.prepare())
        except Exception as error:  # noqa: BLE001 - the program must run, whatever is wrong here
            _say_fault(error)
        self.command = self.command or [sys.orig_argv[0], *_repeat_options(), *self.words]
        self._replace(dict(os.environ))

    def prepare(self) -> "dict[str, str]":
        """Make the command; return the environment for it, with all that activates the shim in it."""
        options, _ = read_options(sys.orig_argv[1:])
        self.command = [sys.orig_argv[0], *options, *self.words]
        _, self.letters = read_options(self.command[1:])
        environment = dict(os.environ)
        _restore_locale(environment)
        if environment.get("AUTOXLA") == "off":
            return environment
        obstacle = self._find_obstacle()
        if obstacle:
            _say(f"autoxla: the program runs without the shim: {obstacle}")
            return environment
        environment["AUTOXLA_ACTIVE"] = "1"
        if self.quiet:
            environment["AUTOXLA_QUIET"] = "1"
        if not self._is_installed():
            _put_in_front(environment, PRIVATE)
        return environment

    def _find_obstacle(self) -> "str | None":
        """Return why no way of activation can work, with the next step, or None."""
        if "S" in self.letters:
            return (
                'python -S loads nothing at start; leave -S out, or begin the program with "import autoxla"'
            )
        if self._is_installed():
            return None
        for letter in "IE":
            if letter in self.letters:
                return f"python -{letter} ignores PYTHONPATH; install autoxla, or leave -{letter} out"
        if os.pathsep in PRIVATE:
            return f"{PRIVATE} cannot stand in PYTHONPATH; install autoxla, or move it"
        return None

    def _is_installed(self) -> bool:
        """Return whether the program's interpreter is going to read an ``autoxla.pth``."""
        return any(os.path.isfile(os.path.join(folder, "autoxla.pth")) for folder in self._site_folders())

    def _site_folders(self) -> "Iterator[str]":
        site = sys.modules["site"]
        yield from site.getsitepackages()
        if site.ENABLE_USER_SITE and not {"s", "I"} & set(self.letters):
            yield site.getusersitepackages()

    def _replace(self, environment: "dict[str, str]") -> "NoReturn":
        # Without a slash in argv[0] and off PATH, Python does not know its own file.
        os.execve(sys.executable or "/proc/self/exe", self.command, environment)  # noqa: S606 - no shell wanted


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
        flags, kind, value = _read_cluster(word)
        letters += flags
        if kind in _ENDING:
            return options + [f"-{flags}"] * bool(flags), letters
        options.append(word)
        if kind in _VALUED and not value:
            options.append(next(rest, ""))
    return options, letters


def _read_cluster(word: str) -> "tuple[str, str, str]":
    """Split ``-bXdev`` into flags, the letter that takes the rest, and the rest; ``.`` if none does."""
    for at, letter in enumerate(word[1:], 1):
        if letter in _ENDING + _VALUED:
            return word[1:at], letter, word[at + 1 :]
    return word[1:], ".", ""


def _restore_locale(environment: "dict[str, str]") -> None:
    """Undo Python's coercion of the C locale (PEP 538), which the program's own start repeats.

    Otherwise the program would start in C.UTF-8 and not in UTF-8 mode. That mode without its option
    or variable comes from the C locale only.
    """
    is_chosen = "utf8" in sys._xoptions or "PYTHONUTF8" in environment
    if sys.flags.utf8_mode and not is_chosen and environment.get("LC_CTYPE") in _COERCED:
        environment["LC_CTYPE"] = "C"


def _put_in_front(environment: "dict[str, str]", folder: str) -> None:
    entries = environment.get("PYTHONPATH", "")
    # An empty entry would be the current directory.
    if entries.split(os.pathsep)[0] != folder:
        environment["PYTHONPATH"] = folder + os.pathsep + entries if entries else folder


def _repeat_options() -> "list[str]":
    """Return the options of this interpreter by what came of them, where they cannot be read."""
    import subprocess

    options: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return options


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _say(line: str) -> None:
    from autoxla.hooks.boundary import printable

    if sys.stderr is not None:
        sys.stderr.write(printable(line) + "\n")
        sys.stderr.flush()


def _say_fault(error: Exception) -> None:
    try:
        from autoxla.hooks import boundary

        boundary.say("in the launcher", error, first=True)
    except Exception:  # noqa: BLE001 - what says it is broken, too
        return

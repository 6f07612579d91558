"""``python -m autoxla``: the launcher and the commands.

Hand-parsed: argparse would cost more than starting the program, and would take options that
are the program's.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

HELP = """\
usage: python [OPTIONS] -m autoxla [--quiet] PROGRAM [ARGUMENTS]
       python -m autoxla [--quiet] COMMAND [ARGUMENTS]
       autoxla ... for python -m autoxla ..., where autoxla is installed

Runs PROGRAM as `python [OPTIONS] PROGRAM` does, and configures TensorFlow and
Keras at their first import. PROGRAM is what python takes: script.py, -m MODULE,
-c CODE, a directory, a zip file, - for standard input; options of python may
stand in front of it.

commands:
  check PATH...     find hazards in programs without running them
  doctor [PROGRAM]  find what is wrong with this environment, and the remedy
  env [PROGRAM]     print the settings for a scheduler: sh, dotenv, json, docker
  explain [PROGRAM] show what would be configured, and why; runs nothing
  migrate PATH...   edit programs from one generation of Keras to the other
  records ACTION    list, show or clear what earlier runs taught
  rule [CODE]       show what a code means, why it matters and what to do
  site ACTION       enable, disable autoxla in each process of this environment
  tune PROGRAM      run PROGRAM on each execution path and keep the fastest
  run PROGRAM       run PROGRAM even if its name is that of a command

  --quiet           tell only errors that are left, in child processes, too; of
                    a command only errors and results
  -h, --help        show this help
  --version         show the version of autoxla

environment:
  AUTOXLA=off          do nothing
  AUTOXLA=observe      only report
  AUTOXLA=fix          cure hazards
  AUTOXLA=auto         also choose the fastest path; the default
  AUTOXLA_QUIET=1      what --quiet is for a program
  AUTOXLA_REPORT=FILE  write what was done to FILE: a page if it ends in .html,
                       else JSON
  AUTOXLA_DEBUG=1      show the traceback of a fault in autoxla

example: python -m autoxla train.py --epochs 5
"""
#: Python's own -q is about its banner, and goes to Python.
_QUIET = "--quiet"


def main(words: "list[str]") -> int:
    """Do what the words after ``python -m autoxla`` ask for; a program that is started does not return."""
    quiet = words[:1] == [_QUIET]
    words = words[1:] if quiet else words
    first = words[0] if words else "--help"
    if first in ("-h", "--help"):
        sys.stdout.write(HELP)
        return 0
    if first == "--version":
        from autoxla import __version__

        sys.stdout.write(f"autoxla {__version__}\n")
        return 0
    # The names of commands are letters only: most programs start without a look at the commands.
    return _answer(first, words, quiet=quiet) if first.isalpha() else _launch(words, quiet=quiet)


def start() -> int:
    """Do what the command line asks for: ``autoxla`` in the shell, without the cost of ``python -m``."""
    return main(sys.argv[1:])


def _answer(first: str, words: "list[str]", *, quiet: bool) -> int:
    from autoxla import commands

    if first in commands.MODULES:
        return commands.run(first, [_QUIET] * quiet + words[1:])
    return _launch(words[1:] if first == "run" else words, quiet=quiet)


def _launch(words: "list[str]", *, quiet: bool) -> "NoReturn":
    from autoxla.launch import launcher

    launcher.Launcher(words, quiet=quiet).run()


if __name__ == "__main__":
    sys.exit(start())

"""``python -m autoxla``: the launcher and the commands.

Hand-parsed: argparse would cost more than starting the program, and would take options that
are the program's.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

HELP = """\
usage: python [OPTIONS] -m autoxla PROGRAM [ARGUMENTS]
       python -m autoxla COMMAND [ARGUMENTS]
       autoxla ... for python -m autoxla ..., where autoxla is installed

Runs PROGRAM as `python [OPTIONS] PROGRAM` does, and configures TensorFlow and Keras at their
first import. PROGRAM is what python takes: script.py, -m MODULE, -c CODE, a directory, a zip
file, - for standard input; options of python may stand in front of it.

commands:
  check PATH...     find hazards in programs without running them
  doctor [SCRIPT]   find what is wrong with this environment, and the remedy; imports no backend
  env [SCRIPT]      print the settings for a scheduler, as sh, dotenv, json or docker has them
  explain [SCRIPT]  show what would be configured, and why; runs nothing
  migrate PATH...   edit programs from one generation of Keras to the other
  records ACTION    list, show or clear what earlier runs taught
  rule [CODE]       show what a code means, why it matters and what to do
  site ACTION       enable or disable autoxla in every process of this environment; status
  tune SCRIPT       run SCRIPT on each execution path and keep the fastest
  run PROGRAM       run PROGRAM even if its name is that of a command

  -h, --help        show this help
  --version         show the version of autoxla

environment:
  AUTOXLA=off|observe|fix|auto  do nothing, only report, cure hazards, or also choose the fastest path
  AUTOXLA_REPORT=FILE           write what was done to FILE, as JSON, or as a page if it ends in .html
  AUTOXLA_DEBUG=1               show the traceback of a fault in autoxla
"""


def main(words: "list[str]") -> int:
    """Do what the words after ``python -m autoxla`` ask for; a program that is started does not return."""
    first = words[0] if words else "--help"
    if first in ("-h", "--help"):
        sys.stdout.write(HELP)
        return 0
    if first == "--version":
        from autoxla import __version__

        sys.stdout.write(f"autoxla {__version__}\n")
        return 0
    # The names of commands are letters only: most programs start without a look at the commands.
    return _answer(first, words) if first.isalpha() else _launch(words)


def start() -> int:
    """Do what the command line asks for: ``autoxla`` in the shell, without the cost of ``python -m``."""
    return main(sys.argv[1:])


def _answer(first: str, words: "list[str]") -> int:
    from autoxla import commands

    if first in commands.MODULES:
        return commands.run(first, words[1:])
    return _launch(words[1:] if first == "run" else words)


def _launch(words: "list[str]") -> "NoReturn":
    from autoxla.launch import launcher

    launcher.Launcher(words).run()


if __name__ == "__main__":
    sys.exit(start())

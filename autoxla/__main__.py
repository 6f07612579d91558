"""``python -m autoxla``: the launcher and the commands.

The first words are read by hand: argparse would cost more than starting the program, and would take options
that are the program's. What is a command goes on to `autoxla.commands`, all else to `autoxla.launch`.
"""

import sys

#: Python's own -q is about its banner, and goes to Python.
_QUIET = "--quiet"


def main(words: "list[str]") -> int:
    """Do what the words after ``python -m autoxla`` ask for; a program that is started does not return."""
    quiet = words[:1] == [_QUIET]
    words = words[1:] if quiet else words
    first = words[0] if words else "--help"
    if first in ("-h", "--help"):
        from autoxla.commands.parser import make_tree

        make_tree()[0].print_help()
        return 0
    if first == "--version":
        from autoxla import __version__

        sys.stdout.write(f"autoxla {__version__}\n")
        return 0
    # The names of commands are letters only: most programs start without a look at the commands.
    if first.isalpha():
        from autoxla import commands

        if first in commands.MODULES:
            return commands.run(first, [_QUIET] * quiet + words[1:])
        words = words[1:] if first == "run" else words
    from autoxla.launch.launcher import launch, wants_healing

    if wants_healing(words):
        from autoxla.commands.supervision import supervise

        return supervise(words, quiet=quiet)
    return launch(words, quiet=quiet)


def start() -> int:
    """Do what the command line asks for: ``autoxla`` in the shell, without the cost of ``python -m``."""
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(start())

"""Look-ahead: what a program's source says, before anything of it is imported or executed."""

from autoxla.lookahead.program import Program, find_program
from autoxla.lookahead.reading import read_program

__all__ = ["Program", "find_program", "read_program"]

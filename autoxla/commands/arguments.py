"""Reading the arguments of a command; what is not understood is said by the command, in one line."""

from __future__ import annotations

import argparse
from typing import NoReturn


class BadArgumentsError(ValueError):
    """Arguments that are not understood."""


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` that raises `BadArgumentsError` instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Raise `BadArgumentsError`."""
        raise BadArgumentsError(message)

"""The signals that end a command, all of them as Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def raising_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP, too, and put the former handlers back behind it.

    A signal that is ignored stays so: ``nohup`` asks for that.
    """
    former = {number: signal.getsignal(number) for number in _ENDING}
    heeded = {number: handler for number, handler in former.items() if handler is not signal.SIG_IGN}
    try:
        for number in heeded:
            signal.signal(number, signal.default_int_handler)
        yield
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)

"""Two threads in the worst order: ``flood_locks.py FILE OTHER OWN``.

A thread runs the statement ``OTHER``; once it executes a module whose file ends with ``FILE``, it pauses
there, and the main thread runs ``OWN``. Where they wait for each other, the process ends with status 1 and
both stacks.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
import time
from typing import Any

FILE, OTHER, OWN = sys.argv[1:]
if not OTHER.endswith(" autoxla"):  # the thread imports it
    import autoxla  # noqa: F401
faulthandler.dump_traceback_later(20, exit=True)
reached = threading.Event()


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Pause where ``FILE`` begins to execute."""
    if event == "exec" and not reached.is_set() and str(arguments[0].co_filename).endswith(FILE):
        reached.set()
        time.sleep(0.5)


sys.addaudithook(watch)
thread = threading.Thread(target=exec, args=(OTHER, {}), daemon=True)
thread.start()
if not reached.wait(10):
    sys.exit(f"{OTHER} did not execute {FILE}")
exec(OWN, {})  # noqa: S102 - our own words
thread.join()
print("both ended")

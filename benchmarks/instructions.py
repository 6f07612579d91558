"""Counting instructions with valgrind: figures that repeat where milliseconds do not.

They are those in user space alone: what the kernel does to start a process is not among them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

_CALLGRIND = "valgrind", "--tool=callgrind", "--trace-children=yes", "--dump-before=execve"


class Process(Protocol):
    """A process that can be started."""

    @property
    def command(self) -> list[str]:
        """Return the words of the command."""

    @property
    def environment(self) -> dict[str, str]:
        """Return all variables."""

    @property
    def folder(self) -> Path:
        """Return the folder to start in."""


def count_all(processes: Mapping[str, Process]) -> dict[str, dict[str, float]]:
    """Return millions of instructions of each, those above the first, and the ratio to it.

    Nothing is counted without valgrind.
    """
    if shutil.which("valgrind") is None:
        return {name: {} for name in processes}
    counts = {name: count(process) / 1e6 for name, process in processes.items()}
    base = next(iter(counts.values()))
    return {
        name: {"Minstr": number, "added Minstr": number - base, "ratio Minstr": number / base}
        for name, number in counts.items()
    }


def count(process: Process) -> int:
    """Return the instructions of a process and its children, also those before it replaces itself.

    `CalledProcessError` if it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [*_CALLGRIND, f"--callgrind-out-file={folder}/out.%p", *process.command]
        environment = {**process.environment, "PYTHONHASHSEED": "0"}
        subprocess.run(command, cwd=process.folder, env=environment, check=True, capture_output=True)
        return sum(map(_read_total, Path(folder).iterdir()))


def _read_total(file: Path) -> int:
    match = re.search(r"^totals: (\d+)", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return int(match[1]) if match else 0

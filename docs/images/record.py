"""Record ``explain``, ``heal`` and ``tune`` in a terminal, as pictures: ``explain.svg`` and so on.

``python docs/images/record.py [NAME …]`` from a checkout, in an environment with autoxla, TensorFlow, rich
and pyte. The programs are those of the pages.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text

IMAGES = Path(__file__).parent
CHECKOUT = IMAGES.parents[1]
COLUMNS, LINES = 118, 60
#: By picture: the page whose first ``train.py`` is run, and the words behind ``python -m autoxla``.
RECORDINGS = {
    "explain": ("README.md", ("explain", "train.py")),
    "heal": ("docs/heal.md", ("heal", "--yes", "train.py")),
    "tune": ("docs/tune.md", ("tune", "--budget", "4m", "train.py")),
}


def read_program(page: str) -> str:
    """Return the first program of ``page``."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]


def run(words: tuple[str, ...], folder: Path) -> pyte.Screen:
    """Run ``python -m autoxla *words`` in a terminal of its own; return the screen that it leaves."""
    master, terminal = pty.openpty()
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    size = {"COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm-256color"}
    home = folder / "home"
    home.mkdir()
    own = {**size, "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": str(home)}
    process = subprocess.Popen(
        [sys.executable, "-m", "autoxla", *words],
        cwd=folder,
        env={**os.environ, **own},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    with suppress(OSError):  # it ends when the terminal's other end is closed
        while True:
            stream.feed(os.read(master, 1 << 16))
    process.wait()
    return screen


def draw(name: str, words: tuple[str, ...], screen: pyte.Screen) -> None:
    """Write the screen as a picture."""
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    console.print(Text(f"$ python -m autoxla {' '.join(words)}", "bold"))
    last = max(row for row in screen.buffer if any(cell.data.strip() for cell in screen.buffer[row].values()))
    for row in range(last + 1):
        line = Text()
        for column in range(COLUMNS):
            cell = screen.buffer[row][column]
            colour = "" if cell.fg == "default" else cell.fg.replace("brown", "yellow")
            line.append(cell.data, f"{'bold ' if cell.bold else ''}{colour}".strip())
        line.rstrip()
        console.print(line)
    console.print()  # the picture cuts off the lower edge of its last line
    console.save_svg(str(IMAGES / f"{name}.svg"), title="autoxla")


def main() -> None:
    """Record what is asked for, all by default."""
    for name in sys.argv[1:] or RECORDINGS:
        page, words = RECORDINGS[name]
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "train.py").write_text(read_program(page), encoding="utf-8")
            draw(name, words, run(words, Path(folder)))


if __name__ == "__main__":
    main()

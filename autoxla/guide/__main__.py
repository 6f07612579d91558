"""``python -m autoxla.guide FOLDER``: write the pages of all codes into FOLDER.

Pages of codes that are gone are removed. Exit status 2 where FOLDER is not named or is no folder.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from autoxla.guide.book import make_entries
from autoxla.guide.render import render_all
from autoxla.notice import say

_PAGE = re.compile(r"AX\d{3}\.md")


def main(words: list[str]) -> int:
    """Write the pages into the folder in ``words``; return the exit status."""
    folder = Path(words[0]) if len(words) == 1 else None
    if folder is None or not folder.is_dir():
        say("AX902 error arguments: name one folder; usage: python -m autoxla.guide FOLDER")
        return 2
    write_pages(folder)
    return 0


def write_pages(folder: Path) -> None:
    """Write all pages into ``folder``, and remove those of codes that are gone."""
    pages = render_all(make_entries())
    for file in folder.iterdir():
        if _PAGE.fullmatch(file.name) and file.name not in pages:
            file.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

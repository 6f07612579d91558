"""What the pages get when the site is built: the pages of all codes and of qa/, and links to them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
from autoxla.commands.rule import by_family, make_pages, render_page

_PAGES = make_pages()
_QA = Path(__file__).with_name("qa")
#: A code in running text, after what is to stay as it is: blocks, code between backticks, links, headings.
_CODE = re.compile(
    r"^ *```.*?^ *```|`[^`]*`|\[[^\]]*\]\([^)]*\)|^#[^\n]*|\b(?P<code>AX\d{3})\b", re.DOTALL | re.MULTILINE
)
_INDEX = """\
# Codes

Each thing that autoxla finds has a code. `python -m autoxla rule CODE` shows its page in the terminal,
`python -m autoxla rule AX2` lists a family. The level is `error`, `warning` or `info`; a *note* is added to
an exception that TensorFlow or Keras raised, and *doctor* marks results of `python -m autoxla doctor`.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of all codes, and those of qa/."""
    made = {f"{code}.md": f"{render_page(page)}\n[All codes](index.md)\n" for code, page in _PAGES.items()}
    for name, text in {"index.md": _render_index(), **made}.items():
        files.append(File.generated(config, f"rules/{name}", content=text))
    for page in _QA.glob("*.md"):
        text = page.read_text(encoding="utf-8").replace("](../docs/", "](../")
        files.append(File.generated(config, f"qa/{page.name}", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let codes in running text lead to their pages, and links to qa/ to the pages there."""
    if page.file.src_uri.startswith(("rules/", "qa/")):
        return markdown
    return _CODE.sub(_link, markdown.replace("](../qa/", "](qa/"))


def _link(found: re.Match[str]) -> str:
    code = found["code"]
    return f"[{code}](rules/{code}.md)" if code in _PAGES else found[0]


def _render_index() -> str:
    parts = [_INDEX]
    for family, members in by_family(_PAGES.values()):
        rows = "\n".join(
            f"| [{page.code}]({page.code}.md) | {page.level} | {page.title} |" for page in members
        )
        parts.append(f"## {family}\n\n| code | level | what it is about |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)

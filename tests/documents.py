"""Reading the documentation: its blocks, and the commands in them with what they are said to print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"(?P<indent> *)```(?P<language>\S*)")
_COMMENT = re.compile(r"\s+# .*$|^#(?!!).*$")
#: What TensorFlow says at its start, which the documentation leaves out.
_LOG = re.compile(
    r"WARNING: All log messages before absl|To enable the following instructions|[IWEF]\d{4} \d\d:\d\d:"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: "
)
#: What differs from machine to machine and from run to run, and what stands for it in a comparison.
_VARIES = (
    (r"/\S*/site-packages", "/SITE"),
    (r"/\S*/\.keras/", "/HOME/.keras/"),
    (r"\b[0-9a-f]{12}\b", "KEY"),
    (r"\b[0-9a-f]{32}\b", "KEY"),
    (r"\b\d+(\.\d+)+\b", "N"),
    (r"\b(N|\d+)(?= (ms|s|min|h|d|B|ok)\b)", "N"),
    (r"\bN (s|min|h|d)\b", "N TIME"),
    (r"\bstep \d+\b", "step N"),
    (r"^( *backends +).*", r"\1BACKENDS"),
    (r"^(python N, tensorflow N).*", r"\1"),
    (r" +", " "),
)


@dataclass(frozen=True)
class Block:
    """A fenced block. `line` is that of its first line of text, `before` the paragraph in front of it."""

    page: str
    line: int
    language: str
    text: str
    before: str

    @property
    def file(self) -> str | None:
        """The file that the block is the content of, where the paragraph before it names one."""
        named: list[str] = re.findall(r"`([\w/]+\.py)`", self.before)
        return named[-1] if self.language == "python" and named and self.before.endswith(":") else None


@dataclass(frozen=True)
class Command:
    """A command, where it stands, and the lines that it is said to print; None where nothing is said."""

    place: str
    text: str
    shown: tuple[str, ...] | None = None


def read_blocks(text: str, page: str) -> list[Block]:
    """Return the fenced blocks of ``text``. Raises ValueError where one does not end."""
    lines = text.splitlines()
    blocks: list[Block] = []
    start: int | None = None
    for at, line in enumerate(lines):
        fence = _FENCE.match(line)
        if fence and start is None:
            start, indent, language = at, len(fence["indent"]), fence["language"]
        elif fence and start is not None:
            inside = [inner[indent:] for inner in lines[start + 1 : at]]
            blocks.append(Block(page, start + 2, language, "\n".join(inside), _paragraph(lines[:start])))
            start = None
    if start is not None:
        raise ValueError(f"{page}:{start + 1}: a block without an end")
    return blocks


def _paragraph(lines: list[str]) -> str:
    kept = "\n".join(lines).rstrip()
    return kept.rpartition("\n\n")[2]


def read_commands(block: Block) -> list[Command]:
    """Return the commands of a block for the shell, or of one that shows what somebody typed."""
    if block.language == "sh":
        return list(_typed(block))
    return list(_shown(block))


def _typed(block: Block) -> Iterator[Command]:
    if block.text.startswith("#!"):
        yield Command(f"{block.page}:{block.line}", block.text)
        return
    for at, line in enumerate(block.text.splitlines()):
        for part in _COMMENT.sub("", line).split(" && "):
            if part.strip():
                yield Command(f"{block.page}:{block.line + at}", part.strip())


def _shown(block: Block) -> Iterator[Command]:
    lines = block.text.splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith("$ ")]
    for at, end in zip(starts, [*starts, len(lines)][1:], strict=True):
        yield Command(f"{block.page}:{block.line + at}", lines[at][2:], tuple(lines[at + 1 : end]))


def read_mentions(text: str) -> list[str]:
    """Return the commands that stand within the text and in summaries of usage."""
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    lines = re.findall(r"^ *(?:\$ )?((?:[A-Z_]+=\S+ )*python -m .*)$", text, re.MULTILINE)
    return [span.replace(r"\|", "|") for span in [*spans, *lines] if re.search(r"\bpython -m \w", span)]


def drop_log(output: str) -> tuple[str, ...]:
    """Return the lines of ``output`` without TensorFlow's own."""
    return tuple(line for line in output.splitlines() if not _LOG.match(line))


def mask(line: str) -> str:
    """Return ``line`` without what varies."""
    for pattern, word in _VARIES:
        line = re.sub(pattern, word, line)
    return line.rstrip()


def is_as_shown(shown: tuple[str, ...], printed: tuple[str, ...]) -> bool:
    """Return whether ``printed`` is what is shown, but for what varies.

    ``…`` stands for any lines, at the end of a line for the rest of it.
    """
    parts = [r"(?:.*\n)*?" if line.strip() == "…" else _as_pattern(line) + "\n" for line in shown]
    masked = "".join(f"{mask(line)}\n" for line in printed)
    return re.fullmatch("".join(parts), masked) is not None


def _as_pattern(line: str) -> str:
    if line.endswith("…"):
        return re.escape(mask(line[:-1])) + ".*"
    return re.escape(mask(line))

"""Files that cannot matter: only their imports are wanted, and text is enough to find them."""

from __future__ import annotations

import re
from collections.abc import Callable

from autoxla.lookahead.events import Event, FromImport, Import, Unit
from autoxla.lookahead.syntax import WORDS

# In any case and as parts of words: constants (``USE_JIT``) are imported from such files.
_INTEREST = re.compile(
    rb"\b(?:"
    + "|".join(sorted(WORDS - {"compile", "import", "yield"})).encode()
    + rb")\b|tensorflow|TYPE_CHECKING|\brunpy\b"
    rb"|TF_|tf_|XLA|xla|ITEX|itex|KERAS|[Kk]eras|JIT|[Jj]it|\basyncio\b|\bcoding\b"
)
_IMPORT = rb"[ \t]+([\w.]+)(?:[ \t]+as[ \t]+(\w+))?[ \t]*(?=\r?$|#)"
_FROM = rb"[ \t]+(\w[\w.]*)[ \t]+import[ \t]+(\w(?:[\w, \t]*[\w,])?)[ \t]*(?=\r?$|#)"
# Strings by runs of plain characters: a step for each would take memory for each.
_TOKEN = re.compile(
    rb'"""[^\\"]*(?:(?:\\[\s\S]|"(?!""))[^\\"]*)*"""'
    rb"|'''[^\\']*(?:(?:\\[\s\S]|'(?!''))[^\\']*)*'''"
    rb'|"[^\\"\n]*(?:\\[\s\S][^\\"\n]*)*"'
    rb"|'[^\\'\n]*(?:\\[\s\S][^\\'\n]*)*'"
    rb"|#[^\n]*"
    rb"|^import" + _IMPORT + rb"|^from" + _FROM + rb"|\b(import|raise)\b|([\"'])",
    re.MULTILINE,
)


def read_leaf(data: bytes, file: str, matters: Callable[[str, int], bool]) -> Unit | None:
    """Return a module's imports if nothing else in it matters, None if it is to be parsed.

    Of names that matter there is none, nor an import of what is to be followed (`matters`), and every
    import is a line of its own outside of any block. A syntax error elsewhere in it goes unseen.
    """
    if _INTEREST.search(data) or b"\0" in data or not data.isascii():
        return None
    events: list[Event] = []
    line, at = 1, 0
    for found in _TOKEN.finditer(data, 0, data.rfind(b"import") + 200):
        module, name, package, names, other, quote = found.groups()
        if quote and data.find(b"import", found.start()) < 0:
            break  # a string that goes on where nothing is looked for any more
        if other or quote or (package and b" as " in names) or (package and b"\t" in names):
            return None
        text = (module or package or b"").decode()
        if not text:
            continue
        if matters(text, 0):
            return None
        line += data.count(b"\n", at, found.start())
        at = found.start()
        if module:
            events.append(Import(line, 1, 0, text, name.decode() if name else None))
        else:
            listed = [part.strip() for part in names.decode().split(",") if part.strip()]
            events.append(FromImport(line, 1, 0, text, 0, tuple((part, part) for part in listed)))
    return Unit(file, "<module>", "module", events=events)

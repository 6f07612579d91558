"""``python -m autoxla records list|show KEY|clear [KEY…|--all] [--json]``: what earlier runs taught.

list   all records: decisions (which execution path won), programs, learned (what a run showed of its
       program), those used last first
show   one record in full; the beginning of a key suffices where it is one record's alone
clear  removes the records that are named, else all of them; with --all also what XLA compiled, what was
       read of programs' sources, and the note of which worker of a pool spoke

Only files that autoxla wrote for this user are read or removed. A table is drawn on a terminal if rich
is installed; NO_COLOR is respected. What was there and cannot be trusted is said on stderr.

Exit status: 0; 1 where something cannot be removed; 2 on bad usage or an unknown key.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from autoxla.commands.arguments import QUIET, BadArgumentsError, HelpFormatter, Parser, add_quiet
from autoxla.commands.terminal import make_console
from autoxla.notice import printable, say
from autoxla.places import cache_folder, find_refusal
from autoxla.records import Record, Store
from autoxla.records.compiled import clear as clear_compiled
from autoxla.situation.environment import read_environ
from autoxla.tuned import read_noted

#: Where records are, below the cache folder.
KINDS = ("decisions", "programs", "learned")
USAGE = "usage: python -m autoxla records list|show KEY|clear [KEY…|--all] [--json] [--quiet]"
_QUIET_HELP = "print what was asked for, and nothing beside it but errors"
_SHORT = 12  # characters of a key in a table
_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_NAMES = ("program", "model")
_PATHS = ("winner", "graph_ms", "xla_ms", "compile_s")
_OWN = ("schema", "key")
#: What only a run compares.
_INNER = ("machine_digest",)
#: What the look-ahead writes, also where it was killed in the midst of it, and where a pool's workers note
#: which one spoke.
_READINGS = re.compile(r"reading-[0-9a-f]{8}\.(json|[0-9]+\.part)")
_SPOKEN = re.compile("spoken")


@dataclass(frozen=True, slots=True)
class Kept:
    """A record with the store that keeps it."""

    kind: str
    store: Store
    record: Record

    @property
    def file(self) -> Path:
        """The file that holds it."""
        return self.store.folder / f"{self.record.key}.json"


class _Parser(Parser):
    def error(self, message: str) -> NoReturn:
        super().error(f"{message}; {USAGE}")


def main(argv: list[str]) -> int:
    """List, show or clear records; return the exit status."""
    top = cache_folder(read_environ())
    stores = {kind: Store(top / kind) for kind in KINDS}
    try:
        options = _parse(argv)
        _act(stores, options, top)
    except BadArgumentsError as error:
        say(f"AX902 error arguments: {error}")
        return 2
    except OSError as error:
        say(f"AX902 error records: {error}")
        return 1
    finally:
        if not set(QUIET).intersection(argv):
            _say_ignored(stores.values())
    return 0


def _act(stores: dict[str, Store], options: argparse.Namespace, top: Path) -> None:
    if options.action == "list":
        _list(stores, options)
    elif options.action == "show":
        _show(_find(stores, options.key), as_json=options.json)
    else:
        _clear(stores, options, top)


def describe(data: dict[str, object]) -> str:
    """Return on one line what a record says: the program, which path won by which times, and the rest."""
    names = [name for name in _NAMES if isinstance(data.get(name), str)]
    parts = [str(data[name]) for name in names]
    winner = data.get("winner")
    if winner is not None:
        times = [
            f"{name.removesuffix('_ms')} {data[name]:.3g} ms"
            for name in _PATHS[1:3]
            if _is_number(data, name)
        ]
        times += [f"compile {data['compile_s']:.3g} s"] if _is_number(data, "compile_s") else []
        parts.append(f"{winner} won" + (f" ({', '.join(times)})" if times else ""))
    told = {*names, *_OWN, *_INNER, *(_PATHS if winner is not None else ())}
    parts += [f"{name}={_value(value)}" for name, value in data.items() if _is_worth(name, value, told)]
    return printable(", ".join(parts))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m autoxla records",
        description=__doc__,
        formatter_class=HelpFormatter,
        epilog="example: python -m autoxla records clear 3f9a",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|show|clear")
    show_list = actions.add_parser("list", allow_abbrev=False)
    show = actions.add_parser("show", allow_abbrev=False)
    show.add_argument("key", metavar="KEY")
    clear = actions.add_parser("clear", allow_abbrev=False)
    clear.add_argument("keys", nargs="*", metavar="KEY")
    clear.add_argument("--all", action="store_true", help="what XLA compiled and what was read, too")
    for action in (show_list, show, clear):
        action.add_argument("--json", action="store_true", help="print JSON")
        add_quiet(action, _QUIET_HELP, below=True)
    add_quiet(parser, _QUIET_HELP)
    return parser.parse_args(argv)


def list_kept(stores: dict[str, Store]) -> Iterator[Kept]:
    """Yield all records, by kind; what no run would heed is noted in its store.

    Only what tuning found is checked for its content: the rest counts part by part.
    """
    for kind, store in stores.items():
        for record in store.list():
            if kind == "programs":
                read_noted(store, record.key, record.data)
            yield Kept(kind, store, record)


def _find(stores: dict[str, Store], key: str) -> Kept:
    """Return the one record whose key begins with ``key``. Raises `BadArgumentsError`."""
    found = [kept for kept in list_kept(stores) if key and kept.record.key.startswith(key.lower())]
    exact = [kept for kept in found if kept.record.key == key.lower()]
    if len(exact) == 1:
        return exact[0]
    if not found:
        raise BadArgumentsError(f"there is no record {key!r}; python -m autoxla records list")
    if len(found) > 1:
        keys = ", ".join(kept.record.key for kept in found[:4])
        raise BadArgumentsError(f"{key!r} is the beginning of {len(found)} keys: {keys}")
    return found[0]


def _list(stores: dict[str, Store], options: argparse.Namespace) -> None:
    found = list(list_kept(stores))
    if options.json:
        print(json.dumps([_as_data(kept) for kept in found], indent=2))
        return
    rows = [_row(kept) for kept in found]
    if not rows:
        if not options.quiet:
            print(f"no records in {printable(str(cache_folder(read_environ())))}")
    elif not _draw(rows):
        _write(rows)


def _show(kept: Kept, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_as_data(kept), indent=2))
        return
    facts = {name: value for name, value in kept.record.data.items() if name not in _OWN}
    rows = [("key", kept.record.key), ("kind", kept.kind), ("last used", f"{_age(kept.record)} ago")]
    rows += [
        (name, json.dumps(value) if isinstance(value, dict) else _value(value))
        for name, value in facts.items()
    ]
    _write([(printable(name), printable(value)) for name, value in rows])


def _clear(stores: dict[str, Store], options: argparse.Namespace, top: Path) -> None:
    if options.keys and options.all:
        raise BadArgumentsError(f"give keys or --all; {USAGE}")
    chosen = [_find(stores, key) for key in options.keys]
    removed = sum(kept.store.remove(kept.record.key) for kept in {k.record.key: k for k in chosen}.values())
    if not options.keys:
        removed = sum(store.clear() for store in stores.values())
    compiled, read = _clear_rest(top) if options.all else (0, 0)
    if options.json:
        print(json.dumps({"removed": removed, "compiled": compiled, "read": read}))
        return
    rest = f", {compiled} compiled program(s), {read} reading(s) of sources" if options.all else ""
    if not options.quiet:
        print(f"{removed} record(s) removed{rest}")


def _clear_rest(top: Path) -> tuple[int, int]:
    """Remove what is no record; return how many compiled programs and readings. Raises OSError."""
    _clear_files(top, _SPOKEN)
    return clear_compiled(top / "xla"), _clear_files(top / "lookahead", _READINGS)


def _clear_files(folder: Path, names: re.Pattern[str]) -> int:
    """Remove this user's files of these names in a folder that can be trusted; return how many."""
    if find_refusal(folder) is not None or folder.is_symlink() or not folder.is_dir():
        return 0
    chosen = [file for file in folder.iterdir() if names.fullmatch(file.name) and _is_own(file.lstat())]
    for file in chosen:
        file.unlink(missing_ok=True)
    return len(chosen)


def _is_own(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()


def _as_data(kept: Kept) -> dict[str, object]:
    record = kept.record
    facts = {name: value for name, value in record.data.items() if name not in _OWN}
    return {"kind": kept.kind, "key": record.key, "size": record.size, "used": record.used, "data": facts}


def _row(kept: Kept) -> tuple[str, ...]:
    record = kept.record
    return record.key[:_SHORT], kept.kind, _age(record), f"{record.size} B", describe(record.data)


def _draw(rows: Sequence[tuple[str, ...]]) -> bool:
    """Draw a table on a terminal by means of rich; return False where that cannot be."""
    console = make_console()
    if console is None:
        return False
    from rich.table import Table
    from rich.text import Text

    table = Table("key", "kind", "used", "size", box=None, pad_edge=False)
    table.add_column("says", overflow="fold")
    for row in rows:
        # As text: a record may hold what rich would take for its own markup.
        table.add_row(*map(Text, row))
    console.print(table)
    return True


def _write(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _age(record: Record) -> str:
    seconds = max(0, int(time.time() - record.used))
    size, unit = next((step for step in _STEPS if seconds >= step[0]), _STEPS[-1])
    return f"{seconds // size} {unit}"


def _is_number(data: dict[str, object], name: str) -> bool:
    return isinstance(data.get(name), float | int) and not isinstance(data[name], bool)


def _is_worth(name: str, value: object, told: set[str]) -> bool:
    return name not in told and value is not None and not isinstance(value, dict)


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _say_ignored(stores: Iterable[Store]) -> None:
    for store in stores:
        for file, reason in dict.fromkeys(store.ignored):
            say(f"AX907 info {file}: left out: {reason}")

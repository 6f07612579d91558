"""``python -m autoxla records list|show|clear``: what earlier runs taught."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from autoxla.cache import cache_dir
from autoxla.commands import BadArgumentsError
from autoxla.commands.terminal import print_table
from autoxla.compiled import clear as clear_compiled
from autoxla.cures import read_cure
from autoxla.notice import printable, say
from autoxla.policies.cures import name_settings
from autoxla.situation.environment import read_environ
from autoxla.store import Record, Store
from autoxla.tuned import read_tuned

#: Where records are, below the cache folder.
KINDS = ("decisions", "programs", "cures")
_SHORT = 12  # characters of a key in a table
_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
#: What a table tells first, and what it leaves out: what only a run compares.
_FIRST = ("program", "model")
_HIDDEN = ("schema", "key", "machine_digest", "refused")


class Kept(NamedTuple):
    """A record with the store that keeps it."""

    kind: str
    store: Store
    record: Record

    @property
    def file(self) -> Path:
        """The file that holds it."""
        return self.store.folder / f"{self.record.key}.json"

    @property
    def facts(self) -> dict[str, object]:
        """What it says."""
        return {name: value for name, value in self.record.data.items() if name not in ("schema", "key")}

    @property
    def age(self) -> str:
        """How long it has not been used."""
        seconds = max(0, int(time.time() - self.record.used))
        size, unit = next((step for step in _STEPS if seconds >= step[0]), _STEPS[-1])
        return f"{seconds // size} {unit}"

    def as_data(self) -> dict[str, object]:
        """Return it as JSON has it."""
        key, size, used = self.record.key, self.record.size, self.record.used
        return {"kind": self.kind, "key": key, "size": size, "used": used, "data": self.facts}


def run(options: argparse.Namespace) -> int:
    """List, show or clear records; return the exit status. Raises OSError where one cannot be removed."""
    top = cache_dir(read_environ())
    stores = {kind: Store(top / kind) for kind in KINDS}
    try:
        if options.action == "clear":
            chosen = {kept.record.key: kept for kept in (_find(stores, key) for key in options.keys)}
            removed = sum(kept.store.remove(key) for key, kept in chosen.items())
            if not options.keys:
                removed = sum(store.clear() for store in stores.values())
            compiled = clear_compiled(top / "xla") if options.all else 0
            read = Store(top / "lookahead").clear() if options.all else 0
            if options.json:
                print(json.dumps({"removed": removed, "compiled": compiled, "read": read}))
            elif not options.quiet:
                rest = f", {compiled} compiled program(s), {read} reading(s) of sources"
                print(f"{removed} record(s) removed{rest if options.all else ''}")
        elif options.action == "show":
            kept = _find(stores, options.keys[0])
            rows = [("key", kept.record.key), ("kind", kept.kind), ("last used", f"{kept.age} ago")]
            rows += [(name, _as_text(value)) for name, value in kept.facts.items()]
            if options.json:
                print(json.dumps(kept.as_data(), indent=2))
            else:
                print_table((), [(printable(name), printable(value)) for name, value in rows])
        else:
            found = list(list_kept(stores))
            if options.json:
                print(json.dumps([kept.as_data() for kept in found], indent=2))
            elif found:
                listed = [
                    (
                        kept.record.key[:_SHORT],
                        kept.kind,
                        kept.age,
                        f"{kept.record.size} B",
                        describe(kept.facts),
                    )
                    for kept in found
                ]
                print_table(("key", "kind", "used", "size", "says"), listed)
            elif not options.quiet:
                print(f"no records in {printable(str(top))}")
    finally:
        ignored = [pair for store in stores.values() for pair in dict.fromkeys(store.ignored)]
        for file, reason in () if options.quiet else ignored:
            say(f"AX907 info {file}: left out: {reason}")
    return 0


def list_kept(stores: Mapping[str, Store]) -> Iterator[Kept]:
    """Yield all records, by kind; what no run would heed is noted in its store.

    What tuning found and what cures a program is checked for its content: the rest counts part by part.
    """
    for kind, store in stores.items():
        for record in store.list():
            if kind == "programs":
                read_tuned(store, record.key, record.data)
            elif kind == "cures" and "variables" in record.data:
                read_cure(store, record.key, record.data)
            yield Kept(kind, store, record)


def describe(data: Mapping[str, object]) -> str:
    """Return on one line what a record says: the program, which path won by which times, and the rest."""
    names = [name for name in _FIRST if isinstance(data.get(name), str)]
    parts, told = [str(data[name]) for name in names], {*names, *_HIDDEN}
    if (winner := data.get("winner")) is not None:
        times = read_times(data)
        if (seconds := data.get("compile_s")) and isinstance(seconds, float | int):
            times.append(f"compile {seconds:.3g} s")
        parts.append(f"{winner} won" + (f" ({', '.join(times)})" if times else ""))
        told |= {"winner", "graph_ms", "xla_ms", "compile_s"}
    if isinstance(variables := data.get("variables"), dict):
        parts.append(name_settings(variables))
    elif isinstance(refused := data.get("refused"), list) and refused:
        parts.append(f"dropped: {', '.join(map(str, refused))}")
    for name, value in data.items():
        if name not in told and value is not None and not isinstance(value, dict):
            parts.append(f"{name}={_as_text(value)}")
    return printable(", ".join(parts))


def read_times(data: Mapping[str, object]) -> list[str]:
    """Return how long a step takes on each path that a record has a number for."""
    times = {path: data.get(f"{path}_ms") for path in ("graph", "xla")}
    return [f"{path} {ms:.3g} ms" for path, ms in times.items() if type(ms) in (float, int)]


def _as_text(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _find(stores: Mapping[str, Store], key: str) -> Kept:
    """Return the one record whose key begins with ``key``. Raises `BadArgumentsError`."""
    found = [kept for kept in list_kept(stores) if key and kept.record.key.startswith(key.lower())]
    if not found:
        raise BadArgumentsError(f"there is no record {key!r}; python -m autoxla records list")
    if len(found) > 1:
        keys = ", ".join(kept.record.key for kept in found[:4])
        raise BadArgumentsError(f"{key!r} is the beginning of {len(found)} keys: {keys}")
    return found[0]

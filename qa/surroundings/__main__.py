"""``python -m surroundings [GROUP … | kills | inputs | tables]``: run cases and keep what came of them.

A group is named by the beginning of its title, in lower case; without any all are run but ``inputs``, the
long runs of the readers' properties. ``tables`` only writes the tables.
"""

from __future__ import annotations

import json
import platform
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from surroundings import compiling, double, inputs, inside, killing, mounts, outside, silence, table
from surroundings.running import Pair

Run = Callable[[Path], Pair]


def main(words: list[str]) -> int:
    """Return 1 where a case did not come out the same."""
    if words == ["inputs"]:
        inputs.main()
    elif words != ["tables"]:
        measure(words)
    table.write()
    cases = [case for group in table.load(table.RESULTS)["groups"].values() for case in group]
    return int(not all(case["same"] for case in cases))


def measure(only: list[str]) -> None:
    """Run the groups whose name begins with one of ``only``, by default all; keep the others' results."""
    with tempfile.TemporaryDirectory(prefix="surroundings-") as folder:
        for name, runs in list_groups(Path(folder)).items():
            if not only or name.lower().startswith(tuple(only)):
                _save_group(name, [_run(Path(folder), case, run) for case, run in runs])
        if not only or "kills" in only:
            _save(kills=list(_kill(Path(folder))))


def _save_group(name: str, cases: list[dict[str, Any]]) -> None:
    _save(groups={**table.load(table.RESULTS).get("groups", {}), name: cases})


def _save(**parts: Any) -> None:
    data = {
        "kills": [],
        "groups": {},
        **table.load(table.RESULTS),
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **parts,
    }
    table.RESULTS.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def list_groups(folder: Path) -> dict[str, list[tuple[str, Run]]]:
    """Return all cases that can be run here, by what is in trouble."""
    library = double.build(folder)
    cases = {**outside.CASES, **(outside.ROOTS if mounts.are_possible() else {})}
    cases |= outside.FUSE if mounts.can_be_silent() else {}
    return {
        "File systems, limits and clocks": [
            (name, partial(_run_outside, case, library)) for name, case in cases.items()
        ],
        **{f"The state of the interpreter, autoxla {way}": list(_list_inside(way)) for way in inside.WAYS},
        "While XLA compiles beside training": [
            (name, partial(compiling.run_case, name=name)) for name in compiling.CASES
        ],
        "A trial in trouble": [
            (name, partial(_run_trial, told, library)) for name, told in silence.TRIALS.items()
        ],
    }


def _list_inside(way: str) -> Iterator[tuple[str, Run]]:
    names = (name for name in inside.CHANGES if way in inside.ways_of(name))
    return ((name, partial(_run_inside, name, way)) for name in names)


def _run_inside(name: str, way: str, folder: Path) -> Pair:
    return inside.run_change(name, folder, way)


def _run_outside(case: outside.Case, library: Path, folder: Path) -> Pair:
    return case(outside.Place(folder, library))


def _run_trial(told: silence.Told, library: Path, folder: Path) -> Pair:
    return silence.run_trial(folder, told(library, folder))


def _run(folder: Path, case: str, run: Run) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=folder) as at:
        pair = run(Path(at))
    seconds = [round(seen.seconds, 2) for seen in (pair.plain, pair.ours)]
    row = {
        "case": case,
        "status": [pair.plain.status, pair.ours.status],
        "output": pair.plain.out == pair.ours.out,
        "same": pair.is_same,
        "seconds": seconds,
        "said": [line.replace(sysconfig.get_path("purelib"), "/site-packages") for line in pair.ours.notices],
    }
    print("same" if pair.is_same else "DIFFERS", case, *seconds, flush=True)
    if not pair.is_same:
        print(pair.tell(), flush=True)
    return row


def _kill(folder: Path) -> Iterator[dict[str, Any]]:
    kinds = {"records": killing.kill_writers, "readings of source": killing.kill_readers_of_source}
    for what, kill in kinds.items():
        toll = kill(folder / what, 300)
        print(what, toll, flush=True)
        yield {"what": what, **asdict(toll)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

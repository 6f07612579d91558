"""``python -m surroundings inputs``: the property tests of every reader, with many more inputs than usual.

Each runs in a process of its own, two at once: with `FEW` inputs first, and from the time that they took
with as many as `LIMIT` seconds allow, `MANY` at most. How many were tried is what Hypothesis itself says.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from surroundings import table

TESTS = Path(__file__).parents[2] / "tests"
#: Seconds for one property, and how much slower than the first inputs the others may be.
LIMIT, SLOWER = 240.0, 3
MANY, FEW = int(os.environ.get("HYPOTHESIS_EXAMPLES", "20000")), 500
_COUNT = re.compile(r"(\d+) passing\D+(\d+) failing\D+(\d+) invalid")

#: What reads, and the files with its properties.
READERS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "releases": {"test_readers": ["test_no_text_breaks_the_version"]},
    "TF_XLA_FLAGS, XLA_FLAGS": {
        "test_readers": [
            "test_flags_survive_being_written_back",
            "test_a_flag_that_was_set_is_read_back",
            "test_the_other_flags_stay_when_one_is_set",
        ]
    },
    "source": {
        "test_lookahead": [
            "test_reading_is_independent_of_formatting",
            "test_any_bytes_can_be_read",
            "test_several_modules",
        ],
        "test_hostile_readers": ["test_a_leaf_says_nothing_but_imports"],
    },
    "notebooks": {
        "test_notebooks": ["test_every_text_that_can_run_is_read_once"],
        "test_hostile_readers": ["test_cells_keep_their_lines"],
    },
    "pyproject.toml": {
        "test_settings": ["test_any_table_is_read_or_refused"],
        "test_hostile_readers": ["test_any_bytes_are_a_pyproject_or_said"],
    },
    "keras.json": {"test_situation": ["test_no_content_of_keras_json_breaks_it"]},
    "metadata": {"test_hostile_readers": ["test_any_bytes_are_metadata"]},
    "what a parent set": {
        "test_situation": [
            "test_no_memory_breaks_restoring",
            "test_restoring_undoes_what_was_applied",
            "test_a_value_that_was_changed_since_stays",
        ]
    },
    "records": {
        "test_records": [
            "test_any_bytes_are_survived",
            "test_any_json_is_a_record_or_left_out",
            "test_what_can_be_written_comes_back",
        ],
        "test_learned": ["test_any_bytes_are_survived"],
        "test_tune": ["test_any_record_is_read_or_left", "test_any_file_is_a_result_or_none"],
        "test_trial_choice": ["test_any_file_is_looked_through"],
    },
    "what XLA compiled": {
        "test_xla_cache": ["test_any_bytes_are_whole_or_not", "test_no_beginning_of_an_entry_is_whole"]
    },
    "shared libraries": {"test_doctor": ["test_damaged_libraries_are_read_or_refused"]},
    "TF_CONFIG, and the words of workers": {
        "test_distribute": [
            "test_any_cluster_is_read_or_refused",
            "test_any_text_is_read_or_refused",
            "test_any_text_of_another_worker_is_read_or_refused",
        ]
    },
    "ranks": {"test_mpi": ["test_a_rank_is_a_number_of_the_environment", "test_any_size_is_read"]},
    "messages of errors": {"test_notes": ["test_any_text_is_taken"]},
    "reports": {"test_page": ["test_any_text_anywhere", "test_any_report_gives_a_page"]},
    "plans": {
        "test_respect": [
            "test_what_the_user_set_stands",
            "test_only_watched_variables_are_set_and_each_for_a_reason",
            "test_observe_and_off_change_nothing",
            "test_a_deed_against_the_user_is_said",
        ]
    },
}


@dataclass(frozen=True)
class Tried:
    """How many inputs a property of a reader was tried with."""

    reader: str
    property: str
    inputs: int


def main() -> None:
    """Try all, and keep the counts. Raises RuntimeError where a property does not hold."""
    begin = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        work = [
            (reader, name, pool.submit(_try, file, name))
            for reader, files in READERS.items()
            for file, names in files.items()
            for name in names
        ]
        found: list[Tried] = []
        for reader, name, each in work:
            found.append(Tried(reader, name, each.result()))
            _save(found, (time.monotonic() - begin) / 60)


def _save(found: Sequence[Tried], minutes: float) -> None:
    data = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "minutes": round(minutes, 1),
        "readers": [asdict(tried) for tried in _merge(found) if tried.inputs],
    }
    table.INPUTS.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _merge(found: Sequence[Tried]) -> list[Tried]:
    """Return ``found``, with what an earlier run has of the others, or more of the same."""
    before = [Tried(**row) for row in table.load(table.INPUTS).get("readers", [])]
    most = {(tried.reader, tried.property): tried.inputs for tried in sorted([*before, *found], key=_inputs)}
    return [Tried(*key, inputs) for key, inputs in sorted(most.items())]


def _inputs(tried: Tried) -> int:
    return tried.inputs


def _try(file: str, name: str) -> int:
    node = f"{file}.py::{name}"
    # A start, with its collection and imports, is no part of what an input costs.
    _, start = _run(node, 1)
    inputs, seconds = _run(node, FEW)
    number = int(min(MANY, FEW * LIMIT / max(seconds - start, 0.1)))
    try:
        return max(inputs, _run(node, number)[0]) if number > FEW else inputs
    except subprocess.TimeoutExpired:
        print("too slow for", number, node, flush=True)
        return inputs


def _run(node: str, number: int) -> tuple[int, float]:
    """Return how many inputs were tried, and the seconds of it."""
    begin = time.monotonic()
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-show-statistics"]
    own = {"HYPOTHESIS_PROFILE": "long", "HYPOTHESIS_EXAMPLES": str(number)}
    done = subprocess.run(
        [sys.executable, *words, str(TESTS / node)],
        cwd=TESTS.parent,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=LIMIT * SLOWER,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{node}:\n{done.stdout[-5000:]}{done.stderr[-2000:]}")
    inputs = sum(int(count) for numbers in _COUNT.findall(done.stdout) for count in numbers)
    print(node, inputs, flush=True)
    return inputs, time.monotonic() - begin

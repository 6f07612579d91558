"""The tables of docs/paths.md and qa/paths.md, made of the figures of a run.

``python -m benchmarks.paths.table [FILE]`` writes them between their markers; without FILE from
benchmarks/results/paths.json, and where that is not there, that nothing was measured.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.paths.ledger import LINES

HOME = Path(__file__).parents[2]
#: The sections of each document.
DOCUMENTS = {
    HOME / "docs" / "paths.md": ("circumstances", "summary"),
    HOME / "qa" / "paths.md": ("ledgers", "lines", "processes"),
}
RESULTS = HOME / "benchmarks" / "results" / "paths.json"
#: The models on which the trial's rules were fitted.
FITTED = ("mlp", "cnn", "lstm", "tr", "bnres", "MobileNetV2")
NOTHING = "Not measured yet."

Entry = Mapping[str, Any]


def main() -> None:
    """Write the tables into the documents."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    write(json.loads(file.read_text(encoding="utf-8")) if file.exists() else {})


def write(data: Mapping[str, Any]) -> None:
    """Write the tables of the figures ``data`` into the documents."""
    for document in DOCUMENTS:
        document.write_text(render(document, data), encoding="utf-8")


def render(document: Path, data: Mapping[str, Any]) -> str:
    """Return the text of ``document``, one of `DOCUMENTS`, with the tables of the figures ``data``."""
    made = make_sections(data)
    sections = {name: made[name] for name in DOCUMENTS[document]}
    return fill(document.read_text(encoding="utf-8"), sections)


def fill(text: str, sections: Mapping[str, str]) -> str:
    """Return ``text`` with each section between its markers. Raises ValueError where one has none."""
    for name, section in sections.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise ValueError(f"no place, or more than one, for the section {name}")
        whole = f"{begin}\n{section}\n{end}"
        text = pattern.sub(lambda _, whole=whole: whole, text)  # type: ignore[misc]
    return text


def make_sections(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each section for the figures ``data``, which may lack any."""
    entries = [entry for entry in data.get("ledgers", ()) if "error" not in entry]
    return {
        "circumstances": _circumstances(data),
        "summary": _summary(entries) if entries else NOTHING,
        "ledgers": "\n\n".join(_ledgers(entries, steps) for steps in _steps(entries)) or NOTHING,
        "lines": _lines(entries) if entries else NOTHING,
        "processes": _processes(data["processes"]) if data.get("processes") else NOTHING,
    }


def _circumstances(data: Mapping[str, Any]) -> str:
    if not data:
        return NOTHING
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    machine = data["machine"]
    return (
        f"{data['date']}, Python {data['python']}, {versions}, {machine['cores']} cores of {machine['cpu']}; "
        f"load average at the start {data['load']}."
    )


def _steps(entries: Iterable[Entry]) -> list[int]:
    return sorted({entry["steps"] for entry in entries})


def _pick(entries: Iterable[Entry], model: str, steps: int, run: str) -> Entry | None:
    """Return the entry of median regret among those that were taken again, None where there is none."""
    wanted = (model, steps, run)
    same = [entry for entry in entries if (entry["model"], entry["steps"], entry["run"]) == wanted]
    same.sort(key=lambda entry: entry["share"][0])
    return same[(len(same) - 1) // 2] if same else None


def _models(entries: Iterable[Entry]) -> list[str]:
    return list(dict.fromkeys(entry["model"] for entry in entries))


def _summary(entries: Sequence[Entry]) -> str:
    rows = []
    for name, models in _groups(entries).items():
        for steps in _steps(entries):
            picked = [_pick(entries, model, steps, "first") for model in models]
            firsts = [entry for entry in picked if entry is not None and not entry["unfinished"]]
            if not firsts:
                continue
            # A first run that began nothing left nothing: the second is the same.
            seconds = [_pick(entries, entry["model"], steps, "second") or entry for entry in firsts]
            rows.append(
                [
                    name,
                    f"{steps:,}",
                    _mean_and_most(entry["share"][0] for entry in firsts),
                    _mean_and_most(entry["share"][0] for entry in seconds),
                    _mean_and_most(entry["always_plain"] for entry in firsts),
                    _mean_and_most(entry["always_xla"] for entry in firsts),
                ]
            )
    return _table(["models", "steps", "first run", "second run", "always plain", "always XLA"], rows)


def _groups(entries: Sequence[Entry]) -> dict[str, list[str]]:
    models = _models(entries)
    groups = {"fitted": [m for m in models if m in FITTED], "others": [m for m in models if m not in FITTED]}
    return {name: members for name, members in groups.items() if members}


def _mean_and_most(shares: Iterable[float | None]) -> str:
    known = [share for share in shares if share is not None]
    return f"{_percent(fmean(known))} ({_percent(max(known))})" if known else "-"


def _ledgers(entries: Sequence[Entry], steps: int) -> str:
    rows = []
    for model in _models(entries):
        first, second = (_pick(entries, model, steps, run) for run in ("first", "second"))
        if first is None:
            continue
        estimate, low, high = first["ratio"]
        rows.append(
            [
                model,
                f"{first['plain_ms']:.3g}",
                "-" if estimate is None else f"{first['xla_ms']:.3g}",
                "-" if estimate is None else f"{estimate:.2f} ({low:.2f} to {high:.2f})",
                f"{first['compile_s']:.2f}",
                {"graph": "plain", "xla": "XLA"}[first["better"]],
                _switch(first),
                _share(first),
                "as the first" if second is None else _share(second),
                _percent(first["always_plain"]),
                _percent(first["always_xla"]),
                f"{first['drift']:.2f}" + (", too noisy to tell" if first["noisy"] else ""),
            ]
        )
    head = ["model", "plain ms", "XLA ms", "ratio", "compile s", "better", "switched at"]
    head += ["regret, first run", "second run", "always plain", "always XLA", "drift"]
    return f"{steps:,} steps:\n\n{_table(head, rows)}"


def _switch(entry: Entry) -> str:
    if entry["unfinished"]:
        return "unfinished"
    if entry["switched_at"]:
        return str(entry["switched_at"])
    return "tried, no" if entry["began_at"] else "no"


def _share(entry: Entry) -> str:
    estimate, low, high = entry["share"]
    return f"{_percent(estimate)} ({_percent(low)} to {_percent(high)})"


def _percent(share: float | None) -> str:
    # Rounded first, so that no nought has a sign.
    return "-" if share is None else f"{round(share, 3) + 0.0:.1%}"


def _lines(entries: Sequence[Entry]) -> str:
    rows = []
    for steps in _steps(entries):
        for model in _models(entries):
            for run in ("first", "second"):
                entry = _pick(entries, model, steps, run)
                if entry is not None and entry["began_at"]:
                    figures = [f"{entry['lines'][name][0]:.2f}" for name in LINES]
                    rows.append(
                        [
                            model,
                            f"{steps:,}",
                            run,
                            *figures,
                            f"{entry['regret'][0]:.2f}",
                            f"{entry['unexplained_s']:.2f}",
                        ]
                    )
    return (
        _table(["model", "steps", "run", *LINES, "sum", "unexplained"], rows) if rows else "No trial began."
    )


def _processes(processes: Sequence[Entry]) -> str:
    modes = list(dict.fromkeys(mode for entry in processes for mode in entry["median_s"]))
    rows = []
    for entry in processes:
        cells = [
            f"{entry['median_s'][mode]:.2f} ({entry['ratios'][mode]:.2f})" if mode in entry["ratios"] else "-"
            for mode in modes
        ]
        verdict = {None: "-", True: "too noisy to tell", False: "quiet"}[entry["noisy"]]
        rows.append([entry["model"], f"{entry['steps']:,}", *cells, verdict])
    return _table(["model", "steps", *modes, "machine"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


if __name__ == "__main__":
    main()

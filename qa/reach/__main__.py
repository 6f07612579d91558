"""``PYTHONPATH=qa:tests python -m reach FOLDER``: run programs under autoxla, and write what each trial met.

``FOLDER`` is outside of the checkout, with a clone ``OWNER+NAME`` of each repository in `reach.catalogue`.
Each program gets a copy there with made-up data in front of it (`reach.inside`), and ``--seconds`` to run:
long enough for a decision, and short of the training that it plans. One that dies before it trains is run
again with Keras 2. ``python -m reach table`` only writes the table of `docs/trial.md` from what was kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import architectures
from benchmarks.paths.table import fill
from benchmarks.tables import format_table
from reach.catalogue import Program, list_programs

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
RESULTS, PAGE = HERE / "results.json", CHECKOUT / "docs" / "trial.md"
#: What is said of a program, in the order of the table, by how a reason begins.
ENDED = "its time was up"
SWITCHED, KEPT, SHORT, UNLIKELY = "switched to XLA", "tried, and kept", "too short", "not worth a compile"
REASONS = {
    "switched to": SWITCHED,
    "graph kept": KEPT,
    "nothing is switched in a program that is seeded": "seeded",
    "XLA does not check": "no guard is possible",
    "the bounds that TensorFlow checks": "no guard is possible",
    "TensorFlow has to check": "no guard is possible",
    "XLA would compile the step anew": "XLA would compile each value anew",
    "the data say how many rows": "XLA would compile each value anew",
    "it is not known whether XLA has": "not supported by XLA",
    "the traced step is not found": "not plain tensors, or no step",
    "XLA cannot compile": "not supported by XLA",
    "a call of the step is several": "several steps a call",
    "a distribution strategy": "a distribution strategy",
    "the model runs eagerly": "eager",
    "the fit ended before": ENDED,
}
NONE, DIED = "no fit: a loop of its own", "died before its training"
ORDER = (*dict.fromkeys([SWITCHED, KEPT, UNLIKELY, SHORT, *REASONS.values()]), NONE, DIED)


def main() -> int:
    """Do what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(prog="reach")
    parser.add_argument("folder")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", default="", help="part of the names of those to run")
    parser.add_argument("--rest", action="store_true", help="run only those without an answer so far")
    options = parser.parse_args()
    if options.folder != "table":
        run_all(Path(options.folder), options.seconds, options.only, is_rest=options.rest)
    data = json.loads(RESULTS.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(fill(page, {"reach": make_table(data)}), encoding="utf-8")
    return 0


def run_all(folder: Path, seconds: int, only: str, *, is_rest: bool) -> None:
    """Run the models and programs whose title holds ``only``, one after the other, and keep what they met."""
    kept: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for title, words in make_programs(folder):
        is_answered = title in kept and judge(kept[title])[0] not in (ENDED, DIED)
        if only not in title or (is_rest and is_answered):
            continue
        kept[title] = run(words, folder / "runs", seconds)
        if judge(kept[title])[0] == DIED:
            kept[title] = run(words, folder / "runs", seconds, AUTOXLA_KERAS="legacy")
        print(title, "|", *judge(kept[title]), "|", kept[title]["died"], flush=True)
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def make_programs(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the title of each program and the command that runs its copy."""
    for name in architectures.TASKS:
        yield f"model: {name}", [str(copy(folder, "model.py", (HERE / "model.py").read_text())), name]
    for program in list_programs():
        text = read(folder, program)
        name = f"{program.repository.partition('/')[2]}-{Path(program.file).stem}.py"
        yield program.title, [str(copy(folder, name, text))]


def read(folder: Path, program: Program) -> str:
    """Return the source of a public program; that of a notebook without its magic lines."""
    clone = folder / program.repository.replace("/", "+")
    words = ["git", "--git-dir", str(clone), "show", f"HEAD:{program.file}"]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    if not program.file.endswith(".ipynb"):
        return text
    cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    lines = [
        line
        for cell in cells
        if not cell.startswith("%%") and "register_cell_magic" not in cell
        for line in [*cell.splitlines(), ""]
        if not line.lstrip().startswith(("%", "!"))
    ]
    return "\n".join(lines) + "\n"


def copy(folder: Path, name: str, text: str) -> Path:
    """Write ``text`` with the look from inside in its first line; return the file."""
    file = folder / "programs" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    future = "from __future__ import annotations\n"
    first = future if future in text else ""
    file.write_text(f"{first}import inside\n{text.replace(future, '')}", encoding="utf-8")
    return file


def run(words: list[str], folder: Path, seconds: int, **variables: str) -> dict[str, Any]:
    """Run a program under the launcher, with a cache of its own; return what `reach.inside` tells."""
    has_fit = ".fit(" in Path(words[0]).read_text(encoding="utf-8")
    if not has_fit:
        return {"has_fit": False, "died": None}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    result = folder / "result.json"
    own = {
        "PYTHONPATH": os.pathsep.join([str(HERE), str(CHECKOUT)]),
        "AUTOXLA_CACHE": str(folder / "cache"),
        "REACH_RESULT": str(result),
        "REACH_SECONDS": str(seconds),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    done = subprocess.run(
        [sys.executable, "-m", "autoxla", *words],
        cwd=folder,
        env={**os.environ, **own, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds + 120,
        check=False,
    )
    facts: dict[str, Any] = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}
    errors = [line for line in done.stderr.splitlines() if line and not line.startswith("autoxla:")]
    facts["has_fit"] = has_fit
    facts["died"] = errors[-1][:200] if done.returncode and errors else None
    return facts


def judge(facts: Mapping[str, Any]) -> tuple[str, str]:
    """Return the category of a program and the reason: those of the trial that came furthest."""
    if facts.get("backend") not in (None, "tensorflow"):
        return "another backend", str(facts["backend"])
    found = [judge_driver(driver) for driver in facts.get("drivers", ())]
    found += [(REASONS.get(reason, reason), reason) for reason in facts.get("obstacles", ())]
    known = [each for each in found if each[0] in ORDER]
    if facts.get("died") and all(category == ENDED for category, _ in found):
        return DIED, facts["died"]
    if known or found:
        return min(known or found, key=lambda each: ORDER.index(each[0]) if each in known else 0)
    if any(asked is True for asked, _ in facts.get("compiles", ())) and facts.get("fits"):
        return "already XLA", "jit_compile=True"
    if facts.get("died"):
        return DIED, facts["died"]
    return (ENDED, "before its training") if facts["has_fit"] else (NONE, "")


def judge_driver(driver: Mapping[str, Any]) -> tuple[str, str]:
    """Return the category of one trial, and the reason."""
    outcome = driver["outcome"]
    if outcome is not None:
        category = next((kind for begin, kind in REASONS.items() if outcome.startswith(begin)), outcome)
        return category, outcome
    if driver["compile_s"] is not None:
        ahead, chance = driver["left_s"], driver["chance"]
        return UNLIKELY, f"{ahead} s ahead, a compile of {driver['compile_s']} s, chance {chance}"
    if driver["state"] == "Watching":
        return (ENDED, "no step") if driver["left_s"] is None else (SHORT, f"{driver['left_s']} s ahead")
    return ENDED, driver["state"]


def make_table(data: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the counts, and each program with its reason, as tables."""
    titles = [f"model: {name}" for name in architectures.TASKS] + [each.title for each in list_programs()]
    judged = {title: judge(data[title]) for title in titles if title in data}
    kinds = {title: "models" if title.startswith("model:") else "programs" for title in data}
    counts = Counter((kinds[title], category) for title, (category, _) in judged.items())
    categories = sorted(
        {category for category, _ in judged.values()},
        key=lambda each: (ORDER.index(each) if each in ORDER else len(ORDER), each),
    )
    rows = [
        [each, str(counts["models", each] or ""), str(counts["programs", each] or "")] for each in categories
    ]
    rows.append(["**all**", *(f"**{list(kinds.values()).count(kind)}**" for kind in ("models", "programs"))])
    details = [[title, category, shorten(reason)] for title, (category, reason) in judged.items()]
    return "\n\n".join(
        [
            format_table(("", "models", "programs"), rows),
            format_table(("program", "what came of it", "reason"), details),
        ]
    )


def shorten(reason: str) -> str:
    """Return ``reason`` in one cell of a table."""
    text = " ".join(reason.replace("|", "/").split())
    return text if len(text) <= 90 else f"{text[:89]}…"


if __name__ == "__main__":
    raise SystemExit(main())

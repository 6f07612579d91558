"""The whole table: ``PYTHONPATH=qa:tests python -m faults`` in the checkout; with ``table`` only the page.

Takes an hour and a half on two cores; a stage of it (`STAGES`) can be named. The results are kept in
`results.json`, and shown in docs/faults.md.
"""

from __future__ import annotations

import datetime
import importlib
import json
import pkgutil
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from importlib.metadata import version

import autoxla
from faults import running, table
from faults.running import Verdict
from faults.scenarios import SCENARIOS
from faults.switch import KINDS, list_sites

#: The programs with the stand-ins in which an error is raised, besides the first one, which has every kind.
SHORT = ("error", "exit", "mended", "launcher", "late", "threads")
#: What the program's own calls reach, and what tells of faults: every kind may come from there.
ANY = (
    "autoxla.runtime",
    "autoxla.hooks",
    "autoxla.trial",
    "autoxla.settings",
    "autoxla.report",
    "autoxla.notice",
)
#: Kinds for what is called by those.
FEW = ("raise RuntimeError", "slow", "return None", "return hostile")
#: Kinds for trainings, where a process has many.
TRAININGS = {
    ("keras", "forced"): ("raise RuntimeError", "return None"),
    ("tf_keras", "forced"): ("raise RuntimeError",),
    ("keras", "free"): ("slow",),
}
#: Faults in processes with the real TensorFlow.
REAL = (
    "autoxla.activation:begin",
    "autoxla.runtime:Runtime.begin",
    "autoxla.runtime:Runtime.note_read",
    "autoxla.runtime:Runtime.add_compile",
    "autoxla.runtime:Runtime.check_again",
    "autoxla.runtime:Runtime.finish",
    "autoxla.runtime:Runtime.write_report",
    "autoxla.runtime:current",
    "autoxla.settings:read_settings",
    "autoxla.situation.gathering:gather",
    "autoxla.policies:decide",
    "autoxla.lookahead.reading:read_program",
    "autoxla.store:Store.read",
    "autoxla.cache:cache_dir",
    "autoxla.report:write_report",
    "autoxla.cures:recall",
    "autoxla.hooks.finder:on_import",
    "autoxla.hooks.finder:AutoxlaFinder.attach",
    "autoxla.hooks.finder:AutoxlaFinder.begin",
    "autoxla.hooks.finder:AutoxlaFinder.end",
    "autoxla.hooks.finder:ExecShadow.release",
    "autoxla.hooks.keras:hook",
    "autoxla.hooks.keras:hook_elsewhere",
    "autoxla.hooks.uncaught:register",
    "autoxla.hooks.mixed_models:check_mixing",
    "autoxla.hooks.wrapping:wrap",
    "autoxla.hooks.keras_internals:of_module",
    "autoxla.hooks.keras_internals:Target.find",
)
#: Faults in those that end by an error.
REAL_ENDS = (
    "autoxla.hooks.error_hints:add_note",
    "autoxla.hooks.error_hints:list_chain",
    "autoxla.hooks.error_hints:find_hint",
    "autoxla.hooks.wrapping:leave_no_frame",
    "autoxla.runtime:current",
    "autoxla.runtime:Runtime.finish",
)


def main() -> None:
    """Run all stages, or those that are named; keep the results, and make the page."""
    # At the start, since what is imported must be of one state of the sources.
    known = list_all()
    for name in [] if sys.argv[1:] == ["table"] else sys.argv[1:] or STAGES:
        begin = time.monotonic()
        reached, verdicts = STAGES[name]()
        keep(name, known, reached, verdicts, time.monotonic() - begin)
    table.write()


def run_errors() -> Stage:
    """Have each function that programs with the stand-ins reach raise an error."""
    reached = {name: running.list_reached(name) for name in ("whole", *SHORT)}
    # What the others read and decide at their start is what the first one does.
    chosen = [(name, site) for name, sites in reached.items() for site in sites if is_tried(name, site)]
    verdicts = running.inject_all([(name, site, "raise RuntimeError") for name, site in chosen])
    return {site for sites in reached.values() for site in sites}, verdicts


def is_tried(scenario: str, site: str) -> bool:
    """Return whether ``site`` is to fail in ``scenario``."""
    return scenario == "whole" or site.startswith(ANY)


def run_other_kinds() -> Stage:
    """Have each function of one program fail in other ways, and each module."""
    sites = running.list_reached("whole")
    kinds = {site: KINDS if site.startswith(ANY) else FEW for site in sites}
    cases = [("whole", site, kind) for site in sites for kind in kinds[site] if kind != "raise RuntimeError"]
    modules = dict.fromkeys(site.partition(":")[0] for site in sites)
    broken = [("whole", module, "broken") for module in modules]
    return {*sites}, running.inject_all([*broken, *cases])


def run_trainings() -> Stage:
    """Put a fault into each function that a trial reaches."""
    found: set[str] = set()
    verdicts: list[Verdict] = []
    for (generation, mode), kinds in TRAININGS.items():
        sites = running.list_reached_in_training(generation, mode)
        found.update(sites)
        verdicts += running.train(generation, mode, sites, kinds)
    return found, [verdict for verdict in verdicts if verdict.fired]


def run_real() -> Stage:
    """Put faults into processes with the real TensorFlow."""
    verdicts = running.inject_all(list(list_real()))
    return {verdict.site for verdict in verdicts if verdict.fired}, verdicts


def list_real() -> Iterator[tuple[str, str, str]]:
    """Yield the faults in processes with the real TensorFlow."""
    for name, scenario in SCENARIOS.items():
        if not scenario.stubs:
            sites = REAL if scenario.words == ("end",) else REAL_ENDS
            # The way in makes no difference to what is reached.
            yield from (
                (name, site, "raise RuntimeError") for site in sites[:: 1 if name == "keras, auto" else 3]
            )


def list_all() -> list[str]:
    """Return every public function and method of autoxla, commands and their like apart."""
    apart = (
        "autoxla.commands",
        "autoxla.paths",
        "autoxla.report.page",
        "autoxla.ray",
        "autoxla.launch",
        "autoxla.__main__",
    )
    modules = [found.name for found in pkgutil.walk_packages(autoxla.__path__, "autoxla.")]
    names = ["autoxla", *(name for name in modules if not name.startswith(apart))]
    return [site for name in names for site, *_ in list_sites(importlib.import_module(name))]


def keep(
    stage: str, names: Sequence[str], reached: set[str], verdicts: Sequence[Verdict], seconds: float
) -> None:
    """Write the results of a stage beside those of the others, a line for each fault."""
    before = json.loads(table.RESULTS.read_text(encoding="utf-8")) if table.RESULTS.exists() else {}
    stages = before.get("stages", {})
    stages[stage] = {"minutes": round(seconds / 60), "reached": sorted(reached)}
    known = {site for each in stages.values() for site in each["reached"]}
    others = [Verdict(*row) for row in before.get("verdicts", [])]
    kept = [verdict for verdict in others if table.stage_of(verdict) != stage]
    facts = {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("keras", "tensorflow", "tf-keras", "wrapt")},
        "stages": stages,
        "not reached": sorted(set(names) - known),
    }
    rows = ",\n".join(json.dumps(astuple(verdict), ensure_ascii=False) for verdict in [*kept, *verdicts])
    text = json.dumps(facts, indent=1).removesuffix("\n}")
    table.RESULTS.write_text(f'{text},\n "verdicts": [\n{rows}\n]\n}}\n', encoding="utf-8")


Stage = tuple[set[str], list[Verdict]]
STAGES: dict[str, Callable[[], Stage]] = {
    "errors": run_errors,
    "other kinds": run_other_kinds,
    "trial": run_trainings,
    "TensorFlow": run_real,
}

if __name__ == "__main__":
    main()

"""Measure a population of models that are drawn at random, and play policies on what was measured.

``generate`` prints what is drawn, a line a model, and keeps the descriptions in ``--json FILE``.

``collect`` measures each model in a process of its own and adds it to the file at once. If that is there,
what it lacks is measured: ``--minutes`` ends after so many, and the same command goes on. It also takes those
again beside which other work took more than a fifth of the processors. ``--anew`` begins again. It wants a
machine with nothing else on it.

``replay`` prints the regret of each policy on each model. ``table`` prints the tables by family, as Markdown;
``python -m benchmarks tables`` puts them into qa/population.md.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import make_header
from benchmarks.backends.__main__ import NOISY, find_versions, read_file, run_child, write
from benchmarks.judging import is_comparable
from benchmarks.population import replay, table
from benchmarks.population.draw import describe, describe_all
from benchmarks.population.priors import cross_validate

RESULTS = Path(__file__).parents[1] / "results" / "population.json"
#: How many models are drawn where nobody says: eighteen of each family.
MODELS = 252


def main() -> None:
    """Do what the first word says."""
    arguments = read_arguments()
    {"generate": generate, "collect": collect, "replay": show_regrets, "table": show_tables}[arguments.task](
        arguments
    )


def read_arguments() -> Namespace:
    """Return the command line."""
    parser = ArgumentParser(
        "python -m benchmarks population",
        description=__doc__,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("task", choices=("generate", "collect", "replay", "table"))
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn (default 1)")
    parser.add_argument("--models", type=int, default=MODELS, help=f"how many (default {MODELS})")
    parser.add_argument("--numbers", nargs="+", type=int, metavar="N", help="only these of them")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing after so many")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help=f"figures (default {RESULTS.name} in results)"
    )
    parser.add_argument("--anew", action="store_true", help="forget what the file has")
    return parser.parse_args()


def generate(arguments: Namespace) -> None:
    """Print what is drawn, and keep it where a file is given."""
    drawn = list(describe_all(arguments.seed, arguments.models))
    for each in drawn:
        blocks = " ".join(block["kind"] for block in each["blocks"])
        about = f"{each['number']:4} {each['family']:12} {each['estimated_ms']:7.2f} ms"
        print(f"{about}, batch {each['batch']:3}, {each['optimizer']}, {each['precision']}: {blocks}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(drawn, indent=1) + "\n", encoding="utf-8")


def collect(arguments: Namespace) -> None:
    """Measure what is lacking, model by model, until the minutes are over."""
    file = arguments.json or RESULTS
    data, began = begin(arguments, file), time.monotonic()
    wanted = find_lacking(data["runs"], arguments.numbers or range(arguments.models))
    for done, number in enumerate(wanted):
        if time.monotonic() - began > 60 * arguments.minutes:
            print(f"the minutes are over: {len(wanted) - done} models are left for the same command")
            return
        description = describe(arguments.seed, number)
        words = ["benchmarks.population.measure", json.dumps(description)]
        found = run_child(words, KERAS_BACKEND="tensorflow", AUTOXLA="off")
        run = {"number": number, "description": description, **found}
        data["runs"] = sorted(
            [*(each for each in data["runs"] if each["number"] != number), run],
            key=lambda each: int(each["number"]),
        )
        write(data, file)
        rest = (time.monotonic() - began) / (done + 1) * (len(wanted) - done - 1) / 60
        print(f"{format_run(run)}, {rest:.0f} minutes left", flush=True)


def begin(arguments: Namespace, file: Path) -> dict[str, Any]:
    """Return the figures to go on with. Ends the program where they belong to something else."""
    about = {**make_header(find_versions()), "seed": arguments.seed}
    if arguments.anew or not file.exists():
        return {**about, "runs": []}
    data = read_file(file)
    for name in ("versions", "seed"):
        if data[name] != about[name]:
            sys.exit(f"{file} has {name} {data[name]}, here they are {about[name]}: pass --anew")
    if not is_comparable(data, about):
        sys.exit(f"{file} is of another machine: pass --anew")
    return data


def find_lacking(runs: Sequence[Mapping[str, Any]], numbers: Sequence[int]) -> list[int]:
    """Return the numbers that are still to be measured: those that never were, then the disturbed ones.

    A process that failed is not repeated.
    """
    quiet = {run["number"]: run.get("others", 0.0) <= NOISY for run in runs}
    never = [number for number in numbers if number not in quiet]
    return [*never, *(number for number in numbers if not quiet.get(number, True))]


def format_run(run: Mapping[str, Any]) -> str:
    """Return what a process measured as a line."""
    head = f"{run['number']:4} {run['description']['family']:12}"
    if "graph" not in run:
        return f"{head} failed: {run['error']}"
    model = replay.read_model(run, cores=1)
    beside = model.beside
    text = (
        f"{head} {model.times.plain:8.3f} ms a step (estimated {run['description']['estimated_ms']:.3g}), "
        f"XLA's {model.ratio:.2f} times that, compiled in {model.times.compile / 1e3:.2f} s, "
        f"beside training in {beside.ms / 1e3:.2f} s with {beside.excess_ms / 1e3:.2f} s lost, "
        f"{run['nodes']} nodes"
    )
    failed = f", XLA: {run['error']}" if "error" in run else ""
    refused = f", refused: {run['refused']}" if run["refused"] else ""
    return f"{text}{failed}{refused}; {run['wall_s']:.0f} s, others {run['others']:.0%}"


def show_regrets(arguments: Namespace) -> None:
    """Print the regret of each policy on each model, for each length."""
    models = replay.read_models(read_file(arguments.json or RESULTS))
    tables = cross_validate(models)
    print(f"{'':4} {'':12} {'steps':>7} " + " ".join(f"{name:>20}" for name in replay.POLICIES))
    for model in models:
        for steps in replay.LENGTHS:
            regrets = replay.find_regrets(model, steps, tables[model.family])
            cells = " ".join(f"{regrets[name]:20.1%}" for name in replay.POLICIES)
            print(f"{model.number:4} {model.family:12} {steps:7} {cells}", flush=True)


def show_tables(arguments: Namespace) -> None:
    """Print the tables by family."""
    data = read_file(arguments.json or RESULTS)
    print(
        "\n\n".join(
            make(data) for make in (table.format_population, table.format_regrets, table.format_priors)
        )
    )


if __name__ == "__main__":
    main()

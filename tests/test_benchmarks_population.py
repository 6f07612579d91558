"""The population of models: what is drawn, what policies lose on made-up figures, going on with a file."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from math import inf, isclose
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autoxla.trial import economics
from autoxla.trial.decisions import Decision
from autoxla.trial.economics import Prior
from benchmarks import tables
from benchmarks.paths.ledger import FIRST_LOOK, Times
from benchmarks.population import __main__ as command
from benchmarks.population import draw, priors, replay, sizes, table
from benchmarks.population.replay import Beside, Model
from programs import HOME, clean_environment

CHECKOUT = Path(__file__).parents[1]
COUNT = 9 * len(draw.FAMILIES)


@cache
def describe_all() -> list[Any]:
    return list(draw.describe_all(1, COUNT))


# --- What is drawn


def test_the_same_seed_and_number_give_the_same_model() -> None:
    assert draw.describe(1, 40) == describe_all()[40]
    assert list(draw.describe_all(1, 3)) == describe_all()[:3]


def test_another_seed_gives_others() -> None:
    assert [each for each in draw.describe_all(2, 28) if each in describe_all()] == []


def test_there_are_enough_models_of_every_family() -> None:
    assert command.MODELS >= 120
    assert [each["family"] for each in describe_all()] == list(draw.FAMILIES) * 9


def test_models_are_within_their_budget() -> None:
    assert [each["number"] for each in describe_all() if not 0.5 <= sizes.estimate(each) <= 200] == []


def test_the_budget_is_used_from_end_to_end() -> None:
    times = [each["estimated_ms"] for each in describe_all()]
    assert min(times) < 2
    assert max(times) > 50


def test_every_description_is_what_json_holds() -> None:
    assert json.loads(json.dumps(describe_all())) == describe_all()


def test_blocks_of_every_description_follow_each_other() -> None:
    for each in describe_all():
        *_, last = sizes.follow(each)
        assert last.shape[-1] == each["head"]["units"]
        assert last.weights > 0


def walk(blocks: Any) -> Iterator[Any]:
    for block in blocks:
        yield block
        yield from walk(block.get("blocks", ()))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("cell", {"lstm", "gru", "rnn"}),
        ("both", {True, False}),
        ("sequences", {True, False}),
        ("cross", {True, False}),
        ("causal", {True, False}),
        ("crosses", {True, False}),
        ("positions", {True, False}),
        ("form", {"plain", "separable", "depthwise", "transposed", "glu", "highway"}),
        ("dilation", {1, 2, 4}),
        ("rank", {1, 2, 3}),
        ("norm", set(draw._NORMS)),
        ("activation", set(draw._ACTIVATIONS)),
        ("pool", {"", "max", "average"}),
        ("padding", {"same", "valid"}),
    ],
)
def test_every_choice_is_drawn(name: str, values: set[object]) -> None:
    drawn = {block[name] for each in describe_all() for block in walk(each["blocks"]) if name in block}
    assert values <= drawn


@pytest.mark.parametrize("name", ["optimizer", "precision", "loss", "batch"])
def test_every_circumstance_is_drawn(name: str) -> None:
    known = {
        "optimizer": draw._OPTIMIZERS,
        "precision": draw._PRECISIONS,
        "loss": (*draw._LOSSES, "sparse_categorical_crossentropy"),
        "batch": draw._BATCHES,
    }
    assert {each[name] for each in describe_all()} == set(known[name])


PLAIN = {"norm": "", "activation": "relu", "dropout": 0.0}
CONV = {
    "kind": "conv", "form": "plain", "filters": 4, "kernel": 3, "stride": 1, "dilation": 1,
    "padding": "valid", "pool": "", "pool_padding": "valid", **PLAIN,
}  # fmt: skip


@pytest.mark.parametrize(
    ("block", "shape", "made", "weights"),
    [
        ({"kind": "dense", "units": 256, **PLAIN}, (128,), (256,), 129 * 256),
        ({"kind": "dense", "units": 8, **PLAIN, "norm": "batch"}, (4,), (8,), 5 * 8 + 4 * 8),
        (CONV, (10, 10, 3), (8, 8, 4), 9 * 3 * 4 + 4),
        ({**CONV, "dilation": 2}, (10, 10, 3), (6, 6, 4), 9 * 3 * 4 + 4),
        ({**CONV, "padding": "same", "stride": 2, "pool": "max"}, (10, 3), (2, 4), 3 * 3 * 4 + 4),
        ({**CONV, "form": "transposed", "stride": 2}, (4, 4, 3), (8, 8, 4), 9 * 3 * 4 + 4),
        ({**CONV, "form": "separable"}, (10, 10, 3), (8, 8, 4), 9 * 3 + 3 * 4 + 4),
        ({"kind": "vector", "by": "flatten"}, (4, 5), (20,), 0),
    ],
)
def test_sizes_of_blocks(block: Any, shape: sizes.Shape, made: sizes.Shape, weights: int) -> None:
    found = sizes.measure(block, shape)
    assert (found.shape, found.weights) == (made, weights)


def test_a_convolution_takes_two_operations_for_each_weight_at_each_place() -> None:
    assert sizes.measure(CONV, (10, 10, 3)).work == 2 * 64 * 9 * 3 * 4


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (CONV, "nothing is left"),
        (
            {"kind": "residual", "activation": "relu", "blocks": [{**CONV, "padding": "same", "stride": 2}]},
            "added",
        ),
    ],
)
def test_what_does_not_fit_is_refused(block: Any, reason: str) -> None:
    description = {"inputs": [{"kind": "reals", "shape": [2, 2, 3]}], "blocks": [block], "head": {"units": 1}}
    with pytest.raises(ValueError, match=reason):
        list(sizes.follow(description))


def test_a_larger_batch_takes_longer() -> None:
    each = describe_all()[0]
    assert sizes.estimate({**each, "batch": 2 * each["batch"]}) > sizes.estimate(each)


# --- Policies


def make_model(plain: float = 10.0, ratio: float = 0.6, **more: Any) -> Model:
    """Return a model without noise: what `ratio` says is what its times are."""
    x = plain * ratio
    found = Model(
        number=1,
        family="dense",
        times=Times(first=500.0, plain=plain, xla=x, compile=1000.0 if x < inf else 0.0),
        ratio=ratio,
        pairs=[(plain / 1e3, x / 1e3)] * 20 if x < inf else [],
        beside=Beside(ms=1500.0, steps=max(1, int(1500 / plain / 2)), excess_ms=750.0, compile_s=1.4),
        survey_ms=20.0,
        nodes=1000,
        operations={"MatMul": 9},
        is_refused=False,
        cores=2,
    )
    return replace(found, **more)


lengths = st.sampled_from([2, 7, 8, 9, 60, *replay.LENGTHS])
quiet = st.builds(
    make_model,
    plain=st.floats(0.1, 200),
    ratio=st.floats(0.2, 6),
    is_refused=st.booleans(),
    nodes=st.integers(10, 20_000),
    operations=st.sampled_from([{"MatMul": 9}, {"Conv2D": 9}, {"While": 1, "MatMul": 9}]),
    survey_ms=st.floats(1, 500),
    beside=st.builds(Beside, st.floats(100, 20_000), st.integers(1, 5000), st.floats(0, 9000), st.just(1.0)),
)


@st.composite
def noisy(drawn: st.DrawFn) -> Model:
    """Draw a model whose pairs scatter, and whose median difference is another than its median ratio."""
    model = drawn(quiet)
    pairs = drawn(st.lists(st.tuples(st.floats(1e-4, 0.2), st.floats(1e-4, 0.2)), min_size=1, max_size=20))
    times = replace(model.times, xla=model.times.xla * drawn(st.floats(0.5, 2)))
    return replace(model, pairs=pairs, times=times)


def courses(model: Model, steps: int) -> Iterator[replay.Course]:
    yield replay.stay_plain(steps)
    yield replay.compile_in_front(model, steps)
    yield replay.follow_oracle(model, steps)
    for first, second in replay._draw_runs(model, steps, economics.expect):
        yield first
        yield second


def follow(model: Model, steps: int, known: Decision | None = None) -> replay.Course:
    return replay.follow_trial(model, steps, economics.expect, known, Random(1))  # noqa: S311


@given(noisy(), lengths)
def test_every_course_has_all_steps_but_the_first(model: Model, steps: int) -> None:
    for course in courses(model, steps):
        assert course.plain + course.xla == steps - 1
        assert min(course.plain, course.xla) >= 0


@given(noisy(), lengths)
def test_one_of_the_fixed_choices_loses_nothing_and_none_wins(model: Model, steps: int) -> None:
    plain = replay.regret(model, replay.stay_plain(steps))
    xla = replay.regret(model, replay.compile_in_front(model, steps))
    assert isclose(min(plain, xla), 0, abs_tol=1e-9)


@given(noisy(), lengths)
def test_always_plain_loses_nothing_where_plain_is_better(model: Model, steps: int) -> None:
    times = model.times
    assume((steps - 1) * times.plain <= times.compile + (steps - 1) * times.xla)
    assert replay.regret(model, replay.stay_plain(steps)) == 0


@given(noisy(), lengths)
def test_the_oracle_loses_no_more_than_the_noise(model: Model, steps: int) -> None:
    times = model.times
    better = times.first + min((steps - 1) * times.plain, times.compile + (steps - 1) * times.xla)
    noise = abs(times.xla - model.ratio * times.plain) * (steps - 1) / better
    assert replay.regret(model, replay.follow_oracle(model, steps)) <= 2 * noise + 1e-9


@given(quiet, lengths)
def test_no_policy_is_better_than_the_oracle_where_there_is_no_noise(model: Model, steps: int) -> None:
    least = replay.regret(model, replay.follow_oracle(model, steps))
    assert min(replay.regret(model, course) for course in courses(model, steps)) >= least - 1e-9


@given(noisy(), st.floats(1, 5000))
def test_what_a_compile_beside_training_loses_is_regretted_in_full(model: Model, more: float) -> None:
    steps = 100_000
    course = replay.switch_after_compile(model, steps, FIRST_LOOK)
    beside = replace(model.beside, excess_ms=model.beside.excess_ms + more)
    after = replay.switch_after_compile(replace(model, beside=beside), steps, FIRST_LOOK)
    assert isclose(sum(after.excesses.values()) - sum(course.excesses.values()), more, rel_tol=1e-6)


@given(noisy(), lengths)
def test_a_short_training_has_no_trial(model: Model, steps: int) -> None:
    assume(model.times.plain * (steps - FIRST_LOOK) < 1e3 * economics.SHORTEST)
    course = follow(model, steps)
    assert (course.plain, course.xla, course.excesses) == (steps - 1, 0, {})


@given(noisy(), lengths)
def test_a_step_that_is_refused_never_is_xlas(model: Model, steps: int) -> None:
    assert follow(replace(model, is_refused=True), steps).xla == 0


def test_a_clear_winner_is_switched_to_and_kept_for_the_second_run() -> None:
    model = make_model()
    first = follow(model, 10_000)
    assert first.xla > 9000
    assert first.decision == Decision("xla", 0.01, 0.006)
    second = follow(model, 10_000, first.decision)
    # No race: all steps behind the compile are XLA's.
    assert second.xla > first.xla
    assert 0 < replay.regret(model, second) < replay.regret(model, first) < 0.1


def test_a_clear_loser_is_tried_once() -> None:
    model = make_model(ratio=3.0)
    first = follow(model, 10_000)
    assert 0 < first.xla < 10
    assert first.decision is not None
    assert first.decision.winner == "graph"
    second = follow(model, 10_000, first.decision)
    assert (second.xla, list(second.excesses)) == (0, ["overhead"])


def test_what_is_expected_decides_whether_anything_is_compiled() -> None:
    model = make_model(operations={"Conv2D": 9})
    assert follow(model, 10_000).xla == 0
    hopeful = replay.follow_trial(model, 10_000, lambda _: Prior(0.9, 0.6), None, Random(1))  # noqa: S311
    assert hopeful.xla > 9000


def test_a_compile_that_fails_is_paid_once() -> None:
    model = make_model(ratio=inf, beside=Beside(1500, 75, 750, None))
    first = follow(model, 10_000)
    assert (first.xla, first.excesses["slowdown"], first.decision) == (0, 750, Decision(None))
    assert "slowdown" not in follow(model, 10_000, first.decision).excesses
    regrets = replay.find_regrets(model, 10_000, economics.expect)
    assert (regrets["always plain"], regrets["oracle"], regrets["always XLA"]) == (0, 0, inf)


def test_a_training_that_ends_beside_the_compile_pays_a_part_of_it() -> None:
    model = make_model(beside=Beside(ms=10_000, steps=1000, excess_ms=5000, compile_s=9.0))
    course = replay.switch_after_compile(model, FIRST_LOOK + 100, FIRST_LOOK)
    assert (course.xla, course.excesses) == (0, {"slowdown": 500})


def test_nothing_is_drawn_that_a_second_replay_would_not_draw() -> None:
    pairs = [(0.01, 0.0092), (0.01, 0.0085), (0.01, 0.0075), (0.01, 0.012)]
    models = [make_model(pairs=pairs), make_model(family="text")]
    assert replay.replay(models, 10_000) == replay.replay(models, 10_000)


def test_a_score_leaves_out_where_a_policy_does_not_run() -> None:
    assert replay.score([each / 100 for each in range(1, 101)]) == (0.505, 0.95, 1.0, 100)
    assert replay.score([0.5, inf]) == (0.5, 0.5, 0.5, 1)
    assert replay.score([inf]) is None


# --- Priors


@pytest.mark.parametrize(
    ("operations", "name"),
    [
        ({"DepthwiseConv2dNative": 1, "Conv2D": 1, "MatMul": 2}, "depthwise convolutions"),
        ({"Conv3D": 2, "MatMul": 2}, "3-d convolutions"),
        ({"Conv2D": 2, "MatMul": 2}, "2-d convolutions"),
        ({"Conv2D": 1, "MatMul": 20}, "products"),
        ({"Conv1D": 9}, "1-d convolutions"),
        ({"While": 1, "MatMul": 9}, "loops"),
        ({"Mul": 3000, "MatMul": 9}, "large graphs"),
        ({"Mul": 3}, "anything else"),
    ],
)
def test_the_first_feature_that_a_step_has_decides(operations: dict[str, int], name: str) -> None:
    assert priors.find_feature(operations).name == name


def test_every_feature_says_why() -> None:
    assert [each.name for each in (*priors.FEATURES, priors.REST) if len(each.reason) < 20] == []


def make_population(**ratios: float) -> list[Model]:
    """Return six models of each family, all with the same operations."""
    return [make_model(family=family, ratio=ratio) for family, ratio in ratios.items() for _ in range(6)]


def test_a_table_tells_how_often_xla_wins_and_by_how_much() -> None:
    found = priors.fit([*make_population(dense=0.5), *make_population(text=1.5)])
    assert found({"MatMul": 1}) == Prior(0.5, 0.5)
    assert found.counts == {"products": 12}


def test_too_few_models_of_a_feature_say_what_all_say() -> None:
    one = make_model(ratio=5.0, operations={"Conv2D": 3})
    found = priors.fit([one, *make_population(dense=0.5)])
    assert found({"Conv2D": 3}) == found.otherwise != found({"MatMul": 1})


def test_what_a_trial_refuses_has_no_part_in_a_table() -> None:
    refused = [replace(each, is_refused=True) for each in make_population(text=3.0)]
    population = make_population(dense=0.5)
    assert priors.fit([*refused, *population]) == priors.fit(population)


def test_of_nothing_nothing_is_expected() -> None:
    assert priors.fit([])({"MatMul": 1}).chance == 0.5


def test_a_family_has_no_part_in_its_own_table() -> None:
    before = priors.cross_validate(make_population(dense=0.5, text=0.7, gated=2.0))
    after = priors.cross_validate(make_population(dense=3.0, text=0.7, gated=2.0))
    assert before["dense"] == after["dense"]
    assert before["text"] != after["text"]


# --- Figures


def make_run(number: int, xla: float = 6.0, **more: Any) -> dict[str, Any]:
    """Return what a process leaves of a model of 10 ms a step."""
    figures = {
        "first_ms": 500.0, "alone_ms": [10.0] * 9, "weights": 1000, "survey_ms": 20.0, "refused": None,
        "nodes": 900, "operations": {"MatMul": 9}, "stock": [10.0] * 12, "graph": [10.0] * 12,
        "xla": [xla] * 12, "compile_s": 1.0, "wall_s": 30.0, "others": 0.01,
    }  # fmt: skip
    beside = {"usual_ms": 10.0, "ms": 1500.0, "steps": 75, "steps_ms": 1480.0, "compile_s": 1.4}
    description = describe_all()[number]
    return {"number": number, "description": description, "beside": beside, **figures, **more}


def make_data(*runs: dict[str, Any]) -> dict[str, Any]:
    about = {"seed": 1, "date": "2026-01-02", "python": "3.11.7", "versions": {"keras": "3"}}
    return {**about, "machine": {"cores": 2, "cpu": "a CPU"}, "runs": list(runs)}


def test_a_run_is_read_as_it_was_measured() -> None:
    model = replay.read_model(make_run(0), cores=4)
    assert model.times == Times(500, 10, 6, 1000)
    assert (model.family, model.ratio, model.cores) == ("dense", 0.6, 4)
    assert model.beside == Beside(1500, 75, 730, 1.4)
    assert model.pairs == [(0.01, 0.006)] * 12


def test_a_process_that_failed_is_left_out_and_a_compile_that_failed_is_not() -> None:
    whole = make_run(1)
    beside = {**whole["beside"], "error": "no"}
    del whole["xla"], whole["compile_s"], beside["compile_s"]
    failed = {"number": 2, "description": describe_all()[2], "error": "status 1: no word"}
    models = replay.read_models(make_data({**whole, "error": "no", "beside": beside}, failed))
    assert [(each.number, each.ratio, each.beside.compile_s) for each in models] == [(1, inf, None)]


def test_tables_are_by_family_and_for_each_length() -> None:
    data = make_data(make_run(0), make_run(14), make_run(1, xla=20.0, refused="an operand"))
    population = table.format_population(data)
    assert "| dense | 2 | 10 (10 to 10) | 0.6 (0.6 to 0.6) | 2 | 1 (1 to 1) | 0 | 0 |" in population
    assert "| conv1d | 1 | 10 (10 to 10) | 2 (2 to 2) | 0 | 1 (1 to 1) | 0 | 1 |" in population
    regrets = table.format_regrets(data)
    for steps in replay.LENGTHS:
        assert f"{steps:,} steps:" in regrets
    assert regrets.count("| dense | ") == regrets.count("| all | ") == len(replay.LENGTHS)
    assert "| products | 4 |" in table.format_priors({**data, "runs": data["runs"] * 2})


def test_where_nothing_was_measured_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "load", lambda _: {})
    for name in ("population", "regrets", "priors"):
        assert tables.TABLES[name]() == "Not measured yet."


# --- Going on with a file


def test_what_was_disturbed_is_taken_again_behind_what_is_missing() -> None:
    failed = {"number": 3, "error": "status 1"}
    runs = [make_run(0, others=0.5), make_run(1), failed]
    assert command.find_lacking(runs, range(6)) == [2, 4, 5, 0]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers that are measured, with figures in place of processes."""
    taken: list[int] = []

    def run_child(words: list[str], **_variables: str) -> dict[str, Any]:
        number = json.loads(words[1])["number"]
        taken.append(number)
        run = make_run(number)
        return {name: run[name] for name in run if name not in ("number", "description")}

    monkeypatch.setattr(command, "run_child", run_child)
    return taken


def collect(file: Path, **more: Any) -> Any:
    asked = {"seed": 1, "models": 3, "numbers": None, "minutes": 1e9, "json": file, "anew": False, **more}
    command.collect(Namespace(**asked))
    return json.loads(file.read_text(encoding="utf-8"))


def test_a_file_grows_and_the_same_command_goes_on(tmp_path: Path, measured: list[int]) -> None:
    file = tmp_path / "new" / "population.json"
    collect(file, models=2)
    kept = collect(file)
    assert measured == [0, 1, 2]
    assert [run["description"] for run in kept["runs"]] == describe_all()[:3]
    assert [run["number"] for run in collect(file, numbers=[1], anew=True)["runs"]] == [1]


def test_no_model_is_begun_when_the_minutes_are_over(
    tmp_path: Path, measured: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "population.json"
    collect(file, models=1)
    collect(file, minutes=-1)
    assert measured == [0]
    assert "2 models are left for the same command" in capsys.readouterr().out


def test_a_file_of_another_seed_is_left_alone(tmp_path: Path, measured: list[int]) -> None:
    file = tmp_path / "population.json"
    before = collect(file)
    with pytest.raises(SystemExit, match="--anew"):
        collect(file, seed=2)
    assert json.loads(file.read_text(encoding="utf-8")) == before
    assert len(measured) == 3


# --- With TensorFlow

TINY = {
    "inputs": [{"kind": "reals", "shape": [8]}], "blocks": [{"kind": "dense", "units": 8, **PLAIN}],
    "head": {"units": 2, "logits": True}, "loss": "sparse_categorical_crossentropy", "metrics": True,
    "optimizer": "adam", "precision": "float32", "batch": 4, "family": "dense", "number": 0,
    "estimated_ms": 1.0,
}  # fmt: skip


@pytest.mark.tensorflow
def test_a_tiny_model_is_collected_and_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "describe", lambda _seed, _number: TINY)
    data = collect(tmp_path / "population.json", models=1)
    (run,) = data["runs"]
    assert "error" not in run
    assert (run["refused"], run["weights"]) == (None, 9 * 8 + 9 * 2)
    assert run["operations"]["MatMul"] > 1
    assert run["nodes"] >= sum(run["operations"].values())
    assert run["beside"]["steps"] > 1
    assert 0 < run["beside"]["compile_s"] * 1e3 <= run["beside"]["ms"]
    (model,) = replay.read_models(data)
    assert 0 < model.ratio < inf
    assert replay.replay([model], 100)["dense"][0]["always plain"] == 0
    assert "| dense | 1 |" in table.format_population(data)


@pytest.mark.tensorflow
def test_keras_makes_what_the_descriptions_say_and_trains_it() -> None:
    """Two of each family are made, and one of each takes a step with a small batch."""
    program = (
        "from benchmarks.population import draw, sizes\n"
        "from benchmarks.population.build import build\n"
        f"count = {len(draw.FAMILIES)}\n"
        "for each in draw.describe_all(1, 2 * count):\n"
        "    model, make_batches = build({**each, 'batch': 2})\n"
        "    size = sizes.Size(())\n"
        "    for block in sizes.follow(each): size += block\n"
        "    assert model.output_shape == (None, *size.shape), each\n"
        "    assert model.count_params() == size.weights, (model.count_params(), size.weights, each)\n"
        "    if each['number'] < count: model.fit(make_batches(1), verbose=0)\n"
        "    print(each['family'])\n"
    )
    environment = clean_environment(PYTHONPATH=f"{HOME}:{CHECKOUT}", KERAS_BACKEND="tensorflow")
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == list(draw.FAMILIES) * 2

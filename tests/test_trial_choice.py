"""The pure part of the trial: what pairs of times say, what pays, and where a seed is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla.trial import economics
from autoxla.trial.background import begin_beside, free_memory
from autoxla.trial.comparison import MOST, interval, judge
from autoxla.trial.economics import (
    Prior,
    compile_seconds,
    expect,
    is_worth_switching,
    pays,
    steps_expected,
)
from autoxla.trial.eligibility import find_word

times = st.floats(1e-5, 10.0)
pairs = st.lists(st.tuples(times, times), max_size=60)


@given(pairs)
def test_judge_says_one_of_three(measured: list[tuple[float, float]]) -> None:
    verdict = judge(measured)
    assert verdict.pairs == len(measured)
    assert verdict.winner in (None, "incumbent", "challenger")
    assert verdict.low <= verdict.ratio <= verdict.high or not measured
    if len(measured) >= MOST:
        assert verdict.winner is not None


@given(pairs)
def test_no_challenger_wins_that_is_not_faster(measured: list[tuple[float, float]]) -> None:
    verdict = judge(measured)
    if verdict.winner == "challenger":
        assert verdict.ratio < 0.9
        assert len(measured) >= 8


@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_pairs_does_not_matter(measured: list[tuple[float, float]], order: object) -> None:
    shuffled = list(measured)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert judge(shuffled) == judge(measured)


def test_clear_cases_need_few_pairs() -> None:
    assert judge([(1.0, 0.5)] * 7).winner is None
    assert judge([(1.0, 0.5)] * 8).winner == "challenger"
    assert judge([(1.0, 5.0)] * 2).winner == "incumbent"


def test_a_near_tie_is_the_incumbents() -> None:
    """A gain of 5 % is none; neither is one that hangs on disturbed steps."""
    assert judge([(1.0, 0.95)] * MOST).winner == "incumbent"
    disturbed = [(1.0, 1.0)] * 4 + [(9.0, 1.0)] * 4
    assert judge(disturbed).winner is None


def test_the_interval_is_that_of_order_statistics() -> None:
    """8 values hold the median between the ends with 99.2 %, 7 only with 98.4 %."""
    assert interval(list(range(7))) == (0.0, float("inf"))
    assert interval(list(range(8))) == (0, 7)
    assert interval(list(range(12))) == (1, 10)


@pytest.mark.parametrize(
    ("operations", "wins"),
    [
        ({"Conv2D": 2, "Conv2DBackpropFilter": 2, "Conv2DBackpropInput": 1, "MatMul": 6}, False),
        ({"DepthwiseConv2dNative": 17, "MatMul": 3}, False),
        ({"Conv2D": 1, "Conv2DBackpropFilter": 1, "MatMul": 40, "BatchMatMulV2": 12}, True),
        ({"Conv1D": 9, "MatMul": 3}, True),
        ({"While": 2, "MatMul": 3}, True),
        ({"MatMul": 8}, True),
        ({}, True),
    ],
)
def test_what_is_expected_of_operations(operations: dict[str, int], wins: bool) -> None:
    assert (expect(operations).chance > 0.5) == wins


def test_recurrent_layers_are_begun_with_earlier() -> None:
    loop, plain = expect({"While": 1, "MatMul": 12}), expect({"MatMul": 12})
    assert pays(0.006, 1000, 1.5, loop, 2)
    assert not pays(0.006, 1000, 1.5, plain, 2)


@given(step=st.floats(1e-4, 1), left=st.integers(0, 10**6), seconds=st.floats(0.1, 60))
def test_short_trainings_are_left_alone(step: float, left: int, seconds: float) -> None:
    if step * left < economics.SHORTEST:
        assert not pays(step, left, seconds, Prior(1.0, 0.1), 2)


@given(step=st.floats(1e-3, 1), left=st.integers(10**3, 10**6), seconds=st.floats(0.1, 60))
def test_more_training_ahead_never_speaks_against_it(step: float, left: int, seconds: float) -> None:
    prior = Prior(0.75, 0.75)
    if pays(step, left, seconds, prior, 2):
        assert pays(step, 2 * left, seconds, prior, 2)
        assert pays(step, left, seconds / 2, prior, 2)


def test_what_pays() -> None:
    attention = Prior(0.75, 0.75)
    assert pays(0.015, 2000, 2.5, attention, 2)
    assert not pays(0.015, 300, 2.5, attention, 2)
    # A convolution that most likely loses needs a long training.
    assert not pays(0.06, 1000, 12.0, Prior(0.04, 0.8), 2)
    assert pays(0.06, 200_000, 12.0, Prior(0.04, 0.8), 2)


def test_a_switch_saves_a_tenth_and_some_seconds() -> None:
    assert is_worth_switching(0.015, 0.010, 2000)
    assert not is_worth_switching(0.015, 0.010, 50)
    assert not is_worth_switching(0.015, 0.014, 10**6)


def test_what_is_still_to_come() -> None:
    assert steps_expected(30, 100) == 70
    assert steps_expected(30, None) == 30
    assert steps_expected(120, 100) == 0
    # A fit an epoch, twenty times: as many as have been are expected. A short one after a long one: a few.
    assert steps_expected(10, 50, before=400) == 440
    assert steps_expected(10, 50, before=100_000) == 540


def test_costs_are_fitted_on_this_machine() -> None:
    """Two machines: one twice as slow as the formula, one unknown; an outlier does not matter."""
    slow = [(1000, 2.2), (2000, 3.8), (500, 1.4), (500, 90.0)]
    assert compile_seconds(1000, slow) == pytest.approx(2.2, rel=0.01)
    assert compile_seconds(1000, [(0, 1.0), (5, -1.0)]) == compile_seconds(1000, [])


@given(st.lists(st.tuples(st.integers(-10, 10**6), st.floats(-1, 1e4))))
def test_costs_are_always_usable(compiles: list[tuple[int, float]]) -> None:
    assert 0 < compile_seconds(1000, compiles) < 100


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1\nrandom.seed(3)\n", 2),
        ("keras.utils.set_random_seed(1)\n", 1),
        ("layer = Dropout(0.1, seed=args.s)\n", 1),
        ("draws = tf.random.Generator.from_state(numbers, 'philox')\n", 1),
        ("SEED = 3\n", 1),
        ("# reseeded by hand\nx = 'seed'\n", None),
        ("x = 1\n", None),
    ],
)
def test_where_a_seed_is_named(tmp_path: Path, text: str, line: int | None) -> None:
    file = tmp_path / "train.py"
    file.write_text(text, encoding="utf-8")
    assert find_word([str(file)]) == (None if line is None else f"{file}:{line}")


def test_what_cannot_be_read_may_be_seeded(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("seed = '''", encoding="utf-8")
    assert find_word([str(broken)]) == str(broken)
    assert find_word([str(tmp_path / "none.py")]) is not None


@given(content=st.binary(max_size=200))
def test_any_file_is_looked_through(new_folder: Callable[[], Path], content: bytes) -> None:
    file = new_folder() / "any.py"
    file.write_bytes(content + b"seed")
    assert find_word([str(file)]) in (None, str(file), *(f"{file}:{n}" for n in range(1, 300)))


def test_free_memory_is_the_smaller(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   2048 kB\n")
    assert free_memory(tmp_path) == 2048 * 1024
    group = tmp_path / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("5\n")
    assert free_memory(tmp_path) == 2048 * 1024
    (group / "memory.max").write_text("1005\n")
    assert free_memory(tmp_path) == 1000
    assert free_memory(tmp_path / "nowhere") is None


def test_work_beside_keeps_its_error() -> None:
    def work() -> int:
        return 1 // 0

    with pytest.raises(ZeroDivisionError):
        begin_beside(work).result(timeout=10)

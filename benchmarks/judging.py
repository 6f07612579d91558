"""What figures say and what not: intervals, the noise of the machine, earlier figures beside new ones.

An interval is that of the median by order statistics, of 99 % at least, which assumes nothing of the
distribution. It supposes rounds that do not depend on each other; load that drifts makes it too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isinf
from statistics import median
from typing import Any

#: A median with the bounds of its interval, which are None where there are too few values.
Estimate = dict[str, Any]
#: A change of less is none, however narrow the intervals are.
NOTABLE = 0.01
#: Where a file has its variants; those of one group are compared with the first of it.
GROUPS = ("measured", "also measured")
#: Facts of a machine without which two files cannot be compared.
_SAME = ("cpu", "cpu_features", "cores", "accelerators")


def estimate(values: Sequence[float]) -> Estimate:
    """Return the median of ``values`` with its interval. Raises StatisticsError where there are none."""
    from autoxla.trial.comparison import interval

    low, high = interval(sorted(values))
    known = not isinf(high)
    return {"median": median(values), "low": low if known else None, "high": high if known else None}


def pair_differences(values: Sequence[float], base: Sequence[float]) -> list[float]:
    """Return what each value is above that of ``base`` in the same round, for the rounds of both."""
    return [one - other for one, other in zip(values, base, strict=False)]


def pair_ratios(values: Sequence[float], base: Sequence[float]) -> list[float]:
    """Return what each value is over that of ``base`` in the same round, for the rounds of both."""
    return [one / other for one, other in zip(values, base, strict=False)]


def judge_noise(one: Sequence[float], other: Sequence[float], resolution: float) -> dict[str, Any]:
    """Return what two series of the same thing differ by, and whether that is too much.

    ``ratio`` is that of `other` to `one`; ``spread`` the upper quartile of both over the lower one;
    ``noisy`` tells whether the interval of the ratio reaches further from 1 than `resolution`, None where
    there are too few rounds to tell.
    """
    ratio = estimate(pair_ratios(other, one))
    ordered = sorted([*one, *other])
    spread = ordered[-1 - len(ordered) // 4] / ordered[len(ordered) // 4]
    noisy = None
    if ratio["low"] is not None:
        noisy = max(1 - ratio["low"], ratio["high"] - 1) > resolution
    return {"ratio": ratio, "spread": spread, "resolution": resolution, "noisy": noisy}


def show_noise(names: tuple[str, str], noise: Mapping[str, Any]) -> None:
    """Print what the machine's noise allows to be said."""
    ratio = noise["ratio"]
    text = f"{names[1]} over {names[0]}, which is the same: {ratio['median']:.4f}"
    if noise["noisy"] is None:
        print(f"{text}; too few rounds to tell how noisy the machine was")
        return
    verdict = "the machine was too noisy to tell" if noise["noisy"] else "quiet enough to tell"
    print(
        f"{text} ({ratio['low']:.4f} to {ratio['high']:.4f}), quartiles {noise['spread']:.2f} apart: "
        f"{verdict} differences of {noise['resolution']:.1%}"
    )


def show_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Print what became of each variant that both files have."""
    print(f"\nbefore ({before['date']}) and now")
    if not is_comparable(before, after):
        print("another machine: too different to tell")
        return
    noisy = _is_noisy(before, after)
    for group in GROUPS:
        old, new = before.get(group, {}), after.get(group, {})
        for name in (name for name in new if name in old):
            print(change_line(name, _figures(old, name), _figures(new, name), noisy=noisy))


def is_comparable(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether both were measured on machines of the same kind; files without one are not."""
    one, other = before.get("machine"), after.get("machine")
    return one is not None and other is not None and all(one.get(name) == other.get(name) for name in _SAME)


def change_line(name: str, old: Estimate, new: Estimate, *, noisy: bool) -> str:
    """Return a line on a variant; only intervals apart, by `NOTABLE` or more, are a change."""
    return f"{name:32} {old['median']:12.4g} {new['median']:12.4g}  {_verdict(old, new, noisy=noisy)}"


def _verdict(old: Estimate, new: Estimate, *, noisy: bool) -> str:
    if None in (old["low"], new["low"]):
        return "too few rounds to tell"
    change = new["median"] / old["median"] - 1
    apart = new["high"] < old["low"] or new["low"] > old["high"]
    if not apart or abs(change) < NOTABLE:
        return "no difference"
    if noisy:
        return "too noisy to tell"
    return f"{'better' if change < 0 else 'worse'} by {abs(change):.1%}"


def _figures(measured: Mapping[str, Sequence[float]], name: str) -> Estimate:
    """Return the ratio of a variant to the first, which has the machine's load of the moment in both.

    The first itself, and what was not measured in the same rounds, is taken as it is.
    """
    first = next(iter(measured))
    if name == first or len(measured[name]) != len(measured[first]):
        return estimate(measured[name])
    return estimate(pair_ratios(measured[name], measured[first]))


def _is_noisy(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return any(data.get("noise", {}).get("noisy") for data in (before, after))

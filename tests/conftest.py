"""What holds for all tests."""

import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Benchmarks are not installed. At the end, so that autoxla is the installed one.
sys.path.append(str(Path(__file__).parents[1]))

# On a shared machine a slow example tells of its neighbours, not of the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# For an hour in which nobody waits: HYPOTHESIS_PROFILE=long, or python -m surroundings inputs.
MANY = int(os.environ.get("HYPOTHESIS_EXAMPLES", "20000"))
settings.register_profile(
    "long",
    max_examples=MANY,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "shared")
settings.load_profile(PROFILE)


@pytest.fixture(scope="session")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Return what makes an empty folder for an input: `mktemp` would list all earlier ones each time."""
    base, numbers = tmp_path_factory.mktemp("inputs"), itertools.count()

    def make() -> Path:
        folder = base / str(next(numbers))
        folder.mkdir()
        return folder

    return make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the number of examples of the long profile count for tests with one of their own, too."""
    if PROFILE != "long":
        return
    for item in items:
        test = getattr(item, "obj", None)
        if getattr(test, "is_hypothesis_test", False):
            own = test._hypothesis_internal_use_settings  # type: ignore[union-attr]
            wanted = settings(own, max_examples=MANY)
            test._hypothesis_internal_use_settings = wanted  # type: ignore[union-attr]

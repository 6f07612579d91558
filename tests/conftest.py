"""What holds for all tests."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

# Benchmarks are not installed. At the end, so that autoxla is the installed one.
sys.path.append(str(Path(__file__).parents[1]))

# On a shared machine a slow example tells of its neighbours, not of the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

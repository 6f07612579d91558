"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# On a shared machine a slow example tells of its neighbours, not of the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

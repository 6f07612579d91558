"""Gathering of what is known before the backends initialise. Loaded when a watched import starts."""

from autoxla.situation.gathering import gather

__all__ = ["gather"]

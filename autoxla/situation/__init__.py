"""Gathering of what is known before the backends initialise. Loaded when a watched import starts."""

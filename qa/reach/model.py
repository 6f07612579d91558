"""A model of the benchmarks, trained for ten thousand steps: ``python model.py NAME``."""

from __future__ import annotations

import sys

from benchmarks.paths.models import build

model, make_batches = build(sys.argv[1], {})
model.fit(make_batches(10_000), verbose=0)

"""What the choice of an execution path costs and gains: regret in a ledger, for twelve models.

``python -m benchmarks.paths [--models …] [--steps 100 1000 10000] [--json FILE] [--against FILE]``; its
``__main__`` says what it does. `ledger` has the formula, `models` the models, `run` is the program that
is measured, `pairs` times both paths in that same process after training, `table` writes the tables.
"""

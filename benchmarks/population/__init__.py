"""What the trial's rules cost and gain on a population of models that are drawn at random.

``python -m benchmarks population generate|collect|replay|table``: its ``__main__`` says what each does.
`draw` draws descriptions of models. `sizes` says what a described model computes. `build` makes it with
Keras. `measure` is the program that is run for each. `replay` plays policies on what was measured, and
`priors` fits what is expected of XLA. `table` writes what comes out.
"""

"""The trial: execution paths compared by timing real training steps, and the faster one kept.

Training starts at once on the path that Keras takes. Where it may pay, a second executable is made from
the same traced step, in the background and on copies of the variables; then the two take turns at real
batches until the difference is clear of the noise. `comparison` and `economics` are pure; `steps`, `traces`
and `executables` are all that knows TensorFlow's functions; `driver` stands in the model's
``train_function`` while a trial goes on, in one state after another; `hooks` puts it there.
"""

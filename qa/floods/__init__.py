"""Floods: a hundred processes, a million imports, hundreds of thousands of steps, many threads.

``PYTHONPATH=qa:tests python -m floods NAME``, or ``all``, from a checkout runs them, keeps what came of them
in ``qa/floods/results.json`` and renews the tables in ``qa/floods.md``. Each flood runs beside plain
Python: what is judged is what autoxla adds.
"""

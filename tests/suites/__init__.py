"""Other people's test suites, run without autoxla and with it: the same tests pass and fail.

``python -m suites`` with ``PYTHONPATH=tests``; see `suites.__main__`.
"""

"""Other people's test suites, run without autoxla and with it: the same tests pass and fail.

``python -m suites`` with ``PYTHONPATH=qa:tests``; see `suites.__main__`.
"""

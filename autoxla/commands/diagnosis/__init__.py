"""What ``python -m autoxla doctor`` looks at: one module a subject, each with a ``check``."""

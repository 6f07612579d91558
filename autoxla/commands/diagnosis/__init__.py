"""What ``python -m autoxla doctor`` looks at. A check yields lines; the command tells of which subject."""

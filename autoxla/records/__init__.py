"""The store of what runs taught: one small JSON file a key, written whole or not at all."""

from autoxla.records.store import read_record, write_record

__all__ = ["read_record", "write_record"]

"""The store of what runs taught: one small JSON file a key, written whole or not at all."""

from autoxla.records.store import (
    Record,
    Store,
    list_records,
    read_record,
    remove_record,
    write_record,
)

__all__ = ["Record", "Store", "list_records", "read_record", "remove_record", "write_record"]

"""Records."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla.store import Store

KEY = "0123456789abcdef"


def test_a_record_comes_back(tmp_path: Path) -> None:
    Store(tmp_path / "new").write(KEY, {"value": [1, "x"]})
    record = Store(tmp_path / "new").read(KEY)
    assert record is not None
    assert record["value"] == [1, "x"]
    assert [file.name for file in (tmp_path / "new").iterdir()] == [f"{KEY}.json"]


def test_there_is_no_record_of_an_unknown_key(tmp_path: Path) -> None:
    assert Store(tmp_path).read(KEY) is None


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "0123456789abcdef\n", "x" * 32])
def test_a_key_cannot_leave_the_folder(key: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no key"):
        Store(tmp_path).write(key, {})


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", f'{{"schema": 2, "key": "{KEY}"}}', '{"schema": 1, "key": "other"}', "[" * 100_000],
)
def test_a_malformed_record_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / f"{KEY}.json").write_text(content, encoding="utf-8")
    assert Store(tmp_path).read(KEY) is None


def test_a_folder_in_the_place_of_a_record_is_none(tmp_path: Path) -> None:
    (tmp_path / f"{KEY}.json").mkdir()
    assert Store(tmp_path).read(KEY) is None


def test_the_oldest_leave(tmp_path: Path) -> None:
    store = Store(tmp_path, most=3)
    for number in range(5):
        store.write(f"{number:016x}", {})
        os.utime(tmp_path / f"{number:016x}.json", (number, number))
    store.write(KEY, {})
    assert len(list(tmp_path.iterdir())) == 3
    assert store.read(KEY) is not None


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(new_folder: Callable[[], Path], content: bytes) -> None:
    folder = new_folder()
    (folder / f"{KEY}.json").write_bytes(content)
    assert Store(folder).read(KEY) is None

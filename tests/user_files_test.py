"""Users' own files: run once, with their neighbours in reach."""

import pytest

from labor_jax import user_files


def test_a_file_runs_once_and_finds_its_neighbours(tmp_path):
    (tmp_path / "neighbour_of_mine.py").write_text("VALUE = 3")
    (tmp_path / "mine_once.py").write_text("from neighbour_of_mine import VALUE\nSEEN = []")
    module = user_files.load(tmp_path / "mine_once.py")
    assert module.VALUE == 3
    assert user_files.load(str(tmp_path / "mine_once.py")) is module


def test_a_file_may_have_the_name_of_a_module(tmp_path):
    (tmp_path / "json.py").write_text("VALUE = 4")
    assert user_files.load(tmp_path / "json.py").VALUE == 4
    import json

    assert json.loads("1") == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nothing\.py"):
        user_files.load(tmp_path / "nothing.py")

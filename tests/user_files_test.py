"""Users' own files: run once, with their neighbours in reach."""

import importlib
import sys

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


def test_a_file_may_have_the_name_of_a_module_that_is_not_imported_yet(tmp_path):
    name = "this"  # the Zen of Python, which nothing imports
    (tmp_path / f"{name}.py").write_text("VALUE = 5")
    assert user_files.load(tmp_path / f"{name}.py").VALUE == 5
    assert name not in sys.modules


@pytest.mark.parametrize("first", ["one", "other"])
def test_a_file_that_another_imports_runs_once(tmp_path, first):
    names = {each: f"{each}_loaded_{first}_first" for each in ("one", "other")}
    files = {each: tmp_path / f"{name}.py" for each, name in names.items()}
    files["one"].write_text("RUNS = []")
    files["other"].write_text(f"import {names['one']} as one\none.RUNS.append(1)")
    user_files.load(files[first])
    one, other = (user_files.load(files[each]) for each in ("one", "other"))
    assert other.one is one and one.RUNS == [1]


def test_a_file_that_was_imported_is_not_run_again(tmp_path, monkeypatch):
    (tmp_path / "imported_before.py").write_text("VALUE = 6")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("imported_before")
    assert user_files.load(tmp_path / "imported_before.py") is module


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nothing\.py"):
        user_files.load(tmp_path / "nothing.py")

import os

import pytest

from labor_jax.data.base import DataError
from labor_jax.data.files import listing


def test_list_files_follows_links_without_running_in_circles(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.png").touch()
    (tmp_path / "a" / ".hidden.png").touch()
    (tmp_path / "a" / "Thumbs.db").touch()
    (tmp_path / "a" / ".cache").mkdir()
    (tmp_path / "a" / ".cache" / "y.png").touch()
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "z.png").touch()
    (tmp_path / "a" / "linked").symlink_to(tmp_path / "other")
    assert listing.list_files(tmp_path / "a") == ["b/x.png", "linked/z.png"]


def test_a_link_takes_no_files_from_the_folder_that_it_leads_to(tmp_path):
    (tmp_path / "z_real" / "deep").mkdir(parents=True)
    (tmp_path / "z_real" / "deep" / "x.png").touch()
    expected = ["z_real/deep/x.png"]
    (tmp_path / "best_of").symlink_to("z_real")
    (tmp_path / "z_real" / "again").symlink_to("deep")
    assert listing.list_files(tmp_path) == expected
    assert listing.list_files(tmp_path / "best_of") == ["deep/x.png"]


def test_a_folder_that_may_not_be_read_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "open").mkdir()
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refuse(path):  # as for a user who is not root
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"locked cannot be read: Permission denied"):
        listing.list_files(tmp_path)

from labor_jax.data.files import listing


def test_list_files_follows_links_without_running_in_circles(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.png").touch()
    (tmp_path / "a" / ".hidden.png").touch()
    (tmp_path / "a" / ".cache").mkdir()
    (tmp_path / "a" / ".cache" / "y.png").touch()
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "z.png").touch()
    (tmp_path / "a" / "linked").symlink_to(tmp_path / "other")
    assert listing.list_files(tmp_path / "a") == ["b/x.png", "linked/z.png"]

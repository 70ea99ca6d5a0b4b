"""No file that the package did not write is ever replaced."""

import json
import os

import pytest

from labor_jax import output_files
from labor_jax.output_files import LISTED, OutputError, OutputFolder


def write(folder, name, text, key="k"):
    with folder.writing(name, key) as path:
        path.write_text(text)


def test_files_appear_whole_and_are_listed(tmp_path):
    folder = OutputFolder(tmp_path / "out")
    assert folder.remaining({"a.txt": "k", "deep/b.txt": "k"}) == ["a.txt", "deep/b.txt"]
    assert not (tmp_path / "out").exists()
    with folder.writing("deep/b.txt", "k") as path:
        path.write_text("b")
        assert not (tmp_path / "out" / "deep" / "b.txt").exists()
    assert (tmp_path / "out" / "deep" / "b.txt").read_text() == "b"
    (line,) = (tmp_path / "out" / LISTED).read_text().splitlines()
    assert json.loads(line)["file"] == "deep/b.txt"
    assert OutputFolder(tmp_path / "out").remaining({"a.txt": "k", "deep/b.txt": "k"}) == ["a.txt"]
    assert folder.existing("deep") == ["deep/b.txt"]
    assert folder.existing() == ["deep"]


def test_a_failed_write_leaves_nothing(tmp_path):
    folder = OutputFolder(tmp_path)
    with pytest.raises(RuntimeError), folder.writing("a.txt") as path:
        path.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_foreign_files_are_never_replaced(tmp_path):
    (tmp_path / "photo.png").write_text("mine")
    folder = OutputFolder(tmp_path, overwrite=True)
    with pytest.raises(OutputError, match=r"photo\.png is in the way.*did not write"):
        folder.remaining({"photo.png": "k"})
    with pytest.raises(OutputError):
        write(folder, "photo.png", "label")
    with pytest.raises(OutputError):
        output_files.check_file(tmp_path / "photo.png", overwrite=True)
    assert (tmp_path / "photo.png").read_text() == "mine"


@pytest.mark.parametrize("change", ["same size", "other size", "link"])
def test_files_changed_since_are_foreign(tmp_path, change):
    write(OutputFolder(tmp_path), "a.txt", "ours")
    path = tmp_path / "a.txt"
    if change == "link":
        (tmp_path / "mine.txt").write_text("ours")
        path.unlink()
        path.symlink_to(tmp_path / "mine.txt")
    else:
        path.write_text("mine" if change == "same size" else "longer than it was")
        os.utime(path, ns=(0, 0))
    folder = OutputFolder(tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="in the way"):
        folder.remaining({"a.txt": "k"})


def test_own_files_are_replaced_only_if_told_so(tmp_path):
    write(OutputFolder(tmp_path), "a.txt", "old", "model 1")
    os.utime(tmp_path / "a.txt", ns=(0, 0))  # as after a copy
    with pytest.raises(OutputError, match=r"from an earlier command.*--overwrite"):
        OutputFolder(tmp_path).remaining({"a.txt": "model 2"})
    folder = OutputFolder(tmp_path, overwrite=True)
    assert folder.remaining({"a.txt": "model 1"}) == []
    assert folder.remaining({"a.txt": "model 2"}) == ["a.txt"]
    write(folder, "a.txt", "new", "model 2")
    assert (tmp_path / "a.txt").read_text() == "new"
    folder.remove("a.txt")
    assert not (tmp_path / "a.txt").exists()


def test_a_list_that_a_kill_cut_off_goes_on(tmp_path):
    write(OutputFolder(tmp_path), "a.txt", "a")
    with (tmp_path / LISTED).open("a") as file:
        file.write('{"file": "b.txt", "by')
    write(OutputFolder(tmp_path), "c.txt", "c")
    assert OutputFolder(tmp_path).remaining({"a.txt": "k", "c.txt": "k"}) == []


def test_an_output_is_not_in_an_input_folder(tmp_path):
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(photos / "deep")
    for output in (photos, photos / "deep" / "new", tmp_path / "link", photos / ".." / "photos"):
        with pytest.raises(OutputError, match="input folder"):
            OutputFolder(output, inputs=[photos])
    beside = OutputFolder(tmp_path / "photos2", inputs=[photos])
    (tmp_path / "photos2").mkdir()
    (tmp_path / "photos2" / "sub").symlink_to(photos)
    with pytest.raises(OutputError, match="input folder"):
        beside.remaining({"sub/a.png": "k"})


def test_an_output_is_no_input_file_even_if_it_is_ours(tmp_path):
    write(OutputFolder(tmp_path), "a.png", "label")
    folder = OutputFolder(tmp_path, inputs=[tmp_path / "a.png"], overwrite=True)
    with pytest.raises(OutputError, match="in the way"):
        folder.remaining({"a.png": "other"})


def test_single_files(tmp_path):
    output_files.check_file(tmp_path / "strip.png")
    with output_files.writing_file(tmp_path / "strip.png") as path:
        path.write_text("1")
    with pytest.raises(OutputError, match="--overwrite"):
        output_files.check_file(tmp_path / "strip.png")
    with output_files.writing_file(tmp_path / "strip.png", overwrite=True) as path:
        path.write_text("2")
    assert (tmp_path / "strip.png").read_text() == "2"
    with pytest.raises(OutputError, match="is a folder"):
        output_files.check_file(tmp_path)
    with pytest.raises(OutputError, match="is a file"):
        OutputFolder(tmp_path / "strip.png")


def test_a_new_folder_is_whole_or_not_there(tmp_path):
    with pytest.raises(RuntimeError), output_files.new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()  # an empty one may be there
    with output_files.new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
    assert (tmp_path / "out" / "a").read_text() == "a"
    with (
        pytest.raises(OutputError, match="isn't an empty folder"),
        output_files.new_folder(tmp_path / "out"),
    ):
        pass
    with (
        pytest.raises(OutputError, match="input folder"),
        output_files.new_folder(tmp_path / "out" / "new", inputs=[tmp_path / "out"]),
    ):
        pass

"""Data that changed between two runs of one workdir, or while it ran."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from labor_jax.annotation import LabelStore
from labor_jax.data import ROLES, DataError, Pair, class_table, fingerprint, folders
from labor_jax.experiment import data_identity
from labor_jax.experiment.workdir import Workdir

CLASSES = ("road", "sky")


def write_images(root, role, count=3):
    for kind, channels in (("images", 3), ("labels", None)):
        folder = root / role / kind
        folder.mkdir(parents=True)
        for number in range(count):
            shape = (6, 8) if channels is None else (6, 8, channels)
            # Seeds differ: pool and evaluation must not share an image.
            draws = np.random.default_rng((number, len(role)))
            array = draws.integers(0, 2 if channels is None else 256, shape, np.uint8)
            Image.fromarray(array).save(folder / f"{number}.png")


def read(root, tables=None, roles=ROLES):
    layouts = {
        role: folders.FolderLayout(
            f"{role}/images", f"{role}/labels" if (root / role / "labels").exists() else ""
        )
        for role in ROLES
    }
    return folders.read_pair(
        "mine", str(root), layouts, CLASSES, tables=tables, cache_bytes=2**20, roles=roles
    )


@pytest.fixture
def data(tmp_path):
    for role in ("source", "pool", "evaluation"):
        write_images(tmp_path / "data", role)
    return tmp_path / "data"


@pytest.fixture
def folder(data, tmp_path):
    """The workdir of a run that began with the data."""
    (tmp_path / "run").mkdir()
    folder = Workdir(tmp_path / "run")
    keep(folder, data, begun=False)
    return folder


def keep(folder, data, *, begun=True, verify="headers", accept_changes=False):
    pair = data if isinstance(data, Pair) else read(data)
    found = data_identity.checked(
        folder, pair, verify=verify, begun=begun, accept_changes=accept_changes
    )
    data_identity.keep(folder, found)


def repaint(path):
    array = np.array(Image.open(path))
    Image.fromarray(np.roll(array, 1, axis=0)).save(path)


def remove(data):
    for kind in ("images", "labels"):
        (data / "pool" / kind / "1.png").unlink()


def add(data):
    for kind in ("images", "labels"):
        shutil.copy(data / "pool" / kind / "1.png", data / "pool" / kind / "9.png")


def resize(data):
    for kind in ("images", "labels"):
        path = data / "pool" / kind / "1.png"
        Image.open(path).resize((16, 12)).save(path)


CHANGES = {
    "removed": (remove, r"pool: 1 missing now \(1\)"),
    "added": (add, r"pool: 1 new \(9\)"),
    "resized": (resize, r"pool: 1 of another size \(1\)"),
    "other image": (
        lambda data: repaint(data / "pool" / "images" / "2.png"),
        r"pool: 1 with another image \(2\)",
    ),
    "other label": (
        lambda data: repaint(data / "source" / "labels" / "0.png"),
        r"source: 1 with another label \(0\)",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_data_are_refused_by_name(folder, data, change):
    make, message = CHANGES[change]
    make(data)
    with pytest.raises(DataError, match=message) as caught:
        keep(folder, data)
    assert str(folder.path) in str(caught.value)
    with pytest.raises(DataError, match=message):
        data_identity.check(folder, read(data))
    keep(folder, data, begun=False)  # nothing was computed yet
    keep(folder, data)


@pytest.mark.parametrize("asked", [1, 3])
def test_a_round_that_is_open_needs_the_images_that_it_asks(tmp_path, asked):
    with LabelStore(tmp_path / "labels.sqlite", classes=CLASSES) as store:
        data_identity.check_open_round(store, "abc")
        store.open_round(1, "abc")
        for name in "abc"[:asked]:
            store.ask(name, 1, np.ones((2, 2), bool))
            if name == "a":
                store.answer(name, 1, np.zeros((2, 2), np.uint8))
        data_identity.check_open_round(store, "cba")
        with pytest.raises(
            DataError, match=r"Round 1 isn't .* Missing or new now: 1, such as 'c'\."
        ):
            data_identity.check_open_round(store, "ab")
        if asked < 3:  # it is still to ask all of the pool
            for other in ("bc", "abcd"):
                with pytest.raises(DataError, match="accept_changes=True"):
                    data_identity.check_open_round(store, other)
        else:
            data_identity.check_open_round(store, "bcd")  # what is answered may go
            for name in "bc":
                store.answer(name, 1, np.zeros((2, 2), np.uint8))
            data_identity.check_open_round(store, "d")


def test_a_split_that_is_gone_or_new_is_told(folder, data, caplog):
    without = dataclasses.replace(read(data), evaluation=None)
    with pytest.raises(DataError, match=r"evaluation: 3 missing now \(0, 1, 2\)"):
        keep(folder, without)
    data_identity.check(folder, without)  # people may label meanwhile
    keep(folder, without, accept_changes=True)
    assert "evaluation: 3 missing now" in caplog.text
    keep(folder, without)
    with pytest.raises(DataError, match=r"evaluation: 3 new \(0, 1, 2\)"):
        keep(folder, data)


def test_the_source_may_be_read_by_later_phases_alone(folder, data):
    keep(folder, dataclasses.replace(read(data), source=None), begun=False)
    keep(folder, data)


@pytest.fixture
def read_by(data):
    """Writes a class table and reads the data by it, through a cache."""
    path = data / "classes.csv"

    def read_by(text, roles=ROLES):
        path.write_text(text)
        return read(data, dict.fromkeys(ROLES, class_table.read_file(path)), roles)

    return read_by


_TABLE = "number,name\n0,road\n1,sky\n"
_SHIFTED = "number,name,void\n0,nothing,yes\n1,road,no\n2,sky,no\n"


def test_another_class_table_is_refused_by_name(folder, read_by, caplog):
    keep(folder, read_by(_TABLE), begun=False)
    keep(folder, read_by("1;sky\n0;road\n"))  # the same, written in another way
    shifted = read_by(_SHIFTED)
    message = r"source: .*/classes\.csv gives values or colours of labels other classes"
    with pytest.raises(DataError, match=message):
        keep(folder, shifted)
    with pytest.raises(DataError, match=message):
        data_identity.check(folder, shifted)
    keep(folder, shifted, accept_changes=True)
    assert "classes.csv gives values" in caplog.text
    keep(folder, shifted)


def test_data_of_an_older_version_do_not_tell_how_labels_are_read(folder, read_by):
    keep(folder, read_by(_TABLE), begun=False)
    described = json.loads(folder.data.read_text())
    del described["label_codings"]
    folder.data.write_text(json.dumps(described))
    keep(folder, read_by(_SHIFTED))
    with pytest.raises(DataError, match=r"classes\.csv gives"):
        keep(folder, read_by(_TABLE))


def test_the_table_of_a_pool_without_labels_may_change(folder, data, read_by):
    shutil.rmtree(data / "pool" / "labels")
    keep(folder, read_by(_TABLE, roles=["pool"]), begun=False)
    keep(folder, read_by(_SHIFTED, roles=["pool"]))


def test_a_change_that_is_meant_is_written_down(folder, data, caplog):
    remove(data)
    keep(folder, data, accept_changes=True)
    assert "pool: 1 missing now (1)" in caplog.text
    keep(folder, data)


def test_the_same_data_elsewhere_are_the_same(folder, data, tmp_path):
    keep(folder, data.rename(tmp_path / "moved"))


def test_a_damaged_description_is_written_anew(folder, data, caplog):
    folder.data.write_text('{"pool": {"1": 3}}')
    keep(folder, data)
    assert f"{folder.data} is damaged" in caplog.text
    assert json.loads(folder.data.read_text())["pool"]["1"]["size"] == [6, 8]


def test_of_large_sets_a_sample_is_hashed(monkeypatch, folder, data):
    monkeypatch.setattr(fingerprint, "WHOLE", 2)
    monkeypatch.setattr(fingerprint, "SAMPLE", 1)
    found = fingerprint.of_pair(read(data), verify="headers")["pool"]
    assert ["sha256" in found[name]["image"] for name in "012"] == [True, False, False]
    # What was hashed before stays known.
    keep(folder, data)
    kept = json.loads(folder.data.read_text())["pool"]
    assert all("sha256" in each["image"] for each in kept.values())
    # A file of another length is noticed in any case.
    path = data / "pool" / "images" / "2.png"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match=r"with another image \(2\)"):
        keep(folder, data)


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_a_file_resized_while_the_run_goes_on_is_an_error(data, kind):
    split = read(data).source
    path = data / "source" / kind / "1.png"
    Image.open(path).resize((4, 3)).save(path)
    with pytest.raises(DataError, match=r"1\.png is 3x4 \(height x width\) now, and was 6x8"):
        (split.image if kind == "images" else split.label)(1)


def test_arrays_are_hashed_too():
    class Split:
        names = ("a", "b")

        def __init__(self, value):
            self.value = value

        def __len__(self):
            return 2

        def size(self, i):
            return (2, 2)

        def image(self, i):
            return np.full((2, 2, 3), self.value, np.uint8)

        def label(self, i):
            raise AssertionError("an oracle's label was read")

    before, after = (
        fingerprint.of_split(Split(value), everything=False, with_labels=False) for value in (1, 2)
    )
    assert fingerprint.differences(before, before) == []
    assert fingerprint.differences(before, after) == ["2 with another image (a, b)"]

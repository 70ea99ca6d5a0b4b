import pytest

from labor_jax.data.inspection import pairing
from labor_jax.data.inspection.scan import ScannedFile
from labor_jax.data.inspection.series import Series


def photos(folder, count=3):
    names = (f"{folder}/{i:03}.png" for i in range(count))
    return Series(folder, "", tuple(ScannedFile(name, 1) for name in names), False)


def labels(folder, count=3, ending=""):
    names = (f"{folder}/{i:03}{ending}.png" for i in range(count))
    return Series(folder, ending, tuple(ScannedFile(name, 1) for name in names), True)


def folders(*series):
    """The labels' folder of each photos' folder."""
    return {
        one.photos.folder: one.labels and one.labels.folder + one.labels.ending
        for one in pairing.pair_series(series)
    }


def roles(*series):
    found = pairing.guess_roles(pairing.pair_series(series))
    return {role: one.photos.folder for role, one in found.items()}


def test_equal_names_everywhere_are_paired_by_folder():
    assert folders(
        *(photos("source/images"), photos("pool/images"), photos("evaluation/images")),
        *(labels("evaluation/labels"), labels("source/labels")),
    ) == {
        "source/images": "source/labels",
        "pool/images": None,
        "evaluation/images": "evaluation/labels",
    }
    assert folders(photos("photos"), photos("sim"), labels("sim_masks")) == {
        "photos": None,
        "sim": "sim_masks",
    }


@pytest.mark.parametrize(
    ("photo", "real", "taken", "others"),
    [
        ("sim/rgb", "real", "sim/semantic", ["sim/semantic_ids"]),
        ("source/images", "pool/images", "source/labels", ["source/labels_color"]),
        ("sim/images", "photos", "sim/labels", ["sim/depth", "sim/instances"]),
        ("d/s/rgb", "d/street", "d/s/semantic", ["d/s/instance_segmentation"]),
        ("rgb", "drive", "semantic", ["semantic_ids", "depth"]),
    ],
)
def test_other_kinds_of_a_simulators_labels_are_not_for_photos(photo, real, taken, others):
    found = [photos(photo), photos(real, 9), labels(taken), *map(labels, others)]
    assert folders(*found) == {photo: taken, real: None}
    mine = f"{real.removesuffix('/images')}_labels"
    assert folders(*found, labels(mine)) == {photo: taken, real: mine}


def test_folders_of_plain_words_are_paired_beside_others():
    found = [photos("sim"), labels("sim_labels"), photos("images"), labels("annotations")]
    assert folders(*found) == {"sim": "sim_labels", "images": "annotations"}
    found = [photos("source/images"), labels("source/labels"), photos("pool/images", 9)]
    assert folders(*found, labels("labelled_before")) == {
        "source/images": "source/labels",
        "pool/images": "labelled_before",
    }


def test_of_several_kinds_of_labels_class_numbers_are_taken():
    kinds = [labels("gt", 3, f"_{kind}") for kind in ("color", "instanceIds", "labelIds")]
    assert folders(photos("images"), *kinds) == {"images": "gt_labelIds"}
    kinds.append(labels("gt", 3, "_labelTrainIds"))
    assert folders(photos("images"), *kinds) == {"images": "gt_labelTrainIds"}


def test_roles_by_names():
    found = [photos("sim/images"), labels("sim/labels"), photos("target/images")]
    assert roles(*found) == {"source": "sim/images", "pool": "target/images"}
    found += [photos("target/val/images"), labels("target/val/labels")]
    assert roles(*found)["evaluation"] == "target/val/images"


def test_roles_by_labels():
    assert roles(photos("b"), labels("b_masks"), photos("a")) == {"source": "b", "pool": "a"}
    assert roles(photos("a")) == {"pool": "a"}
    assert roles(photos("test"), labels("test_labels")) == {"source": "test"}
    assert roles(labels("labels")) == {}


def test_train_val_and_test_with_labels():
    found = []
    for split in ("train", "val", "test"):
        found += [photos(f"images/{split}"), labels(f"labels/{split}")]
    assert roles(*found) == {
        "source": "images/train",
        "pool": "images/val",
        "evaluation": "images/test",
    }


def test_a_partly_labelled_pool_stays_the_pool():
    found = [photos("sim"), labels("sim_labels"), photos("real", 10), labels("real_labels", 2)]
    assert roles(*found) == {"source": "sim", "pool": "real"}
    assert roles(photos("a", 10), labels("a_masks", 6)) == {"pool": "a"}

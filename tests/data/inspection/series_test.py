import pytest

from labor_jax.data.inspection import folder_names, series
from labor_jax.data.inspection.scan import ScannedFile


def files(*paths, mode="RGB"):
    formats = {".png": "PNG", ".jpg": "JPEG"}
    return [
        ScannedFile(path, 1, format=formats[path[-4:]], mode=mode, size=(4, 4)) for path in paths
    ]


def found(*paths, looks_like_label=lambda file: False, mode="RGB"):
    """(folder, ending, number of files, whether labels) of each series."""
    return [
        (one.folder, one.ending, len(one.files), one.is_labels)
        for one in series.find_series(files(*paths, mode=mode), looks_like_label)
    ]


def test_folders_are_cut_behind_images_and_labels():
    assert found(
        "source/images/drive_1/a1.png",
        "source/images/drive_2/a2.png",
        "source/labels/drive_1/a1.png",
        "images/train/x1.jpg",
        "labels/train/x1.png",
    ) == [
        ("images/train", "", 1, False),
        ("labels/train", "", 1, True),
        ("source/images", "", 2, False),
        ("source/labels", "", 1, True),
    ]


def test_files_of_several_kinds_in_one_folder_are_told_by_their_endings():
    city = "train/aachen/aachen_000000_000019"
    assert found(
        f"leftImg8bit/{city}_leftImg8bit.png",
        f"gtFine/{city}_gtFine_labelIds.png",
        f"gtFine/{city}_gtFine_color.png",
        f"gtFine/{city}_gtFine_instanceIds.png",
    ) == [
        ("gtFine/train", "_gtFine_color", 1, True),
        ("gtFine/train", "_gtFine_instanceIds", 1, True),
        ("gtFine/train", "_gtFine_labelIds", 1, True),
        ("leftImg8bit/train", "_leftImg8bit", 1, False),
    ]


def test_photos_and_labels_in_the_root():
    assert found("a1.jpg", "a2.jpg", "a1_mask.png", "a2_mask.png") == [
        (".", "", 2, False),
        (".", "_mask", 2, True),
    ]
    assert found("a1.jpg", "a2.jpg", "a1.png", "a2.png") == [
        (".", "", 2, False),
        (".", "", 2, True),
    ]


def test_stereo_photos_are_no_labels():
    assert found("f1_L.png", "f1_R.png", "f2_L.png", "f2_R.png") == [(".", "", 4, False)]


def test_labels_named_like_photos_are_labels_by_their_folder():
    assert found("gt/x1_leftImg8bit.png") == [("gt", "_leftImg8bit", 1, True)]


def test_folders_without_a_telling_name_are_judged_by_what_is_in_them():
    assert found("a/1.png", "b/1.png", looks_like_label=lambda file: file.folder == "b") == [
        ("a", "", 1, False),
        ("b", "", 1, True),
    ]
    assert found("a/1.png", mode="P") == [("a", "", 1, True)]
    assert found("a/1.jpg", looks_like_label=lambda file: True) == [("a", "", 1, False)]


def test_the_roots_own_name_counts():
    found = series.find_series(files("1.png", "2.png"), lambda file: False, "masks")
    assert [one.is_labels for one in found] == [True]
    found = series.find_series(files("images/1.png"), lambda file: False, "masks")
    assert [one.is_labels for one in found] == [False]


def test_many_unnamed_folders_are_parts_of_one():
    assert found(*(f"days/{i}/1.jpg" for i in range(9))) == [("days", "", 9, False)]
    assert len(found(*(f"days/{i}/1.jpg" for i in range(3)))) == 3


@pytest.mark.parametrize(
    ("name", "labels", "photos"),
    [
        ("unlabelled", False, False),
        ("trainannot", True, False),
        ("SegmentationClass", True, False),
        ("JPEGImages", False, True),
        ("image_labels", True, False),
        ("gt", True, False),
        ("gtav", False, False),
        ("imgs", False, True),
    ],
)
def test_words_for_photos_and_labels(name, labels, photos):
    assert folder_names.says_labels(name) == labels
    assert folder_names.says_photos(name) == photos


def test_words_for_roles():
    assert folder_names.roles("simulator/images") == {"source"}
    assert folder_names.roles("unlabelled_photos") == {"pool"}
    assert folder_names.roles("images/test") == {"evaluation"}
    assert folder_names.roles("interval/latest") == set()


def test_a_sample_is_evenly_chosen():
    assert series.sample(range(3), 5) == [0, 1, 2]
    assert series.sample(range(101), 5) == [0, 25, 50, 75, 100]
    assert len(series.sample(range(10), 1)) == 1

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from labor_jax.data.inspection.name_matching import match_names
from labor_jax.data.inspection.scan import ScannedFile
from labor_jax.data.inspection.series import Series


def series(folder, names, is_labels=False):
    files = tuple(ScannedFile(f"{folder}/{name}", 1) for name in names)
    return Series(folder, "", files, is_labels)


def match(photos, labels):
    return match_names(series("images", photos), series("labels", labels, True))


def rule(photos, labels):
    found = match(photos, labels)
    assert not found.unlabelled and not found.leftover
    return found.image_suffix, found.label_pattern


def test_equal_names():
    assert rule(["a1.jpg", "b/a2.jpg"], ["a1.png", "b/a2.png"]) == ("", "{stem}.png")


def test_suffixes_and_prefixes():
    assert rule(["0001TP_1.png", "0001TP_2.png"], ["0001TP_1_L.png", "0001TP_2_L.png"]) == (
        "",
        "{stem}_L.png",
    )
    assert rule(
        ["c/c_1_leftImg8bit.png", "c/c_2_leftImg8bit.png"],
        ["c/c_1_gtFine_labelIds.png", "c/c_2_gtFine_labelIds.png"],
    ) == ("_leftImg8bit", "{stem}_gtFine_labelIds.png")
    assert rule(["1.jpg", "10.jpg"], ["mask_1.PNG", "mask_10.PNG"]) == ("", "mask_{stem}.PNG")


def test_names_are_compared_as_a_run_compares_them():
    one, other = (unicodedata.normalize(form, "\u00d6l/\u00fc") for form in ("NFC", "NFD"))
    assert rule([f"{other}.jpg"], [f"{one}.png"]) == ("", "{stem}.png")
    assert rule(["1.jpg", "2.jpg", "3.jpg"], ["1.png", "2.PNG", "3.png"]) == ("", "{stem}.png")


def test_what_does_not_match_is_listed():
    found = match(["1.jpg", "2.jpg", "3.jpg"], ["1.png", "2.png", "4.png", "notes_5.tif"])
    assert dict(found.labels) == {"images/1.jpg": "labels/1.png", "images/2.jpg": "labels/2.png"}
    assert found.unlabelled == ("images/3.jpg",)
    assert found.leftover == ("labels/4.png",)


def test_foreign_names_do_not_match():
    assert match(["a.jpg"], ["b.png"]) is None
    assert match(["x/a.jpg"], ["y/a.png"]) is None


@given(
    names=st.sets(st.text("abc019", min_size=1, max_size=5), min_size=1, max_size=6),
    image_suffix=st.sampled_from(["", "_rgb", "-left_8"]),
    before=st.sampled_from(["", "gt_"]),
    after=st.sampled_from(["", "_L", ".mask"]),
)
def test_any_rule_that_made_the_names_is_found(names, image_suffix, before, after):
    photos = [f"{name}{image_suffix}.jpg" for name in names]
    labels = [f"{before}{name}{after}.png" for name in names]
    found = match(photos, labels)
    assert len(found.labels) == len(names)
    assert not found.unlabelled

import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labor_jax.data.base import DataError
from labor_jax.data.class_table import ClassTable
from labor_jax.data.label_map import LabelMap

_PATH = pathlib.Path("labels/a.png")


@settings(deadline=None)
@given(
    st.integers(1, 254), st.lists(st.integers(0, 255), min_size=1), st.sampled_from(["u1", "i4"])
)
def test_without_entries_values_are_class_numbers(num_classes, values, dtype):
    label_map = LabelMap("", num_classes, "field")
    values = np.array([values], dtype)
    valid = (values < num_classes) | (values == 255)
    if valid.all():
        label = label_map(values, _PATH)
        np.testing.assert_array_equal(label, values)
        assert label.dtype == np.uint8
    else:
        with pytest.raises(DataError, match=rf"a\.png: .* in {np.sum(~valid)} pixels"):
            label_map(values, _PATH)


def test_the_error_names_file_values_place_and_what_is_valid():
    with pytest.raises(DataError) as error:
        LabelMap("", 11, "f")(np.array([[0, 1], [30, 12]], np.uint8), _PATH)
    message = str(error.value)
    assert "labels/a.png: label values 12, 30 in 2 pixels (first at row 1, column 0)" in message
    assert "outside the 11 classes; valid here: 0-10, 255" in message


def test_values_are_mapped():
    values = np.array([[7, 8, 255, 300]], np.uint16)
    for entries in ("7:0, 8:1, 300:255", {"7": 0, "8": 1, "300": 255}, {7: 0, 8: 1, 300: 255}):
        np.testing.assert_array_equal(LabelMap(entries, 2, "f")(values, _PATH), [[0, 1, 255, 255]])
    with pytest.raises(DataError, match=r"value 9 .* valid here: 7-8, 255, 300"):
        LabelMap("7:0, 8:1, 300:255", 2, "f")(np.array([[9]], np.uint8), _PATH)


def test_other_stands_for_every_value_not_named_but_255():
    label_map = LabelMap("other:1, 3:0", 2, "f")
    np.testing.assert_array_equal(
        label_map(np.array([[3, 0, 254, 255, 65535]], np.int32), _PATH), [[0, 1, 1, 255, 1]]
    )
    np.testing.assert_array_equal(LabelMap("255:0", 1, "f")(np.array([[255]]), _PATH), [[0]])


def test_values_out_of_16_bits_are_named():
    with pytest.raises(DataError, match=r"values -1, 70000 in 2 pixels .*: label .* 0 to 65535"):
        LabelMap("other:0", 1, "f")(np.array([[-1, 70_000, 4]], np.int32), _PATH)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("7:2", r"data\.x\.label_map maps 7 to 2, .*0 to 1.* nor 255"),
        ("7", "cannot read '7'"),
        ("a:0", "cannot read 'a:0'"),
        ("7:0,7:1", "names the value 7 twice"),
        ("70000:0", "names the value 70000"),
        ({"7": -1}, "maps 7 to -1"),
    ],
)
def test_impossible_entries(entries, message):
    with pytest.raises(ValueError, match=message):
        LabelMap(entries, 2, "data.x.label_map")


_TABLE = ClassTable(("road", "sky", "1"), numbers={0: 255, 7: 0, 8: 1, 11: 2})


def test_classes_by_name():
    label_map = LabelMap("7:sky, 8:road, 9:void, 10:2, 11:1", 3, "f", table=_TABLE)
    np.testing.assert_array_equal(
        label_map(np.array([[7, 8, 9, 10, 11]]), _PATH), [[1, 0, 255, 2, 2]]
    )
    with pytest.raises(
        ValueError, match=r"maps 7 to car, .*\(0 to 2: road, sky, 1\) nor 255 or void"
    ):
        LabelMap("7:car", 3, "f", table=_TABLE)


def test_a_tables_numbers_stand_unless_a_value_gets_a_class():
    values = np.array([[0, 7, 8, 11, 255]])
    expected = [[255, 0, 1, 2, 255]]
    np.testing.assert_array_equal(LabelMap("", 3, "f", table=_TABLE)(values, _PATH), expected)
    more = LabelMap("30:void", 3, "f", table=_TABLE)
    np.testing.assert_array_equal(more(values, _PATH), expected)
    np.testing.assert_array_equal(more(np.array([[30]]), _PATH), [[255]])
    with pytest.raises(DataError, match=r"value 0 .* that f does not name; valid here: 7, 255"):
        LabelMap("7:road", 3, "f", table=_TABLE)(np.array([[0, 7]]), _PATH)


def test_entries_that_only_void_leave_the_other_classes():
    label_map = LabelMap("30:void, other:void", 2, "f")
    np.testing.assert_array_equal(label_map(np.array([[0, 1, 30, 31]]), _PATH), [[0, 1, 255, 255]])
    of_a_class = LabelMap("2:void", 3, "f")
    np.testing.assert_array_equal(of_a_class(np.array([[0, 1, 2]]), _PATH), [[0, 1, 255]])
    of_a_table = LabelMap("0:void, 8:void", 3, "f", table=_TABLE)
    np.testing.assert_array_equal(of_a_table(np.array([[0, 7, 8]]), _PATH), [[255, 0, 255]])


@pytest.mark.parametrize("entries", ["0:void", "0:void, 2:void", "0:void, other:void"])
def test_void_at_0_may_shift_the_classes_so_they_have_to_be_named(entries):
    with pytest.raises(ValueError, match=r"f makes the value 0 void .* 0:void,1:0,2:1,… if"):
        LabelMap(entries, 3, "f")
    rest = LabelMap("0:void, other:1", 2, "f")
    np.testing.assert_array_equal(rest(np.array([[0, 1, 9]]), _PATH), [[255, 1, 1]])


def test_whether_255_is_named():
    assert LabelMap("", 2, "f").implies_void and LabelMap("0:1", 2, "f").implies_void
    assert not LabelMap("0:0,255:1", 2, "f").implies_void
    named = LabelMap("255:void", 2, "f")
    assert not named.implies_void
    np.testing.assert_array_equal(named(np.array([[0, 1, 255]]), _PATH), [[0, 1, 255]])


def test_codings():
    with pytest.raises(ValueError, match="must be one of auto, numbers, colours; got 'rgb'"):
        LabelMap("", 2, "f", coding="rgb")
    with pytest.raises(ValueError, match=r"label_coding is colours, but no class has one"):
        LabelMap("#000000:void", 2, "f", coding="colours")
    assert LabelMap("#000000:0", 2, "f", coding="colours").file_coding == "colours"
    assert LabelMap("", 2, "f").file_coding == "numbers"

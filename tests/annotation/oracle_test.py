"""The oracle tells what is asked and nothing else."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from labor_jax.annotation import LabelStore, Oracle


class Labels:
    def __init__(self, **labels):
        self.names = tuple(labels)
        self.maps = list(labels.values())
        self.reads = []

    def __len__(self):
        return len(self.maps)

    def label(self, i):
        self.reads.append(self.names[i])
        return self.maps[i]


@hypothesis.given(st.data())
def test_tells_asked_pixels_only(data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=6))
    label = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 9, 255])))
    query = data.draw(hnp.arrays(bool, shape))
    held = label.copy()
    split = Labels(other=np.zeros((2, 2), np.uint8), it=label)
    answer = Oracle(split).answer("it", query)
    assert answer.dtype == np.uint8 and answer.shape == shape
    assert (answer[query] == held[query]).all() and (answer[~query] == 255).all()
    np.testing.assert_array_equal(label, held)
    assert split.reads == ["it"]


@hypothesis.given(st.data())
def test_picks_one_available_pixel_of_each_class(data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=6))
    label = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 9, 255])))
    available = data.draw(hnp.arrays(bool, shape))
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    query = Oracle(Labels(it=label)).point_of_each_class("it", available, rng)
    assert query.dtype == bool and query.shape == shape
    assert not (query & ~available).any()
    assert sorted(label[query]) == sorted(set(label[available]) - {255})


def test_the_pixel_of_a_class_is_any_of_them():
    oracle = Oracle(Labels(it=np.array([[3, 3], [3, 5]], np.uint8)))
    available = np.array([[True, False], [True, True]])
    counts = np.zeros((2, 2), int)
    rng = np.random.default_rng(0)
    for _ in range(400):
        counts += oracle.point_of_each_class("it", available, rng)
    assert counts[1, 1] == 400 and counts[0, 1] == 0
    assert abs(counts[0, 0] - 200) < 50 and counts[0, 0] + counts[1, 0] == 400

    first, again = (
        oracle.point_of_each_class("it", available, np.random.default_rng(7)) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


def test_its_answers_go_into_the_store(tmp_path):
    label = np.array([[0, 1], [255, 1]], np.uint8)
    query = np.array([[True, False], [True, True]])
    with LabelStore(tmp_path / "labels.sqlite", classes=["a", "b"]) as store:
        store.open_round(1, ["it"])
        answer = Oracle(Labels(it=label)).answer("it", query)
        store.ask_and_answer_many(1, [("it", query, answer, None)])
        assert store.labels("it").tolist() == [[0, 255], [255, 1]]
        assert store.statistics(1).labelled_pixels == 3


def test_errors_say_what_was_asked():
    oracle = Oracle(Labels(it=np.zeros((2, 3), np.uint8)))
    with pytest.raises(ValueError, match="has no image 'that' among the 1"):
        oracle.answer("that", np.zeros((2, 3), bool))
    with pytest.raises(ValueError, match=r"'it' is bool\[3, 2\]; its label map needs bool\[2, 3\]"):
        oracle.answer("it", np.zeros((3, 2), bool))
    with pytest.raises(ValueError, match=r"uint8\[2, 3\]"):
        oracle.answer("it", np.zeros((2, 3), np.uint8))
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="has no image 'that' among the 1"):
        oracle.point_of_each_class("that", np.ones((2, 3), bool), rng)
    with pytest.raises(ValueError, match=r"mask of available pixels of image 'it' is bool\[3, 2\]"):
        oracle.point_of_each_class("it", np.ones((3, 2), bool), rng)
    twice = Labels(it=np.zeros((2, 3), np.uint8))
    twice.names, twice.maps = ("it", "it"), twice.maps * 2
    with pytest.raises(ValueError, match="2 images but only 1 different names"):
        Oracle(twice)


@hypothesis.given(st.data())
def test_parts_are_answered_as_wholes(data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=6))
    label = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 255])))
    query = data.draw(hnp.arrays(bool, shape))
    parts = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 3)))
    oracle = Oracle(Labels(it=label), num_classes=3)
    commonest = oracle.answer_parts("it", query, parts, "superpixels")
    several = oracle.answer_parts("it", query, parts, "classes")
    right = oracle.answer_parts("it", query, parts, "corrections")
    np.testing.assert_array_equal(right.labels, commonest.labels)
    assert commonest.candidates is None
    for labels in (commonest.labels, several.labels):
        assert labels.dtype == np.uint8 and (labels[~query] == 255).all()
    for row, part in enumerate(np.unique(parts[query])):
        inside = query & (parts == part)
        values, counts = np.unique(label[inside], return_counts=True)
        assert set(commonest.labels[inside]) == {values[counts == counts.max()].min()}
        held = sorted(set(values) - {255})
        assert np.flatnonzero(several.candidates[row]).tolist() == held
        assert set(several.labels[inside]) == ({held[0]} if len(held) == 1 else {255})

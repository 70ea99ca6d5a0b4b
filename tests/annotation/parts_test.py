"""The commonest label of each part, against counting by hand."""

import collections

import hypothesis
import hypothesis.strategies as st
import numpy as np

from labor_jax.annotation import parts


@hypothesis.given(st.lists(st.tuples(st.integers(-2, 3), st.sampled_from([0, 1, 2, 255]))))
def test_a_part_has_its_commonest_label_and_the_lowest_of_equals(pixels):
    numbers, labels = np.array(pixels, np.int64).reshape(-1, 2).T
    by_part = collections.defaultdict(list)
    for number, label in pixels:
        by_part[number].append(label)
    expected = [
        min(set(found), key=lambda label, found=found: (-found.count(label), label))
        for _, found in sorted(by_part.items())
    ]
    found, row = parts.commonest(labels.astype(np.uint8), numbers)
    assert found.tolist() == expected
    np.testing.assert_array_equal(np.unique(numbers)[row], numbers)

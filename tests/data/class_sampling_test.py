import collections
import concurrent.futures
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labor_jax.data import class_sampling


def drawn(presence, count, seed=0):
    order = class_sampling.BalancedOrder(np.asarray(presence, bool), seed)
    return [order(i) for i in range(count)]


def published(presence, seed, count):
    """The published way, draw by draw, on the same random numbers."""
    num_classes = presence.shape[1]
    walks, shuffles, images = [[]] * num_classes, [0] * num_classes, []
    for number in range(count):
        if number % 3000 == 0:
            uniform = np.random.default_rng((seed, 2, number // 3000)).random(3000)
            held = [0] * num_classes
        shares = [each / max(1, sum(held)) for each in held]
        weights = [1 / math.log(1.01 + share) for share in shares]
        left = uniform[number % 3000] * sum(weights)
        chosen = 0
        while chosen < num_classes - 1 and left >= weights[chosen]:
            left -= weights[chosen]
            chosen += 1
        if not walks[chosen]:
            generator = np.random.default_rng((seed, 3, chosen, shuffles[chosen]))
            walks[chosen] = generator.permutation(np.flatnonzero(presence[:, chosen])).tolist()
            shuffles[chosen] += 1
        images.append(walks[chosen].pop(0))
        held = [
            each + held_here for each, held_here in zip(held, presence[images[-1]], strict=True)
        ]
    return images


def test_draws_are_the_published_ones_also_after_the_shares_start_anew():
    rng = np.random.default_rng(0)
    presence = rng.random((40, 5)) < (0.9, 0.5, 0.2, 0.1, 0.05)
    presence[:5] |= np.eye(5, dtype=bool)
    assert drawn(presence, 3400, seed=3) == published(presence, 3, 3400)


@settings(deadline=None, max_examples=10)
@given(
    classes=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    seed=st.integers(0, 100),
)
def test_a_class_goes_through_its_images_before_it_repeats_one(classes, seed):
    images = drawn(np.eye(4)[classes], 100, seed)
    by_class = collections.defaultdict(list)
    for image in images:
        by_class[classes[image]].append(image)
    assert set(by_class) == set(classes)
    for number, walk in by_class.items():
        members = [i for i, each in enumerate(classes) if each == number]
        rounds = [walk[i : i + len(members)] for i in range(0, len(walk), len(members))]
        assert all(len(set(each)) == len(each) for each in rounds)
        assert sorted(rounds[0]) == members


def test_a_rare_class_is_drawn_as_often_as_the_formula_says():
    """Everything holds class 0, two of 200 images hold class 1 too."""
    presence = np.zeros((200, 2), bool)
    presence[:, 0] = presence[:2, 1] = True
    chance = 0.5
    for _ in range(100):  # to where chance and shares agree
        rare = chance + (1 - chance) * 0.01
        weights = [1 / math.log(1.01 + each / (1 + rare)) for each in (1, rare)]
        chance = weights[1] / sum(weights)
    found = np.mean(np.array(drawn(presence, 6000)) < 2)
    assert rare > 0.5  # 50 times as often as in the data
    np.testing.assert_allclose(found, rare, atol=0.02)


def test_a_class_that_no_image_holds_changes_nothing():
    presence = np.random.default_rng(0).random((20, 3)) < 0.5
    with_none = np.insert(presence, 1, False, axis=1)
    assert drawn(with_none, 200) == drawn(presence, 200)
    nothing_in_it = np.vstack([presence, np.zeros((1, 3), bool)])
    assert 20 not in drawn(nothing_in_it, 500)


def test_the_order_depends_on_seed_and_number_alone():
    presence = np.random.default_rng(0).random((30, 4)) < 0.4
    expected = drawn(presence, 6500)
    assert drawn(presence, 100, seed=1) != expected[:100]
    order = class_sampling.BalancedOrder(presence, 0)
    numbers = np.random.default_rng(1).permutation(6500).tolist()
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        for number, image in zip(numbers, executor.map(order, numbers), strict=True):
            assert image == expected[number]


@pytest.mark.parametrize(
    ("presence", "message"),
    [
        (np.ones((3, 2)), r"presence must be bool\[images, classes\], got float64\[3, 2\]"),
        (np.ones(3, bool), r"got bool\[3\]"),
        (np.zeros((3, 2), bool), "no label holds a class"),
    ],
)
def test_impossible_presence(presence, message):
    with pytest.raises(ValueError, match=message):
        class_sampling.BalancedOrder(presence, 0)


def rare_order(counts, enough=1, seed=0):
    counts = np.asarray(counts)
    return class_sampling.RareClassOrder(counts, counts >= enough, seed)


def test_rare_classes_are_drawn_by_daformers_formula():
    counts = np.array([[990, 5, 0, 0], [980, 0, 15, 0], [990, 0, 0, 0], [985, 10, 0, 0]])
    shares = counts.sum(0) / counts.sum()
    weights = np.exp((1 - shares) / 0.01) * (shares > 0)
    order = rare_order(counts)
    drawn = np.array([order.class_of(i) for i in range(4000)])
    np.testing.assert_allclose(
        np.bincount(drawn, minlength=4) / 4000, weights / weights.sum(), atol=0.03
    )
    assert 3 not in drawn and 0 not in drawn
    images = np.array([order(i) for i in range(4000)])
    assert set(images[drawn == 2]) == {1} and set(images[drawn == 1]) == {0, 3}


def test_a_rare_class_comes_from_images_with_enough_of_it_if_there_are_any():
    counts = np.array([[100, 1, 0], [100, 9, 2], [100, 8, 0]])
    order = rare_order(counts, enough=5)
    images = {number: set() for number in range(3)}
    for i in range(2000):
        images[order.class_of(i)].add(order(i))
    assert images[1] == {1, 2}
    assert images[2] == {1}  # too little, but nowhere more


def test_rare_draws_depend_on_seed_and_number_alone():
    counts = np.random.default_rng(0).integers(0, 9, (30, 4))
    order = rare_order(counts)
    expected = [order(i) for i in range(50)]
    assert [rare_order(counts)(i) for i in reversed(range(50))] == expected[::-1]
    assert [rare_order(counts, seed=1)(i) for i in range(50)] != expected
    with pytest.raises(ValueError, match="no label holds a class"):
        rare_order(np.zeros((3, 2), int))

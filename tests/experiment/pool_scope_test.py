"""Queries under a budget over the pool, against one sort of everything that images offer."""

import jax
import numpy as np
import pytest

from labor_jax import acquisition
from labor_jax.experiment import pool_scope
from tests.active.acquisition_config import acquisition_config

SIZES = [(9, 12), (7, 8), (9, 12), (9, 12), (7, 8)]


class Pool:
    """Images that are nothing but sizes."""

    def __len__(self):
        return len(SIZES)

    def size(self, number):
        return SIZES[number]


@pytest.fixture(scope="module")
def scores():
    """Some images offer more than others."""
    rng = np.random.default_rng(0)
    factors = (3, 1, 2, 1, 0.2)
    return [
        (factor * rng.random(size)).astype(np.float32)
        for factor, size in zip(factors, SIZES, strict=True)
    ]


def available(number):
    return np.random.default_rng(number).random(SIZES[number]) < 0.95


def guess(number):
    return np.random.default_rng(number).integers(0, 5, SIZES[number], np.uint8)


def selected(score, number, count, radius, reach):
    found = acquisition.select_regions(
        score,
        acquisition.clear_of_asked(available(number), radius - reach),
        count=count,
        radius=reach,
        suppression_radius=radius,
    )
    rows, columns = np.asarray(found.centers).T
    return acquisition.ScoredSelection(*found, scores=score[rows, columns])


def scorer(scores, radius, reach, calls):
    """Ranks images one by one; a floor ends the list."""

    def score(numbers, length, floor):
        calls.append((list(numbers), length))
        for number in numbers:
            stop = np.float32(np.nan if floor is None else floor())
            found = selected(scores[number], number, length, radius, reach)
            listed = found.valid & ~(np.asarray(found.scores) < stop)
            ranking = acquisition.Ranking(
                found.scores, listed, found.centers, found.query, guess(number)
            )
            rows = jax.tree.map(lambda each: np.asarray(each)[None], ranking)
            yield np.array([number]), np.array([stop]), rows

    return score


@pytest.mark.parametrize(
    ("settings", "radius", "reach"),
    [
        pytest.param({"method": "entropy", "points": 12}, 0, 0, marks=pytest.mark.slow),
        ({"method": "ripu_ra", "fraction": 0.6}, 2, 1),
        pytest.param({"method": "entropy", "seconds": 2 * 90.0}, 0, 0, marks=pytest.mark.slow),
        pytest.param(  # more than there are pixels
            {"method": "entropy", "points": 200}, 0, 0, marks=pytest.mark.slow
        ),
    ],
)
def test_the_best_of_the_pool_are_asked(scores, settings, radius, reach):
    config = acquisition_config(scope="pool", **settings)
    calls = []
    score = scorer(scores, radius, reach, calls)
    found = dict(pool_scope.queries(config, 2, Pool(), score, available))
    assert sorted(found) == list(range(len(SIZES)))

    every = [selected(each, n, 120, radius, reach) for n, each in enumerate(scores)]
    listed = sorted(
        (-float(value), n, place)
        for n, each in enumerate(every)
        for place, value in enumerate(np.asarray(each.scores)[np.asarray(each.valid)])
    )
    price = (2.4, 1.0) if "seconds" in settings else (1.0, 0.0)
    areas = sum(height * width for height, width in SIZES)
    limit = {
        "points": 5 * settings.get("points", 0) / 2,
        "fraction": np.ceil(settings.get("fraction", 0) * areas / 2 / 9),
        "seconds": settings.get("seconds", 0) / 2,
    }[next(name for name in settings if name != "method")]
    counts = dict.fromkeys(range(len(SIZES)), 0)
    for _, number, _ in listed:
        counts[number] += 1
        opened = sum(count > 0 for count in counts.values())
        if sum(counts.values()) * price[0] + opened * price[1] > limit:
            counts[number] -= 1
            break
    assert len(set(counts.values())) > 1  # images get different numbers
    for number, query in found.items():
        expected = selected(scores[number], number, counts[number], radius, reach)
        assert query.picks == counts[number]
        np.testing.assert_array_equal(query.pixels, expected.query & available(number))
        np.testing.assert_array_equal(query.guess, guess(number))
        for pick, (row, column) in enumerate(expected.centers.tolist()):
            assert query.parts[row, column] == pick
        assert (query.parts >= 0).sum() == query.pixels.sum()
    assert calls[0][0] == list(range(len(SIZES)))


def test_the_best_pixels_of_all_masks_are_asked(scores):
    config = acquisition_config("spl", scope="pool", max_fraction=0.3)

    def score(numbers, length, floor):
        assert length is None and floor is None
        for number in numbers:
            mask = scores[number] > 0.3
            rows = (scores[number][None], (mask & available(number))[None], None, mask[None])
            yield np.array([number]), None, acquisition.Ranking(*rows)

    found = dict(pool_scope.queries(config, 2, Pool(), score, available))
    offered = [(each > 0.3) & available(number) for number, each in enumerate(scores)]
    values = np.concatenate(
        [each[mask] for each, mask in zip(scores, offered, strict=True)], dtype=np.float32
    )
    limit = sum(height * width for height, width in SIZES) * 3 // 20
    least = np.sort(values)[-limit]
    for number, query in found.items():
        assert query.picks == acquisition.MASK and query.guess is None
        np.testing.assert_array_equal(query.pixels, offered[number] & (scores[number] >= least))


def test_parts_of_any_form_are_those_of_the_longest_list(scores):
    """Each image's own halves of rows stand in for superpixels."""
    config = acquisition_config("entropy", scope="pool", points=8)
    lengths = {}

    def score(numbers, length, floor):
        for number in numbers:
            lengths.setdefault(number, []).append(length)
            height, width = SIZES[number]
            halves = 2 * np.arange(height)[:, None] + (np.arange(width) >= width // 2)
            values = np.array([scores[number][halves == part].max() for part in range(2 * height)])
            values *= 1 + number  # most are of the last images
            order = np.argsort(-values)[:length]
            parts = np.full((height, width), -1, np.int32)
            for pick, part in enumerate(order):
                parts[halves == part] = pick
            listed = np.full(length, -np.inf, np.float32)
            listed[: len(order)] = values[order]
            free = np.ones((height, width), bool)
            rows = (listed[None], listed[None] > -np.inf, None, free[None], None, parts[None])
            yield np.array([number]), np.float32([np.nan]), acquisition.Ranking(*rows)

    found = dict(pool_scope.queries(config, 2, Pool(), score, available))
    picks = {number: int(query.picks) for number, query in found.items()}
    assert sum(picks.values()) == 20 and len(set(picks.values())) > 1
    for number, query in found.items():
        assert query.guess is None
        (whole,) = score([number], 18, None)
        parts = whole[2].parts[0]
        expected = (parts >= 0) & (parts < picks[number]) & available(number)
        np.testing.assert_array_equal(query.pixels, expected)
        np.testing.assert_array_equal(query.parts, np.where(expected, parts, -1))

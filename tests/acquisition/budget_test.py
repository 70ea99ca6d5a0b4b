import math
from fractions import Fraction

import hypothesis
import hypothesis.strategies as st
import pytest

from labor_jax import acquisition


def test_budgets_of_the_papers():
    assert acquisition.region_count(1024, 2048, ratio=0.022, rounds=5, radius=1) == 1026
    assert acquisition.point_count(1024, 2048, pixels=40, rounds=5) == 21
    assert acquisition.pixel_cap(1024, 2048, fraction=0.022, rounds=3) == 15379
    assert acquisition.pixel_count(1024, 2048, fraction=0.022, rounds=3) == 15380


def test_a_share_that_is_a_whole_number_is_not_rounded():
    assert acquisition.pixel_count(100, 100, fraction=0.022, rounds=5) == 44
    assert acquisition.pixel_cap(100, 100, fraction=0.022, rounds=5) == 44
    assert acquisition.region_count(100, 90, ratio=0.1, rounds=4, radius=1) == 25
    assert acquisition.pixel_count(64, 128, fraction=1e-4, rounds=5) == 1


@hypothesis.given(
    size=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    fraction=st.integers(1, 1000).map(lambda n: n / 1000),
    rounds=st.integers(1, 10),
    radius=st.integers(0, 3),
)
def test_pixels_and_regions_ask_about_the_same_share(size, fraction, rounds, radius):
    share = {"rounds": rounds}
    pixels = acquisition.pixel_count(*size, fraction=fraction, **share)
    regions = acquisition.region_count(*size, ratio=fraction, radius=radius, **share)
    area = (2 * radius + 1) ** 2
    assert (regions - 1) * area < pixels <= regions * area
    assert pixels - acquisition.pixel_cap(*size, fraction=fraction, **share) in (0, 1)


@hypothesis.given(
    size=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    pixels=st.integers(1, 10_000),
    rounds=st.integers(1, 10),
)
def test_points_at_the_reference_size_are_exact(size, pixels, rounds):
    expected = -(-pixels // rounds)
    for reference_size in (None, size):
        assert expected == acquisition.point_count(
            *size, pixels=pixels, rounds=rounds, reference_size=reference_size
        )


@hypothesis.given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    fraction=st.integers(1, 1000).map(lambda n: n / 1000),
    points=st.integers(1, 60),
    rounds=st.integers(1, 10),
    radius=st.integers(0, 3),
    kind=st.sampled_from(["points", "regions", "cap"]),
    as_points=st.booleans(),
)
def test_a_budget_holds_a_pick_from_its_least_value_on(
    size, fraction, points, rounds, radius, kind, as_points
):
    as_points = as_points and kind == "points"
    budget = acquisition.Budget(
        None if as_points else fraction, points if as_points else None, rounds, (20, 30)
    )
    holds = budget.holds_a_pick(kind, size, radius=radius)
    picked = (2 * radius + 1) ** 2 if kind == "regions" else 1
    height, width = size
    share = Fraction(str(fraction)) * height * width
    if as_points:
        share = Fraction(points * height * width, 20 * 30)
    assert holds == (share >= rounds * picked)
    least = budget.least(kind, size, radius=radius)
    if as_points:
        assert holds == (points >= least)
    else:
        assert not holds or fraction >= least * 0.99  # three digits
        assert budget._replace(fraction=least).holds_a_pick(kind, size, radius=radius)
        assert not budget._replace(fraction=least * 0.98).holds_a_pick(kind, size, radius=radius)
    if holds and kind != "cap":  # then rounding up adds less than a pick a round
        assert budget.picks(kind, size, radius=radius) * picked < share / rounds + picked


PRICE = acquisition.Price(pick=2.4, image=1.0)


@hypothesis.given(seconds=st.integers(1, 20_000).map(lambda n: n / 10), rounds=st.integers(1, 7))
def test_seconds_are_never_exceeded(seconds, rounds):
    budget = acquisition.Budget(seconds=seconds, rounds=rounds, price=PRICE)
    picks = budget.picks("points", (30, 40), radius=1)
    exact = Fraction(str(seconds)) / rounds - 1
    assert picks == budget.picks("regions", (300, 400), radius=2)
    if picks:
        assert Fraction("2.4") * picks <= exact
    assert exact < Fraction("2.4") * (picks + 1)
    assert budget.holds_a_pick("points", (30, 40), radius=1) == (picks > 0)


def test_the_least_seconds_hold_a_pick_in_every_round():
    price = acquisition.Price(pick=2.403, image=1.0)
    budget = acquisition.Budget(seconds=1.0, rounds=3, price=price)
    assert budget.least("points", (9, 9), radius=1) == 10.21
    enough = budget._replace(seconds=10.21)
    assert enough.picks("points", (9, 9), radius=1) == 1
    assert budget._replace(seconds=10.2).picks("points", (9, 9), radius=1) == 0


def test_the_pools_limit_is_rounded_once():
    sizes = [(10, 10), (10, 11), (10, 10)]
    regions = acquisition.Budget(fraction=0.1, rounds=2)
    assert regions.pool("regions", sizes, radius=1) == (2, 1, 0)  # 15.5 pixels of 9
    assert regions.pool("points", sizes, radius=1) == (16, 1, 0)
    assert regions.pool("cap", sizes, radius=1) == (15, 1, 0)
    assert acquisition.Budget(points=1, rounds=2).pool("points", sizes, radius=1) == (2, 1, 0)
    seconds = acquisition.Budget(seconds=12.0, rounds=2, price=PRICE)
    assert seconds.pool("points", sizes, radius=1) == (18.0, 2.4, 1.0)


@hypothesis.given(
    st.sampled_from(["points", "regions", "cap", "superpixels"]),
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=4),
    st.integers(1, 9),
    st.floats(1e-5, 0.3),
)
def test_the_least_of_a_pool_holds_a_pick_and_hardly_less_does_not(kind, sizes, rounds, share):
    if kind == "superpixels":
        budget = acquisition.Budget(points=1, rounds=rounds)
        least, less = budget.least_of_pool(kind, sizes, radius=1), 1
    else:
        budget = acquisition.Budget(fraction=share, rounds=rounds)
        least, less = budget.least_of_pool(kind, sizes, radius=1), 0.0
    field = "fraction" if budget.points is None else "points"
    assert budget._replace(**{field: least}).pool_holds_a_pick(kind, sizes, radius=1)
    lower = least - less if less else least * 0.98
    if lower > 0:
        assert not budget._replace(**{field: lower}).pool_holds_a_pick(kind, sizes, radius=1)


@pytest.mark.parametrize("images", [5, 10, 20, 27, 37, 161])
def test_seconds_that_buy_exactly_a_pick_of_the_pool_hold_one(images):
    for rounds in (1, 2, 3):
        paid = 3.4 * rounds / images  # opening an image, and a pick
        budget = acquisition.Budget(seconds=paid, rounds=rounds, price=PRICE)
        assert budget.pool_holds_a_pick("points", [(9, 9)] * images, radius=1)
        less = budget._replace(seconds=0.99 * paid)
        assert not less.pool_holds_a_pick("points", [(9, 9)] * images, radius=1)
        assert less.least_of_pool("points", [(9, 9)] * images, radius=1) == round(3.4 * rounds, 2)


@pytest.mark.parametrize(
    ("kind", "given"), [("cap", {}), ("own", {}), ("images", {}), ("images", {"points": 1})]
)
def test_some_kinds_have_no_limit_within_an_image(kind, given):
    budget = acquisition.Budget(rounds=9, **given)
    assert budget.picks(kind, (4, 4), radius=1) is None
    assert budget.holds_a_pick(kind, (4, 4), radius=1)
    assert budget.least(kind, (4, 4), radius=1) == 0
    assert budget.pool(kind, [(4, 4)], radius=1) is None
    assert budget.pool_holds_a_pick(kind, [(4, 4)], radius=1)
    assert budget.least_of_pool(kind, [(4, 4)], radius=1) == 0


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"points": 40}, "regions", "'regions' needs fraction or seconds; got fraction=None, po"),
        ({}, "points", "'points' needs fraction, points or seconds; got .* and seconds=None"),
        ({}, "regions", "'regions' needs fraction or seconds"),
        (
            {"fraction": 0.5, "points": 4},
            "superpixels",
            "needs points or seconds; got fraction=0.5",
        ),
        ({"fraction": 0.5, "points": 4}, "points", "needs fraction, points or seconds"),
        ({"fraction": 0.5}, "superpixels", "needs points or seconds"),
        ({"points": 4}, "cap", "'cap' needs no budget or fraction"),
        ({"points": 4}, "own", "'own' needs no budget; got"),
        ({"points": 4}, "foo", "kind is 'foo'; choose one of: points, regions"),
        ({"seconds": 10.0}, "points", "buy nothing without Budget.price"),
    ],
)
def test_a_budget_of_another_kind_is_refused(given, kind, message):
    budget = acquisition.Budget(**given)
    for ask in (budget.picks, budget.holds_a_pick, budget.least):
        with pytest.raises(ValueError, match=message):
            ask(kind, (10, 10), radius=1)
    with pytest.raises(ValueError, match=message):
        budget.pool(kind, [(10, 10)], radius=1)


def test_superpixels_are_counted_like_points():
    budget = acquisition.Budget(points=40, rounds=5, reference_size=(640, 1280))
    assert budget.picks("superpixels", (1024, 2048), radius=1) == 21
    assert budget.holds_a_pick("superpixels", (1024, 2048), radius=1)
    assert budget.least("superpixels", (640, 1280), radius=1) == 5


@hypothesis.given(
    pool=st.integers(1, 3000),
    fraction=st.integers(1, 1000).map(lambda n: n / 1000),
    points=st.integers(1, 4000),
    rounds=st.integers(1, 10),
)
def test_all_rounds_together_ask_the_budget_of_images(pool, fraction, points, rounds):
    for budget, exact in (
        (acquisition.Budget(fraction=fraction, rounds=rounds), Fraction(str(fraction)) * pool),
        (acquisition.Budget(points=points, rounds=rounds), min(points, pool)),
    ):
        counts = [budget.images(pool, number + 1) for number in range(rounds)]
        assert sum(counts) == math.ceil(exact)
        assert counts[0] >= 1 and min(counts) >= 0


def test_images_are_a_share_or_a_number_of_the_pool():
    assert acquisition.Budget(fraction=0.022, rounds=5).images(2975) == 14
    assert acquisition.Budget(points=65, rounds=5).images(2975) == 13
    share = acquisition.Budget(fraction=0.022, rounds=5)  # 2.8 of 128 images
    assert [share.images(128, round) for round in range(1, 6)] == [1, 1, 0, 1, 0]
    points = acquisition.Budget(points=6, rounds=5)
    assert [points.images(12, round) for round in range(1, 6)] == [2, 1, 1, 1, 1]
    assert [points.images(3, round) for round in range(1, 6)] == [2, 1, 0, 0, 0]
    price = acquisition.Price(pick=1580.0, image=1.0)
    seconds = acquisition.Budget(seconds=75.0, rounds=5, price=price)
    assert seconds.images(2975) == 28  # 44,625 s a round
    # 128 images have 1,920 s a round, and one takes 1,581.
    assert [seconds.images(128, round) for round in range(1, 6)] == [1, 1, 1, 1, 2]
    assert [seconds.images(30, round) for round in range(1, 6)] == [0, 0, 0, 1, 0]
    assert sum(seconds.images(10, round) for round in range(1, 6)) == 0
    with pytest.raises(ValueError, match="'images' needs fraction, points or seconds"):
        acquisition.Budget().images(3)

"""One cause is told once."""

from labor_jax.annotation.formats.exported_round import Problem
from labor_jax.annotation.violations import Violation, by_cause, other_round


def violations(count, problem, **options):
    return [Violation(f"f: image {n}", f"i{n}", problem(n, **options)) for n in range(count)]


def test_one_cause_is_one_line_with_the_first_names():
    missing = violations(128, lambda n: Problem("asked pixels are not answered", 2))
    other = violations(1, lambda n: Problem.about(f"annotation {n}: ", "it has no segmentation"))
    twice = 2 * violations(2, lambda n: Problem.about(f"region {n}: ", "'x' is not one"))
    read = violations(2, lambda n: Problem(f"{n}.png is cut off", cause="it can't be read"))
    assert by_cause(missing + other + twice + read) == [
        "asked pixels are not answered (256 pixels), in 128 images: f: image 0 (image 'i0'), "
        "f: image 1 (image 'i1'), f: image 2 (image 'i2'), …",
        "f: image 0, image 'i0': annotation 0: it has no segmentation",
        "'x' is not one, 4 times in 2 images: f: image 0 (image 'i0'), f: image 1 (image 'i1'), "
        "f: image 0 (image 'i0'), …",
        "it can't be read, in 2 images: f: image 0 (image 'i0'), f: image 1 (image 'i1'). "
        "The first: 0.png is cut off",
    ]


def test_the_round_that_a_file_is_of():
    of_one = violations(3, lambda n: Problem("is of round 1", round=1))
    assert other_round(of_one, 3) == 1
    assert other_round(of_one, 4) is None  # another image fits
    assert other_round(violations(3, lambda n: Problem("is of round", round=n)), 3) is None
    assert other_round(violations(3, lambda n: Problem("no segmentation")), 3) is None
    assert other_round([], 0) is None

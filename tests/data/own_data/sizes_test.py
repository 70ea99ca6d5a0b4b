"""Sizes, chosen from those of the images."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labor_jax import get_config
from labor_jax.data import own_data
from labor_jax.data.own_data import sizes

_SIDES = st.integers(1, 6000)


@pytest.mark.parametrize(
    ("images", "chosen"),
    [
        ([(360, 480)], (352, 480)),  # small enough: their own size, as multiples of 32
        ([(3024, 4032)], (384, 512)),
        ([(4032, 3024)], (512, 384)),
        ([(1080, 1920)] * 3 + [(3024, 4032)], (288, 512)),
        ([(3024, 4032)] * 3 + [(4032, 3024)] * 2, (384, 512)),  # the commonest orientation
        ([(3024, 4032)] * 2 + [(4032, 3024)] * 2, (512, 512)),  # neither is: a square
        ([(20, 20)], (32, 32)),
        ([(100, 5000)], (32, 512)),
    ],
)
def test_one_size_for_all(images, chosen):
    assert sizes.common_size(images, 512) == chosen


@given(st.lists(st.tuples(_SIDES, _SIDES), min_size=1), st.integers(32, 2048))
@example([(1000, 3000)], 500)
def test_a_size_is_possible_and_keeps_the_aspect(images, long_side):
    height, width = sizes.common_size(images, long_side)
    assert height % 32 == width % 32 == 0
    assert 32 <= max(height, width) <= long_side
    ratios = sorted(h / w for h, w in images)
    lowest = (height - 16.01) / (width + 16) if height > 32 else 0
    highest = (height + 16.01) / (width - 16) if width > 32 else math.inf
    assert lowest <= ratios[-1] and ratios[0] <= highest


def choices(config, **images):
    chosen = own_data.resolve(config, own_data.Facts(images))
    return {name: value for choice in chosen for name, value in choice.fields.items()}


def chosen_sizes(config, **images):
    return {
        name: value for name, value in choices(config, **images).items() if name.startswith("data.")
    }


PHOTOS = {"source": ((720, 1280),) * 4, "pool": ((3024, 4032),) * 4}


def test_the_model_is_evaluated_at_the_size_that_it_trains_at():
    config = get_config("spl", "folders")
    expected = {
        "data.source_size": (288, 512),
        "data.target_size": (384, 512),
        "data.evaluation_size": (384, 512),
    }
    assert chosen_sizes(config, **PHOTOS, evaluation=((100, 100),)) == expected
    config.data.target_size = (200, 300)
    expected |= {"data.evaluation_size": (200, 300)}
    del expected["data.target_size"]
    assert chosen_sizes(config, **PHOTOS) == expected


def test_an_evaluation_split_alone_has_a_size():
    config = get_config("spl", "folders")
    assert chosen_sizes(config, evaluation=((720, 1280),)) == {"data.evaluation_size": (288, 512)}


def test_large_sizes_are_trained_on_in_windows():
    config = get_config("spl", "folders")
    config.data.long_side = 1024
    assert choices(config, **PHOTOS)["data.augment.crop"] == (512, 512)
    config.data.source_size = (320, 1024)
    assert choices(config, **PHOTOS)["data.augment.crop"] == (320, 512)
    config.data.augment.crop = (64, 64)
    assert "data.augment.crop" not in choices(config, **PHOTOS)


def test_sizes_that_are_set_are_not_cut():
    config = get_config("spl", "folders")
    config.data.update(source_size=(720, 1280), target_size=(720, 1280))
    assert "data.augment.crop" not in choices(config, **PHOTOS)


def test_no_long_side_leaves_the_images_their_own_size():
    config = get_config("spl", "folders")
    config.data.long_side = 0
    assert not chosen_sizes(config, **PHOTOS)
    config.data.long_side = 16
    with pytest.raises(ValueError, match=r"data\.long_side is 16; .* at least 32, or 0"):
        choices(config, **PHOTOS)


@pytest.mark.parametrize(
    ("size", "batch"), [((1024, 1024), None), ((1080, 1920), 4), ((3024, 4032), 1)]
)
def test_large_label_maps_are_scored_a_few_at_a_time(size, batch):
    found = choices(get_config("spl", "folders"), source=(size,), pool=((64, 64), size))
    assert found.get("evaluation_batch_size") == batch


def test_ripus_radius_follows_the_rows():
    config = get_config("ripu_pa", "folders")
    assert choices(config, pool=((360, 480),))["acquisition.radius"] == 11
    assert choices(config, pool=((16, 16),))["acquisition.radius"] == 1
    assert "acquisition.radius" not in choices(get_config("ripu_ra", "folders"), pool=((9, 9),))


@pytest.mark.parametrize("method", ["superpixels", "multi_hot"])
def test_superpixels_are_as_many_however_large_photos_are(method):
    config = get_config(f"active:{method}", "photos")
    for rows, size in ((1024, 32), (3072, 96), (360, 11), (64, 4), (9999, 256)):
        found = choices(config, pool=((rows, 2 * rows),))
        assert found["acquisition.superpixel_size"] == size

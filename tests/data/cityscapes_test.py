import numpy as np

from labor_jax.data import cityscapes


def test_nineteen_classes_and_their_label_ids():
    assert len(cityscapes.CLASSES) == len(cityscapes.LABEL_IDS) == len(cityscapes.PALETTE) == 19
    by_label_id = dict(zip(cityscapes.LABEL_IDS, cityscapes.CLASSES, strict=True))
    assert (by_label_id[7], by_label_id[26], by_label_id[33]) == ("road", "car", "bicycle")
    np.testing.assert_array_equal(cityscapes.PALETTE[13], (0, 0, 142))


def test_the_subsets_that_synthia_papers_report():
    assert cityscapes.SYNTHIA_16 == (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 15, 17, 18)
    assert cityscapes.SYNTHIA_13 == (0, 1, 2, 6, 7, 8, 10, 11, 12, 13, 15, 17, 18)

import numpy as np

from labor_jax.data.driving import cityscapes, synthia


def test_nineteen_classes_and_their_label_ids():
    assert len(cityscapes.CLASSES) == len(cityscapes.PALETTE) == 19
    assert len(cityscapes.TRAIN_IDS) == 20 and cityscapes.TRAIN_IDS["other"] == 255
    by_label_id = {
        label_id: cityscapes.CLASSES[cityscapes.TRAIN_IDS[label_id]] for label_id in (7, 26, 33)
    }
    assert by_label_id == {7: "road", 26: "car", 33: "bicycle"}
    np.testing.assert_array_equal(cityscapes.PALETTE[13], (0, 0, 142))


def test_the_subsets_that_synthia_papers_report():
    assert synthia.TRAIN_IDS_16 == (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 15, 17, 18)
    assert synthia.TRAIN_IDS_13 == (0, 1, 2, 6, 7, 8, 10, 11, 12, 13, 15, 17, 18)

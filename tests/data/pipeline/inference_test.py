import numpy as np
import pytest

from labor_jax.data import BatchSpec, pipeline
from tests.data import numbered


def _infer(split, **options):
    options = {"batch_size": 2, "num_threads": 2, "with_labels": True, **options}
    call = {name: options.pop(name) for name in ("with_labels", "indices") if name in options}
    return list(pipeline.inference_batches(split, BatchSpec(**options), **call))


def test_inference_visits_each_image_once_in_order(array_split):
    split = array_split(*numbered.images(5))
    batches = _infer(split, size=(3, 4))
    assert [batch["index"].tolist() for batch in batches] == [[0, 1], [2, 3], [4, 4]]
    assert [batch["valid"].tolist() for batch in batches] == [[True] * 2, [True] * 2, [True, False]]
    for batch in batches:
        assert batch["image"].shape == (2, 3, 4, 3)
        assert batch["image"].dtype == np.uint8
        assert batch["label"].shape == (2, 6, 8)  # its own resolution
        assert batch["label"].dtype == np.int32
        assert batch["index"].dtype == np.int32
        np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], batch["index"])
        valid = batch["valid"]
        np.testing.assert_array_equal(batch["label"][valid][:, 0, 0], batch["index"][valid])
    assert (batches[-1]["label"][1] == 255).all()
    assert split.image_reads.tolist() == [1] * 5  # a repetition is not read again


def test_inference_groups_by_label_size(array_split):
    small, large = numbered.images(5, (4, 4)), numbered.images(5, (6, 8))
    kinds = [small, large, large, small, small]
    split = array_split(
        [kind[0][i] for i, kind in enumerate(kinds)], [kind[1][i] for i, kind in enumerate(kinds)]
    )
    batches = _infer(split, size=(5, 5))
    assert [batch["index"].tolist() for batch in batches] == [[0, 3], [4, 4], [1, 2]]
    assert [batch["label"].shape[1:] for batch in batches] == [(4, 4), (4, 4), (6, 8)]
    native = _infer(split)
    assert [batch["image"].shape[1:3] for batch in native] == [(4, 4), (4, 4), (6, 8)]


def test_inference_without_labels_reads_none(array_split):
    split = array_split(numbered.images(3)[0])
    batches = _infer(split, with_labels=False)
    assert all(set(batch) == {"index", "image", "valid"} for batch in batches)
    assert split.label_reads.sum() == 0


def test_inference_of_some_images(array_split):
    split = array_split(*numbered.images(6))
    batches = _infer(split, indices=np.array([4, 1, 5]))
    assert [batch["index"].tolist() for batch in batches] == [[4, 1], [5, 5]]
    assert _infer(split, indices=[]) == []
    with pytest.raises(ValueError, match="indices must be 0 to 5, got 6"):
        _infer(split, indices=[6])


def test_inference_errors_name_the_image(array_split):
    split = array_split(numbered.images(3)[0])
    with pytest.raises(AssertionError, match="without labels") as error:
        _infer(split)
    assert "image_0" in error.value.__notes__[0]


@pytest.mark.parametrize("count", [4, 5, 9])
def test_processes_share_inference_batches(array_split, count):
    split = array_split(*numbered.images(count))
    whole = _infer(split, batch_size=4)
    parts = [_infer(split, batch_size=4, share=numbered.share(process)) for process in range(2)]
    for expected, *shares in zip(whole, *parts, strict=True):
        for name in ("index", "valid", "label"):
            found = np.concatenate([share[name] for share in shares])
            np.testing.assert_array_equal(found, expected[name])
        images = np.concatenate([share["image"] for share in shares])
        valid = expected["valid"]
        np.testing.assert_array_equal(images[valid], expected["image"][valid])


def test_an_empty_split(array_split):
    with pytest.raises(ValueError, match="no images"):
        _infer(array_split([], []))

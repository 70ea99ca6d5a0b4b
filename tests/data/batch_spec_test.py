import pytest

from labor_jax.data import BatchSpec, ProcessShare


def test_shares_are_the_rows_of_a_batch():
    specs = [BatchSpec(6, share=ProcessShare(index, 3)) for index in range(3)]
    assert [(spec.first_row, spec.local_batch_size) for spec in specs] == [(0, 2), (2, 2), (4, 2)]
    assert (BatchSpec(6).first_row, BatchSpec(6).local_batch_size) == (0, 6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_size": 0}, "batch_size must be 1 or more, got 0"),
        ({"size": (0, 3)}, r"size must be \(height, width\)"),
        ({"num_threads": 0}, "num_threads must be 1 or more, or None"),
        ({"share": ProcessShare(0, 3)}, "3 processes cannot share batches of 4 images equally"),
    ],
)
def test_impossible_specs(fields, message):
    with pytest.raises(ValueError, match=message):
        BatchSpec(**{"batch_size": 4, **fields})


@pytest.mark.parametrize(("index", "count"), [(2, 2), (-1, 2), (0, 0)])
def test_impossible_shares(index, count):
    with pytest.raises(ValueError, match=f"process {index} of {count}"):
        ProcessShare(index, count)

"""The input pipeline's benchmark on images of some thousand pixels."""

import numpy as np
import pytest

from benchmarks import input_pipeline
from benchmarks.input_pipeline import Speed

SIZE, INPUT_SIZE = (64, 128), (40, 80)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return input_pipeline.write_files(tmp_path_factory.mktemp("files"), 3, SIZE)


def test_files_are_as_large_as_photographs(split):
    assert len(split) == 3 and split.size(0) == SIZE
    for path in split.image_paths:
        share = path.stat().st_size / (SIZE[0] * SIZE[1]) / input_pipeline.BYTES_PER_PIXEL
        assert share == pytest.approx(1, abs=0.1)
    assert len(np.unique(np.concatenate([split.label(i).ravel() for i in range(3)]))) > 5
    assert len({split.image(i).tobytes() for i in range(3)}) == 3


def test_the_pipelines_examples_are_the_plain_ones(split, monkeypatch):
    input_pipeline.check_same(split, INPUT_SIZE)
    plain = input_pipeline.plain_example

    def one_pixel_off(split, i, size):
        image, label = plain(split, i, size)
        label[3, 4] = 77
        return image, label

    monkeypatch.setattr(input_pipeline, "plain_example", one_pixel_off)
    with pytest.raises(AssertionError):
        input_pipeline.check_same(split, INPUT_SIZE)


@pytest.mark.parametrize("speed", [input_pipeline.pipeline_speed, input_pipeline.plain_speed])
def test_both_ways_are_measured(split, speed):
    found = speed(split, INPUT_SIZE, batch_size=2, num_threads=2, images=4)
    assert found.images_per_second > 0 and found.images_per_core_second > 0


def test_stages_are_those_of_an_example(split):
    found = input_pipeline.stages(split, INPUT_SIZE)
    assert len(found) == 4 and all(milliseconds > 0 for milliseconds in found.values())


def test_cores_and_threads():
    assert input_pipeline.cores_needed(40, Speed(100, 12.5)) == 4
    assert input_pipeline.cores_needed(12.5, Speed(1, 12.5)) == 1
    assert [input_pipeline.thread_counts(most) for most in (1, 2, 6, 8)] == [
        [1],
        [1, 2],
        [1, 2, 4, 6],
        [1, 2, 4, 8],
    ]

"""Finished runs, read from their workdirs."""

import pytest

from labor_jax.experiment.report import results
from tests.finished_runs import write_run


def test_a_result_is_the_last_rounds_and_clicks_are_an_images(tmp_path):
    result = results.read(write_run(tmp_path / "a", pixels=10, clicks=6, images=4))
    assert result.pixels_per_image == 10
    assert result.clicks_per_image == 6
    assert result.labelled_fraction == 0.01
    assert (result.annotation_hours, result.labor_hours) == (2, 1)
    assert result.annotation_source == "published"


def test_a_run_without_rounds_asks_nothing(tmp_path):
    result = results.read(write_run(tmp_path / "a", rounds=0, miou=0.25))
    assert (result.labelled_fraction, result.clicks_per_image, result.annotation_hours) == (0, 0, 0)
    assert result.miou == 0.25 and result.annotation_source == ""


def test_stages_begin_before_the_first_question(tmp_path):
    workdir = write_run(tmp_path / "a", miou=0.5, rounds=2, pixels=10, clicks=6, images=4)
    stages = results.read(workdir).stages
    assert [stage.round for stage in stages] == [0, 1, 2]
    assert [stage.miou for stage in stages] == [0.25, 0.5, 0.5]
    assert [stage.clicks_per_image for stage in stages] == [0, 3, 6]
    assert [stage.seconds_per_image for stage in stages] == [0, 900, 1800]
    before = results.read(workdir).before_adaptation()
    assert (before.miou, before.stages, before.seconds_per_image) == (0.25, (), 0)
    assert (before.annotation_source, before.wall_seconds) == ("", None)


def test_a_run_that_asked_no_pixel_has_no_clicks(tmp_path):
    assert results.read(write_run(tmp_path / "a", pixels=0, clicks=0)).clicks_per_image == 0


@pytest.mark.parametrize("method", ["all", "image_margin", "random_images"])
def test_outlines_of_whole_images_are_no_clicks(tmp_path, method):
    result = results.read(write_run(tmp_path / "a", acquisition__method=method))
    assert [stage.clicks_per_image for stage in result.stages] == [0, None, None]
    assert result.clicks_per_image is None and result.seconds_per_image == 1800


def test_a_method_that_is_no_longer_there_is_told(tmp_path):
    told = []
    workdir = write_run(tmp_path / "a", acquisition__method="guess")
    assert results.read_finished([workdir], told.append) == []
    assert "config.acquisition.method is 'guess'" in told[0]


def test_unfinished_and_foreign_folders_are_told_and_left_out(tmp_path):
    done = write_run(tmp_path / "done")
    open_ = write_run(tmp_path / "open", finished=False)
    broken = write_run(tmp_path / "broken")
    (broken / "summary.json").write_text("{")
    older = write_run(tmp_path / "older")
    (older / "summary.json").write_text('{"rounds": []}')
    told = []
    found = results.read_finished([done, open_, broken, tmp_path, done, older], told.append)
    assert [result.workdir for result in found] == [done]
    assert [line.partition(" (")[0] for line in told[:1]] == [f"unfinished, left out: {open_}"]
    assert "damaged" in told[1]
    assert "holds no run" in told[2]
    assert "of another version of labor_jax, or damaged" in told[3]

"""Which phases' previews are found."""

from labor_jax.experiment.preview_files import trained_phases
from labor_jax.experiment.previews import preview_path
from labor_jax.experiment.workdir import Workdir


def test_the_last_stage_of_many_is_the_one_before_the_rounds(tmp_path):
    folder = Workdir(tmp_path)
    for stage in range(1, 12):
        path = preview_path(folder.previews, f"retraining_{stage}", 0)
        path.parent.mkdir(parents=True)
        path.touch()
    assert trained_phases(folder, [], 0) == ("retraining_11", None)

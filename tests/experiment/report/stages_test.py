"""The table of a run's stages, on the console and in the report."""

from labor_jax.experiment import report
from labor_jax.experiment.report import stages


def test_text_table(summary):
    assert report.text_table(summary).splitlines() == [
        "",
        "spl on street, seed 3",
        "stage        labelled  pixels/image  annotation    mIoU",
        "source-only         0             0           0  25.00%",
        "warm-up             0             0           0  31.25%",
        "round 1         1.07%          87.6       1.5 h  50.00%",
        "round 2         2.20%           180      10.0 h  62.50%",
    ]


def test_measured_times_say_so(summary):
    first, second = summary["rounds"]
    first.update(annotation_seconds=90.0, annotation_source="measured")
    second.update(annotation_source="partly measured")
    cells = [row[3] for row in report.table_rows(summary)[2:]]
    assert cells == ["1.5 min, measured", "10.0 h, partly measured"]
    first.update(work={"images": 1}, published_seconds=50.0)
    assert report.table_rows(summary)[2][3] == "1.5 min, measured; 50 s, published"
    first.update(annotation_source="published")
    assert report.table_rows(summary)[2][3] == "1.5 min"


def test_small_budgets_are_not_shown_as_nothing(summary):
    summary["rounds"][0].update(
        labelled_fraction=1 / 20_480, pixels_per_image=0.25, annotation_seconds=3.74
    )
    assert report.table_rows(summary)[2][1:4] == ("0.0049%", "0.25", "3.7 s")


def test_joint_training_is_not_called_a_warm_up(summary):
    summary.update(source_only_miou=None, warmup_miou=None, before_rounds_miou=0.375)
    assert report.table_rows(summary)[0] == ("before round 1", "0", "0", "0", "37.50%")
    del summary["before_rounds_miou"]  # an older run's
    assert report.table_rows(summary)[0][0] == "round 1"


def test_subsets_of_classes_have_a_line_each(summary):
    summary["subset_miou"] = {"16": 0.5, "13": None}
    assert report.text_table(summary).splitlines()[-2:] == [
        "mIoU of the 16 classes: 50.00%",
        "mIoU of the 13 classes: none is labelled",
    ]


def test_stages_that_were_left_out_have_no_row(summary):
    summary.update(warmup_miou=None, rounds=[])
    assert [row[0] for row in report.table_rows(summary)] == ["source-only"]


def test_the_stage_before_the_rounds_is_the_last_that_was_measured(summary):
    assert stages.before_rounds(summary) == ("warm-up", 0.3125)
    summary["warmup_miou"] = None
    assert stages.before_rounds(summary) == ("source-only", 0.25)
    summary["source_only_miou"] = None
    assert stages.before_rounds(summary) is None

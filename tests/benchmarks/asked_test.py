"""What runs asked, from their label stores."""

import numpy as np
import pytest

from benchmarks import asked, results
from labor_jax.annotation import LabelStore
from tests.benchmarks.fakes import CLASSES, write_run

UNASKED = 9


def run_that_asked(workdir, rounds, **summary):
    """A finished run that asked in each round the labelled pixels of each image's map."""
    pixels = sum(int((labels != UNASKED).sum()) for maps in rounds for labels in maps)
    images = len(rounds[0])
    write_run(workdir, rounds=len(rounds), images=images, pixels=pixels / images, **summary)
    with LabelStore(workdir / "labels.sqlite", classes=CLASSES) as store:
        for number, maps in enumerate(rounds, start=1):
            store.open_round(number, [str(image) for image in range(images)])
            store.ask_and_answer_many(
                number,
                [
                    (str(image), labels != UNASKED, labels, None)
                    for image, labels in enumerate(maps)
                ],
            )
    return workdir


def describe(workdir):
    return asked.describe(results.read(workdir))


def test_counts_classes_and_void_of_all_rounds(tmp_path):
    first = np.array(
        [[[0, 0, 9], [1, 9, 255]], [[9, 9, 9], [1, 9, 9]]],
        np.uint8,
    )
    second = np.array(
        [[[9, 9, 1], [9, 1, 9]], [[9, 9, 255], [9, 9, 9]]],
        np.uint8,
    )
    row = describe(run_that_asked(tmp_path / "a", [first, second], miou=0.25, clicks=2))
    assert (row.name, row.pixels_per_image, row.clicks_per_image, row.miou) == ("a", 4, 2, 0.25)
    assert row.classes_per_image == 1.5  # road and sky in the one, sky in the other
    counts = np.array([2, 4]) / 6
    assert row.effective_classes == pytest.approx(np.exp(-(counts * np.log(counts)).sum()))
    assert row.smallest_class == 0
    assert row.void_fraction == pytest.approx(2 / 8)
    assert "| a | 4 | 2.0 | 2.0 | 1.5 | 1.9 | 0 | 25.0% | 25.0 |" in asked.markdown([row])


@pytest.mark.parametrize("seed", range(3))
def test_rounds_make_no_difference_to_what_was_asked(tmp_path, seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array([0, 1, 1, 2, 255], np.uint8), (3, 5, 7))
    asked_in = rng.integers(0, 4, labels.shape)  # 0: in no round
    rounds = [np.where(asked_in == number, labels, UNASKED) for number in (1, 2, 3)]
    together = np.where(asked_in > 0, labels, UNASKED)
    one = describe(run_that_asked(tmp_path / "one", [together]))
    three = describe(run_that_asked(tmp_path / "three", rounds))
    assert three._replace(name="one") == one
    assert one.smallest_class == min(np.count_nonzero(together == number) for number in range(3))
    assert one.void_fraction == pytest.approx((together == 255).sum() / (together != UNASKED).sum())


def test_whole_images_are_no_clicks_and_names_are_escaped(tmp_path):
    labels = np.array([[[0, 1], [2, 2]]], np.uint8)
    row = describe(run_that_asked(tmp_path / "a|b", [labels], acquisition__method="all"))
    assert row.clicks_per_image is None
    assert asked.markdown([row]).splitlines()[2].startswith("| a\\|b | 4 | - | - | 3.0 |")


def test_what_can_not_be_described_is_told_and_left_out(tmp_path, capsys):
    labels = np.array([[[0, 1]]], np.uint8)
    good = run_that_asked(tmp_path / "good", [labels])
    damaged = run_that_asked(tmp_path / "damaged", [labels])
    (damaged / "labels.sqlite").write_text("no database")
    emptied = write_run(tmp_path / "emptied")
    LabelStore(emptied / "labels.sqlite", classes=CLASSES).close()
    others = [
        (damaged, "label store"),
        (write_run(tmp_path / "lost"), "label store"),
        (emptied, "holds no query"),
        (write_run(tmp_path / "unfinished", finished=False), "no summary.json"),
        (write_run(tmp_path / "start", rounds=0), "asked nothing"),
        (tmp_path / "nowhere", "holds no run"),
    ]
    workdirs = [str(good), *(str(workdir) for workdir, _ in others)]
    assert asked.main([*workdirs, workdirs[0]]) == 0
    captured = capsys.readouterr()
    assert [line.split()[1] for line in captured.out.splitlines()[2:]] == ["good"]
    for workdir, reason in others:
        (line,) = (line for line in captured.err.splitlines() if str(workdir) in line)
        assert "left out: " in line
        assert reason in line
    assert asked.main([str(emptied)]) == 1
    assert "nothing to describe" in capsys.readouterr().err

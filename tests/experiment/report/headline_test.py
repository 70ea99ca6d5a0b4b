"""What a reader is told first, and the rules behind what to do next."""

import re

import numpy as np
import pytest

from labor_jax.annotation import cost
from labor_jax.experiment.report import costs, headline, questions
from tests.evaluation.scenes import SIZE

GOOD = {"road": 0.8, "car <b>": 0.1, "sky & co": 0.7, "never": None}


@pytest.fixture
def told(run, add_round):
    """The run, of which a class fails, and what it asked: 60 pixels of all classes but one."""
    mask = np.zeros(SIZE, bool)
    mask[:2] = True
    add_round(1, {0: mask})
    run.summary.update(final_miou=0.625, per_class_iou=GOOD, wall_seconds=60.0)
    run.summary["confusion"] = [[90, 10, 0, 0], [30, 60, 10, 0], [0, 0, 10, 0], [0, 0, 0, 0]]
    return run, questions.read(run, [])


def steps(told, **more):
    return " ".join(headline.next_steps(*told, **more))


def test_the_headline_says_how_good_how_sure_and_what_fails(told):
    run, _ = told
    run.summary["miou_error"] = 0.012
    text = headline.headline(*told, costs.compare(told[0], []))
    for sentence in (
        "With 2.20% of the pool&#x27;s pixels labelled, mIoU is 62.5%, 31.2 points more than "
        "before the first query.",
        "The classes that fail are car &lt;b&gt; (10%).",
        "This is one seed, and only more runs tell how far seeds differ.",
        "Other evaluation images would move mIoU by about 1.2 points.",
        "The labels cost 10.0 h of people&#x27;s time by LabOR&#x27;s estimate; full labels would "
        "cost 4.5 h.",
    ):
        assert sentence in text, sentence


def test_a_measured_time_stands_beside_full_labels_by_published_rates(told):
    run, _ = told
    for entry in run.summary["rounds"]:
        entry.update(annotation_source="measured", work={"images": 1}, published_seconds=60.0)
        entry.update(labor_seconds=30.0, clicks=3)
    truth = np.zeros((8, 8), np.uint8)
    text = headline.headline(*told, costs.compare(run, [truth]))
    assert re.search(r"full labels would cost [\d.]+ (h|min) by published rates\.", text)


def test_a_run_without_labels_to_measure_on_claims_nothing(told):
    run, _ = told
    run.summary.update(final_miou=None, per_class_iou={}, measured_on="nothing")
    for entry in run.summary["rounds"]:
        entry["miou"] = None
    text = headline.headline(*told, costs.compare(told[0], []))
    assert "its mIoU is unknown" in text and "fail" not in text and "points" not in text
    assert "A new run with `--config.data.evaluation_from_answers" in steps(told)


def test_no_class_fails_where_all_are_alike(told):
    told[0].summary["per_class_iou"] = {"road": 0.6, "car <b>": 0.65}
    assert "No class is far below the mean." in headline.headline(*told, costs.compare(told[0], []))


@pytest.mark.parametrize(
    ("last", "says", "not_says"),
    [
        (0.625, "help. This run keeps its number of rounds", "hardly help"),
        (0.502, "more labels of the same kind will hardly help", "probably still help"),
        (0.4, "more labels of the same kind will hardly help", "probably still help"),
    ],
)
def test_another_round_is_advised_by_the_last_ones_gain(told, last, says, not_says):
    told[0].summary["rounds"][1]["miou"] = last
    assert says in steps(told) and not_says not in steps(told)


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("supervised", "training on source alone"),
        ("warmup", "the warm-up"),
        ("retraining_2", "retraining 2"),
        ("round_1/train", "round 1"),
    ],
)
def test_a_better_checkpoint_is_told_whatever_phase_it_is_of(told, phase, words):
    run, found = told
    better = run._replace(best=(phase, 0.7)), found
    assert f"The model after {words} was better than the last one (70.0%)" in steps(better)
    assert "--checkpoint=best" not in steps(better, over=False)
    run.summary["rounds"] = []
    assert "--checkpoint=best" in steps(better)


@pytest.mark.parametrize("best", [None, ("round_1/train", 0.625)])  # the last is as good
def test_without_a_better_checkpoint_none_is_told(told, best):
    run, found = told
    run.summary["rounds"][0]["miou"] = 0.9  # its checkpoint is not there
    assert "--checkpoint=best" not in steps((run._replace(best=best), found))


def test_a_clock_that_timed_a_part_is_told_so(told):
    def sentence(basis):
        return headline._cost_sentence([cost.cost_row(costs.THIS_RUN, basis, 7200.0, images=10)])

    whole = "The labels cost 2.0 h of people's time by the labelling tool's clock"
    assert sentence("measured") == f"{whole}."
    assert sentence("partly measured") == f"{whole}, which timed a part of them."


def test_a_failing_class_that_was_hardly_asked_is_to_be_asked(told):
    run, found = told
    assert "more answers may not be enough" in steps(told)
    assert "30% of its pixels are taken for road" in steps(told)
    few = found.statistics.total._replace(class_pixels=np.array([500, 3, 500, 0]))
    found = found._replace(statistics=found.statistics._replace(total=few))
    text = steps((run, found))
    assert "3 of 1,003 answers are of it (0.3%), which is few" in text
    assert "Ask for more of car <b>, as with" in text and "class_weights=answers" in text
    assert "in the images below" not in text


def test_a_run_that_waits_says_how_it_goes_on(told):
    run, found = told
    assert "rerun its command" in steps(told, over=False)
    run = run._replace(config={**run.config, "annotator": "human"})
    assert "rerun its command" in steps((run, found), over=False)  # everything is answered
    run.store.open_round(2, run.pool.names)
    text = steps((run, found), over=False)
    assert f"labor-jax annotate --workdir {run.folder.path}" in text
    assert "two more seeds" not in text

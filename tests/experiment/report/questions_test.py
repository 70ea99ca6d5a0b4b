"""The section of what was asked."""

import numpy as np
import pytest

from labor_jax.experiment.report import questions, run_files
from tests.evaluation.scenes import CLASSES, SIZE
from tests.experiment.report.pages import cells_of


def test_before_a_question_there_is_no_section(run):
    assert questions.section(run, questions.read(run, run_files.sampled_truths(run))) == ""


def test_what_was_asked_stands_beside_what_there_was(run, add_round):
    one, two = np.zeros((2, *SIZE), bool)
    one[0, :4] = one[5, 5] = True
    two[9:12] = True
    add_round(1, {0: one})
    add_round(2, {1: two})
    found = questions.read(run, run_files.sampled_truths(run))
    assert found.present.images == len(run.pool)
    assert sum(map(found.share, range(len(CLASSES)))) == pytest.approx(1)
    text = questions.section(run, found)
    cells = cells_of(text)
    first = cells.index("round 1")
    assert cells[first : first + 3] == ["round 1", "1", "5"]
    assert cells[first + 7] == "80%"  # four of five pixels lie in one lump
    assert {"round 2", "all rounds", "whole images"} < set(cells)
    for title in ("Classes asked and present", "Lumps in one image", "Where it was asked"):
        assert title in text
    assert "2 lumps in 5 asked pixels; the largest, orange, has 4" in text


def test_without_labels_of_the_pool_there_is_only_what_was_asked(run, add_round):
    mask = np.ones(SIZE, bool)
    add_round(1, {0: mask})
    people = run._replace(config={**run.config, "annotator": "human"})
    found = questions.read(people, run_files.sampled_truths(people))
    assert found.present is None
    text = questions.section(people, found)
    assert "Classes asked<" in text and "whole images" not in cells_of(text)


def test_before_the_answers_their_classes_are_unknown(run):
    mask = np.zeros(SIZE, bool)
    mask[0, :3] = True
    run.store.open_round(1, run.pool.names[:1])
    run.store.ask(run.pool.names[0], 1, mask)
    cells = cells_of(questions.section(run, questions.read(run, [])))
    first = cells.index("round 1")
    unknown = "\N{EN DASH}"
    assert cells[first : first + 5] == ["round 1", "1", "3", unknown, unknown]

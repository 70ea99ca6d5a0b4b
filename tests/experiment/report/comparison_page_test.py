"""The page that compares runs: what a reader finds on it, and what is told of runs left out."""

import html
import json
import re

import numpy as np
import pytest

from labor_jax.experiment.report import comparison, comparison_page, results
from labor_jax.experiment.report.results import ResultsError
from tests.finished_runs import answered_store, write_run

LABELS = np.array([[[0, 0, 9], [9, 1, 255]]] * 4, np.uint8)


def text_of(page):
    """What a reader sees, but for the charts."""
    body = re.sub(r"(?s)<(style|script|svg).*?</\1>", " ", page)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two methods of three seeds, and full supervision of one."""
    folder = tmp_path_factory.mktemp("runs")
    made = []
    for seed, (spl, ppl) in enumerate([(0.5, 0.4), (0.52, 0.44), (0.54, 0.42)]):
        for method, miou in (("ppl", ppl), ("spl", spl)):
            path = folder / f"{method}_seed{seed}"
            made.append(write_run(path, seed=seed, miou=miou, method=method))
            answered_store(path / "labels.sqlite", [LABELS]).close()
    full = {"method": "supervised", "acquisition__method": "all"}
    made.append(write_run(folder / "all", miou=0.6, pixels=1000, **full))
    return made


@pytest.fixture(scope="module")
def written(runs, tmp_path_factory):
    return comparison_page.write(runs, tmp_path_factory.mktemp("page") / "all.html")


def test_the_page_says_which_is_better_and_how_sure_that_is(written):
    text = text_of(written.page.read_text())
    assert "7 runs on street, 3 seeds" in text
    assert "Best: spl, 52.0 ± 2.0% mIoU. Next: ppl, 10.0 points less (n = 3 common seeds, " in text
    assert "With all labels: supervised, 60.0%." in text
    # The differences of spl to ppl are 10, 8 and 12 points; t of 95% and n = 3 is 4.303.
    reach = 4.303 * 2 / 3**0.5
    assert f"52.0 ± 2.0 +10.0 3 {10 - reach:+.1f} to {10 + reach:+.1f}" in text
    assert "A single seed, so without spread or interval: supervised." in text


def test_the_page_compares_budgets_classes_and_what_was_asked(written, runs):
    page = written.page.read_text()
    text = text_of(page)
    for title in ("people's time", "clicks", "labelled share"):
        assert f"mIoU and {title}" in text
    assert "sky 42.0 ± 2.0 52.0 ± 2.0 60.0" in text
    # 4 pixels an image: one lump, of two classes, and a quarter is void.
    assert "ppl 4 6 0.67 2.0 1.9 0 25.0% 1 4 100.0%" in text
    assert f"Left out of this table: {runs[-1]}" in text  # it has no label store
    assert str(runs[0]) in text
    assert "http" not in page and not re.search(r'src="(?!data:)', page)


def test_the_table_stands_beside_it(written):
    table = written.markdown.read_text()
    assert written.text == table
    assert "| spl | 1.00% |" in table and "| spl | 3 | +10.0 |" in table
    assert len(written.csv.read_text().splitlines()) == 8
    assert [path.name for path in (written.markdown, written.csv)] == ["all.md", "all.csv"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"finished": False}, "unfinished, left out: {other} (no summary.json)"),
        ({"pair": "camvid"}, "left out: {other} is a run on camvid, {first} one on street"),
        ({"rounds": 0}, "One seed each: how much of a difference is chance is unknown."),
    ],
)
def test_what_is_left_out_is_said(fields, says, tmp_path):
    first, second = write_run(tmp_path / "1"), write_run(tmp_path / "2", acquisition__radius=2)
    other = write_run(tmp_path / "3", acquisition__radius=3, **fields)
    written = comparison_page.write([first, second, other, first], tmp_path / "c.html")
    assert written.notes[0] == f"named more than once, counted once: {first}"
    expected = says.format(first=first, other=other)
    assert any(expected in note for note in written.notes)
    assert expected in text_of(written.page.read_text())


def test_what_can_not_be_compared_is_one_sentence(tmp_path):
    first, same = write_run(tmp_path / "first"), write_run(tmp_path / "same")
    unfinished = write_run(tmp_path / "unfinished", finished=False)
    page = tmp_path / "c.html"
    for runs, says in [
        ([first, first], "is the only run named"),
        ([first, unfinished], f"Only {first} is left"),
        ([unfinished, tmp_path], "None of the runs is left"),
        ([first, same], "are runs of the same config and seed"),
    ]:
        with pytest.raises(ResultsError, match=re.escape(says)):
            comparison_page.write(runs, page)
    with pytest.raises(ResultsError, match=r"name an \.html file"):
        comparison_page.write([first, same], tmp_path / "c.md")
    assert not page.exists()


def test_runs_that_differ_in_their_seed_alone_are_one_row(tmp_path):
    runs = [write_run(tmp_path / str(seed), seed=seed, miou=0.5 + seed / 10) for seed in (0, 1)]
    text = text_of(comparison_page.write(runs, tmp_path / "c.html").page.read_text())
    assert "random, 55.0 ± 7.1% mIoU (all runs differ in their seed alone)." in text


def test_answers_of_another_run_are_told(tmp_path):
    runs = [write_run(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    answered_store(runs[0] / "labels.sqlite", []).close()
    (runs[1] / "labels.sqlite").write_text("no database")
    text = text_of(comparison_page.write(runs, tmp_path / "c.html").page.read_text())
    assert "holds no query" in text and "label store" in text


def test_classes_that_nobody_measured_are_no_reason_to_fail(tmp_path):
    runs = [write_run(tmp_path / str(radius), acquisition__radius=radius) for radius in (1, 2)]
    for run in runs:
        summary = json.loads((run / "summary.json").read_text())
        summary |= {"per_class_iou": {"road": 0.5, "sky": None}, "measured_on": "answers"}
        (run / "summary.json").write_text(json.dumps(summary))
    text = text_of(comparison_page.write(runs, tmp_path / "c.html").page.read_text())
    assert "road 50.0 50.0 sky no labels no labels" in text
    assert "mIoU is an estimate on answers that were held out" in text


def test_what_was_measured_and_computed_otherwise_is_told_in_every_form(tmp_path):
    runs = [write_run(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    for run, device in zip(runs, ("1 CPU, float32", "2 H100, bfloat16"), strict=True):
        summary = json.loads((run / "summary.json").read_text())
        summary |= {"measured_on": "answers", "device": device}
        (run / "summary.json").write_text(json.dumps(summary))
    written = comparison_page.write(runs, tmp_path / "c.html")
    shown = text_of(written.page.read_text())
    for note in (
        "mIoU is an estimate on answers that were held out",
        "The runs computed on different devices: 1 CPU, float32; 2 H100, bfloat16.",
    ):
        assert shown.count(note) == written.text.count(note) == 1
        assert note in written.markdown.read_text()
    assert ',answers,"1 CPU, float32",' in written.csv.read_text()


def test_times_from_different_sources_are_told(tmp_path):
    runs = [write_run(tmp_path / str(radius), acquisition__radius=radius) for radius in (1, 2)]
    summary = json.loads((runs[1] / "summary.json").read_text())
    summary["rounds"][-1]["annotation_source"] = "measured"
    (runs[1] / "summary.json").write_text(json.dumps(summary))
    written = comparison_page.write(runs, tmp_path / "c.html")
    shown = text_of(written.page.read_text())
    note = "Annotation times follow from different sources: measured; published."
    assert shown.count(note) == written.text.count(note) == 1
    assert "2.0 h, measured" in shown and "| 2.0 h, measured |" in written.text
    alike = comparison_page.write([runs[0], write_run(tmp_path / "3", seed=1)], tmp_path / "d.html")
    assert "different sources" not in alike.text


def test_a_time_that_is_unknown_is_called_so(tmp_path):
    start = results.read(write_run(tmp_path / "start", rounds=0)).before_adaptation()
    table = comparison.Table(("method",), (comparison.Row(("source_only",), (start,)),))
    comparison_page.write_page(table, tmp_path / "c.html")
    assert "source_only 0 25.00 unknown" in text_of((tmp_path / "c.html").read_text())


def test_without_a_common_seed_or_a_clear_difference_the_page_says_so(tmp_path):
    first = [write_run(tmp_path / f"1{seed}", seed=seed, miou=0.5 + seed / 9) for seed in (0, 1)]
    second = [
        write_run(tmp_path / f"2{seed}", seed=seed, miou=0.6, acquisition__radius=2)
        for seed in (0, 1)
    ]
    text = text_of(comparison_page.write(first + second, tmp_path / "c.html").page.read_text())
    assert "The interval holds 0, so the two may be equally good." in text
    other = write_run(tmp_path / "3", seed=2, miou=0.4, acquisition__radius=3)
    text = text_of(comparison_page.write([first[0], other], tmp_path / "c.html").page.read_text())
    assert "Next: radius=3, 40.0%; they have no common seed." in text

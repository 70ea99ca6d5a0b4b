"""One command for all benchmarks: what it runs, and the page that it writes."""

import re
import sys

import pytest

from benchmarks import all as benchmark
from benchmarks.all import BENCHMARKS, Benchmark
from benchmarks.runner import ROOT

GOOD = """
import sys
print("sizes:", sys.argv[1:])
print("| what | ms |\\n|---|---:|\\n| it | 1.0 |")
print(f"written to {sys.argv[0]}")
"""
BAD = """
import sys
print("half of it")
print("The disk is full.\\n", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """Four benchmarks: one works, one fails, two can't be run here, and one takes hours."""
    scripts = {"good": GOOD, "bad": BAD, "hours": GOOD}
    for name, text in scripts.items():
        (tmp_path / f"{name}.py").write_text(text)
    good, bad, hours = (str(tmp_path / f"{name}.py") for name in scripts)
    listed = (
        Benchmark("Good", "It works.", good, ("--size", "9"), quick=("--size", "1")),
        Benchmark("Bad", "It fails.", bad),
        Benchmark("Elsewhere", "It needs more.", "no_package.py", modules=("no_such_package",)),
        Benchmark("Masks", "It needs runs.", good, takes_masked_runs=True),
        Benchmark("Hours", "It trains.", hours, accuracy=True),
    )
    monkeypatch.setattr(benchmark, "BENCHMARKS", listed)
    monkeypatch.setattr(benchmark, "machine", lambda: {"date": "2026-01-02", "processor": "a|b"})
    return good


def test_the_page_holds_what_each_printed_or_why_it_did_not(stand_ins, tmp_path, capsys):
    page = tmp_path / "docs" / "page.md"
    assert benchmark.main(["--output", str(page)]) == 1
    text = page.read_text()
    assert f"`python benchmarks/all.py --output {page}` wrote this page." in text
    assert "| date | 2026-01-02 |\n| processor | a b |" in text
    good, bad, elsewhere, masks = re.split(r"(?m)^## ", text)[1:]
    assert f"```sh\npython {stand_ins} --size 9\n```" in good
    assert "```text\nsizes: ['--size', '9']\n```\n\n| what | ms |\n|---|---:|\n| it | 1.0 |" in good
    assert re.search(r"It took \d", good)
    assert "half of it" in bad
    assert "It failed:\n\n```text\nThe disk is full.\n(exit status 3)\n```" in bad
    assert "Not run: the Python package no_such_package is not installed." in elsewhere
    assert "good.py WORKDIR\n" in masks  # what stands there can be typed
    assert "Not run: it measures runs that asked masks; name some with --masked_runs." in masks
    told = capsys.readouterr().err
    assert "[2/4] Bad: FAILED" in told and "[3/4] Elsewhere: not run" in told
    assert "The disk is full." in told


def test_parts_and_trials_never_replace_the_page(stand_ins, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmark, "PAGE", ROOT / "no such page.md")
    assert benchmark.main(["--only", "good", "--masked_runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"sizes: ['{tmp_path}']" in out and "## Bad" not in out
    assert benchmark.main(["--quick"]) == 1
    out = capsys.readouterr().out
    assert "A trial with tiny sizes" in out and "sizes: ['--size', '9', '--size', '1']" in out
    assert not benchmark.PAGE.exists()


def test_an_output_that_can_not_be_written_is_told_before_the_work(stand_ins, tmp_path, capsys):
    (tmp_path / "file").touch()
    for output, says in ((tmp_path / "file" / "x.md", "is a file, but"), (tmp_path, "a folder;")):
        with pytest.raises(SystemExit):
            benchmark.main(["--output", str(output)])
        told = capsys.readouterr().err
        assert f"--output is {output}" in told and says in told and "starts" not in told


def test_the_page_of_the_repository_marks_what_is_by_hand():
    page = benchmark.PAGE.read_text()
    head = benchmark.describe([], {}, command="python benchmarks/all.py", quick=False)
    assert page.startswith(head.partition("\n| |")[0])
    assert not re.search(r"(?m)^The rows of", page)


def test_tables_that_take_hours_are_asked_for(stand_ins, tmp_path):
    page = tmp_path / "page.md"
    benchmark.main(["--accuracy", "--output", str(page)])
    assert "## Hours" in page.read_text()
    benchmark.main(["--accuracy", "--quick", "--only", "hours", "--output", str(page)])
    assert "sizes: ['--output', " in page.read_text()  # a trial leaves nothing in runs/


def test_the_repository_is_not_named_by_its_folder():
    outcome = benchmark.Outcome(BENCHMARKS[0], "python a.py", f"saw {ROOT}/benchmarks/a.py", 1.0)
    page = benchmark.describe([outcome], {}, command="c", quick=False)
    assert "saw benchmarks/a.py" in page


def test_the_machine_is_described():
    found = benchmark.machine()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"])
    assert f"Python {sys.version.split()[0]}" in found["versions"] and "jax " in found["versions"]
    assert re.search(r"[1-9]\d* cores", found["processor"])
    assert "cpu" in found["JAX's devices"]


def test_no_benchmark_is_forgotten_and_each_takes_its_flags():
    tools = {"all", "sweep"}
    commands = {
        path.stem
        for path in (ROOT / "benchmarks").glob("*.py")
        if '__name__ == "__main__"' in path.read_text()
    }
    assert {each.name for each in BENCHMARKS} == commands - tools
    for each in BENCHMARKS:
        script = (ROOT / each.script).read_text()
        for flag in (*each.arguments, *each.quick):
            if flag == "--":
                break
            assert not flag.startswith("--") or f'"{flag}"' in script, (each.name, flag)

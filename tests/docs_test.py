"""README and docs/: their code runs, their commands parse, their fields and files exist.

Python blocks of a page run in order, in one namespace and in a folder that was empty at first, with
tiny settings. Shell lines are parsed by the commands that they name, and those about `runs/x`, the
run of README's Python, are run. `<!-- not run: REASON -->` above a block leaves it out.
"""

import itertools
import json
import re
import shlex
import tomllib

import numpy as np
import pytest
import yaml
from PIL import Image

import labor_jax
from labor_jax import __main__ as labor_jax_command
from labor_jax import acquisition, adaptation, recipes
from labor_jax.data import registry
from labor_jax.experiment.workdir import _flatten
from tests import fork_server
from tests.conftest import ROOT
from tests.tiny import tiny_config

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}

RUN_ELSEWHERE = {
    "docs/export.md": "tests/deployment/formats_test.py",
    "docs/extend.md": "tests/extensions_test.py",
}
"""Pages whose Python blocks other tests run."""

LANGUAGES = {"bibtex", "csv", "python", "sh", "text"}

_MARK = r"(?:<!-- not run: (?P<reason>.+?) -->\n+)?"
_BLOCK = re.compile(rf"^{_MARK}```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S)


def blocks(page, language):
    """The blocks of a page in a language that are not marked, with their lines."""
    return [
        (TEXTS[page][: found.start("code")].count("\n") + 1, found["code"])
        for found in _BLOCK.finditer(TEXTS[page])
        if found["language"] == language and not found["reason"]
    ]


def commands(code):
    """The commands of a shell block, as lists of words without environment variables."""
    for line in code.replace("\\\n", " ").splitlines():
        words = [word for word in shlex.split(line, comments=True) if word != "…"]
        for is_and, command in itertools.groupby(words, lambda word: word == "&&"):
            if not is_and:
                yield list(itertools.dropwhile(re.compile(r"[A-Z_]+=").match, command))


@pytest.mark.parametrize("page", TEXTS)
def test_every_block_has_a_language_that_is_known(page):
    fences = re.findall(r"^```(\w*)$", TEXTS[page], re.M)
    assert set(fences[::2]) <= LANGUAGES and set(fences[1::2]) <= {""}
    assert len(fences) == 2 * len(_BLOCK.findall(TEXTS[page])) == TEXTS[page].count("```")


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_leads_to_a_file(page):
    for link in re.findall(r"\]\(([^)#\s:]+)[)#]", _BLOCK.sub("", TEXTS[page])):
        assert (ROOT / page).parent.joinpath(link).is_file(), link


# Python.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    (folder / "photos").mkdir()
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 70, 3), np.uint8))
    for name in ("photo.jpg", "photos/one.jpg"):
        photo.save(folder / name)
    return folder


def reader(folder):
    """What a page takes as given: arrays by the names that it uses."""
    random = np.random.default_rng(0)

    def images_and_labels():
        images = random.integers(0, 256, (4, 32, 48, 3), np.uint8)
        return images, random.integers(0, 3, (4, 32, 48)).astype(np.uint8)

    given = {"__name__": "page"}
    for name in ("source", "pool", "test"):
        given[f"{name}_images"], given[f"{name}_labels"] = images_and_labels()
    given["logits"] = random.normal(size=(2, 32, 64, 5)).astype(np.float32)
    given["new_logits"] = random.normal(size=(2, 32, 64, 5)).astype(np.float32)
    given["labels"] = random.integers(0, 5, (2, 32, 64))
    return given


def execute(page, folder, monkeypatch):
    """Runs the Python of a page with tiny configs; returns its names."""
    get_config, run = labor_jax.get_config, labor_jax.run

    def tiny(name="spl", pair="street"):
        with pytest.MonkeyPatch.context() as within:
            within.setattr(labor_jax, "get_config", get_config)
            return tiny_config(name, pair)

    def run_quickly(config, workdir, pair=None, **named):
        return run(tiny("random") if pair else config, workdir, pair, **named)

    names = reader(folder)
    with monkeypatch.context() as within:
        within.chdir(folder)
        within.setattr(labor_jax, "get_config", tiny)
        within.setattr(labor_jax, "run", run_quickly)
        for line, code in blocks(page, "python"):
            exec(compile("\n" * (line - 1) + code, page, "exec"), names)
    return names


@pytest.fixture(scope="module")
def executed(folder):
    """The names of each page's Python; README, whose run is `runs/x`, comes first."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        return {
            page: execute(page, folder, monkeypatch)
            for page in TEXTS
            if blocks(page, "python") and page not in RUN_ELSEWHERE
        }


def test_the_python_of_readme_trains_and_predicts(executed):
    names = executed["README.md"]
    assert [entry["round"] for entry in names["summary"]["rounds"]] == [1, 2]
    (label_map,) = names["label_maps"]
    assert (label_map.shape, label_map.dtype) == ((40, 70), np.uint8)


def test_from_python(executed):
    names = executed["docs/python.md"]
    assert set(names["summary"]["per_class_iou"]) == {"road", "sky", "tree"}
    (probabilities,) = names["probabilities"]
    assert (probabilities.shape, probabilities.dtype) == ((40, 70, 19), np.float32)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    assert not (np.asarray(names["more"]) & np.asarray(names["first"])).any()
    assert 0 < names["asked"].sum() <= 2 * 4 * 9


@pytest.mark.parametrize(("page", "test"), RUN_ELSEWHERE.items())
def test_another_test_runs_the_python_of_a_page(page, test):
    assert page.rpartition("/")[2] in (ROOT / test).read_text()


# Shell.

SHELL = [
    (page, line, command)
    for page in TEXTS
    for line, code in blocks(page, "sh")
    for command in commands(code)
]
INLINE = [
    (page, 0, command)
    for page in TEXTS
    for code in re.findall(r"`((?:labor-jax|pip|python3?|make) [^`]+)`", TEXTS[page])
    if not re.search(r"[A-Z]{3}|…|\||--\w+$", code)  # which stand for something
    for command in commands(code)
]


def parsed_by_us(command):
    """The arguments of a command of ours for `tests.documented_commands`; None of another."""
    program, *arguments = command
    if program == "labor-jax":
        return arguments if arguments[0] != "--help" else None
    if program.startswith("python") and arguments[0] == "-m" and "labor_jax." in arguments[1]:
        name = arguments[1].removeprefix("labor_jax.")
        return ["run" if name == "main" else name, *arguments[2:]]
    if program == "python" and arguments[0].endswith(".py"):
        return arguments
    return None


def rows_of_the_papers():
    """The table of docs/papers.md, in place of ROW."""
    text = TEXTS["docs/papers.md"]
    return re.findall(r"\| `(\w+:[^`]+)` \|", text[text.index("`ROW`") :])


def test_commands_parse_as_the_program_parses_them(tmp_path):
    """Names, data pairs, fields, flags, choices and files; configs must be ones that can be run."""
    ours, found = [], {}
    for page, line, command in (*SHELL, *INLINE):
        arguments = parsed_by_us(command)
        if arguments and "ROW" in arguments:
            at = arguments.index("ROW")
            rows = rows_of_the_papers()
            assert len(rows) > 10
            arguments = [[*arguments[:at], *row.split(), *arguments[at + 1 :]] for row in rows]
        elif arguments:
            arguments = [arguments]
        ours += [(page, line, each) for each in arguments or ()]
    unique = sorted({tuple(arguments) for _, _, arguments in ours})
    (tmp_path / "commands.json").write_text(json.dumps(unique))
    script = "-m", "tests.documented_commands", tmp_path / "commands.json"
    result = fork_server.run(script, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    problems = dict(zip(unique, json.loads(result.stdout), strict=True))
    found = [
        f"{page}, line {line}: {shlex.join(arguments)}\n{problems[tuple(arguments)]}"
        for page, line, arguments in ours
        if problems[tuple(arguments)]
    ]
    assert not found, "\n\n".join(found)
    assert len(unique) > 50


def test_other_commands_name_what_exists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    makefile = (ROOT / "Makefile").read_text()
    for page, line, command in (*SHELL, *INLINE):
        where = f"{page}, line {line}: {shlex.join(command)}"
        shown = shlex.join(command)
        if "pip" in command and "install" in command:
            for named in re.findall(r"\[([\w,]+)\]", shown):
                assert set(named.split(",")) <= set(extras), where
        elif command[0] == "make":
            assert re.search(rf"^{command[1]}:", makefile, re.M), where
        elif parsed_by_us(command) is None:
            known = ("labor-jax --help", "python3 -m venv .venv", ". .venv/bin/activate")
            assert shown in known, where


def test_cheap_commands_run(executed, folder):
    """In forks of one process that has imported the package."""
    cheap = [
        words
        for page, _, (program, *words) in SHELL
        if page in ("README.md", "docs/getting-started.md") and program == "labor-jax"
        if words == ["--help"]
        or (words[0] in ("evaluate", "report", "strip", "predict") and "runs/x" in words)
    ]
    assert len(cheap) == 5
    program = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
import labor_jax.experiment, labor_jax.prediction
from labor_jax.__main__ import main
for words in {cheap!r}:
    if not (child := os.fork()):
        sys.argv[1:] = words
        sys.exit(main())
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{{words}} failed")
"""
    result = fork_server.run(["-c", program], cwd=folder)
    assert result.returncode == 0, result.stderr
    assert (folder / "DIR" / "one_overlay.jpg").is_file() and (folder / "strip.png").is_file()


# What the text says.


def test_every_field_that_is_named_exists():
    configs = [labor_jax.get_config("random", pair) for pair in registry.PAIRS]
    fields = {name for config in configs for name, _ in _flatten(config.to_dict())}
    fields |= {name.rpartition(".")[0] for name in fields}
    wrong = [
        f"{page}: config.{name}"
        for page, text in TEXTS.items()
        if page not in ("CHANGELOG.md", "docs/extend.md")  # with old names, and a reader's own
        for name in re.findall(r"(?:--|`)config\.([\w.]*\w)", text)
        if name != "json"
        if not any(map(re.compile(re.sub(r"\b[A-Z]+\b", r"\\w+", name)).fullmatch, fields))
    ]
    assert not wrong


def test_readme_is_short_and_its_table_that_of_the_results():
    assert len(TEXTS["README.md"].splitlines()) <= 130
    rows = [line for line in TEXTS["README.md"].splitlines() if re.match(r"\| .*\| \d.*%", line)]
    assert len(rows) == 7
    assert "\n".join(rows) in TEXTS["docs/results.md"]


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == labor_jax.__version__
    assert f"version = {{{labor_jax.__version__}}}" in TEXTS["docs/cite.md"]
    for paper in citation["references"]:
        assert "".join(paper["title"]) in re.sub(r"[{}]", "", TEXTS["docs/cite.md"])


def first_column(page, heading):
    """The names of the table under a heading: those in code, up to a colon."""
    table = TEXTS[page].partition(f"| {heading} |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| (.*?) \|", table, re.M)
    return {name for cell in cells for name in re.findall(r"`(\w+)(?::\w+)?`", cell)}


def ours(functions):
    """The names of those that the package itself registers, not another test."""
    return {name for name, each in functions.items() if each.__module__.startswith("labor_jax.")}


def test_tables_of_names_are_complete():
    people = acquisition.register  # pick what `human_points` asks, so it has no function
    scores = {name: each.function or people for name, each in acquisition.METHODS.items()}
    pairs = {name: pair.load for name, pair in registry.PAIRS.items()}
    assert first_column("docs/experiments.md", "`NAME`") == set(recipes.NAMES)
    assert first_column("docs/experiments.md", "`PAIR`") == ours(pairs)
    assert first_column("docs/acquisition.md", "method") == ours(scores)
    assert first_column("docs/adaptation.md", "METHOD") == ours(adaptation.METHODS)


def test_every_command_and_every_extra_is_told():
    text = "".join(TEXTS.values())
    for command in labor_jax_command.COMMANDS:
        assert f"labor-jax {command} " in text, command
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    told = set(re.findall(r"[\[,](\w+)(?=[\w,]*\]')", TEXTS["docs/getting-started.md"]))
    assert told == set(project["optional-dependencies"]) - {"dev", "docs"}


def test_every_function_that_how_it_works_follows_exists():
    followed = re.findall(r"`([\w/]+\.py):\s+([\w.]+)`", TEXTS["docs/how-it-works.md"])
    for path, name in followed:
        texts = [file.read_text() for file in (ROOT / "labor_jax").rglob(path)]
        for part in name.split("."):
            assert any(re.search(rf"(def|class) {part}\b", text) for text in texts), (path, name)
    assert len(followed) > 20


def test_how_it_works_names_every_module():
    folders = TEXTS["docs/how-it-works.md"].partition("```text\n")[2].partition("```")[0]
    for path in (ROOT / "labor_jax").iterdir():
        if path.name[0] != "_":
            assert re.search(rf"(?<![\w/]){re.escape(path.name)}\b", folders), path.name


def test_the_reference_has_a_place_for_all_that_the_package_offers():
    for name in labor_jax.__all__:
        named = f".{name}\n" in TEXTS["docs/api/index.md"]
        assert f"docs/api/{name}.md" in TEXTS or named, name


def test_the_reference_has_all_of_acquisition():
    named = re.findall(
        r"^::: labor_jax\.acquisition\.(\w+)$", TEXTS["docs/api/acquisition.md"], re.M
    )
    assert sorted(named) == sorted(acquisition.__all__)

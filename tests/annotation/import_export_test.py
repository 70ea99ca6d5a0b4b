"""A round that goes out and comes back: nothing is lost, and nothing wrong comes in."""

import dataclasses
import functools
import json
import shutil
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import Image

from labor_jax.annotation import LabelStore, answer_import
from labor_jax.annotation.formats import FORMATS, FORMATS_OF_SEVERAL_CLASSES, png
from labor_jax.annotation.formats.documents import write_manifest
from labor_jax.annotation.formats.exported_round import UNANSWERED, VOID, ExportedImage, Problem
from labor_jax.annotation.labelling_tool.item import Item
from labor_jax.annotation.labelling_tool.labelling_service import LabellingService
from labor_jax.annotation.round_export import describe_round, export_round
from labor_jax.annotation.violations import Violation, by_cause
from labor_jax.config import get_config
from labor_jax.data import DataError, load_pair
from labor_jax.data.base import default_palette
from labor_jax.output_files import OutputError
from tests.annotation.formats.exported_rounds import CLASSES, NAMES

import_answers = functools.partial(answer_import.import_answers, annotator="vendor")
PALETTE = default_palette(len(CLASSES))
SIZES = ((3, 4), (5, 2), (4, 4), (2, 2))
ASKED_BEFORE = (0, 0)  # every image's first pixel


def asked_store(path, queries, kind="mask"):
    """A store whose first round is answered and whose second one waits."""
    store = LabelStore(path, classes=CLASSES)
    for round, masks in ((1, None), (2, queries)):
        store.open_round(round, NAMES)
        for number, name in enumerate(NAMES):
            query = np.zeros(SIZES[number], bool)
            if masks is None:
                query[ASKED_BEFORE] = True
            else:
                query = masks[number]
            store.ask(name, round, query, kind=kind)
            if masks is None:
                store.answer(name, round, np.zeros(SIZES[number], np.uint8))
    return store


@st.composite
def rounds(draw):
    """Queries, true labels (255 is void), and which images are answered already."""
    seed = draw(st.integers(0, 2**32))
    share = draw(st.sampled_from([0.0, 0.2, 0.7, 1.0]))
    rng = np.random.default_rng(seed)
    queries = [rng.random(size) < share for size in SIZES]
    for query in queries:
        query[ASKED_BEFORE] = False
    queries[0][1, 1] = True
    values = np.array([*range(len(CLASSES)), 255], np.uint8)
    labels = [rng.choice(values, size) for size in SIZES]
    return queries, labels, draw(st.sets(st.integers(0, len(SIZES) - 1)))


@pytest.mark.parametrize("format", list(FORMATS))
@hypothesis.settings(deadline=None, max_examples=6)
@hypothesis.given(drawn=rounds(), kind=st.sampled_from(["points", "regions", "mask", "full"]))
def test_the_answers_arrive_as_they_were_given(format, drawn, kind):
    queries, labels, answered = drawn
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with (
            asked_store(folder / "here.sqlite", queries, kind) as here,
            asked_store(folder / "there.sqlite", queries, kind) as there,
        ):
            for number, name in enumerate(NAMES):
                there.answer(name, 2, labels[number])
                if number in answered:
                    here.answer(name, 2, labels[number])
            exported = describe_round(there, CLASSES, PALETTE, 2)
            # What leaves one store fully answered completes the other, whatever it has already.
            export_round(there, exported, format, folder / "out", pool=None)
            result = import_answers(here, exported, format, folder / "out")
            asked = {number for number, query in enumerate(queries) if query.any()}
            assert set(result.imported) == {NAMES[number] for number in asked - answered}
            assert set(result.unchanged) == {NAMES[number] for number in asked & answered}
            assert not result.violations and not result.waiting and not result.clipped
            assert here.round_complete(2)
            assert here.digest() == there.digest()


@pytest.fixture
def store(tmp_path):
    queries = [np.ones(size, bool) for size in SIZES]
    for query in queries:
        query[ASKED_BEFORE] = False
        query[-1, -1] = False
    queries[3][:] = False  # asked nothing
    with asked_store(tmp_path / "labels.sqlite", queries) as store:
        yield store


@pytest.fixture
def exported(store):
    """The round without fingerprints, so that tests can name its files."""
    described = describe_round(store, CLASSES, PALETTE, 2)
    return dataclasses.replace(described, fingerprints={})


class Pool:
    """Images of which one is larger than its labels."""

    names = NAMES[::-1]

    def image(self, i):
        height, width = SIZES[len(NAMES) - 1 - i]
        scale = 2 if i == 1 else 1
        return np.full((scale * height, scale * width, 3), 10 * i, np.uint8)


@pytest.mark.parametrize("format", list(FORMATS))
def test_export_writes_images_at_the_labels_size_and_a_manifest(store, exported, tmp_path, format):
    folder = tmp_path / "a" / "out"
    export_round(store, exported, format, folder, pool=Pool())
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["format"] == format
    # The image that is asked nothing is not sent out.
    assert [each["name"] for each in manifest["images"]] == list(NAMES[:3])
    for number, each in enumerate(manifest["images"]):
        with Image.open(folder / "images" / each["file"]) as image:
            assert image.size == (each["width"], each["height"]) == SIZES[number][::-1]
            assert np.asarray(image).max() == 10 * (3 - number)
    assert len(list((folder / "images").iterdir())) == 3
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert written <= {"a", "labels.sqlite", "labels.sqlite-wal", "labels.sqlite-shm"}


def test_export_says_what_stands_against_it(store, exported, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for folder in (tmp_path / "full", tmp_path / "full" / "x"):
        with pytest.raises(OutputError, match="isn't an empty folder"):
            export_round(store, exported, "png", folder, pool=None)
    pool = Pool()
    pool.names = ("other",)
    with pytest.raises(DataError, match="the pool lacks 3 images"):
        export_round(store, exported, "png", tmp_path / "out", pool=pool)
    with pytest.raises(DataError, match="has no round 7; its rounds: 1, 2"):
        describe_round(store, CLASSES, PALETTE, 7)
    store.open_round(4, NAMES[:1])
    store.ask(NAMES[0], 4, np.zeros(SIZES[0], bool))
    with pytest.raises(DataError, match="round 4 asks nothing"):
        describe_round(store, CLASSES, PALETTE, 4)
    store.open_round(3, NAMES)
    with pytest.raises(DataError, match="4 images of round 3 have no query yet"):
        describe_round(store, CLASSES, PALETTE, 3)


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_export_does_not_write_among_the_pools_photos(tmp_path, cache_bytes):
    photos = tmp_path / "photos"
    for name in ("a", "deep/b"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(photos / f"{name}.png")
    config = get_config("random", "photos").data
    config.update(root=str(photos), classes="road,sky", cache_bytes=cache_bytes)
    config.pool.images = "."
    pool = load_pair("photos", config, ["pool"]).pool
    with LabelStore(tmp_path / "labels.sqlite", classes=CLASSES) as store:
        store.open_round(1, pool.names)
        for name in pool.names:
            store.ask(name, 1, np.ones((3, 4), bool))
        exported = describe_round(store, CLASSES, PALETTE, 1)
        with pytest.raises(OutputError, match="input folder"):
            export_round(store, exported, "png", photos / "deep" / "new", pool=pool)
        export_round(store, exported, "png", tmp_path / "new", pool=pool)


@pytest.fixture
def delivery(store, exported, tmp_path):
    """Writes label maps as a vendor would, by image number; gives the folder."""

    def deliver(labels):
        folder = tmp_path / "delivery"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "labels").mkdir(parents=True)
        write_manifest(folder, exported, "png")
        for number, each in labels.items():
            name = number if isinstance(number, str) else exported.file_name(number)
            Image.fromarray(np.asarray(each, np.uint8)).save(folder / "labels" / name)
        return folder

    return deliver


def answers(store, exported, number, value=1):
    """A label map that answers exactly what is asked."""
    query = store.query(exported.names[number], exported.round)
    return np.where(query, value, UNANSWERED).astype(np.uint8)


def told(result):
    return [str(violation) for violation in result.violations]


def test_every_violation_is_listed_and_nothing_is_imported(store, exported, delivery):
    good, outside, missing = (answers(store, exported, number) for number in range(3))
    outside[0, 0] = 1
    outside[-1, -1] = VOID
    missing[0, 1:3] = UNANSWERED
    missing[1, 1] = 77
    before = store.digest()
    folder = delivery({0: good, 1: outside, 2: missing, "round2_000003.png": good, "x.png": good})
    result = import_answers(store, exported, "png", folder)
    where = [f"labels/round2_00000{number}.png" for number in range(4)]
    assert told(result) == [
        f"{where[1]}, image {NAMES[1]!r}: pixels are answered that were not asked (2 pixels)",
        f"{where[2]}, image {NAMES[2]!r}: the value 77 is not one of the classes (1 pixel)",
        f"{where[2]}, image {NAMES[2]!r}: asked pixels are not answered (2 pixels)",
        f"{where[3]}: 'round2_000003.png' is not an image that the round asks",
        "labels/x.png: 'x.png' is not the name of an exported file",
    ]
    assert not result.imported
    assert store.digest() == before and store.pending(2) == list(NAMES[:3])

    result = import_answers(store, exported, "png", folder, skip_invalid=True)
    assert len(result.violations) == 5
    assert result.imported == [NAMES[0]]
    assert store.pending(2) == list(NAMES[1:3])
    assert (store.labels(NAMES[0])[store.query(NAMES[0], 2)] == 1).all()


@pytest.mark.parametrize("format", list(FORMATS))
@hypothesis.settings(
    deadline=None,
    max_examples=10,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
    data=st.data(),
    mistake=st.sampled_from(["outside", "missing", "class"]),
    kind=st.sampled_from(["points", "mask"]),
)
def test_any_mistake_is_found_and_told_with_its_image_and_count(
    format, store, exported, tmp_path_factory, data, mistake, kind
):
    wrong = data.draw(st.sampled_from(list(exported.names)))
    query = store.query(exported.names[wrong], 2)
    where = np.flatnonzero(~query if mistake == "outside" else query).tolist()
    chosen = sorted(data.draw(st.sets(st.sampled_from(where), min_size=1)))
    hypothesis.assume(mistake != "missing" or len(chosen) < query.sum())  # all: it waits
    images = []
    for number, name in exported.names.items():
        asked, labels = store.query(name, 2), answers(store, exported, number)
        if number == wrong:
            labels.flat[chosen] = {"outside": 0, "missing": UNANSWERED, "class": VOID}[mistake]
            asked = asked | (labels != UNANSWERED)
        images.append(ExportedImage(number, kind, asked, labels))
    folder = tmp_path_factory.mktemp("delivery")
    FORMATS[format].write(folder, exported, images)
    write_manifest(folder, exported, format)
    if mistake == "class":  # void has become something that is not one of the classes
        put_class_for_void(format, folder, exported)
    violations = import_answers(store, exported, format, folder).violations
    assert {violation.image for violation in violations} == {exported.names[wrong]}
    pixels = {violation.problem.text: violation.problem.pixels for violation in violations}
    expected = {
        "outside": "pixels are answered that were not asked",
        "missing": "asked pixels are not answered",
        # A shape of no class is left out, and so its pixels are not answered.
        "class": f"the value {len(CLASSES)} is not one of the classes"
        if format == "png"
        else "asked pixels are not answered",
    }[mistake]
    assert pixels[expected] == len(chosen)
    if mistake == "class" and format != "png":
        assert any("'nothing' is not one of the classes" in text for text in pixels)
    assert store.pending(2) == list(exported.names.values())


def put_class_for_void(format, folder, exported):
    """Gives a delivery's void another name, or number."""
    if format == "png":
        for file in (folder / "labels").iterdir():
            with Image.open(file) as image:
                labels = np.array(image)
            labels[labels == VOID] = len(CLASSES)
            Image.fromarray(labels).save(file)
        return
    name = {"coco": "annotations.json", "label_studio": "tasks.json", "cvat": "annotations.xml"}
    file = folder / name[format]
    text = file.read_text(encoding="utf-8")
    void = exported.label_names[VOID]
    assert f'"{void}"' in text
    file.write_text(text.replace(f'"{void}"', '"nothing"'), encoding="utf-8")


def test_violations_are_safe_to_print():
    problem = Problem("region \x1b[2J\n" + "x" * 10**6, 1)
    text = str(Violation("tasks.json: task \x07", "a\x1b", problem))
    assert text.isprintable() and len(text) < 400
    assert text.startswith("tasks.json: task \ufffd, image 'a\\x1b': region \ufffd[2J\ufffdxxx")
    assert text.endswith("… (1 pixel)")


def test_images_without_answers_wait(store, exported, delivery):
    folder = delivery({0: answers(store, exported, 0), 1: np.full(SIZES[1], UNANSWERED)})
    result = import_answers(store, exported, "png", folder)
    assert result == ([NAMES[0]], [], [NAMES[1], NAMES[2]], 0, 0, [], None)


def test_clip_leaves_out_what_was_not_asked(store, exported, delivery):
    folder = delivery({0: np.full(SIZES[0], 2), 1: np.full(SIZES[1], UNANSWERED)})
    assert told(import_answers(store, exported, "png", folder))
    result = import_answers(store, exported, "png", folder, clip=True)
    assert (result.imported, result.clipped, result.violations) == ([NAMES[0]], 2, [])
    labels = store.labels(NAMES[0])
    assert labels[0, 0] == 0  # the first round's, not the delivery's
    assert labels[-1, -1] == 255 and (labels[store.query(NAMES[0], 2)] == 2).all()


@pytest.mark.parametrize(("column", "row", "is_asked"), [(3, 2, False), (1, 0, True)])
def test_outlines_that_overlap_where_nothing_is_asked_are_clipped(
    store, exported, tmp_path, column, row, is_asked
):
    def outline(category, left, top, right, bottom):
        corners = [left, top, right, top, right, bottom, left, bottom]
        return {"image_id": 1, "category_id": category, "segmentation": [corners]}

    document = {
        "images": [{"id": 1, "file_name": "round2_000000.png", "width": 4, "height": 3}],
        "categories": [{"id": number, "name": CLASSES[number]} for number in (1, 2)],
        "annotations": [outline(1, 0, 0, 4, 3), outline(2, column, row, column + 1, row + 1)],
    }
    for number, each in enumerate(document["annotations"]):
        each["id"] = number
    (tmp_path / "coco.json").write_text(json.dumps(document))
    problem = ("pixels have two different classes", 1)
    result = import_answers(store, exported, "coco", tmp_path / "coco.json")
    assert problem in [each.problem[:2] for each in result.violations]
    result = import_answers(store, exported, "coco", tmp_path / "coco.json", clip=True)
    if is_asked:
        assert problem in [each.problem[:2] for each in result.violations]
    else:
        assert (result.imported, result.violations) == ([NAMES[0]], [])
        assert (store.labels(NAMES[0])[store.query(NAMES[0], 2)] == 1).all()


def test_other_answers_than_the_stored_ones_need_replace(store, exported, delivery):
    import_answers(store, exported, "png", delivery({0: answers(store, exported, 0)}))
    corrected = answers(store, exported, 0)
    corrected[0, 1:3] = VOID
    folder = delivery({0: corrected})
    (violation,) = import_answers(store, exported, "png", folder).violations
    assert "--replace" in violation.problem.text and violation.problem.pixels == 2
    assert store.labels(NAMES[0])[0, 1] == 1
    assert import_answers(store, exported, "png", folder, replace=True).imported == [NAMES[0]]
    assert store.labels(NAMES[0])[0, 1] == 255
    assert import_answers(store, exported, "png", folder).unchanged == [NAMES[0]]


def test_an_image_that_is_twice_in_a_file_is_not_imported(store, exported, delivery):
    labels = answers(store, exported, 0)
    folder = delivery({0: labels, "copy-round2_000000.png": labels, 1: answers(store, exported, 1)})
    result = import_answers(store, exported, "png", folder, skip_invalid=True)
    assert [v.problem.text for v in result.violations] == ["the file has the image twice"]
    assert result.imported == [NAMES[1]] and NAMES[0] in store.pending(2)


def test_an_import_that_fails_halfway_stores_nothing(store, exported, delivery, monkeypatch):
    folder = delivery({number: answers(store, exported, number) for number in exported.names})
    read = png.read

    def answered_meanwhile(path, exported):
        yield from read(path, exported)
        store.answer(NAMES[2], 2, np.full(SIZES[2], 3))

    monkeypatch.setattr(png, "read", answered_meanwhile)
    with pytest.raises(DataError, match=r"nothing was imported: image .* was already answered"):
        import_answers(store, exported, "png", folder)
    assert store.pending(2) == list(NAMES[:2])


def test_imports_are_in_the_history_with_their_time(store, exported, tmp_path):
    for number, name in exported.names.items():
        if number:
            store.answer(name, 2, answers(store, exported, number))
    folder = tmp_path / "out"
    export_round(store, exported, "label_studio", folder, pool=None)
    tasks = json.loads((folder / "tasks.json").read_text())
    (prediction,) = tasks[0].pop("predictions")
    for region in prediction["result"]:
        region["value"]["brushlabels"] = ["void"]
    tasks[0]["annotations"] = [{**prediction, "lead_time": 17.5}]
    (folder / "tasks.json").write_text(json.dumps(tasks))
    LabellingService(store, second_opinion=0.5)
    result = import_answers(store, exported, "label_studio", folder)
    assert (result.imported, result.unchanged) == ([NAMES[0]], list(NAMES[1:3]))
    (event,) = LabellingService(store).reader.events(Item(2, NAMES[0]))
    assert (event.annotator, event.kind, event.seconds) == ("vendor", "import", 17.5)
    assert store.measured_seconds(2) == {NAMES[0]: 17.5}


def test_the_labelling_tools_settings_stay(store, exported, delivery):
    LabellingService(store, second_opinion=0.5)
    import_answers(store, exported, "png", delivery({0: answers(store, exported, 0)}))
    assert store.database.metadata()["second_opinion"] == "0.5"


def test_an_image_that_somebody_works_on_is_not_imported(store, exported, delivery, monkeypatch):
    lease = LabellingService(store).next("Ann")
    held = lease.item.image
    labels = {number: answers(store, exported, number) for number in exported.names}
    result = import_answers(store, exported, "png", delivery(labels), skip_invalid=True)
    (violation,) = result.violations
    assert violation.image == held
    assert violation.problem.text == "'Ann' is working on the image in the labelling tool"
    assert store.pending(2) == [held]
    monkeypatch.setattr(answer_import, "_holders", lambda *_: {})  # taken after the checks
    with pytest.raises(DataError, match="nothing was imported: Ann works on"):
        import_answers(store, exported, "png", delivery(labels))


def test_an_annotator_needs_a_name(store, exported, delivery):
    with pytest.raises(ValueError, match="1 to 100 characters"):
        import_answers(store, exported, "png", delivery({}), annotator=" ")


@pytest.mark.parametrize("format", ["coco", "png"])
def test_the_export_of_another_round_is_recognised(store, exported, tmp_path, format):
    first = describe_round(store, CLASSES, PALETTE, 1)
    export_round(store, first, format, tmp_path / "out", pool=None)
    if format == "png":  # its manifest says so at once
        with pytest.raises(DataError, match="is of round 1, not of round 2; give --round 1"):
            import_answers(store, exported, format, tmp_path / "out")
        return
    result = import_answers(store, exported, format, tmp_path / "out")
    assert len(result.violations) == 4 and result.other_round == 1
    (line,) = by_cause(result.violations)
    assert line.startswith("is of round 1, not of round 2, in 4 images: annotations.json: image 1")


def test_answers_to_the_questions_of_another_round_are_recognised(store, exported, delivery):
    wrong = {number: np.full(SIZES[number], UNANSWERED) for number in exported.names}
    for labels in wrong.values():
        labels[ASKED_BEFORE] = 1
    result = import_answers(store, exported, "png", delivery(wrong))
    assert result.other_round == 1 and not result.imported


@pytest.mark.parametrize("format", list(FORMATS))
def test_the_export_of_another_run_is_not_imported(store, tmp_path, format):
    queries = [store.query(name, 2) for name in NAMES]
    with asked_store(tmp_path / "other.sqlite", queries) as other:
        for name in NAMES:
            other.answer(name, 2, np.zeros(other.query(name, 2).shape, np.uint8))
        theirs = describe_round(other, CLASSES, PALETTE, 2)
        export_round(other, theirs, format, tmp_path / "out", pool=None)
    mine = describe_round(store, CLASSES, PALETTE, 2)
    result = import_answers(store, mine, format, tmp_path / "out")
    assert not result.imported and len(result.violations) == 3
    (line,) = by_cause(result.violations)
    assert "is of another run, or asks other pixels, than this round, in 3 images" in line
    assert not any(store.answered(name, 2) for name in NAMES[:3])


STRIPES = [np.arange(height)[:, None] // 2 + np.zeros((1, width), int) for height, width in SIZES]
"""The parts of each image's query: pairs of rows."""


def store_of_parts(path, kind, guesses=None):
    store = LabelStore(path, classes=CLASSES)
    store.open_round(1, NAMES)
    for number, name in enumerate(NAMES):
        query = np.ones(SIZES[number], bool)
        query[0, 0] = False
        parts = np.arange(query.size).reshape(query.shape) if guesses else STRIPES[number]
        guess = guesses[number] if guesses else None
        store.ask(name, 1, query, kind=kind, parts=parts, guess=guess)
    return store


def answer_parts(store, seed=0):
    """Answers each part with one label, or with some classes."""
    rng = np.random.default_rng(seed)
    for name in NAMES:
        parts = store.parts(name, 1)
        count = parts.max() + 1
        labels, candidates = rng.choice([*range(len(CLASSES)), 255], count), None
        if store.kind(name, 1) == "classes":
            candidates = rng.random((count, len(CLASSES))) < 0.4
            single = candidates.sum(1) == 1
            labels = np.where(single, candidates.argmax(1), 255)
        store.answer(name, 1, labels[parts], candidates=candidates)


@pytest.mark.parametrize(
    "format, kind",
    [(format, kind) for format in FORMATS for kind in ("superpixels", "corrections")]
    + [(format, "classes") for format in FORMATS_OF_SEVERAL_CLASSES],
)
def test_answers_of_parts_arrive_as_they_were_given(format, kind, tmp_path):
    guesses = [np.ones(size, np.uint8) for size in SIZES] if kind == "corrections" else None
    with (
        store_of_parts(tmp_path / "here.sqlite", kind, guesses) as here,
        store_of_parts(tmp_path / "there.sqlite", kind, guesses) as there,
    ):
        exported = describe_round(there, CLASSES, PALETTE, 1)
        export_round(there, exported, format, tmp_path / "asked", pool=None)
        result = import_answers(here, exported, format, tmp_path / "asked")
        assert sorted(result.waiting) == sorted(NAMES), "guesses are no answers"
        assert not result.violations
        answer_parts(there)
        export_round(there, exported, format, tmp_path / "out", pool=None)
        result = import_answers(here, exported, format, tmp_path / "out")
        assert len(result.imported) == len(NAMES) and not result.violations
        assert here.digest() == there.digest()
        result = import_answers(here, exported, format, tmp_path / "out")
        assert len(result.unchanged) == len(NAMES)


def test_guesses_go_out_as_predictions_or_attributes(tmp_path):
    guesses = [np.full(size, 3, np.uint8) for size in SIZES]
    with store_of_parts(tmp_path / "labels.sqlite", "corrections", guesses) as store:
        exported = describe_round(store, CLASSES, PALETTE, 1)
        for format in FORMATS:
            export_round(store, exported, format, tmp_path / format, pool=None)
    name = CLASSES[3]
    task, *_ = json.loads((tmp_path / "label_studio" / "tasks.json").read_text())
    (prediction,) = task["predictions"]
    regions = [region["value"]["keypointlabels"] for region in prediction["result"]]
    assert regions == [[name]] * 11
    root = ElementTree.parse(tmp_path / "cvat" / "annotations.xml").getroot()
    points = root.findall("image/points")
    assert {point.get("label") for point in points} == {exported.label_names[UNANSWERED]}
    assert {point.findtext("attribute[@name='guess']") for point in points} == {name}
    described = root.findall("meta/task/labels/label/attributes/attribute/name")
    assert [each.text for each in described] == ["guess"]
    coco = json.loads((tmp_path / "coco" / "annotations.json").read_text())
    assert {each["attributes"]["guess"] for each in coco["annotations"]} == {name}
    (file,) = (tmp_path / "png" / "guesses").glob("*_000000*")
    with Image.open(file) as image:
        assert set(np.unique(image).tolist()) == {3, 255}


def test_label_maps_cannot_say_several_classes(tmp_path):
    assert set(FORMATS) - set(FORMATS_OF_SEVERAL_CLASSES) == {"png"}
    others = "use coco or label_studio or cvat, or the labelling tool"
    with store_of_parts(tmp_path / "labels.sqlite", "classes") as store:
        exported = describe_round(store, CLASSES, PALETTE, 1)
        with pytest.raises(DataError, match=f"png can't say several.*{others}"):
            export_round(store, exported, "png", tmp_path / "png", pool=None)
        with pytest.raises(DataError, match=others):
            import_answers(store, exported, "png", tmp_path)


@pytest.mark.parametrize("format", ["coco", "cvat"])
def test_a_part_of_several_classes_has_a_shape_for_each(tmp_path, format):
    with store_of_parts(tmp_path / "labels.sqlite", "classes") as store:
        for number, name in enumerate(NAMES):
            candidates = np.zeros((STRIPES[number].max() + 1, len(CLASSES)), bool)
            candidates[0, [1, 3]] = True
            store.answer(name, 1, np.full(SIZES[number], 255, np.uint8), candidates=candidates)
        exported = describe_round(store, CLASSES, PALETTE, 1)
        export_round(store, exported, format, tmp_path / format, pool=None)
    expected = {CLASSES[1], CLASSES[3], exported.label_names[VOID]}
    if format == "cvat":
        root = ElementTree.parse(tmp_path / "cvat" / "annotations.xml").getroot()
        masks = root.find("image").findall("mask")
        places = {mask.get("label"): (mask.get("top"), mask.get("rle")) for mask in masks}
    else:
        document = json.loads((tmp_path / "coco" / "annotations.json").read_text())
        names = {each["id"]: each["name"] for each in document["categories"]}
        masks = [each for each in document["annotations"] if each["image_id"] == 1]
        places = {names[each["category_id"]]: each["segmentation"]["counts"] for each in masks}
    assert len(masks) == len(expected) and set(places) == expected
    assert places[CLASSES[1]] == places[CLASSES[3]]


@pytest.fixture
def outlined(tmp_path):
    """A round that asks whole images, and what a person outlined in the first one, in COCO.

    A row has no class, and one pixel two.
    """

    def rectangle(category, left, top, right, bottom):
        corners = [left, top, right, top, right, bottom, left, bottom]
        return {"image_id": 1, "category_id": category, "segmentation": [corners]}

    height, width = SIZES[0]
    document = {
        "images": [
            {"id": 1 + number, "file_name": f"round1_{number:06}.png", "width": w, "height": h}
            for number, (h, w) in enumerate(SIZES[:2])
        ],
        "categories": [{"id": number, "name": CLASSES[number]} for number in (0, 1)],
        "annotations": [rectangle(0, 0, 0, width, 1), rectangle(1, 0, 0, 1, height - 1)],
    }
    (tmp_path / "coco.json").write_text(json.dumps(document))
    with LabelStore(tmp_path / "labels.sqlite", classes=CLASSES) as store:
        store.open_round(1, NAMES)
        for name, size in zip(NAMES, SIZES, strict=True):
            store.ask(name, 1, np.ones(size, bool), kind="full")
        exported = describe_round(store, CLASSES, PALETTE, 1)
        yield store, dataclasses.replace(exported, fingerprints={}), tmp_path / "coco.json"


def test_gaps_and_overlaps_of_outlined_images_are_void_on_request(outlined):
    store, exported, file = outlined
    result = import_answers(store, exported, "coco", file)
    assert [each.problem[:2] for each in result.violations] == [
        ("pixels have two different classes", 1),
        ("asked pixels are not answered", 8),
    ]
    result = import_answers(store, exported, "coco", file, unclear="void")
    assert (result.imported, result.unclear, result.violations) == ([NAMES[0]], 8, [])
    assert NAMES[1] in result.waiting, "an image without any outline is not answered"
    assert store.labels(NAMES[0]).tolist() == [
        [255, 0, 0, 0],
        [1, 255, 255, 255],
        [255, 255, 255, 255],
    ]
    again = import_answers(store, exported, "coco", file, unclear="void")
    assert (again.unchanged, again.unclear) == ([NAMES[0]], 8)


def test_other_mistakes_of_outlined_images_stay_mistakes(outlined):
    store, exported, file = outlined
    document = json.loads(file.read_text())
    document["categories"][1]["name"] = "nothing"
    file.write_text(json.dumps(document))
    (violation,) = import_answers(store, exported, "coco", file, unclear="void").violations
    assert "'nothing' is not one of the classes" in violation.problem.text
    assert store.pending(1) == list(NAMES)


def test_only_whole_images_have_unclear_pixels(store, exported, delivery):
    with pytest.raises(ValueError, match="round 2 asks mask; only of whole images"):
        import_answers(store, exported, "png", delivery({}), unclear="void")


@pytest.mark.parametrize("kind", ["superpixels", "corrections"])
def test_a_part_of_two_answers_is_a_violation(tmp_path, kind):
    with store_of_parts(tmp_path / "labels.sqlite", "superpixels") as other:
        parts = {name: other.parts(name, 1) for name in NAMES}
    with LabelStore(tmp_path / f"{kind}.sqlite", classes=CLASSES) as store:
        store.open_round(1, NAMES)
        for name, of_image in parts.items():
            guess = np.zeros(of_image.shape, np.uint8) if kind == "corrections" else None
            store.ask(name, 1, of_image >= 0, kind=kind, parts=of_image, guess=guess)
        exported = describe_round(store, CLASSES, PALETTE, 1)
        export_round(store, exported, "png", tmp_path / "png", pool=None)
        for number, name in exported.names.items():
            labels = np.where(store.query(name, 1), 1, UNANSWERED).astype(np.uint8)
            labels[-1, 0] = 2 if number == 0 else 1
            Image.fromarray(labels).save(tmp_path / "png" / "labels" / exported.file_name(number))
        result = import_answers(store, exported, "png", tmp_path / "png", skip_invalid=True)
        (violation,) = result.violations
        assert violation.problem.text == "parts have several answers; each gets one"
        assert violation.image == NAMES[0] and len(result.imported) == len(NAMES) - 1

import contextlib
import os
import shlex

import pytest

from tests import fork_server
from tests.data.inspection import builders


def check(*arguments, **options):
    return fork_server.run(["-m", "labor_jax", "check", *arguments], **options)


def test_a_usable_folder(tmp_path):
    builders.write_roles(tmp_path / "my data", [(255, 0, 0), (0, 128, 255), (9, 9, 9)])
    table = tmp_path / "classes.csv"
    (tmp_path / "my data" / "classes.csv").write_text("name,colour\nroad,#ff0000\nsky,#0080ff\n")
    result = check("my data", "--write_classes=classes.csv", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Problems" not in result.stdout
    assert "#ff0000: 34.4% in 3" in result.stdout
    assert f"--config.data.root={shlex.quote(str(tmp_path / 'my data'))}" in result.stdout
    assert f"--config.data.classes={table}" in result.stdout
    assert "#ff0000" in table.read_text().lower()


def test_a_class_table_in_the_folder_is_used(tmp_path):
    builders.write_roles(tmp_path, [(255, 0, 0), (0, 128, 255), (9, 9, 9)])
    table = tmp_path / "classes.csv"
    table.write_text("name,colour\nroad,#ff0000\nsky,#0080ff\ntree,#090909\n")
    result = check(tmp_path)
    assert result.returncode == 0, result.stderr
    assert "--config.data.classes=classes.csv" in result.stdout
    assert "palette" not in result.stdout and "Put them in" not in result.stdout
    table.write_text("name,colour\nroad,#ff0000\nsky,#0080ff\n")
    result = check(tmp_path)
    assert result.returncode == 1
    assert "colour of no class: #090909" in " ".join(result.stdout.split())


def test_a_class_table_beside_photos_without_labels_is_used(tmp_path):
    builders.write_photos(tmp_path / "photos", 2)
    (tmp_path / "classes.csv").write_text("name\nroad\nsky\n")
    result = check(tmp_path)
    assert result.returncode == 0, result.stderr
    assert "--config.data.classes=classes.csv" in result.stdout
    assert "CLASS_NAMES" not in result.stdout
    (tmp_path / "classes.csv").unlink()
    result = check(tmp_path)
    assert result.returncode == 0 and "CLASS_NAMES" in result.stdout, result.stderr
    (tmp_path / "classes.csv").write_text("name\nroad\nroad\n")
    result = check(tmp_path)
    assert result.returncode == 1 and "'road'" in result.stdout


def test_problems_come_first_and_set_the_exit_status(tmp_path):
    builders.write_roles(tmp_path, [0, 1])
    (tmp_path / "pool/images/0000.png").write_bytes(b"")
    with contextlib.suppress(OSError):  # of a file system that takes UTF-8 names only
        (tmp_path / os.fsdecode(b"\xff.txt")).touch()
    result = check(tmp_path)
    assert result.returncode == 1
    assert result.stdout.index("pool/images/0000.png") < result.stdout.index("pool/images: 2")
    assert result.stderr.splitlines()[-1] == (
        "DataError: 1 problem would stop a run, see the top of the list."
    )


def test_a_value_outside_the_sample_is_found_by_reading_as_a_run_does(tmp_path):
    builders.write_roles(tmp_path, [0, 1])
    builders.write_photos(tmp_path / "source/images", 5)
    builders.write_labels(tmp_path / "source/labels", [0, 1], 5)
    builders.write_labels(tmp_path / "source/labels", [0, 2], 2)
    builders.write_labels(tmp_path / "source/labels", [0, 1], 1)
    result = check(tmp_path, "--sample=2")
    assert result.returncode == 1
    assert "label value 2 in 384 pixels" in " ".join(result.stdout.split())
    assert "More labels may tell more: --sample=20." in " ".join(result.stdout.split())
    result = check(tmp_path, "--sample=20")
    assert result.returncode == 0, result.stderr
    assert "class numbers 0 to 2" in result.stdout


@pytest.mark.parametrize(
    ("photo", "kinds"),
    [
        ("city_{}.jpg", ["_mask"]),
        ("city_{}.png", ["_gtFine_labelTrainIds", "_gtFine_instanceIds"]),
    ],
)
def test_labels_that_exist_already_are_read_as_a_run_does(tmp_path, photo, kinds):
    root = tmp_path / "mine"
    builders.write_photos(root, 3, photo)
    for kind in kinds:
        builders.write_labels(root, [0, 1, 2], 2, f"city_{{}}{kind}.png")
    result = check(root)
    assert result.returncode == 0, result.stdout
    assert f"--config.annotation.existing_labels={root}" in result.stdout
    builders.write_labels(root, [0, 1, 2], 1, f"city_{{}}{kinds[0]}.png", size=(9, 9))
    result = check(root)
    assert result.returncode == 1
    assert "the image is 9x9 in the file and 32x24 in the run" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Name one folder: labor-jax check DIR."),
        (("{tmp}/missing",), "There is no folder {tmp}/missing."),
        (("{tmp}/file.txt",), "{tmp}/file.txt is a file; name the folder that it is in."),
        (("{tmp}", "--sample=0"), "--sample is 0; it is a number of labels, at least 1."),
        (
            ("{tmp}", "--write_classes={tmp}/file.txt"),
            "--write_classes: {tmp}/file.txt exists already. Name a new file.",
        ),
    ],
)
def test_wrong_input_is_a_sentence(tmp_path, arguments, sentence):
    (tmp_path / "file.txt").touch()
    result = check(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert result.returncode == 1
    assert sentence.format(tmp=tmp_path) in result.stderr
    assert "Traceback" not in result.stderr

"""What people get wrong in their own folders, and the whole sentence that they read."""

import os

import numpy as np
import pytest
from PIL import Image

from labor_jax.annotation import Oracle
from labor_jax.data import load_pair
from labor_jax.data.base import DataError

_PALETTE = np.array([(128, 64, 128), (0, 0, 142), (70, 130, 180)], np.uint8)
_CASES = {}


def _case(message):
    """Registers a function that spoils the tree `tree`, whose error is then `message`.

    In the message {root} is the folder, {cwd} the current one.
    """

    def register(spoil):
        _CASES[spoil.__name__.strip("_")] = (spoil, message)
        return spoil

    return register


def _write(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path, **options)
    return path


def _image(tree, role="source", number=0, kind="images"):
    return tree.root / role / kind / "drive" / f"{role}_{number}.png"


def _numbers(tree, role="source"):
    """The label numbers of a role's files, without void."""
    return {
        number: np.minimum(np.asarray(Image.open(_image(tree, role, number, "labels"))), 2)
        for number in range(3)
    }


def _colour(tree, change=lambda pixels: pixels, role="source"):
    """Makes the labels of a role colours; `change` spoils those of the first."""
    for number, label in _numbers(tree, role).items():
        pixels = _PALETTE[label]
        _write(_image(tree, role, number, "labels"), change(pixels) if number == 0 else pixels)


@_case(
    "3 source labels are in colours, and nothing says which class a colour is: "
    "{root}/source/labels/drive/source_0.png (mode RGB), "
    "{root}/source/labels/drive/source_1.png (mode RGB), "
    "{root}/source/labels/drive/source_2.png (mode RGB). Give the classes' colours "
    "(--config.data.palette='#804080,#4682b4', or a class table as data.classes) and leave "
    "data.label_coding at auto, or convert the files to class numbers."
)
def labels_in_colours_without_a_palette(tree):
    _colour(tree)


@_case(
    "{root}/source/labels/drive/source_0.png: 1 colour of no class: #00008d = RGB (0, 0, 141)"
    " in 3 pixels, nearest is #00008e of car. Correct the file or the palette, or map the "
    "colour in data.label_map (#00008d:void; other:void makes all further colours void)."
)
def a_colour_of_no_class(tree):
    def change(pixels):
        pixels[0, :3] = (0, 0, 141)
        return pixels

    tree.config.palette = "#804080,#00008e,#4682b4"
    _colour(tree, change)


@_case(
    "{root}/source/labels/drive/source_0.png: 48 colours of no class: #78b300 = RGB (120, "
    "179, 0) in 1 pixel, nearest is #804080 of road and 47 more. So many come from smoothed "
    "edges, resizing or lossy compression: export the labels anew without these (other:void "
    "in data.label_map makes them void)."
)
def smoothed_colours(tree):
    def change(pixels):
        return np.random.default_rng(0).integers(0, 256, pixels.shape, np.uint8)

    tree.config.palette = "#804080,#00008e,#4682b4"
    _colour(tree, change)


@_case(
    "{root}/source/labels/drive/source_0.png is transparent everywhere, so its colours say "
    "nothing. Save it without transparency."
)
def labels_transparent_everywhere(tree):
    def change(pixels):
        return np.dstack([pixels, np.zeros(pixels.shape[:2], np.uint8)])

    tree.config.palette = "#804080,#00008e,#4682b4"
    _colour(tree, change)


@_case(
    "data.palette must hold a colour (three numbers, 0 to 255) for each of the 3 classes; got"
    " the shape [2, 3]"
)
def a_palette_of_too_few_colours(tree):
    tree.config.palette = "#804080,#00008e"


@_case(
    "data.palette must hold a colour (#804080, or three numbers, 0 to 255) for each class: "
    "'blue' is no colour such as #804080 or 128 64 128"
)
def a_palette_that_is_none(tree):
    tree.config.palette = "#804080,#00008e,blue"


@_case(
    "labels are in colours, but classes share one: #804080 (road and sky). Give each class a "
    "colour of its own in data.palette."
)
def two_classes_of_one_colour(tree):
    tree.config.palette = "#804080,#00008e,#804080"
    _colour(tree)


@_case(
    "data.label_coding is colours, but no class has one: set data.palette "
    "('#804080,#4682b4'), or data.classes to a table with colours."
)
def colours_forced_without_a_palette(tree):
    tree.config.label_coding = "colours"


@_case("data.label_coding must be one of auto, numbers, colours; got 'rgb'")
def an_unknown_coding(tree):
    tree.config.label_coding = "rgb"


@_case(
    "3 source labels were compressed with loss (as JPEG does), which changes their values: "
    "{root}/source/labels/drive/source_0.jpg (mode L), "
    "{root}/source/labels/drive/source_1.jpg (mode L), "
    "{root}/source/labels/drive/source_2.jpg (mode L). Export them anew, as PNG."
)
def labels_in_jpeg(tree):
    for number, label in _numbers(tree).items():
        _image(tree, "source", number, "labels").unlink()
        _write(_image(tree, "source", number, "labels").with_suffix(".jpg"), label)
    tree.config.source.label_pattern = "{stem}.jpg"


@_case(
    "3 source images have no label in {root}/source/labels: drive/source_0.png, "
    "drive/source_1.png, drive/source_2.png. Add the labels, remove the images, or correct "
    "data.source.label_pattern = '{stem}.png' (and image_suffix = ''). There is "
    "drive/source_0.tif: --config.data.source.label_pattern='{stem}.tif' takes such files."
)
def labels_of_another_extension(tree):
    for number in range(3):
        path = _image(tree, "source", number, "labels")
        path.rename(path.with_suffix(".tif"))


@_case(
    "{root}/source/labels/drive/source_1.png: label value 3 in 48 pixels (first at row 0, "
    "column 0) outside the 3 classes; valid here: 0-2, 255 (255 is void). Correct the file, "
    "name all classes in `classes`, or map the value in `label_map` (other:void makes all "
    "further values void)."
)
def a_value_that_is_no_class(tree):
    _write(_image(tree, "source", 1, "labels"), np.full((6, 8), 3))


@_case(
    "source labels in {root}/source/labels/drive hold the values 0 and 255 alone, and 255 "
    "means void, so there is one class to learn. If 255 is a class, name two in data.classes "
    "and set --config.data.label_map=0:0,255:1; if it is void, set "
    "--config.data.label_map=255:void."
)
def labels_of_0_and_255(tree):
    for number, label in _numbers(tree).items():
        _write(_image(tree, "source", number, "labels"), np.where(label == 1, 255, 0))


@_case(
    "evaluation labels are void everywhere: none of the 3 files in "
    "{root}/evaluation/labels/drive holds a pixel of a class. Put classes in them, or correct"
    " data.label_map."
)
def labels_void_everywhere(tree):
    for number in range(3):
        _write(_image(tree, "evaluation", number, "labels"), np.full((6, 8), 255))


@_case(
    "data.label_map maps 1 to bus, which is neither a class (0 to 2: road, car, sky) nor 255 "
    "or void"
)
def a_label_map_to_an_unknown_class(tree):
    tree.config.label_map = "0:road,1:bus"


@_case(
    'data.pool.label_map must be entries such as "7:0, 8:road, #000000:void, other:255"; '
    "cannot read '0=road'"
)
def a_label_map_that_cannot_be_read(tree):
    tree.config.pool.label_map = "0=road"


@_case(
    "data.classes names the class table 'klasses.csv', but there is no file "
    "{root}/klasses.csv nor {cwd}/klasses.csv. Write one (a class name a line), or list the "
    "names: road,sky,tree."
)
def a_class_table_that_is_not_there(tree):
    tree.config.classes = "klasses.csv"


@_case("{root}/classes.csv, line 4: the number 1 is that of 'car' too (line 3). Give each its own.")
def a_class_table_with_a_number_twice(tree):
    (tree.root / "classes.csv").write_text("number,name\n0,road\n1,car\n1,sky\n")
    tree.config.classes = "classes.csv"


@_case("{root}/classes.csv, line 2: '00008e' is no colour such as #804080 or 128 64 128.")
def a_class_table_with_a_colour_that_is_none(tree):
    (tree.root / "classes.csv").write_text("road,#804080\ncar,00008e\nsky,#4682b4\n")
    tree.config.classes = "classes.csv"


@_case(
    "{root}/classes.txt, line 1 has several columns: 'road,#804080'. A .txt file has a class "
    "name a line; name a table with columns .csv."
)
def columns_in_a_text_file(tree):
    (tree.root / "classes.txt").write_text("road,#804080\n")
    tree.config.classes = "classes.txt"


@_case(
    "data.palette and the class table of data.classes give different colours; leave one of "
    "them out."
)
def a_palette_beside_a_table_with_colours(tree):
    (tree.root / "classes.csv").write_text("road,#804080\ncar,#00008e\nsky,#4682b4\n")
    tree.config.classes = "classes.csv"
    tree.config.palette = "#000000,#111111,#222222"


@_case(
    "data.classes names one class, 'road', and a model tells two or more apart: name another, such"
    " as background."
)
def one_class(tree):
    tree.config.classes = "road"


@_case(
    "folders needs the names of its classes: set data.classes (road,sky,tree, or a table file"
    " such as classes.csv)."
)
def no_classes(tree):
    tree.config.classes = ()


@_case("classes must be different names, repeated: road")
def a_class_twice(tree):
    tree.config.classes = "road,sky,road"


@_case(
    "1 source images are turned when shown, by the EXIF orientation in the files, and their "
    "labels are not (height x width): {root}/source/images/drive/source_0.png is 8x6, "
    "{root}/source/labels/drive/source_0.png is 6x8 (EXIF orientation 6). Turn these labels "
    "as the images are shown; or, if the images are the right way up as they are stored, take"
    " the orientation out of their EXIF data."
)
def a_photo_turned_by_exif_with_a_label_that_is_not(tree):
    exif = Image.Exif()
    exif[0x112] = 6
    _write(_image(tree), np.zeros((6, 8, 3)), exif=exif)


@_case(
    "1 source images differ in size from their labels (height x width): "
    "{root}/source/images/drive/source_0.png is 6x8, {root}/source/labels/drive/source_0.png "
    "is 3x4. Resize one of the two to the other's size, label maps by nearest neighbour."
)
def a_label_of_another_size(tree):
    _write(_image(tree, "source", 0, "labels"), np.zeros((3, 4)))


@_case(
    "1 pool images cannot be read: {root}/pool/images/drive/pool_0.png cannot be read: it is "
    "no file, but a pipe or a device. Copy or download them again, or remove them."
)
def a_pipe_among_the_photos(tree):
    _image(tree, "pool").unlink()
    os.mkfifo(_image(tree, "pool"))


@_case(
    "1 pool images in {root}/pool/images have names that are not UTF-8: drive/stra\\xdfe.png. "
    "Rename them."
)
def a_name_that_is_not_utf_8(tree):
    path = os.fsencode(_image(tree, "pool"))
    os.rename(path, path.replace(b"pool_0", b"stra\xdfe"))


@_case(
    "1 pool images cannot be read: {root}/pool/images/drive/pool_0.png cannot be read: the "
    "file is empty. Copy or download them again, or remove them."
)
def an_empty_file(tree):
    _image(tree, "pool").write_bytes(b"")


@_case(
    "{root}/pool/images/drive/pool_0.png has no label: its split has no folder of labels. If "
    "people answer, set --config.annotator=human; if an oracle is to answer, put labels in "
    "pool/labels below data.root, or set data.pool.labels to their folder."
)
def a_pool_without_labels_for_an_oracle(tree):
    for number in range(3):
        _image(tree, "pool", number, "labels").unlink()
    (tree.root / "pool" / "labels" / "drive").rmdir()
    (tree.root / "pool" / "labels").rmdir()


@_case(
    "The labels of all 3 pool images are void everywhere, so the oracle has no answer. Put "
    "classes in them, or let people answer: --config.annotator=human."
)
def a_pool_with_void_labels_for_an_oracle(tree):
    for number in range(3):
        _write(_image(tree, "pool", number, "labels"), np.full((6, 8), 255))


@_case(
    "1 pool images have no label in {root}/pool/labels: drive/pool_2.png. Add the labels, "
    "remove the images, or correct data.pool.label_pattern = '{stem}.png' (and image_suffix ="
    " ''). If people answer, the pool needs no labels: set data.pool.labels=\"\", and "
    "annotation.existing_labels to the folder of those that exist."
)
def a_pool_with_some_labels(tree):
    _image(tree, "pool", 2, "labels").unlink()


@_case(
    "{root}/test/labels does not exist (nor does {root}/test). Check data.root = {root} and "
    "data.evaluation.labels = 'test/labels'."
)
def a_named_evaluation_folder_that_is_not_there(tree):
    tree.config.evaluation.labels = "test/labels"


@pytest.mark.parametrize("name", _CASES)
def test_the_sentence(tree, name):
    spoil, message = _CASES[name]
    spoil(tree)
    with pytest.raises((DataError, ValueError)) as error:
        Oracle(load_pair("folders", tree.config).pool).check()
    expected = message.replace("{root}", str(tree.root)).replace("{cwd}", os.getcwd())
    assert str(error.value) == expected

import pytest

from labor_jax.data.folders import FolderLayout
from labor_jax.data.inspection.name_patterns import find_pattern
from labor_jax.data.inspection.scan import ScannedFile
from labor_jax.data.inspection.series import Series


def found(mine, others, folder=".", ending=""):
    files = [ScannedFile(name, 1) for name in mine]
    images = [*files, *(ScannedFile(name, 1) for name in others)]
    return find_pattern(Series(folder, ending, tuple(files), False), images)


@pytest.mark.parametrize(
    ("mine", "others", "ending", "pattern"),
    [
        (["a.png"], [], "", ("*",)),
        (["a.jpg", "b.JPG"], ["a.png"], "", ("*.JPG", "*.jpg")),
        (["a_rgb.png"], ["a_mask.png"], "_rgb", ("*_rgb.*",)),
        (["a_1.png", "a_2.png"], ["masks/a_1.png"], "", ("a_*",)),
        (["1.png", "2.png"], ["1_L.png", "2_L.png"], "", ("*[!L].*",)),
        (["rome/1.png", "pisa/1.png"], ["sim/1.png"], "", ("pisa/*", "rome/*")),
        (["1, a.png", "1, b.png"], ["2.png"], "", ("*[!2].*",)),
        ([" 1.png", " 2.png"], ["3.png"], "", ("*[!3].*",)),
        (["1.png", "2.png"], ["masks/1.png", "masks/2.png"], "", None),
        (
            ["park.png", "sea.png"],
            ["park_ok.png", "sea_ok.png"],
            "",
            ("*[!k].*", "*[!o]k.*", "*[!_]ok.*"),
        ),
    ],
)
def test_patterns(mine, others, ending, pattern):
    assert found(mine, others, ending=ending) == pattern
    if pattern:
        for given in (pattern, ",".join(pattern)):
            layout = FolderLayout(".", "", given)
            assert all(map(layout.matches, mine)) and not any(map(layout.matches, others))


def test_only_files_below_the_folder_matter():
    assert found(["x/a.png"], ["y/a.png"], folder="x") == ("*",)

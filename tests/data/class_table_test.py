import pytest

from labor_jax.data import class_table
from labor_jax.data.base import DataError

_CSV = """number,name,colour,void
0,nothing,#000000,yes
7,road,#804080,no
8,"sky, clear",70 130 180,
11,tree,#008000,0
"""


@pytest.fixture
def write_table(tmp_path):
    def write(text, name="classes.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_a_table_with_all_columns(write_table):
    table = class_table.read_file(write_table(_CSV))
    assert table.classes == ("road", "sky, clear", "tree")
    assert table.colours == ((128, 64, 128), (70, 130, 180), (0, 128, 0))
    assert table.numbers == {0: 255, 7: 0, 8: 1, 11: 2}
    assert table.void_colours == ((0, 0, 0),)


@pytest.mark.parametrize(
    "text",
    [
        _CSV.split("\n", 1)[1],  # no titles
        _CSV.replace(",", ";").replace("sky; clear", "sky, clear"),
        _CSV.replace(",", "\t").replace("sky\t clear", "sky, clear"),
        "\ufeff" + _CSV.replace("\n", "\r\n\r\n"),
        "colour,void,name,number\n#000000,1,x,0\n#804080,0,road,7\n"
        '70 130 180,0,"sky, clear",8\n#008000,no,tree,11\n',
        "id,class,r,g,b,ignore\n0,x,0,0,0,true\n11,tree,0,128,0,false\n7,road,128,64,128,\n"
        '8,"sky, clear",70,130,180,\n',
    ],
)
def test_other_ways_to_write_it(write_table, text):
    assert class_table.read_file(write_table(text)) == class_table.read_file(
        write_table(_CSV, "other.csv")
    )


@pytest.mark.parametrize(
    ("text", "classes", "numbers"),
    [
        ("road\nsky\n", ("road", "sky"), {0: 0, 1: 1}),
        ("name\nroad\nsky\n", ("road", "sky"), {0: 0, 1: 1}),
        ("road,#804080\nsky,#4682b4\n", ("road", "sky"), {0: 0, 1: 1}),
        ("void,yes\nroad,no\nsky,no\n", ("road", "sky"), {0: 255, 1: 0, 2: 1}),
        ("name,void\nroad,\nvoid,1\nvoid,1\nsky,\n", ("road", "sky"), {0: 0, 1: 255, 2: 255, 3: 1}),
        ("2,sky\n1,road\n", ("road", "sky"), {1: 0, 2: 1}),
    ],
)
def test_columns_that_are_left_out(write_table, text, classes, numbers):
    table = class_table.read_file(write_table(text))
    assert (table.classes, table.numbers) == (classes, numbers)


def test_a_name_a_line(write_table):
    table = class_table.read_file(write_table("road\n\n traffic sign \nsky", "classes.txt"))
    assert table.classes == ("road", "traffic sign", "sky")
    assert table.numbers == {0: 0, 1: 1, 2: 2}
    assert table.colours == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no class"),
        ("name,void\nx,yes\n", "names no class"),
        ("0,road\n1,\n", "line 2 has no name"),
        ("0,road\n0,sky\n", r"line 2: the number 0 is that of 'road' too \(line 1\)"),
        ("0,road\n1,road\n", "line 2: the name 'road' is that of 'road' too"),
        ("road,#804080\nsky,#804080\n", "line 2: the colour #804080 is that of 'road' too"),
        (
            "name,colour,void\nx,#804080,yes\nroad,#804080,no\n",
            "line 2: the colour #804080 is that of 'road' too",
        ),
        ("road,#804080\nsky,#80408\n", "line 2: '#80408' is no colour"),
        ("name,r,g,b\nroad,1,2,300\n", "line 2: .* must be 0 to 255"),
        ("name,r,g,b\nroad,1,2\n", "line 2: .* is no colour"),
        ("road,#804080\nsky,\n", "line 2: 'sky' has no colour, but others do"),
        ("number,name\n0,road\n,sky\n", "line 3: 'sky' has no number, but others do"),
        ("number,name\n70000,road\n", "line 2: the number '70000' must be 0 to 65535"),
        ("name,void\nroad,perhaps\n", "line 2: void is 'perhaps'; write yes or no"),
        ("number,title,colour\n0,road,#000000\n", "line 1: the titles number, title, colour"),
        ("nr,nam\n0,road\n1,sky\n", "line 1: the titles nr, nam are not known"),
        ("id,name,label\n0,road,L1\n", "line 1: the titles name, label mean the same, the name"),
        ("0,road\n255,void\n", "line 2: 'void' would be a class that is learnt"),
        ("name,void\nroad,no\nIgnore,no\n", "line 3: 'Ignore' would be a class"),
        ("name,void\nroad,no,sky\n", "line 2 has 3 columns instead of 2"),
        ('"road\n', "cannot be read as a table"),
        ("\n".join(f"class {i}" for i in range(255)), "names 255 classes; at most 254"),
    ],
)
def test_tables_that_cannot_be(write_table, text, message):
    with pytest.raises(DataError, match=rf"classes\.csv.*{message}"):
        class_table.read_file(write_table(text))


def test_files_that_are_no_tables(write_table):
    with pytest.raises(DataError, match=r"classes\.txt, line 2 has several columns.*\.csv"):
        class_table.read_file(write_table("road\nsky,#804080\n", "classes.txt"))
    with pytest.raises(DataError, match="it is not text in UTF-8"):
        class_table.read_file(write_table("stra\xdfe\n", encoding="latin-1"))


@pytest.mark.parametrize(
    "given", ["road,sky", " road , sky ", ("road", "sky"), ["road", "sky"], ("road,sky",)]
)
def test_names_in_a_config(given):
    assert class_table.from_config(given, "", "f").classes == ("road", "sky")


def test_a_name_in_a_config_may_hold_a_comma_in_quotes():
    assert class_table.from_config('"road, paved", sky', "", "f").classes == ("road, paved", "sky")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ('"road,paved', "f is '\"road,paved', which can't be read as names between commas"),
        ("'road,paved',sky", "\"'road\" can't be a class"),
        ("a.csv,road", "'a.csv' can't be a class"),
        ("road,sky,void", "f lists 'void', which would be a class that is learnt"),
        (("road", "Void"), "f lists 'Void'"),
    ],
)
def test_names_in_a_config_that_cannot_be(given, message):
    with pytest.raises(ValueError, match=message):
        class_table.from_config(given, "", "f")


def test_one_name_and_none():
    assert class_table.from_config("road", "", "f").classes == ("road",)
    for nothing in ("", (), []):
        assert class_table.from_config(nothing, "", "f").classes == ()
    for wrong in (None, 3, {"road": 0}):
        with pytest.raises(ValueError, match=r"f must be names \(road,sky,tree\) or a class table"):
            class_table.from_config(wrong, "", "f")


def test_a_table_is_found_below_the_root_and_then_below_the_current_folder(
    write_table, tmp_path, monkeypatch
):
    write_table("road\n", "classes.txt")
    root = tmp_path / "data"
    root.mkdir()
    monkeypatch.chdir(tmp_path)
    assert class_table.from_config("classes.txt", str(root), "f").classes == ("road",)
    (root / "classes.txt").write_text("sky\n")
    assert class_table.from_config("classes.txt", str(root), "f").classes == ("sky",)
    absolute = str(tmp_path / "classes.txt")
    assert class_table.from_config(absolute, str(root), "f").classes == ("road",)
    with pytest.raises(DataError, match=r"none\.csv.*no file .*data/none\.csv nor .*none\.csv"):
        class_table.from_config("none.csv", str(root), "f")


def test_the_path_of_a_table_may_hold_a_comma(tmp_path):
    (tmp_path / "photos, 2024").mkdir()
    path = tmp_path / "photos, 2024" / "classes.csv"
    path.write_text("road\nsky\n")
    assert class_table.from_config(str(path), "", "f").classes == ("road", "sky")
    given = "photos, 2024/classes.csv"
    assert class_table.from_config(given, str(tmp_path), "f").classes == ("road", "sky")
    with pytest.raises(DataError, match=r"'a,b\.csv', but there is no file"):
        class_table.from_config("a,b.csv", str(tmp_path), "f")

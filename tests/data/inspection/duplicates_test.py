from labor_jax.data.inspection import duplicates, scan
from tests.data.inspection import builders
from tests.driving import write


def test_equal_bytes_are_found_and_equal_lengths_are_not_enough(tmp_path):
    write(tmp_path / "a.bmp", builders.photo(0))
    write(tmp_path / "b.bmp", builders.photo(1))
    write(tmp_path / "c.bmp", builders.photo(0))
    files = scan.scan(tmp_path).images
    assert len({file.num_bytes for file in files}) == 1
    assert duplicates.find_duplicates(tmp_path, files) == [("a.bmp", "c.bmp")]

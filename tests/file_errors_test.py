"""Ordinary errors of files are a sentence, and a full disk is found behind other errors."""

import errno
import os
import sqlite3

import pytest
import tensorstore

from labor_jax import file_errors


def raised(*errors, explicit):
    """The last of the errors, each raised from (or while handling) the one before."""
    current = None
    for error in errors:
        try:
            try:
                if current is not None:
                    raise current
            except BaseException as before:
                if explicit:
                    raise error from before
                raise error  # noqa: B904, the implicit chain is what is tested
            raise error
        except BaseException as caught:
            current = caught
    return current


@pytest.mark.parametrize("explicit", [True, False])
def test_a_full_disk_is_found_behind_other_errors(explicit):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert file_errors.is_disk_full(raised(full, ValueError("save"), explicit=explicit))
    assert file_errors.is_disk_full(
        raised(full, ValueError("save"), RuntimeError("run"), explicit=explicit)
    )
    other = OSError(errno.EACCES, os.strerror(errno.EACCES))
    assert not file_errors.is_disk_full(raised(other, ValueError("save"), explicit=explicit))


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("database or disk is full"),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        ValueError("INTERNAL: write failed: No space left on device [OS error 28]"),
    ],
)
def test_a_full_disk_has_many_names(error):
    assert file_errors.is_disk_full(error)


def failure(number, path=None):
    return OSError(number, os.strerror(number), path) if path else OSError(number, "")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (failure(errno.ENOSPC, "/d/x.json"), ("disk is full: /d/x.json", "Free some space")),
        (failure(errno.EACCES, "/d/x"), ("/d/x can't be opened: permission denied",)),
        (failure(errno.EPERM, "/d/x"), ("/d/x can't be opened: permission denied",)),
        (failure(errno.EROFS, "/d/x"), ("/d/x can't be written", "read-only")),
        (failure(errno.EEXIST, "/d/x"), ("/d/x is a file, but a folder",)),
        (failure(errno.ENOTDIR, "/d/x"), ("/d/x can't be opened", "a file and no folder")),
        (failure(errno.EISDIR, "/d/x"), ("/d/x is a folder, but a file",)),
        (failure(errno.ENOENT, "/no/such/folder/x"), ("There is no /no.",)),
        (failure(errno.EIO), ("A file can't be read or written: input/output error",)),
        (
            ValueError(
                'PERMISSION_DENIED: Error opening local file "/d/run/state": failed '
                "[OS error 13: EACCES Permission denied]"
            ),
            ("/d/run/state can't be opened: permission denied",),
        ),
        (
            ValueError(
                'PERMISSION_DENIED: Error opening "zarr" driver: Error reading "a" in OCDBT '
                'database at local file "/d/1/": Failed to open: "/d/1/d/3c": Permission denied '
                "[os_error_code='13'] [tensorstore_spec='{\"driver\":\"/e\": }']"
            ),
            ("/d/1/d/3c can't be opened: permission denied",),
        ),
        (
            raised(failure(errno.EROFS, "/d/x"), RuntimeError("orbax"), explicit=False),
            ("/d/x can't be written", "read-only"),
        ),
    ],
)
def test_an_error_of_a_file_is_a_sentence_with_its_path(error, says):
    described = file_errors.describe(error)
    assert all(text in described for text in says), described
    assert described.endswith(".") and "\n" not in described


def test_what_tensorstore_says_of_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "file").touch()
    store = {"driver": "file", "path": f"{tmp_path}/file/x/"}
    metadata = {"dtype": "<f4", "shape": [4]}
    spec = {"driver": "zarr", "kvstore": store, "metadata": metadata}
    with pytest.raises(ValueError, match=r"os_error_code|OS error") as caught:
        tensorstore.open(spec, create=True).result()
    described = file_errors.describe(caught.value)
    assert f"{tmp_path}/file/x" in described and "a file and no folder" in described


@pytest.mark.parametrize(
    "error", [ValueError("nothing to do with files"), KeyError("x"), failure(errno.ENOENT)]
)
def test_other_errors_are_none_of_its_business(error):
    assert file_errors.describe(error) is None

"""Finding and reading a document."""

import json
import os
import zipfile

import pytest

from labor_jax.annotation.formats import documents
from labor_jax.data import DataError


def test_a_document_is_a_file_or_the_only_one_of_a_folder_or_an_archive(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "tasks.json").write_text("[1]")
    assert documents.read_json(tmp_path) == ("tasks.json", [1])
    assert documents.read_json(tmp_path / "tasks.json") == ("tasks.json", [1])
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("annotations/instances_default.json", "[2]")
        archive.writestr("__MACOSX/annotations/._instances_default.json", "\0")
    where = "export.zip/annotations/instances_default.json"
    assert documents.read_json(tmp_path / "export.zip") == (where, [2])


def test_documents_that_cannot_be_read_are_told(tmp_path, monkeypatch):
    def says(*words):
        with pytest.raises(DataError) as raised:
            documents.read_json(tmp_path)
        assert all(word in str(raised.value) for word in words)

    says("has 0 files *.json")
    (tmp_path / "a.json").write_text("[" * 100_000)
    says("a.json is not JSON")
    (tmp_path / "a.json").write_bytes(b"\xff{}")
    says("a.json is not JSON")
    (tmp_path / "b.json").write_text("[]")
    says("has 2 files *.json (a.json, b.json)")
    (tmp_path / "b.json").unlink()
    monkeypatch.setattr(documents, "MAX_BYTES", 9)
    (tmp_path / "a.json").write_text(json.dumps("0123456789"))
    says("12 bytes", "at most 9 are read")
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.json", " " * 1000)
    with pytest.raises(DataError, match="has 1,000 bytes"):
        documents.read_json(tmp_path / "bomb")
    monkeypatch.setattr(documents, "MAX_BYTES", 9999)
    damaged = bytearray((tmp_path / "bomb").read_bytes())
    damaged[40] ^= 0xFF
    (tmp_path / "damaged.zip").write_bytes(damaged)
    for name in ("damaged.zip", "absent.json"):
        with pytest.raises(DataError, match="can't be read"):
            documents.read_json(tmp_path / name)


def test_links_out_of_a_folder_are_not_followed(tmp_path):
    (tmp_path / "secret.json").write_text("[1]")
    (tmp_path / "in").mkdir()
    os.symlink(tmp_path / "secret.json", tmp_path / "in" / "a.json")
    with pytest.raises(DataError, match="leads out of"):
        documents.read_json(tmp_path / "in")

"""Finding and reading a document."""

import json
import os
import zipfile

import numpy as np
import pytest

from labor_jax.annotation.formats import documents
from labor_jax.annotation.formats.exported_round import ExportedRound
from labor_jax.data import DataError

EXPORTED = ExportedRound(1, ("road",), np.zeros((1, 3), np.uint8), {0: "a"}, {0: (8, 8)})


def test_a_document_is_a_file_or_the_only_one_of_a_folder_or_an_archive(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "tasks.json").write_text("[1]")
    assert documents.read_json(tmp_path, EXPORTED) == ("tasks.json", [1])
    assert documents.read_json(tmp_path / "tasks.json", EXPORTED) == ("tasks.json", [1])
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("annotations/instances_default.json", "[2]")
        archive.writestr("__MACOSX/annotations/._instances_default.json", "\0")
    where = "export.zip/annotations/instances_default.json"
    assert documents.read_json(tmp_path / "export.zip", EXPORTED) == (where, [2])


def test_documents_that_cannot_be_read_are_told(tmp_path, monkeypatch):
    def says(*words):
        with pytest.raises(DataError) as raised:
            documents.read_json(tmp_path, EXPORTED)
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
    says("12 bytes", "need at most 9")
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.json", " " * 1000)
    with pytest.raises(DataError, match="has 1,000 bytes"):
        documents.read_json(tmp_path / "bomb", EXPORTED)
    monkeypatch.setattr(documents, "MAX_BYTES", 9999)
    damaged = bytearray((tmp_path / "bomb").read_bytes())
    damaged[40] ^= 0xFF
    (tmp_path / "damaged.zip").write_bytes(damaged)
    for name in ("damaged.zip", "absent.json"):
        with pytest.raises(DataError, match="can't be read"):
            documents.read_json(tmp_path / name, EXPORTED)


def test_links_out_of_a_folder_are_not_followed(tmp_path):
    (tmp_path / "secret.json").write_text("[1]")
    (tmp_path / "in").mkdir()
    os.symlink(tmp_path / "secret.json", tmp_path / "in" / "a.json")
    with pytest.raises(DataError, match="leads out of"):
        documents.read_json(tmp_path / "in", EXPORTED)


def test_a_document_holds_no_more_than_its_images_need(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.json", "[" + "0," * 2**24 + "0]")
    assert (tmp_path / "bomb.zip").stat().st_size < 2**20
    with pytest.raises(DataError, match=r"x\.json in .*bomb\.zip has .* bytes; answers to these"):
        documents.read_json(tmp_path / "bomb.zip", EXPORTED)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<a>" * 10_000 + b"</a>" * 10_000, "nested more than 64 deep"),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", "is not XML"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type definition"),
        (b"<a>", "is not XML"),
        (b"\0", "is not XML"),
    ],
)
def test_xml_that_is_not_read(tmp_path, content, says):
    (tmp_path / "a.xml").write_bytes(content)
    with pytest.raises(DataError, match=says):
        documents.read_xml(tmp_path / "a.xml", EXPORTED)


@pytest.mark.parametrize("damage", ["compression", "name", "encrypted"])
def test_archives_that_zipfile_cannot_read(tmp_path, damage):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("\u00e4.json", "[1]")
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    if damage == "compression":
        content[8:10] = content[central + 10 : central + 12] = (99).to_bytes(2, "little")
    elif damage == "encrypted":
        content[6] |= 1
        content[central + 8] |= 1
    else:
        content[central + 46] = 0xFF  # of a name in UTF-8
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip"):
        documents.read_json(path, EXPORTED)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(DataError, match="not a regular file"):
        documents.read_json(tmp_path / "a.json", EXPORTED)

"""Reads and writes the files of an export: JSON, zip archives and the manifest."""

import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

import defusedxml
import defusedxml.ElementTree

from labor_jax.annotation.formats import palettes
from labor_jax.annotation.formats.exported_round import UNANSWERED, VOID, ExportedRound
from labor_jax.data import colours
from labor_jax.data.base import DataError

MANIFEST = "manifest.json"

MAX_BYTES = 2**30
"""The largest document that is read, in bytes; far more than any published data set needs."""

# What a document may hold besides its images' pixels, and for each of these, in bytes: a mask of
# single pixels in Label Studio's run lengths needs less.
_BASE_BYTES, _BYTES_PER_PIXEL = 2**24, 32

_MAX_DEPTH = 64  # of XML elements; CVAT's files have 6

# Characters that XML can't contain, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def fits_xml(name: str) -> bool:
    """Whether XML can contain a name."""
    return _NOT_XML.search(name) is None


def check_xml_names(exported: ExportedRound) -> None:
    """Raises a `DataError` if XML can't contain the name of a class."""
    for name in exported.classes:
        if not fits_xml(name):
            raise DataError(
                f"the class {name!r} has a control character, which XML can't contain; export as "
                "png or coco"
            )


def write_manifest(folder: Path, exported: ExportedRound, format: str) -> None:
    """Writes `manifest.json`, which says what the numbered files are."""
    palette = palettes.exported(exported.palette)
    others = {
        name: {
            "number": number,
            "name": exported.label_names[number],
            # Only label maps have these colours.
            **({"color": colours.text(palette[number])} if format == "png" else {}),
        }
        for name, number in (("void", VOID), ("unanswered", UNANSWERED))
    }
    described = {
        "format": format,
        "version": 1,
        "round": exported.round,
        "kind": exported.kind,
        "classes": [
            {"number": number, "name": name, "color": exported.color(number)}
            for number, name in enumerate(exported.classes)
        ],
        **others,
        "images": [
            {"file": exported.file_name(number), "name": name, "width": width, "height": height}
            for number, name in exported.names.items()
            for height, width in [exported.sizes[number]]
        ],
    }
    write_json(folder / MANIFEST, described, indent=1)


def write_json(path: Path, value: Any, *, indent: int | None = None) -> None:
    """Writes a JSON file on one line, because run lengths would fill thousands of lines."""
    path.write_text(json.dumps(value, indent=indent) + "\n", encoding="ascii")


def read_json(path: Path, exported: ExportedRound) -> tuple[str, Any]:
    """Reads the JSON document that `read_document` finds at a path.

    Raises:
      DataError: As `read_document`, or if it is not JSON.
    """
    where, content = read_document(path, ".json", exported)
    try:
        return where, json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON: {error}") from error


def read_xml(path: Path, exported: ExportedRound) -> tuple[str, ElementTree.Element]:
    """Reads the XML document that `read_document` finds at a path.

    Raises:
      DataError: As `read_document`, or if it is not XML, defines entities, or is nested too deeply.
    """
    where, content = read_document(path, ".xml", exported)
    try:
        _check_depth(content)
        # Entities could expand without bounds or refer to other files. No tool writes any.
        return where, defusedxml.ElementTree.fromstring(content, forbid_dtd=True)
    except defusedxml.DefusedXmlException as error:
        raise DataError(
            f"{where} has a document type definition, which CVAT never writes"
        ) from error
    except (ElementTree.ParseError, expat.ExpatError, LookupError, ValueError) as error:
        raise DataError(f"{where} is not XML: {error}") from error


def _check_depth(content: bytes) -> None:
    """Raises a ValueError if elements are nested too deeply: freeing them would end Python."""
    depth = 0

    def start(name: str, attributes: dict) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise ValueError(f"its elements are nested more than {_MAX_DEPTH} deep")

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*unused: Any) -> None:
        raise defusedxml.DTDForbidden(*unused[:3])

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(content, True)


def read_document(path: Path, suffix: str, exported: ExportedRound) -> tuple[str, bytes]:
    """Reads a file, or the only file in a folder or zip archive whose name ends in `suffix`.

    Args:
      path: The file, folder or archive.
      suffix: The ending, in lower case.
      exported: What it tells of, which limits how large it can be.

    Returns:
      Where it was found, for error messages, and its content.

    Raises:
      DataError: If there is not exactly one, or it is too large.
    """
    limit = min(MAX_BYTES, _BASE_BYTES + _BYTES_PER_PIXEL * exported.pixels)
    try:
        if path.is_dir():
            path = path / _only(
                [each.name for each in path.iterdir() if each.is_file()], suffix, path
            )
            check_inside(path, path.parent)
        if path.suffix.lower() != suffix and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                member = _only(archive.namelist(), suffix, path)
                _check_bytes(archive.getinfo(member).file_size, f"{member} in {path}", limit)
                with archive.open(member) as file:  # reads at most what the archive's index says
                    return f"{path.name}/{member}", file.read(limit)
        if path.exists() and not path.is_file():
            raise DataError(f"{path} is not a regular file")
        _check_bytes(path.stat().st_size, path, limit)
        return path.name, path.read_bytes()
    except (
        OSError,
        EOFError,
        RuntimeError,  # an encrypted member; a compression that zipfile lacks
        UnicodeError,  # the name of a member
        lzma.LZMAError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{path} can't be read: {reason}") from error


def check_inside(path: Path, folder: Path) -> None:
    """Raises a `DataError` if a path is a link that leads out of the folder."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{path} is a link that leads out of {folder}; put the file itself there")


def _only(names: Iterable[str], suffix: str, path: Path) -> str:
    found = [
        name
        for name in names
        if name.lower().endswith(suffix)
        and not name.endswith(MANIFEST)
        and not name.rpartition("/")[2].startswith(".")
    ]
    if len(found) != 1:
        listed = f" ({', '.join(sorted(found)[:5])})" if found else ""
        raise DataError(
            f"{path} has {len(found)} files *{suffix}{listed}, but exactly one is needed; give "
            "the file itself as --input"
        )
    return found[0]


def _check_bytes(size: int, path: Any, limit: int) -> None:
    if size > limit:
        raise DataError(
            f"{path} has {size:,} bytes; answers to these images need at most {limit:,}. Give the "
            "file of this round alone, or split it into several"
        )

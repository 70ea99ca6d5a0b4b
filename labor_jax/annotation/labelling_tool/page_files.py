"""Serves the page's files: HTML, CSS, JavaScript and the icon."""

import importlib.resources
import logging
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from labor_jax.annotation.labelling_tool.http_errors import RequestError

logger = logging.getLogger(__name__)

_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def find_page_files() -> dict[str, Any]:
    """The files of the package's folder `page`, by name. No other file is ever served."""
    folder = importlib.resources.files("labor_jax.annotation.labelling_tool") / "page"
    files = {
        file.name: file
        for file in (folder.iterdir() if folder.is_dir() else ())
        if file.is_file() and file.name.endswith(tuple(_CONTENT_TYPES))
    }
    if "index.html" not in files:
        logger.error("The labelling tool's page is missing: there is no %s/index.html.", folder)
    return files


class PageFiles:
    """Answers requests for the page's files."""

    def __init__(self, files: Mapping[str, Any]):
        """Serves `files`, as `find_page_files` finds them."""
        self._files = files

    async def index(self, request: Request) -> Response:
        """The page itself."""
        return self._file("index.html")

    async def file(self, request: Request) -> Response:
        """The file that the path names."""
        return self._file(request.path_params["name"])

    def _file(self, name: str) -> Response:
        if name not in self._files:
            what = "page" if name == "index.html" else "such file"
            raise RequestError(404, f"The labelling tool's installation has no {what}.")
        media_type = _CONTENT_TYPES[name[name.rindex(".") :]]
        content = self._files[name].read_bytes()
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

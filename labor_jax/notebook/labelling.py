"""The labelling tool of a run, in the notebook itself."""

import contextlib
import functools
import importlib.util
import os
import socket
import sys
import threading
import urllib.parse
from pathlib import Path

# Pages that hold cells: Jupyter on this machine, VS Code, and Colab with the frames of its output.
_LOCAL_PAGES = ("http://localhost:*", "http://127.0.0.1:*", "vscode-webview:")
_COLAB_PAGES = (
    "https://colab.research.google.com",
    "https://colab.google.com",
    "https://*.googleusercontent.com",
)

_ADVICE = "The run goes on when you run its cell in the notebook again."


class LabellingTool:
    """A labelling tool that is being served; as a cell's last value it shows itself in a frame.

    Attributes:
      port: the port of this machine at which it is.
      address: where a browser on this machine finds it.
      height: of the frame, in pixels.
    """

    def __init__(self, workdir: str | os.PathLike, *, height: int = 800, port: int = 0):
        """Serves the tool in a thread until `stop`; see `labelling_tool`."""
        from labor_jax import labelling_server
        from labor_jax.annotation.labelling_tool.access_control import LOOPBACK_NAMES

        self.height = height
        with contextlib.ExitStack() as opened:
            tool = opened.enter_context(labelling_server.open_tool(workdir, advice=_ADVICE))
            listener = opened.enter_context(socket.create_server(("127.0.0.1", port), backlog=1024))
            self.port = listener.getsockname()[1]
            self.address = f"http://localhost:{self.port}/"
            self._tool = tool
            proxy = _colab_origin(self.port) if in_colab() else None
            app = tool.app(
                hosts=LOOPBACK_NAMES,
                frame_ancestors=_LOCAL_PAGES if proxy is None else _COLAB_PAGES,
                proxy_origins=() if proxy is None else (proxy,),
            )
            self._server = labelling_server.make_server(app)
            self._opened = opened.pop_all()
        self._thread = threading.Thread(
            target=functools.partial(self._server.run, sockets=[listener]), daemon=True
        )
        self._thread.start()

    def what_to_do(self) -> str:
        """What is waiting for answers, as a sentence."""
        return self._tool.what_to_do()

    def stop(self) -> None:
        """Stops it. All answers are in the run's label store."""
        self._server.should_exit = True
        self._thread.join()
        self._opened.close()

    def show(self) -> None:
        """Shows it below the cell."""
        from IPython.display import IFrame, display

        if in_colab():
            from google.colab import output

            output.serve_kernel_port_as_iframe(self.port, height=str(self.height))
        else:
            print(f"Also at {self.address}, for a browser on this machine.")
            display(IFrame(self.address, "100%", self.height))

    _ipython_display_ = show


_served: dict[Path, LabellingTool] = {}
"""The tools that this process serves, by workdir."""


def labelling_tool(
    workdir: str | os.PathLike, *, height: int = 800, port: int = 0
) -> LabellingTool:
    """Serves the labelling tool of a run that waits for people, on this machine alone.

    It stays while the notebook's kernel runs, and shows the questions of later rounds too. Called
    again for the same run, it returns the same tool, at its port. In Colab the page comes through
    Colab's proxy, which lets nobody but you in. A Jupyter server on another machine needs its port
    forwarded: `ssh -L PORT:localhost:PORT`.

    Args:
      workdir: the run's.
      height: of the frame, in pixels.
      port: the port to listen on; 0 chooses a free one.

    Returns:
      The tool; the last value of a cell is shown below it.

    Raises:
      ModuleNotFoundError: the extra `annotate` is not installed.
      ConfigError, DataError, LabelStoreError: see `labelling_server.open_tool`.
      OSError: the port is taken.
    """
    needed = ("h11", "starlette", "uvicorn")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"The labelling tool needs {', '.join(missing)}: pip install 'labor_jax[annotate]'"
        )
    key = Path(os.path.expanduser(workdir)).resolve()
    tool = _served.get(key)
    if tool is None or not tool._thread.is_alive():
        tool = _served[key] = LabellingTool(workdir, height=height, port=port)
    tool.height = height
    print(tool.what_to_do())
    return tool


def in_colab() -> bool:
    """Whether this process is a kernel of Google Colab, which imports its package at the start."""
    return "google.colab" in sys.modules


def _colab_origin(port: int) -> str:
    """The origin at which Colab's proxy shows a port of this machine."""
    from google.colab import output

    address = urllib.parse.urlsplit(output.eval_js(f"google.colab.kernel.proxyPort({port})"))
    return f"{address.scheme}://{address.netloc}"

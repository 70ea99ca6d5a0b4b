"""Serves the labelling tool: `labor-jax annotate --workdir runs/x`.

Serves the labelling tool for a run that asks people (`config.annotator` is "human"), until Ctrl-C.
The run itself may be running or not.
"""

import contextlib
import secrets
import socket
import sys
import urllib.parse
from collections.abc import Sequence

from absl import app, flags

from labor_jax import command_line
from labor_jax.annotation.labelling_tool import addresses, visitor_token

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir.")
_HOST = flags.DEFINE_string(
    "host", "127.0.0.1", "The address to listen on; 0.0.0.0 is all addresses of this machine."
)
_PORT = flags.DEFINE_integer("port", 8765, "The port to listen on; 0 chooses a free one.")
_TOKEN = flags.DEFINE_string(
    "token",
    None,
    "The secret that visitors must know. It is required, and generated unless you give it, if the "
    "tool can be reached from other machines or under another name. Other users of this machine "
    f"can see flags: rather use --token_file or the variable {visitor_token.VARIABLE}.",
)
_TOKEN_FILE = flags.DEFINE_string("token_file", None, "A file that holds the token.")
_ALLOW_HOST = flags.DEFINE_multi_string(
    "allow_host",
    [],
    "One more name at which the tool is visited, such as a proxy's; repeatable. With scheme and "
    "port if a proxy has others than HTTPS's: http://label.example.com:8080.",
)


def main(argv: Sequence[str]) -> None:
    """Serves the labelling tool."""
    if len(argv) > 1 or not _WORKDIR.value:
        meant = f", as in labor-jax annotate --workdir {argv[1]}" if len(argv) == 2 else ""
        raise app.UsageError(f"Give --workdir, and no arguments other than flags{meant}.")
    if not 0 <= _PORT.value <= 65535:
        raise app.UsageError(f"--port is {_PORT.value}; it lies from 0 to 65535.")
    try:
        token = visitor_token.read(_TOKEN.value, _TOKEN_FILE.value)
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    try:
        origins = [addresses.origin_of(each) for each in _ALLOW_HOST.value]
    except ValueError as error:
        raise app.UsageError(f"--allow_host: {error}") from error
    try:
        from labor_jax import labelling_server  # after the flags: a mistyped one fails at once
    except ModuleNotFoundError as error:
        raise app.UsageError(
            f"The labelling tool needs the package {error.name}: pip install 'labor_jax[annotate]'"
        ) from error
    from labor_jax.annotation.labelling_tool import access_control

    # A name that --allow_host adds leads here from elsewhere, through a proxy for example.
    if token is None and (origins or not access_control.is_loopback(_HOST.value)):
        token = secrets.token_urlsafe(16)
    with labelling_server.open_tool(_WORKDIR.value) as tool, _listening() as listener:
        application = tool.app(
            hosts={*access_control.LOOPBACK_NAMES, _HOST.value, socket.gethostname()},
            proxy_origins=origins,
            any_address=_HOST.value in ("0.0.0.0", "::"),
            token=token,
            on_complete=lambda round: _say(f"Round {round} is labelled. {tool.run.advice}"),
        )
        _say(f"The labelling tool of {_WORKDIR.value}: {_address(listener, token)}")
        _say(tool.what_to_do())
        _say("Press Ctrl-C to stop it; no answer is lost.")
        # The event loop waits for threads to release the GIL, 5 ms each time by default.
        sys.setswitchinterval(5e-4)
        with contextlib.suppress(KeyboardInterrupt):
            labelling_server.make_server(application).run(sockets=[listener])
        _say("\nThe labelling tool has stopped. All answers are in the label store.")


def _listening() -> socket.socket:
    host, port = _HOST.value, _PORT.value
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise app.UsageError(
            f"Can't listen on {host}, port {port}: {error}. Choose another --port, or --port=0 for "
            "a free one."
        ) from error


def _address(listener: socket.socket, token: str | None) -> str:
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(
        _HOST.value, _HOST.value
    )
    host = f"[{host}]" if ":" in host else host
    query = "" if token is None else f"?token={urllib.parse.quote(token, safe='')}"
    return f"http://{host}:{listener.getsockname()[1]}/{query}"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(command_line.run(main))

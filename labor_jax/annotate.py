"""Serves the labelling tool: `labor-jax annotate --workdir runs/x`.

Serves the labelling tool for a run that asks people (`config.annotator` is "human"), until Ctrl-C.
The run itself may be running or not.
"""

import contextlib
import json
import secrets
import socket
import sys
import urllib.parse
from collections.abc import Sequence

from absl import app, flags

from labor_jax import command_line
from labor_jax.annotation.labelling_tool import visitor_token
from labor_jax.experiment.workdir import ConfigError, Workdir

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
    "allow_host", [], "One more name at which the tool is visited, such as a proxy's; repeatable."
)


def main(argv: Sequence[str]) -> None:
    """Serves the labelling tool."""
    if len(argv) > 1 or not _WORKDIR.value:
        raise app.UsageError("Give --workdir, and no arguments other than flags.")
    try:
        token = visitor_token.read(_TOKEN.value, _TOKEN_FILE.value)
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    try:
        import uvicorn  # noqa: F401  (after the flags, so that a mistyped one fails at once)

        from labor_jax.annotation.labelling_tool import access_control, api
    except ModuleNotFoundError as error:
        raise app.UsageError(
            f"The labelling tool needs the package {error.name}: pip install 'labor_jax[annotate]'"
        ) from error
    from labor_jax.annotation import LabelStore
    from labor_jax.experiment import data_identity

    folder = Workdir.existing(_WORKDIR.value)
    config = folder.read_config()
    pair = folder.load_pair(["pool"])
    data_identity.check(folder, pair)
    run = _run(api.Run, folder, config)
    settings = _settings(api.Settings, config)
    if not folder.labels.exists():
        raise ConfigError(
            f"{folder.path} has no label store yet. Start its run with --config.annotator=human, "
            "and start this tool when the run says that it is waiting for answers."
        )
    # A name that --allow_host adds leads here from elsewhere, through a proxy for example.
    if token is None and (_ALLOW_HOST.value or not access_control.is_loopback(_HOST.value)):
        token = secrets.token_urlsafe(16)
    with LabelStore(folder.labels, classes=pair.classes) as store, _listening() as listener:
        service = _service(store, settings, folder)
        application = _application(service, pair, run, settings, token)
        _say(f"The labelling tool of {folder.path}: {_address(listener, token)}")
        _say(_what_to_do(store, service, run))
        _say("Press Ctrl-C to stop it; no answer is lost.")
        _serve(application, listener)
        _say("\nThe labelling tool has stopped. All answers are in the label store.")


def _service(store, settings, folder: Workdir):
    from labor_jax.annotation.labelling_tool.labelling_service import LabellingService

    try:
        return LabellingService(
            store,
            lease_seconds=settings.lease_seconds,
            second_opinion=settings.second_opinion,
        )
    except ValueError as error:
        raise ConfigError(f"{folder.config}: config.annotation.{error}.") from error


def _application(service, pair, run, settings, token: str | None):
    from labor_jax.annotation.labelling_tool.access_control import LOOPBACK_NAMES
    from labor_jax.annotation.labelling_tool.app import make_app

    return make_app(
        service,
        pair,
        run,
        settings,
        hosts={*LOOPBACK_NAMES, _HOST.value, socket.gethostname(), *_ALLOW_HOST.value},
        any_address=_HOST.value in ("0.0.0.0", "::"),
        token=token,
        on_complete=lambda round: _say(f"Round {round} is labelled. {run.advice}"),
    )


def _serve(application, listener: socket.socket) -> None:
    """Serves until Ctrl-C."""
    import uvicorn

    from labor_jax.annotation.labelling_tool.http_protocol import ImpatientProtocol

    server = uvicorn.Server(
        uvicorn.Config(
            application,
            http=ImpatientProtocol,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,  # longer than the page ever stays silent
            timeout_graceful_shutdown=5,
        )
    )
    # The event loop waits for threads to release the GIL, 5 ms each time by default.
    sys.setswitchinterval(5e-4)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _settings(settings_type, config):
    """The run's `config.annotation`; fields that an older run lacks have their defaults."""
    section = config.get("annotation", {})
    return settings_type(
        **{name: section[name] for name in settings_type._fields if name in section}
    )


def _run(run_type, folder: Workdir, config):
    """What the page says about the run."""
    command = folder.command.read_text().strip() if folder.command.exists() else None
    how = command or f"labor-jax run … --workdir {folder.path}"
    return run_type(
        name=folder.path.resolve().name,
        method=config.method,
        data=json.dumps([config.pair, config.data.to_dict()], sort_keys=True),
        command=command,
        advice=f"Continue the run with the command that started it: {how}",
    )


def _listening() -> socket.socket:
    host, port = _HOST.value, _PORT.value
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
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


def _what_to_do(store, service, run) -> str:
    """What is waiting for answers, as a sentence."""
    round = service.reader.current_round()
    if round is None:
        return (
            "The run hasn't asked anything yet. Its questions appear in the tool as soon as it "
            "does; it must run with --config.annotator=human."
        )
    progress = service.progress.of_round(round)
    if progress.complete:
        return (
            f"Round {round} is labelled; its answers can still be corrected. {run.advice}\n"
            "The questions of the next round appear in the tool as soon as the run asks them."
        )
    asked = store.statistics(round)
    if asked.asked_images < asked.images:
        return (
            f"Round {round} is waiting for answers: {progress.items - progress.done} items so far; "
            f"the run has yet to ask about {asked.images - asked.asked_images} images."
        )
    return f"Round {round} is waiting for answers: {progress.items - progress.done} items."


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(command_line.run(main))

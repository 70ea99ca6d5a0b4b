"""The command line: `python -m labor_jax.annotate --workdir runs/x`.

Serves the labelling tool for a run that asks people (`config.annotator` is "human"), until Ctrl-C.
The run need not be running, and may be.
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
from labor_jax.workdir import ConfigError, Workdir

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir.")
_HOST = flags.DEFINE_string(
    "host", "127.0.0.1", "The address to listen at; 0.0.0.0 is all of this machine's."
)
_PORT = flags.DEFINE_integer("port", 8765, "The port to listen at; 0 takes a free one.")
_TOKEN = flags.DEFINE_string(
    "token",
    None,
    "What visitors have to know. Needed, and made up if it isn't given, where others than this "
    "machine's users reach the tool.",
)
_ALLOW_HOST = flags.DEFINE_multi_string(
    "allow_host", [], "One more name at which the tool is visited, as behind a proxy; repeatable."
)


def main(argv: Sequence[str]) -> None:
    """Serves the labelling tool."""
    if len(argv) > 1 or not _WORKDIR.value:
        raise app.UsageError("Give --workdir, and no other arguments than flags.")
    if _TOKEN.value is not None and not (_TOKEN.value.isascii() and _TOKEN.value.isprintable()):
        raise app.UsageError("--token has printable ASCII characters only.")
    if _TOKEN.value == "":
        raise app.UsageError("--token is empty; leave it out, and one is made up where needed.")
    try:
        import uvicorn  # after the flags: a mistyped one should fail at once

        from labor_jax.annotation import guard, server
    except ModuleNotFoundError as error:
        raise app.UsageError(
            f"The labelling tool needs the package {error.name}: pip install 'labor_jax[annotate]'"
        ) from error
    from labor_jax.annotation import LabelStore
    from labor_jax.annotation.work import Work
    from labor_jax.data import load_pair

    folder = Workdir.existing(_WORKDIR.value)
    config = folder.read_config()
    try:
        pair = load_pair(config.pair, config.data, roles=("pool",))
        run = _run(server.Run, folder, config)
        settings = _settings(server.Settings, config)
    except (AttributeError, KeyError) as error:
        raise ConfigError(
            f"{folder.config} is of another version of labor_jax, or damaged: {error}. Use the "
            "version that wrote it."
        ) from error
    if not folder.labels.exists():
        raise ConfigError(
            f"{folder.path} has no label store yet. Start its run with --config.annotator=human, "
            "and this tool when the run says that it waits."
        )
    token = _TOKEN.value
    if token is None and not guard.is_loopback(_HOST.value):
        token = secrets.token_urlsafe(16)
    with LabelStore(folder.labels, classes=pair.classes) as store, _listening() as listener:
        try:
            work = Work(
                store,
                lease_seconds=settings.lease_seconds,
                second_opinion=settings.second_opinion,
            )
        except ValueError as error:
            raise ConfigError(f"{folder.config}: config.annotation.{error}.") from error
        wildcard = _HOST.value in ("0.0.0.0", "::")
        application = server.make_app(
            work,
            pair,
            run,
            settings,
            hosts={*guard.LOOPBACK_NAMES, _HOST.value, socket.gethostname(), *_ALLOW_HOST.value},
            any_address=wildcard,
            token=token,
            on_complete=lambda round: _say(f"Round {round} is labelled. {run.advice}"),
        )
        _say(f"The labelling tool of {folder.path}: {_address(listener, token)}")
        _say(_waiting(store, work, run))
        _say("Ctrl-C ends it; nothing that was answered is lost.")
        serving = uvicorn.Server(
            uvicorn.Config(
                application,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_keep_alive=75,  # longer than pages are silent
                timeout_graceful_shutdown=5,
            )
        )
        # The loop that answers waits behind threads for Python's lock, 5 ms at a time by default.
        sys.setswitchinterval(5e-4)
        with contextlib.suppress(KeyboardInterrupt):
            serving.run(sockets=[listener])
        _say("\nThe labelling tool has ended. All answers are in the label store.")


def _settings(settings_type, config):
    """The run's `config.annotation`, where a field that an older run lacks has its default."""
    section = config.get("annotation", {})
    return settings_type(
        **{name: section[name] for name in settings_type._fields if name in section}
    )


def _run(run_type, folder: Workdir, config):
    """What the page tells of the run."""
    command = folder.command.read_text().strip() if folder.command.exists() else None
    how = command or f"python -m labor_jax.main --config … --workdir {folder.path}"
    return run_type(
        name=folder.path.resolve().name,
        method=config.method,
        data=json.dumps([config.pair, config.data.to_dict()], sort_keys=True),
        command=command,
        advice=f"The run goes on by the command that started it: {how}",
    )


def _listening() -> socket.socket:
    host, port = _HOST.value, _PORT.value
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        raise app.UsageError(
            f"Can't listen at {host}, port {port}: {error}. Choose another --port, or --port=0 for "
            "a free one."
        ) from error


def _address(listener: socket.socket, token: str | None) -> str:
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(
        _HOST.value, _HOST.value
    )
    host = f"[{host}]" if ":" in host else host
    query = "" if token is None else f"?token={urllib.parse.quote(token, safe='')}"
    return f"http://{host}:{listener.getsockname()[1]}/{query}"


def _waiting(store, work, run) -> str:
    """What there is to do."""
    round = work.current_round()
    if round is None:
        return (
            "The run hasn't asked anything yet. Questions appear here as soon as it asks; it has "
            "to run with --config.annotator=human."
        )
    progress = work.progress(round)
    if progress.complete:
        return (
            f"Round {round} is labelled; its answers can still be corrected. {run.advice}\n"
            "Questions of the next round appear here as soon as it asks."
        )
    asked = store.statistics(round)
    if asked.asked_images < asked.images:
        return (
            f"Round {round} waits for answers: {progress.items - progress.done} items so far; the "
            f"run has still to ask about {asked.images - asked.asked_images} images."
        )
    return f"Round {round} waits for answers: {progress.items - progress.done} items."


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(command_line.run(main))

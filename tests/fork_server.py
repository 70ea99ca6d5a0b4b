"""Python processes that start quickly: forks of one that has imported JAX and its friends.

Half of what a small command costs is their import. Nothing of the package is imported beforehand,
so a fork finds and imports it as any process does.
"""

import atexit
import gc
import json
import logging
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import threading
import types

_IMPORTED = (
    "flax.linen",
    "grain",
    "jax.numpy",
    "matplotlib.backends.backend_svg",
    "optax",
    "orbax.checkpoint",
    "PIL.Image",
    "scipy.ndimage",
)

# The server has read these already, as has what it imported.
_READ_AT_START = ("JAX_", "XLA_", "TF_", "PYTHON", "LD_", "LC_", "LANG", "OMP_", "OPENBLAS_")


def run(arguments, *, cwd=None, env=None):
    """`subprocess.run([sys.executable, *arguments])`, which captures what is printed as text.

    The arguments start with `-m` and a module, `-c` and a program, or the path of a script. Where
    the environment has other settings of Python, JAX or XLA, an ordinary process runs them; so it
    does on other systems, where a fork may not use what its parent has loaded.
    """
    arguments, env = [str(each) for each in arguments], dict(os.environ if env is None else env)
    command = [sys.executable, *arguments]
    if sys.platform != "linux" or _settings(env) != _settings(os.environ):
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        status = _server().run(arguments, str(cwd or os.getcwd()), env, out, err)
        printed = []
        for file in (out, err):
            file.seek(0)
            printed.append(file.read().decode().replace("\r\n", "\n"))
    return subprocess.CompletedProcess(command, status, *printed)


def _settings(env):
    return {k: v for k, v in env.items() if k.startswith(_READ_AT_START) and k != "PYTHONPATH"}


class _Server:
    """This file as a script, in a process of its own."""

    def __init__(self):
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self.settings = _settings(os.environ)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        atexit.register(self.close)

    def run(self, arguments, cwd, env, out, err):
        with self._lock, tempfile.TemporaryFile() as request:
            request.write(json.dumps([arguments, cwd, env]).encode())
            request.flush()
            files = [request.fileno(), out.fileno(), err.fileno()]
            socket.send_fds(self._socket, [b"run"], files)
            status = self._socket.recv(16)
        if not status:
            raise RuntimeError("the fork server ended")
        return int(status)

    def close(self):
        self._socket.close()
        self._process.wait()


_started = []


def _server():
    if not _started or _started[0].settings != _settings(os.environ):
        if _started:
            _started.pop().close()
        _started.append(_Server())
    return _started[0]


def _serve(connection):
    """Forks for each request; returns in the fork, with its arguments."""
    for module in _IMPORTED:
        __import__(module)
    logging.root.handlers.clear()  # Grain has set logging up
    gc.collect()
    gc.freeze()
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [path for path in sys.path[1:] if path not in given]
    while True:
        message, (files) = socket.recv_fds(connection, 16, 3)[:2]
        if not message:
            os._exit(0)
        child = os.fork()
        if not child:
            connection.close()
            return _become(files, paths)
        for file in files:
            os.close(file)
        _, status = os.waitpid(child, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(files, paths):
    with os.fdopen(files[0], "rb") as request:
        request.seek(0)
        arguments, cwd, env = json.load(request)
    for file, number in zip(files[1:], (1, 2), strict=True):
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    given = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [cwd, *given, *paths]
    return arguments


def _execute(kind, *arguments):
    """What Python's own command line does."""
    if kind == "-c":
        program, *sys.argv[1:] = arguments
        sys.argv[0] = "-c"
        sys.modules["__main__"] = module = types.ModuleType("__main__")
        exec(compile(program, "<string>", "exec"), module.__dict__)
    elif kind == "-m":
        module, *sys.argv[1:] = arguments
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = [kind, *arguments]
        sys.path[0] = os.path.dirname(os.path.abspath(kind))
        runpy.run_path(kind, run_name="__main__")


def _status_of(arguments):
    """Executes them; returns the exit status, and prints what Python would."""
    try:
        _execute(*arguments)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


if __name__ == "__main__":
    status = _status_of(_serve(socket.socket(fileno=int(sys.argv[1]))))
    # All that Python does at its end but freeing its objects: that would copy the server's memory.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 255)

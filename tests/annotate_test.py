"""The labelling tool's command: what it prints, how it ends, and that a kill loses nothing."""

import contextlib
import os
import signal
import socket
import subprocess
import sys

import httpx2
import pytest

from benchmarks.human_runs import write_run
from labor_jax.annotation import LabelStore
from labor_jax.data import street
from tests import fork_server
from tests.conftest import ROOT


def start(*flags, site=""):
    return subprocess.Popen(
        [sys.executable, "-m", "labor_jax.annotate", *map(str, flags)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{site}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def failure(*flags):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = fork_server.run(["-m", "labor_jax.annotate", *flags], cwd=ROOT, env=environment)
    assert process.returncode == 1 and "Traceback" not in process.stderr
    return process.stdout + process.stderr


def serving(*flags, site=""):
    """A server, its first line and a client; `site` is a folder of modules that it imports, too."""
    return served_by(start(*flags, "--port=0", site=site))


@contextlib.contextmanager
def served_by(process):
    """A server that was started, its first line and a client; the server is killed at the end."""
    try:
        line = process.stdout.readline()
        assert "http://" in line, process.stderr.read()
        with httpx2.Client(base_url=line.split()[-1].partition("?")[0], timeout=30) as client:
            yield process, line, client
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def take(client, annotator="ann"):
    return client.post("/api/next", json={"annotator": annotator}).json()["item"]


def step(client, item, name, request, **fields):
    fields = {"lease": item["lease"], "request": request, "seconds": 1.0, **fields}
    answer = client.post(f"/api/items/{item['id']}/{name}", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_round_is_labelled_through_kills_by_two_servers(tmp_path):
    folder = write_run(tmp_path / "run", images=3)
    folder.command.write_text("python -m labor_jax.main --config configs/ppl.py --workdir run\n")
    flags = ("--workdir", folder.path)
    with serving(*flags) as (killed, _, client):
        item = take(client)
        first, second = item["asked"][:2], item["asked"][2:]
        step(client, item, "marks", "a", label=3, pixels=first)
        killed.send_signal(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
    with serving(*flags) as (process, _, client), serving(*flags) as (_, _, other):
        # The page goes on with its lease, and sends again what it has no answer for.
        again = step(client, item, "marks", "a", label=3, pixels=first)
        assert again["labels"] == [[3, first]] and again["seconds"] == 1.0
        step(client, item, "marks", "b", label=255, pixels=second)
        step(client, item, "submit", "c")
        for number, server in enumerate((other, client)):
            item = take(server, f"annotator {number}")
            step(server, item, "marks", f"d{number}", label=1, pixels=item["asked"])
            step(server, item, "submit", f"e{number}")
        assert other.get("/api/session").json()["round_complete"]
        assert "--config configs/ppl.py" in client.get("/api/session").json()["command"]
        process.send_signal(signal.SIGINT)
        out, error = process.stdout.read(), process.stderr.read()
        assert process.wait(timeout=30) == 0 and "Traceback" not in error
    assert "Round 1 is waiting for answers: 3 items." in out  # one had been begun
    assert "Round 1 is labelled." in out and "--config configs/ppl.py --workdir run" in out
    assert "has stopped" in out
    with LabelStore(folder.labels, classes=street.CLASSES) as store:
        assert store.round_complete(1)
        labels = store.labels("camera_00000").reshape(-1)
        assert labels[first[0]] == 3 and labels[second[0]] == 255
        assert store.database.read("SELECT COUNT(*) FROM events") == [(7,)]


@pytest.mark.slow
def test_off_loopback_it_makes_up_a_token(tmp_path):
    folder = write_run(tmp_path / "run")
    with serving("--workdir", folder.path, "--host=0.0.0.0") as (_, line, client):
        port = client.base_url.port
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as visitor:
            assert visitor.get("/api/session").status_code == 401
            token = line.split("?token=")[1].strip()
            assert len(token) >= 20
            header = {"authorization": f"Bearer {token}"}
            assert visitor.get("/api/session", headers=header).status_code == 200
            header["host"] = "evil.example"
            assert visitor.get("/api/session", headers=header).status_code == 403


@pytest.mark.slow
def test_it_can_be_written_to_behind_a_proxy_that_replaces_the_host(tmp_path):
    folder = write_run(tmp_path / "run")
    flags = ("--allow_host=label.example.com.", "--allow_host=http://label.example.com:8080")
    with serving("--workdir", folder.path, *flags) as (_, line, client):
        client.headers["authorization"] = f"Bearer {line.split('?token=')[1].strip()}"
        for origin, status in (
            ("https://label.example.com", 200),
            ("http://label.example.com:8080", 200),
            ("http://label.example.com", 403),
            ("https://evil.example", 403),
        ):
            answer = client.post("/api/next", json={"annotator": "a"}, headers={"origin": origin})
            assert answer.status_code == status
        answer = client.get("/api/session", headers={"host": "label.example.com:8080"})
        assert answer.status_code == 200


def test_what_is_wrong_is_said(tmp_path):
    assert "Give --workdir" in failure()
    assert "holds no run" in failure("--workdir", tmp_path)
    assert "'a/b' is no address" in failure("--workdir", tmp_path, "--allow_host=a/b")
    folder = write_run(tmp_path / "run", second_opinion=2.0)
    assert "second_opinion is 2.0" in failure("--workdir", folder.path, "--port=0")
    folder = write_run(tmp_path / "another")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        message = failure("--workdir", folder.path, f"--port={taken.getsockname()[1]}")
        assert "Choose another --port" in message
    folder.labels.unlink()
    assert "no label store yet" in failure("--workdir", folder.path)


@pytest.mark.parametrize(
    "prepare, expected",
    [
        pytest.param(lambda store, pair: None, "hasn't asked anything yet", marks=pytest.mark.slow),
        (lambda store, pair: store.open_round(1, pair), "yet to ask about 2 images"),
    ],
)
def test_a_run_that_asks_later_is_waited_for(tmp_path, prepare, expected):
    folder = write_run(tmp_path / "run", images=2)
    folder.labels.unlink()
    with LabelStore(folder.labels, classes=street.CLASSES) as store:
        prepare(store, ["camera_00000", "camera_00001"])
    with serving("--workdir", folder.path) as (process, _, client):
        assert client.post("/api/next", json={"annotator": "ann"}).json()["item"] is None
        assert expected in process.stdout.readline()

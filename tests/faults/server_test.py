"""The labelling tool's server under requests without an end, and with its file taken away."""

import contextlib
import os
import re
import shutil
import socket
import time

import httpx2
import pytest

from benchmarks.human_runs import write_run
from labor_jax.annotation import LabelStore, LabelStoreError
from labor_jax.annotation.labelling_tool import http_protocol, visitor_token
from labor_jax.annotation.labelling_tool.labelling_service import LabellingService
from labor_jax.data import street
from tests.annotate_test import serving, step, take
from tests.slow import all_but


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server whose patience with heads is two seconds."""
    path = tmp_path_factory.mktemp("server")
    folder = write_run(path / "run", images=2)
    (path / "sitecustomize.py").write_text(
        "from labor_jax.annotation.labelling_tool import http_protocol\n"
        "http_protocol.HEAD_SECONDS = 2.0\n"
    )
    with serving("--workdir", folder.path, site=path) as (_, _, client):
        yield client


def connected(client):
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=20)


def closes(connection, within):
    """Whether the server ends a connection in time."""
    connection.settimeout(within)
    with contextlib.suppress(ConnectionError):
        while connection.recv(4096):
            pass
    return True


def test_half_sent_requests_end_and_others_are_served_meanwhile(server):
    begun = [connected(server) for _ in range(50)]
    for number, connection in enumerate(begun):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " * bool(number % 2))
    assert server.get("/api/session").status_code == 200
    for connection in begun:
        assert closes(connection, within=10)
        connection.close()


def test_a_head_without_end_is_refused_and_others_are_served_meanwhile(server):
    with connected(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 2**24:
                connection.sendall(b"a" * 2**16)
                sent += 2**16
                assert server.get("/api/session").status_code == 200
        assert sent < 2**22
        assert closes(connection, within=10)


def test_a_kept_connection_is_not_cut_off(server):
    with httpx2.Client(base_url=server.base_url, timeout=10) as client:
        assert client.get("/api/session").status_code == 200
        time.sleep(2.5)
        assert client.get("/api/session").status_code == 200
    assert http_protocol.HEAD_SECONDS >= 10  # for slow lines


@pytest.mark.parametrize("name", all_but(["labels.sqlite"], ["labels.sqlite", "labels.sqlite-wal"]))
@pytest.mark.parametrize("fault", all_but(["replaced"], ["deleted", "replaced"]))
def test_nothing_is_acknowledged_once_the_file_is_gone(tmp_path, name, fault):
    folder = write_run(tmp_path / "run", images=1)
    with serving("--workdir", folder.path) as (_, _, client):
        item = take(client)
        step(client, item, "marks", "a", label=3, pixels=item["asked"][:2])
        path = folder.path / name
        if fault == "replaced":
            shutil.copy(path, tmp_path / "copy")
            os.replace(tmp_path / "copy", path)
        else:
            path.unlink()
        fields = {"lease": item["lease"], "request": "b", "label": 3, "pixels": item["asked"][2:4]}
        answer = client.post(f"/api/items/{item['id']}/marks", json=fields)
        assert answer.status_code == 503
        assert "was moved, replaced or deleted while it was open" in answer.json()["error"]


def test_a_store_that_vanished_is_not_made_anew(tmp_path):
    folder = write_run(tmp_path / "run", images=1)
    with LabelStore(folder.labels, classes=street.CLASSES) as store:
        folder.labels.unlink()
        with pytest.raises(LabelStoreError, match="moved, replaced or deleted"):
            store.open_round(9, ["a"])
        assert not folder.labels.exists()


def test_a_clock_that_is_set_back_keeps_no_lease_for_long(tmp_path):
    folder, now = write_run(tmp_path / "run", images=1), [1e9]
    with LabelStore(folder.labels, classes=street.CLASSES) as store:
        service = LabellingService(store, lease_seconds=60.0, clock=lambda: now[0])
        assert service.next("ann") is not None
        now[0] -= 86_400
        assert service.next("ben") is None
        now[0] += 61
        assert service.next("ben") is not None


def test_another_name_needs_a_token(tmp_path):
    folder = write_run(tmp_path / "run", images=1)
    flags = ("--workdir", folder.path, "--allow_host=labels.example.org")
    with serving(*flags) as (_, line, client):
        (token,) = re.findall(r"\?token=(\S+)", line)
        headers = {"host": "labels.example.org"}
        assert client.get("/api/session", headers=headers).status_code == 401
        headers["authorization"] = f"Bearer {token}"
        assert client.get("/api/session", headers=headers).status_code == 200


def test_a_token_from_a_file_or_the_environment(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("from-a-file\n")
    file = str(tmp_path / "token")
    monkeypatch.delenv("LABOR_JAX_TOKEN", raising=False)
    assert visitor_token.read(None, None) is None
    assert visitor_token.read("from-a-flag", None) == "from-a-flag"
    monkeypatch.setenv("LABOR_JAX_TOKEN", "from-the-environment")
    assert visitor_token.read(None, None) == "from-the-environment"
    assert visitor_token.read(None, file) == "from-a-file"
    monkeypatch.setenv("LABOR_JAX_TOKEN", "")
    for flags, message in (
        ((None, str(tmp_path / "none")), r"none can't be read"),
        (("x", file), "not both"),
        ((None, None), "LABOR_JAX_TOKEN is empty"),
        (("k\u00e4se", None), "--token may only contain printable ASCII"),
    ):
        with pytest.raises(ValueError, match=message):
            visitor_token.read(*flags)

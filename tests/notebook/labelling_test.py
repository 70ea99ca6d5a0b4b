"""The labelling tool in a notebook: who may show it, and that it works behind Colab's proxy."""

import runpy
import sys
import types

import httpx2
import pytest

from benchmarks.human_runs import write_run
from labor_jax.experiment.workdir import ConfigError
from labor_jax.notebook import labelling, labelling_tool

PROXY = "https://abc-8765-colab.googleusercontent.com"


@pytest.fixture
def workdir(tmp_path):
    return write_run(tmp_path / "run", images=2).path


def take(client, **headers):
    return client.post("/api/next", json={"annotator": "ann"}, headers=headers)


def test_the_tool_is_served_until_it_is_stopped(workdir, capsys):
    tool = labelling_tool(workdir)
    with httpx2.Client(base_url=tool.address) as client:
        headers = client.get("/").headers
        policy = headers["content-security-policy"]
        assert "frame-ancestors http://localhost:*" in policy and "google" not in policy
        assert take(client).json()["item"]["id"] == "1-0-1"
        assert take(client, origin=PROXY).status_code == 403
        assert "in the notebook" in client.get("/api/session").json()["continue"]
    assert labelling_tool(workdir) is tool
    assert capsys.readouterr().out == 2 * "Round 1 is waiting for answers: 2 items.\n"
    tool.stop()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(tool.address)
    again = labelling_tool(workdir)
    assert again is not tool
    again.stop()


def test_it_shows_itself_in_a_frame(workdir, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    tool = labelling_tool(workdir, height=500)
    tool._ipython_display_()
    labelling_tool(workdir, height=300).show()
    tool.stop()
    assert [(each.src, each.height) for each in shown] == [(tool.address, 500), (tool.address, 300)]


def test_in_colab_its_proxy_shows_it(workdir, monkeypatch):
    shown = []
    output = types.SimpleNamespace(
        eval_js=lambda script: f"{PROXY}/" if script.startswith("google.colab.kernel") else None,
        serve_kernel_port_as_iframe=lambda port, **options: shown.append((port, options)),
    )
    colab = types.ModuleType("google.colab")
    colab.output = output
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    tool = labelling_tool(workdir)
    tool._ipython_display_()
    with httpx2.Client(base_url=tool.address) as client:
        policy = client.get("/").headers["content-security-policy"]
        assert "https://colab.research.google.com" in policy and "localhost" not in policy
        for host in ("localhost", PROXY.removeprefix("https://")):
            headers = {"host": host, "origin": PROXY, "sec-fetch-site": "same-origin"}
            assert take(client, **headers).json()["item"]["id"] == "1-0-1"
    tool.stop()
    assert shown == [(tool.port, {"height": "800"})]


def test_a_run_that_asks_nobody_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="holds no run"):
        labelling_tool(tmp_path)


def test_only_the_tool_needs_its_extra(monkeypatch):
    for name in {"starlette", *sys.modules}:
        if name.startswith("starlette"):
            monkeypatch.setitem(sys.modules, name, None)
        elif name.startswith("labor_jax.annotation.labelling_tool."):
            monkeypatch.delitem(sys.modules, name)
    names = runpy.run_path(labelling.__file__)
    with pytest.raises(
        ModuleNotFoundError, match=r"starlette: pip install 'labor_jax\[annotate\]'"
    ):
        names["labelling_tool"]("run")

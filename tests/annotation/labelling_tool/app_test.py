"""The labelling tool over HTTP: what it answers, whom it answers, and what it refuses."""

import asyncio
import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from labor_jax.annotation import LabelStore
from labor_jax.annotation.labelling_tool import access_control, app
from labor_jax.annotation.labelling_tool.api import Run, Settings
from labor_jax.annotation.labelling_tool.http_requests import MAX_BODY
from labor_jax.annotation.labelling_tool.item_reader import ItemReader
from labor_jax.annotation.labelling_tool.labelling_service import LabellingService
from labor_jax.annotation.labelling_tool.page_files import find_page_files
from labor_jax.data import Pair
from labor_jax.data.base import DataError
from tests.annotation.examples import CLASSES, SHAPE, query_of

PALETTE = np.array([[128, 64, 128], [70, 70, 70], [70, 130, 180]], np.uint8)
STRANGE = "\"><script>alert('x')</script>/../../etc/passwd 標\N{RIGHT-TO-LEFT OVERRIDE}.png"
URL = "http://127.0.0.1:8765"


class Pool:
    """Images of twice the label's size; the last can't be read."""

    names = ("first", STRANGE, "third", "damaged")

    def __len__(self):
        return len(self.names)

    def size(self, i):
        return SHAPE

    def image(self, i):
        if self.names[i] == "damaged":
            raise DataError("damaged.png is cut off")
        return np.full((2 * SHAPE[0], 2 * SHAPE[1], 3), 40 * i, np.uint8)

    def label(self, i):
        raise AssertionError("the tool has no business with labels")


PAIR = Pair("folders", CLASSES, PALETTE, Pool(), Pool(), Pool())
RUN = Run("x", "ppl", "data", "run it again", "Run it again.")


def ask(store):
    store.open_round(1, Pool.names)
    query, guess = query_of((0, 0), (0, 1), (2, 3)), np.ones(SHAPE, np.uint8)
    store.ask_many(1, [(name, query, 3, guess) for name in Pool.names], kind="points")
    return store


@pytest.fixture
def asked(store):
    return ask(store)


def make_app(store, *, settings=None, **options):
    settings = settings or Settings()
    service = LabellingService(store, second_opinion=settings.second_opinion)
    options = {"hosts": access_control.LOOPBACK_NAMES, **options}
    return app.make_app(service, PAIR, RUN, settings, **options)


def client_of(store, *, base_url=URL, **options):
    return TestClient(make_app(store, **options), base_url, raise_server_exceptions=False)


@pytest.fixture
def client(asked):
    with client_of(asked) as client:
        yield client


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """A client for requests that are refused, so that many tests can share it."""
    path = tmp_path_factory.mktemp("untouched") / "labels.sqlite"
    with LabelStore(path, classes=CLASSES) as store, client_of(ask(store)) as client:
        yield client
        assert not any(store.database.read("SELECT COUNT(*) FROM events")[0])


def post(client, path, **fields):
    return client.post(f"/api/{path}", json=fields)


def take(client, annotator="ann", **wishes):
    return post(client, "next", annotator=annotator, **wishes).json()["item"]


counter = iter(range(10**9))


def step(client, item, name, **fields):
    fields = {"lease": item["lease"], "request": f"r{next(counter)}", "seconds": 1.0, **fields}
    return post(client, f"items/{item['id']}/{name}", **fields)


def finish(client, item, label=1):
    assert step(client, item, "marks", label=label, pixels=item["asked"]).status_code == 200
    return step(client, item, "submit")


# What it answers.


def test_the_session_tells_what_is_to_be_done(client):
    session = client.get("/api/session").json()
    assert session["classes"][0] == {"number": 0, "name": "road", "color": "#804080"}
    expected = {"run": "x", "pair": "folders", "method": "ppl", "round": 1, "kind": "points"}
    assert {name: session[name] for name in expected} == expected
    assert session["void"] == 255 and not session["round_complete"]
    assert (session["command"], session["continue"]) == ("run it again", "Run it again.")
    assert session["settings"] == {
        "show_guess": False,
        "superpixels": True,
        "lease_seconds": 120.0,
        "second_opinion": 0.0,
    }


def ask_parts(store, kind):
    store.open_round(1, Pool.names)
    query, guess, parts = (
        query_of((0, 0), (0, 1), (2, 3)),
        np.ones(SHAPE, int),
        np.zeros(SHAPE, int),
    )
    parts[2] = 4
    store.ask_many(1, [(name, query, None, guess, parts) for name in Pool.names], kind=kind)


def test_parts_and_the_guesses_of_corrections_are_sent_whatever_the_settings_say(store):
    ask_parts(store, "corrections")
    with client_of(store) as client:
        item = take(client)
        assert item["segments"] == [[0, 2], [17, 1]] and item["guess"] == [[1, [0, 2, 17, 1]]]
        assert item["candidates"] is None
        refused = step(client, item, "marks", label=1, pixels=[0, 1])
        assert refused.status_code == 400 and "split 1 of the parts" in refused.json()["error"]
        assert step(client, item, "toggles", label=1, pixels=[0, 2]).status_code == 400
        assert finish(client, item).status_code == 200


def test_classes_of_parts_are_toggled(store):
    ask_parts(store, "classes")
    with client_of(store) as client:
        item = take(client)
        assert item["candidates"] == [[], []] and item["guess"] is None
        step(client, item, "toggles", label=2, pixels=[0, 2])
        told = step(client, item, "toggles", label=0, pixels=[0, 2, 17, 1]).json()
        assert told["candidates"] == [[0, 2], [0]] and told["remaining"] == 0
        assert told["labels"] == [[0, [17, 1]], [255, [0, 2]]]
        assert step(client, item, "submit").status_code == 200
        assert store.candidates(item["name"], 1).tolist() == [
            [True, False, True],
            [True, False, False],
        ]


def test_an_item_from_taking_to_the_answer(client, asked):
    item = take(client)
    assert (item["id"], item["round"], item["number"], item["name"]) == ("1-0-1", 1, 0, "first")
    assert (item["height"], item["width"], item["kind"]) == (*SHAPE, "points")
    assert item["asked"] == [0, 2, 17, 1] and item["pixels"] == item["remaining"] == 3
    assert item["guess"] is None and item["labels"] == [] and item["segments"] is None

    told = step(client, item, "marks", label=2, pixels=[1, 1, 17, 1]).json()
    assert told["labels"] == [[2, [1, 1, 17, 1]]] and told["remaining"] == 1
    assert (told["can_undo"], told["can_redo"], told["seconds"]) == (True, False, 1.0)
    refused = step(client, item, "submit")
    assert refused.status_code == 400 and "1 of the 3 asked pixels" in refused.json()["error"]
    step(client, item, "marks", label=255, pixels=[0, 2])
    assert step(client, item, "undo").json()["labels"] == [[2, [1, 1, 17, 1]]]
    told = step(client, item, "redo").json()
    assert told["labels"] == [[2, [17, 1]], [255, [0, 2]]]
    told = step(client, item, "submit").json()
    assert told["progress"]["done"] == 1 and told["progress"]["pixels_done"] == 3
    assert asked.labels("first")[2, 3] == 2 and asked.answered("first", 1)
    assert step(client, item, "undo").status_code == 409  # it was given back


def test_steps_keep_skip_and_reopen(client, asked):
    item = take(client)
    assert step(client, item, "renew").status_code == 200
    assert step(client, item, "skip").status_code == 200
    other = take(client, after=item["id"])
    assert other["name"] == STRANGE
    assert take(client, "bob", prefer="1-2-1")["id"] == "1-2-1"
    finish(client, other)
    rows = client.get("/api/items").json()["items"]
    assert [row["state"] for row in rows] == ["skipped", "done", "leased", "open"]
    assert (rows[1]["name"], rows[1]["annotator"]) == (STRANGE, "ann")
    assert [row["id"] for row in client.get("/api/items?state=done").json()["items"]] == ["1-1-1"]
    page = client.get("/api/items?offset=1&limit=2").json()["items"]
    assert [row["id"] for row in page] == ["1-1-1", "1-2-1"]
    assert client.get("/api/items?round=7").json()["items"] == []

    refused = post(client, "items/1-2-1/reopen", annotator="ann", request="a", seconds=0)
    assert refused.status_code == 409 and "bob works on this item" in refused.json()["error"]
    again = post(client, "items/1-1-1/reopen", annotator="bob", request="b").json()["item"]
    assert again["labels"] == [[1, [0, 2, 17, 1]]]
    finish(client, again, label=0)
    assert asked.labels(STRANGE)[0, 0] == 0


def test_an_item_that_is_released_goes_to_others_and_counts_as_no_skip(client):
    item = take(client)
    step(client, item, "marks", label=1, pixels=[0, 2])
    released = post(client, f"items/{item['id']}/release", lease=item["lease"])
    assert released.status_code == 200 and released.json()["remaining"] == 1
    rows = client.get("/api/items").json()["items"]
    assert [row["state"] for row in rows] == ["open"] * len(Pool.names)
    assert step(client, item, "submit").status_code == 409
    again = post(client, f"items/{item['id']}/release", lease=item["lease"])
    assert again.status_code == 409
    assert take(client, "bob")["id"] == item["id"]


def test_a_repeated_request_is_answered_the_same_and_stored_once(client):
    item = take(client)
    first, second = (
        step(client, item, "marks", request="same", label=1, pixels=[0, 2]) for _ in range(2)
    )
    assert first.json()["labels"] == second.json()["labels"]
    assert second.json()["seconds"] == 1.0
    submit = [finish(client, item), step(client, item, "submit")]
    assert [answer.status_code for answer in submit] == [200, 409]
    twice = [step(client, take(client), "skip", request="skip") for _ in range(2)]
    assert twice[1].status_code == 400 and "another step" in twice[1].json()["error"]


def test_the_guess_is_shown_only_if_the_run_allows_it(asked):
    with client_of(asked, settings=Settings(show_guess=True)) as client:
        assert take(client)["guess"] == [[1, [0, 2, 17, 1]]]


def test_second_opinions_and_their_agreement(asked):
    complete = []
    settings = Settings(second_opinion=1.0)
    with client_of(asked, settings=settings, on_complete=complete.append) as client:
        for _ in Pool.names:
            answer = finish(client, take(client, "ann"))
        assert answer.json()["progress"]["round_complete"] and complete == [1]
        nothing = post(client, "next", annotator="ann").json()
        assert nothing["item"] is None and nothing["progress"]["agreement"] is None
        item = take(client, "bob")
        assert item["id"] == "1-0-2" and item["labels"] == []
        step(client, item, "marks", label=1, pixels=[0, 2])
        step(client, item, "marks", label=0, pixels=[17, 1])
        agreement = step(client, item, "submit").json()["progress"]["agreement"]
        assert (agreement["items"], agreement["pixels"]) == (1, 3)
        assert agreement["agreement"] == pytest.approx(2 / 3)
        (building,) = agreement["per_class"]
        assert (building["name"], building["pixels"]) == ("building", 3)
        assert complete == [1]  # told once, and not again by what isn't needed


def test_before_the_run_asks_there_is_nothing_to_do(store):
    with client_of(store) as client:
        session = client.get("/api/session").json()
        assert session["round"] is None and session["kind"] is None
        assert post(client, "next", annotator="ann").json()["item"] is None
        assert client.get("/api/progress").json()["items"] == 0
        assert client.get("/api/items").json() == {"items": []}


def test_images_are_named_by_numbers_have_the_labels_size_and_are_kept(client):
    address = take(client)["image"]
    answer = client.get(address)
    image = Image.open(io.BytesIO(answer.content))
    assert image.size == (SHAPE[1], SHAPE[0]) and answer.headers["content-type"] == "image/png"
    assert "immutable" in answer.headers["cache-control"]
    assert client.get(address + "0").headers["cache-control"] == "no-store"  # another run's
    tag = answer.headers["etag"]
    again = client.get("/api/images/0.png", headers={"if-none-match": tag})
    assert again.status_code == 304 and not again.content
    assert client.get("/api/images/1.png").headers["etag"] != tag
    for number in ("4", "-1", "x", "1" * 5000, "..", "%2e%2e", "0x1", "٣", "0%00"):
        assert client.get(f"/api/images/{number}.png").status_code == 404
    damaged = client.get("/api/images/3.png")
    assert damaged.status_code == 500 and "damaged.png is cut off" in damaged.json()["error"]


# Whom it answers.


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8765", ""]
)
def test_other_names_of_the_host_are_refused(untouched, host):
    for path in ("/", "/api/session"):
        answer = untouched.get(path, headers={"host": host})
        assert answer.status_code == 403 and "allow_host" in answer.json()["error"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "127.0.0.1:1", "[::1]:8765"])
def test_this_machines_names_are_served_at_any_port(untouched, host):
    assert untouched.get("/api/session", headers={"host": host}).status_code == 200


def test_a_server_at_all_addresses_is_visited_by_address_and_by_given_names(asked):
    with client_of(asked, hosts=["desk"], any_address=True) as client:
        for host, status in (("192.168.1.5:80", 200), ("desk", 200), ("evil.example", 403)):
            assert client.get("/api/session", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"origin": URL}, 200),
        ({"origin": URL, "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": "application/json; charset=utf-8"}, 200),
    ],
)
def test_only_the_tools_own_page_writes(client, headers, status):
    headers = {"content-type": "application/json", **headers}
    answer = client.post("/api/next", content='{"annotator": "ann"}', headers=headers)
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["error"].endswith(".")
        rows = client.get("/api/items").json()["items"]
        assert all(row["state"] == "open" for row in rows)


def test_with_a_token_nobody_else_comes_in(asked):
    token = "s3cret/+ &"
    with client_of(asked, token=token) as client:
        for path in ("/", "/page/style.css", "/api/session", "/api/images/0.png", "/nowhere"):
            assert client.get(path).status_code == 401
        assert post(client, "next", annotator="ann").status_code == 401
        for wrong in ("", "s3cret", token + "x", "ß"):
            assert client.get("/", params={"token": wrong}).status_code == 401
            header = {"authorization": f"Bearer {wrong}".encode("latin-1")}
            assert client.get("/api/session", headers=header).status_code == 401
        # Only the page's own address takes it, so that it isn't in others.
        assert client.get("/api/session", params={"token": token}).status_code == 401
        header = {"authorization": f"Bearer {token}"}
        assert client.get("/api/session", headers=header).status_code == 200
        assert client.get("/api/session").status_code == 401

        visit = client.get("/", params={"token": token})
        assert visit.status_code in (200, 404)  # where the page isn't installed
        cookie = visit.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and token not in cookie
        assert client.get("/api/session").status_code == 200
        assert take(client)["id"] == "1-0-1"
    cookie = cookie.partition(";")[0]
    # Other programs of the same host have cookies here, too, and not all that can be read.
    others = ('a={"b": "c, d"}; ', 'a="' + "\\a" * 20_000 + '"; ', "a b; ; =; \x01; ")
    with client_of(asked, token=token) as client:
        for other in others:
            header = {"cookie": other + cookie}
            assert client.get("/api/session", headers=header).status_code == 200
            header = {"cookie": other + cookie + "0"}
            assert client.get("/api/session", headers=header).status_code == 401
    with client_of(asked, token="another") as client:
        assert client.get("/api/session", headers={"cookie": cookie}).status_code == 401


def test_every_answer_has_the_headers_that_protect_the_page(untouched):
    for path in ("/", "/api/session", "/api/images/0.png", "/nowhere", "/api/images/3.png"):
        headers = untouched.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "access-control-allow-origin" not in headers
    assert untouched.get("/api/session").headers["cache-control"] == "no-store"


def test_only_named_pages_may_show_it_in_a_frame(asked):
    with client_of(asked, frame_ancestors=["http://localhost:*", "https://a.example"]) as client:
        headers = client.get("/").headers
        policy = headers["content-security-policy"]
        assert policy.endswith("frame-ancestors http://localhost:* https://a.example")
        assert "x-frame-options" not in headers
    with client_of(asked) as client:
        assert client.get("/").headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("host", ["t5-8765-proxy.example", "localhost:8765"])
def test_a_proxys_page_writes_whichever_name_the_proxy_passes_on(asked, host):
    with client_of(asked, proxy_origins=["https://t5-8765-proxy.example"]) as client:
        for origin, site, status in (
            ("https://t5-8765-proxy.example", "same-origin", 200),
            ("https://t5-8765-proxy.example", "cross-site", 403),
            ("https://t6-8765-proxy.example", "same-origin", 403),
        ):
            headers = {"host": host, "origin": origin, "sec-fetch-site": site}
            answer = client.post("/api/next", json={"annotator": "ann"}, headers=headers)
            assert answer.status_code == status


@pytest.mark.parametrize(
    ("headers", "is_told"),
    [
        ({"origin": "https://label.example"}, True),
        ({"origin": "https://label.example:8443", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "https://label.example", "sec-fetch-site": "cross-site"}, False),
        ({"origin": "null"}, False),
        ({"origin": "https://<b>"}, False),
    ],
)
def test_a_proxys_page_that_may_not_write_names_the_flag(asked, headers, is_told):
    with client_of(asked) as client:
        answer = client.post("/api/next", json={"annotator": "ann"}, headers=headers)
        assert answer.status_code == 403
        told = f"--allow_host={headers['origin']} if a proxy shows it" in answer.json()["error"]
        assert told == is_told


@pytest.mark.parametrize("origin", ["proxy.example", "https://", "https://proxy.example/", ""])
def test_a_proxy_must_have_a_name(asked, origin):
    with pytest.raises(ValueError, match="is no origin"):
        client_of(asked, proxy_origins=[origin])


def test_loopback_is_told_from_other_addresses():
    for host in ("127.0.0.1", "127.1.2.3", "localhost", "::1"):
        assert access_control.is_loopback(host)
    for host in ("0.0.0.0", "::", "192.168.1.5", "desk", ""):
        assert not access_control.is_loopback(host)


# What it refuses.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"ann"',
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"annotator": ' + b"1" * 5000 + b"}",
        b'{"annotator": null}',
        b'{"annotator": {"a": 1}}',
        b'{"annotator": ""}',
        b'{"annotator": "\\ud800"}',
        b'{"annotator": "a\\u0000b"}',
        b'{"annotator": "ann", "after": 3}',
        b'{"annotator": "ann", "prefer": "../../etc/passwd"}',
    ],
)
def test_a_body_that_makes_no_sense_is_told(untouched, body):
    answer = untouched.post("/api/next", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"] and "Traceback" not in answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": 3},
        {"label": -1},
        {"label": "road"},
        {"label": 1.0},
        {"label": True},
        {"label": None},
        {"label": "\ud800"},
        {"label": 10**40},
        {"pixels": []},
        {"pixels": [0]},
        {"pixels": [2, 1]},
        {"pixels": [0, 3]},
        {"pixels": [-1, 1]},
        {"pixels": [0, 10**30]},
        {"pixels": [[0, 1]]},
        {"pixels": {"0": 1}},
        {"pixels": "0,1"},
        {"pixels": "AAAA"},
        {"pixels": None},
        {"seconds": -1},
        {"seconds": "long"},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"request": ""},
        {"request": None},
        {"request": "x" * 101},
        {"request": "\ud800"},
    ],
)
def test_a_mark_that_cannot_be_is_told_and_not_stored(untouched, wrong):
    item = take(untouched)
    fields = {"lease": item["lease"], "request": "r", "label": 1, "pixels": [0, 2], "seconds": 1}
    body = json.dumps({**fields, **wrong})
    answer = untouched.post(
        f"/api/items/{item['id']}/marks", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"] and "Traceback" not in answer.text
    assert take(untouched)["labels"] == []


@pytest.mark.parametrize(
    "item, status",
    [
        ("1-9-1", 404),
        ("9-0-1", 404),
        ("1-0-2", 404),
        ("1-0-3", 400),
        ("1-0", 400),
        ("x", 400),
        ("-1-0-1", 400),
        ("1" * 30 + "-0-1", 400),
        ("٣-0-1", 400),
        ("1-0-1%00", 400),
        ("..%2f..%2fetc%2fpasswd", 404),
    ],
)
@pytest.mark.parametrize("name", ["marks", "submit", "reopen"])
def test_items_that_do_not_exist_are_told(untouched, item, name, status):
    fields = {"lease": "x", "request": "r", "annotator": "ann", "label": 1, "pixels": [0, 1]}
    answer = untouched.post(f"/api/items/{item}/{name}", json=fields)
    assert answer.status_code == status and answer.json()["error"]


def test_a_lost_lease_is_a_conflict(client):
    item = take(client)
    for lease in ("", "x", None, 3, ["x"], take(client, "bob")["lease"]):
        answer = step(client, item, "marks", lease=lease, label=1, pixels=[0, 1])
        assert answer.status_code == 409 and "isn't yours" in answer.json()["error"]


@pytest.mark.parametrize(
    "query",
    ["state=gone", "offset=-1", "limit=x", "offset=1e3", "round=%D9%A3", "limit=" + "9" * 99],
)
def test_a_query_that_makes_no_sense_is_told(untouched, query):
    answer = untouched.get(f"/api/items?{query}")
    assert answer.status_code == 400 and answer.json()["error"]


def test_bodies_have_a_limit(client):
    item = take(client)
    for size in (1, 5):  # also one that isn't read to its end
        answer = step(client, item, "marks", label=1, pixels="0" * size * MAX_BODY)
        assert answer.status_code == 413 and "at most 4 MiB" in answer.json()["error"]
    assert step(client, item, "marks", label=1, pixels=[0, 1]).status_code == 200


def test_a_fill_on_texture_fits_whatever_its_runs(store):
    shape = (1500, 2000)
    store.open_round(1, ["first"])
    store.ask_many(1, [("first", np.ones(shape, bool), None, None)], kind="full")
    texture = np.random.default_rng(0).random(shape) < 0.5
    with client_of(store) as client:
        item = take(client)
        bits = base64.b64encode(np.packbits(texture, bitorder="little")).decode()
        answer = step(client, item, "marks", label=1, pixels=bits)
        assert answer.status_code == 200
        ((label, runs),) = answer.json()["labels"]
    assert label == 1 and len(json.dumps(runs)) > MAX_BODY > 6 * len(bits)
    assert sum(runs[1::2]) == np.count_nonzero(texture)


@pytest.mark.parametrize(
    "address",
    [
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/..%2fapp.py",
        "/page/%2e%2e%2f%2e%2e%2fannotate.py",
        "/page//etc/passwd",
        "/page/index.html%00.js",
        "/page/package.json",
        "/page/",
        "/labels.sqlite",
        "/api/",
        "/api/images/",
        "/api/items/1-0-1/superpixels",
    ],
)
def test_nothing_but_the_page_is_served(untouched, address):
    answer = untouched.get(address)
    assert answer.status_code == 404 and answer.json()["error"].endswith(".")


def test_page_files_are_served_by_name_with_their_types(untouched):
    for name, file in find_page_files().items():
        answer = untouched.get(f"/page/{name}")
        assert answer.status_code == 200 and answer.content == file.read_bytes()
        kind = {"html": "text/html", "css": "text/css", "js": "text/javascript"}.get(
            name.rpartition(".")[2], "image/svg+xml"
        )
        assert answer.headers["content-type"].startswith(kind)


def test_a_missing_page_is_told(asked, monkeypatch):
    monkeypatch.setattr(app, "find_page_files", dict)
    with client_of(asked) as client:
        answer = client.get("/")
        assert answer.status_code == 404 and "installation has no page" in answer.json()["error"]


def test_methods_that_are_not_used_are_told(untouched):
    for method, path in (("PUT", "next"), ("DELETE", "items"), ("POST", "session")):
        answer = untouched.request(method, f"/api/{path}", json={})
        assert answer.status_code == 405 and answer.json()["error"]
    assert untouched.get("/api/next").status_code == 405


def test_trouble_with_the_file_is_told_as_such(client, asked):
    item = take(client)
    asked.close()
    answer = step(client, item, "marks", label=1, pixels=[0, 1])
    assert answer.status_code == 503 and "is closed" in answer.json()["error"]


def test_a_mistake_of_the_server_shows_no_traceback(client, monkeypatch):
    monkeypatch.setattr(ItemReader, "read", lambda *_, **__: 1 / 0)
    answer = client.get("/api/items")
    assert answer.status_code == 500 and "console" in answer.json()["error"]
    assert "ZeroDivisionError" not in answer.text


def test_websockets_are_refused(asked):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(make_app(asked)({"type": "websocket"}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_names_of_annotators_are_told_as_they_are(client):
    item = take(client, STRANGE)
    step(client, item, "skip")
    row = client.get("/api/items").json()["items"][0]
    assert row["annotator"] == STRANGE


def test_a_page_of_another_run_is_told_and_changes_nothing(asked, tmp_path):
    with (
        LabelStore(tmp_path / "other.sqlite", classes=CLASSES) as store,
        client_of(ask(store)) as client,
    ):
        other = client.get("/api/session").json()["run_id"]
        item = take(client, run_id=other)
    with client_of(asked) as client:
        own = client.get("/api/session").json()["run_id"]
        assert other != own and take(client, run_id=own)["image"] != item["image"]
        for path in ("next", "items/1-0-1/reopen", "items/1-0-1/marks", "items/1-0-1/submit"):
            answer = post(client, path, annotator="ann", run_id=other, label=99)
            assert answer.status_code == 503
            assert "reload the page to label the run x" in answer.json()["error"]
        assert asked.database.read("SELECT COUNT(*) FROM events") == [(0,)]


def test_a_store_of_other_images_is_told(store):
    store.open_round(1, ["elsewhere"])
    store.ask("elsewhere", 1, query_of((0, 0)))
    with client_of(store) as client:
        answer = post(client, "next", annotator="ann")
        assert answer.status_code == 503 and "'elsewhere'" in answer.json()["error"]


def test_two_servers_on_one_file_share_the_work(asked):
    with (
        LabelStore(asked.path, classes=CLASSES) as same,
        client_of(same) as other,
        client_of(asked) as client,
    ):
        items = [take(client, "ann"), take(other, "bob"), take(client, "cem")]
        assert len({item["id"] for item in items}) == 3
        step(client, items[0], "marks", label=1, pixels=[0, 2])
        # The other one goes on where the first stopped, as after a restart.
        told = step(other, items[0], "marks", label=2, pixels=[17, 1]).json()
        assert told["labels"] == [[1, [0, 2]], [2, [17, 1]]]
        assert step(client, items[0], "submit").json()["remaining"] == 0
        assert other.get("/api/progress").json()["done"] == 1

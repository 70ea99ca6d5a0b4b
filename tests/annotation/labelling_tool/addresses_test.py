"""Addresses as people give them, and as browsers write them."""

import pytest

from labor_jax.annotation.labelling_tool.addresses import origin_of


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("label.example.com", "https://label.example.com"),
        ("Label.Example.com.", "https://label.example.com"),
        ("label.example.com:8443", "https://label.example.com:8443"),
        ("label.example.com:443", "https://label.example.com"),
        ("https://label.example.com/", "https://label.example.com"),
        ("http://label_1:80", "http://label_1"),
        ("http://label:443", "http://label:443"),
        ("192.168.1.5", "https://192.168.1.5"),
        ("::1", "https://[::1]"),
        ("http://[0:0::1]:8765", "http://[::1]:8765"),
    ],
)
def test_an_address_is_written_as_browsers_do(given, origin):
    assert origin_of(given) == origin_of(origin) == origin


@pytest.mark.parametrize(
    "given",
    [
        *(
            "",
            " ",
            "https://",
            "*",
            "*.example.com",
            "a,b",
            "a b",
            "a..b",
            "ftp://a",
            "https://a/tool",
        ),
        *(
            "a?b",
            "a#b",
            "me@a",
            "a:x",
            "a:99999",
            "[::1",
            "[x]",
            "1:2:3",
            "b\u00fccher.example",
            "//a",
        ),
    ],
)
def test_what_no_browser_visits_is_refused(given):
    with pytest.raises(ValueError, match="is no address at which a browser finds the tool"):
        origin_of(given)

"""What stands in a piece of HTML, for tests."""

import html.parser

VOID = {"meta", "link", "img", "br"}


class Page(html.parser.HTMLParser):
    """Checks that each tag is closed; keeps tags with attributes, texts, and cells of tables."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.cells = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and ({"td", "th"} & set(self.open)):
            self.cells[-1] += data

    def named(self, name):
        """Attributes of all tags of a name."""
        return [attributes for tag, attributes in self.tags if tag == name]


def cells_of(text):
    return Page(text).cells

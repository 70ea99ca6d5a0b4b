"""Every row of README's page on gtav runs, in tiny official folders."""

import pytest

from tests.rows import ROWS, Rows, check_row


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return Rows(tmp_path_factory.mktemp("gtav"))


@pytest.mark.parametrize("command", [row for row in ROWS if ":gtav" in row])
def test_a_row_runs(command, rows):
    check_row(rows, command)

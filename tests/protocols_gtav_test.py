"""Every row of README's page on gtav runs, in tiny official folders."""

import json

import pytest

from tests.rows import ROWS, Rows, check_row


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return Rows(tmp_path_factory.mktemp("gtav"))


@pytest.mark.parametrize("command", [row for row in ROWS if ":gtav" in row])
def test_a_row_runs(command, rows):
    check_row(rows, command)


def test_the_warm_up_trains_two_levels(rows):
    workdir, _ = rows.warm_up("gtav")
    logged = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    losses = [each for each in logged if "loss" in each]
    assert {each["phase"] for each in losses} == {"source", "warmup"}
    for each in losses:
        terms = {"source": 1.0, "auxiliary": 0.1}
        if each["phase"] == "warmup":
            assert each["auxiliary_discriminator"] > 0
            terms |= {"adversarial": 1e-3, "auxiliary_adversarial": 2e-4}
        total = sum(weight * each[name] for name, weight in terms.items())
        assert each["loss"] == pytest.approx(total, rel=1e-4)

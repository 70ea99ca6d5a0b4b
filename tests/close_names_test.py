"""The question that follows a misspelt name."""

from labor_jax.close_names import did_you_mean


def test_the_closest_name_is_asked_for():
    known = {"street": 1, "camvid": 2, "camvid_pool": 3}
    assert did_you_mean("streat", known) == " Did you mean street?"
    assert did_you_mean("camvid_pol", known, prefix="--") == " Did you mean --camvid_pool?"


def test_a_name_that_is_far_from_all_is_not_guessed():
    assert did_you_mean("weather", ["street"]) == did_you_mean("x", []) == ""
    assert did_you_mean("sweet", ["street"]) and not did_you_mean("sweet", ["street"], likeness=0.9)

"""What `--config` names, and the fields that the command line overrides."""

import pytest
from absl import app

import labor_jax
from labor_jax import config_argument
from labor_jax.locked_config import RENAMED, flat
from tests.conftest import ROOT

USERS = """
import labor_jax

def get_config(pair="street"):
    config = labor_jax.get_config("ppl", pair)
    config.rounds = 7
    return config
"""


def overridden(name, *arguments):
    config = config_argument.load(name)
    assert config_argument.override(config, ["main", *arguments]) == ["main"]
    return config


@pytest.mark.parametrize(
    ("argument", "name", "pair"),
    [
        ("spl", "spl", "street"),
        ("spl:camvid", "spl", "camvid"),
        ("configs/spl.py", "spl", "street"),
        ("configs/spl.py:camvid", "spl", "camvid"),
        ("active:entropy", "active:entropy", "street"),
        ("active:core_set,camvid", "active:core_set", "camvid"),
        ("configs/active.py:entropy,camvid", "active:entropy", "camvid"),
        ("uda:min_entropy", "uda:min_entropy", "street"),
        ("configs/uda.py:min_entropy,camvid", "uda:min_entropy", "camvid"),
    ],
)
@pytest.mark.parametrize("anywhere", [True, False])
def test_a_name_means_the_same_in_every_directory(
    argument, name, pair, anywhere, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path if anywhere else ROOT)
    assert config_argument.load(argument) == labor_jax.get_config(name, pair)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").glob("*.py")), ids=lambda path: path.stem
)
def test_every_config_file_is_the_name(path):
    if path.stem not in ("__init__", "active", "uda"):  # those need a method
        assert config_argument.load(str(path)) == config_argument.load(path.stem)


def test_a_users_file_is_a_config(tmp_path):
    (tmp_path / "mine.py").write_text(USERS)
    config = config_argument.load(f"{tmp_path}/mine.py:camvid")
    assert (config.method, config.pair, config.rounds) == ("ppl", "camvid", 7)
    assert config.is_locked


def test_the_users_home_may_be_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.py").write_text(USERS)
    assert config_argument.load("~/mine.py").rounds == 7


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("x = 1", ("mine.py has no function get_config",)),
        ("def get_config(): return 3", ("mine.py returned int",)),
        (USERS.replace("rounds", "rouns"), ("mine.py, line 6", "Did you mean config.rounds?")),
        (USERS.replace("7", '"two"'), ("mine.py, line 6", "config.rounds")),
        (USERS.replace('"ppl"', '"pppl"'), ("mine.py, line 5", "Did you mean ppl?")),
    ],
)
def test_a_mistake_in_a_users_file_is_said_with_its_line(code, says, tmp_path):
    (tmp_path / "mine.py").write_text(code)
    with pytest.raises(app.UsageError) as raised:
        config_argument.load(f"{tmp_path}/mine.py")
    assert all(text in str(raised.value) for text in says), str(raised.value)


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("slp", ("'slp'", "Did you mean spl?", "source_only")),
        ("configs/slp.py", ("no file configs/slp.py", "Did you mean --config spl?", "warmup")),
        ("elsewhere/spl.py", ("no file elsewhere/spl.py", "--config spl?")),
        (
            "spl:gatv",
            ("'gatv'. Did you mean gtav?", "street, camvid, camvid_reverse, camvid", "--extension"),
        ),
        ("active:margn", ("'margn'", "Did you mean margin?", "--extension")),
        ("active:margin:street", ("a comma stands between", "active:margin,street")),
        ("active:entropi", ("'entropi'", "entropy", "--extension")),
        ("active:camvid", ("'camvid'", "entropy")),
        ("active", ("active needs an acquisition method: active:METHOD", "spl, ppl, ripu_ra")),
        ("active:,camvid", ("active needs an acquisition method", "entropy")),
        ("configs/active.py", ("active needs an acquisition method", "entropy")),
        ("uda", ("uda needs a method of adaptation", "uda:METHOD,PAIR", "min_entropy")),
        ("uda:min_entropi", ("'min_entropi'. Did you mean min_entropy?", "--extension")),
        ("uda:min_entropy+x", ("no method of adaptation 'x'", "several joined by +")),
    ],
)
def test_an_unknown_config_is_one_line(argument, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(app.UsageError) as raised:
        config_argument.load(argument)
    assert all(text in str(raised.value) for text in says), str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_pair_that_a_method_cannot_have_needs_no_extension():
    with pytest.raises(app.UsageError, match="begins with a model trained on source") as raised:
        config_argument.load("ppl:photos")
    assert "--extension" not in str(raised.value)


def test_fields_are_overridden_and_other_arguments_left():
    config = config_argument.load("spl")
    rest = config_argument.override(
        config,
        [
            "main",
            "--config.rounds=2",
            "--config.data.root",
            "some folder",
            "--workdir",
            "x",
            "--config.warmup.terms.min_entropy=1e-3",
            "--config.data.augment.crop=(32, 64)",
            "--config.joint.query_steps=(1,2)",
            "--noconfig.model.remat",
            "--config.evaluation_flip",
        ],
    )
    assert rest == ["main", "--workdir", "x"]
    assert (config.rounds, config.data.root) == (2, "some folder")
    assert config.warmup.terms.min_entropy == 1e-3
    assert config.data.augment.crop == (32, 64) and config.joint.query_steps == (1, 2)
    assert config.evaluation_flip and not config.model.remat


def test_placeholders_can_be_overridden_by_none():
    config = overridden(
        "spl:camvid",
        "--config.data.target_size=None",
        "--config.model.dropout=None",
        "--config.per_device_batch_size=3",
        "--config.per_device_batch_size=None",
        "--config.data.num_threads=None",
        "--config.data.num_threads=2",
    )
    assert config.data.target_size is None and config.data.source_size == (120, 160)
    assert config.model.dropout is None and config.per_device_batch_size is None
    assert config.data.num_threads == 2
    assert overridden("spl:folders", "--config.model.stem=None").model.stem is None


@pytest.mark.parametrize(
    ("name", "method"),
    [("random", "entropy"), ("supervised", "supervised"), ("ripu_source_free", "ripu_source_free")],
)
def test_a_method_given_as_a_field_names_the_run(name, method):
    config = overridden(name, "--config.acquisition.method=entropy")
    assert (config.method, config.acquisition.method) == (method, "entropy")


_OF_THE_METHOD = ("radius", "superpixel_size", "random_rounds", "class_weights")


@pytest.mark.parametrize("pair", ["street", "camvid", "folders"])
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("active:margin", "superpixels"),
        ("active:superpixels", "ripu_pa"),
        ("ripu_pa", "ripu_ra"),
        ("spl", "multi_hot"),
        ("uda:min_entropy", "superpixels"),
    ],
)
def test_a_method_given_as_a_field_has_settings_of_its_own(name, method, pair):
    before = config_argument.load(f"{name},{pair}" if ":" in name else f"{name}:{pair}")
    found = before.copy_and_resolve_references()
    rounds = before.rounds + 1
    config_argument.override(
        found, ["main", "--config.acquisition.method", method, f"--config.rounds={rounds}"]
    )
    own = labor_jax.get_config(f"active:{method}", pair)
    differing = {field for field, value in flat(found) if value != before[field]}
    assert differing - {f"acquisition.{field}" for field in _OF_THE_METHOD} <= {
        "acquisition.method",
        "method",
        "rounds",
    }
    for field in _OF_THE_METHOD:
        assert found.acquisition[field] == own.acquisition[field]


def test_without_a_source_a_method_given_as_a_field_asks_at_random_where_it_can():
    config = overridden("active:margin,photos", "--config.acquisition.method=superpixels")
    assert config.acquisition.random_rounds == 0
    config_argument.override(config, ["main", "--config.acquisition.method=entropy"])
    assert config.acquisition.random_rounds == 1


def test_a_size_of_parts_that_somebody_set_stays(tmp_path):
    arguments = ["--config.acquisition.superpixel_size=32", "--config.acquisition.method=multi_hot"]
    for given in (arguments, arguments[::-1]):
        assert overridden("active:margin", *given).acquisition.superpixel_size == 32
    (tmp_path / "mine.py").write_text(USERS.replace("rounds", "acquisition.superpixel_size"))
    config = overridden(f"{tmp_path}/mine.py", arguments[1])
    assert config.acquisition.superpixel_size == 7


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--config.rond=2", ("Unknown field config.rond.", "rounds")),
        ("--config.data.rot=x", ("config.data.rot", "Did you mean config.data.root?")),
        ("--config.rounds.x=1", ("config.rounds is a value",)),
        ("--config.rounds=many", ("rounds", "many", "give a whole number, such as 3")),
        ("--config.round.learning_rate=big", ("big", "give a number, such as 0.5")),
        ("--config.round=4", ("config.round is a section", "Did you mean config.rounds?", "steps")),
        ("--config.model=resnet50", ("config.model is a section", "backbone")),
        ("--config.rounds=None", ("config.rounds can't be None; give a value such as 3.",)),
        ("--config.optimizer.momentum=None", ("config.optimizer.momentum can't be None",)),
        ("--config.joint.query_steps=None", ("config.joint.query_steps can't be None",)),
        ("--config.pair=camvid", ("config.pair can't be changed from 'street'", "spl:PAIR")),
        ("--config.pair=folders", ("to 'folders'", "Name the pair with the config")),
        *(
            (f"--{field}{'.steps' if field == 'config.source' else ''}=1", ("is now config.",))
            for field in RENAMED
        ),
    ],
)
def test_a_bad_override_is_one_line(argument, says):
    with pytest.raises(app.UsageError) as raised:
        overridden("spl", argument)
    assert all(text in str(raised.value) for text in says), str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("arguments", [["--config.schedule=short"], ["--config.schedule", "short"]])
def test_a_switch_comes_before_the_fields_that_follow_it(arguments):
    config = config_argument.load("spl")
    own = config.round.steps
    config_argument.override(config, ["main", f"--config.round.steps={own}", *arguments])
    assert config.schedule == "short" and config.round.steps == own
    with pytest.raises(app.UsageError, match=r"config\.recipe is 'x'"):
        config_argument.override(config, ["main", "--config.recipe=x"])

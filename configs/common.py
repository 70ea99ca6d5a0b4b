"""The fields of every experiment, each with what it means, and the settings of each data pair.

A method's config starts from `base(method, pair)` and sets what makes it that method. Any field can
be overridden on the command line: `--config.rounds=2`.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def base(method: str, pair: str) -> ConfigDict:
    """LabOR on a data pair, before a method's own settings.

    Args:
      method: the method's name, for the summary and the default workdir.
      pair: one of `PAIRS`.

    Raises:
      ValueError: unknown pair.
    """
    if pair not in PAIRS:
        raise ValueError(f"Unknown data pair {pair!r}; choose one of: {', '.join(PAIRS)}.")
    config = ConfigDict()
    config.method = method
    config.pair = pair
    config.seed = 0  # of weights, order, augmentation, noise and random acquisition
    # Who answers: "oracle" reads the pool's held labels; "human": people do, in the labelling tool
    # (python -m labor_jax.annotate), and the run ends until they have.
    config.annotator = "oracle"
    config.annotation = annotation = ConfigDict()  # of the labelling tool
    annotation.show_guess = False  # show what the model predicts: faster, and it biases
    # Share of the images that a second person answers too. The run doesn't wait for these: those
    # still open when it asks the next round stay open.
    annotation.second_opinion = 0.0
    annotation.superpixels = True  # offer to paint by patches of one colour
    annotation.lease_seconds = 120.0  # how long an image stays with an annotator who is silent
    annotation.dollars_per_hour = 20.0  # their pay, for the cost that the report tells
    # The workdir of a run that ended before its rounds (--config.rounds=0) and is the same up to
    # there: this run then starts where that one ended. Empty: start from the beginning.
    config.warm_start = ""

    config.source_batch_size = 4  # images a step, over all devices
    config.target_batch_size = 4
    # For less memory a device takes its part of a batch in equal pieces: so many at least, and of
    # so many images of a domain at most (None: no limit). Losses stay means over the whole batch;
    # trained batch norm normalises each piece by itself.
    config.gradient_accumulation = 1
    config.per_device_batch_size = placeholder(int)
    config.evaluation_batch_size = 8  # also of scoring the pool
    # Predict as the mean over an image and its mirror image, and over the image at multiples of its
    # size. Scoring the pool takes neither, as in the papers.
    config.evaluation_flip = False
    config.evaluation_scales = (1.0,)
    # For images beyond a device's memory, in predicting and in scoring the pool: (height, width) of
    # the windows that the network sees one at a time, None: whole images; and the pixels that
    # neighbours share, half of them context.
    config.evaluation_window = placeholder(tuple)
    config.evaluation_overlap = 256
    config.log_every = 20  # steps
    config.checkpoint_every = 100  # steps, within a phase; each phase also ends in one
    config.preview_images = 4  # pool images that the report shows

    config.model = model = ConfigDict()
    model.backbone = "resnet18"  # resnet18, resnet34, resnet50, resnet101, efficientnet_lite0
    model.width = 64  # channels of a ResNet's first stage; 64 is the published network
    model.stem = "imagenet"  # "small": a ResNet that starts at stride 2, for small images
    model.variant = "torchvision"  # "caffe": the ResNet of AdaptSegNet's and ADVENT's weights
    model.output_stride = 8  # of the backbone's last features
    model.batch_norm = "trained"  # "frozen": neither statistics nor scale and bias move
    model.head = "deeplab_v3plus"  # or "deeplab_v2"
    model.head_channels = 256  # of the v3+ head; 512 in RIPU
    model.first_two_only = False  # v2 sums two of its four rates, as AdaptSegNet's weights need
    # Share of channels that the head drops in training; None: as published, 0 of v2 and 0.1 of v3+.
    model.dropout = placeholder(float)
    model.remat = False  # compute the backbone's activations again for the gradient: less memory
    model.dtype = "float32"  # of the computation, or "bfloat16"; losses and scores are float32
    # "": random weights; "imagenet": EfficientNet-Lite0's from the installed extra `pretrained`;
    # or a .pth, .safetensors or .npz file: a backbone in torchvision's naming, or a whole model of
    # RIPU, AdaptSegNet or ADVENT.
    model.pretrained = ""

    config.optimizer = optimizer = ConfigDict()
    optimizer.name = "sgd"  # or "adamw"
    optimizer.momentum = 0.9  # of SGD
    optimizer.weight_decay = 5e-4
    optimizer.classifier_multiplier = 10.0  # the classifier's rate over the backbone's
    optimizer.power = 0.9  # of the poly schedule
    optimizer.clip_norm = 0.0  # largest norm of a gradient; 0: no clipping

    config.source = source = ConfigDict()  # supervised on source (LabOR Eq. 1, L_s)
    source.steps = 1000
    source.learning_rate = 2.5e-4

    config.warmup = warmup = ConfigDict()  # then adversarial on the outputs (L_s + L_adv)
    warmup.steps = 1000
    warmup.learning_rate = 2.5e-4
    warmup.adversarial_weight = 1e-3  # AdaptSegNet
    # AdaptSegNet's two levels: a v2 head on the backbone's stage before the last, with a
    # discriminator of its own, trained along in the source phase and the warm-up (a run of 0
    # warm-up steps has neither); predictions are the last stage's.
    warmup.two_levels = False
    warmup.auxiliary_weight = 0.1  # of its cross-entropy on source
    warmup.auxiliary_adversarial_weight = 2e-4
    warmup.discriminator_learning_rate = 1e-4
    warmup.discriminator_input = "softmax"  # AdaptSegNet; "self_information" is ADVENT's
    warmup.discriminator_width = 64  # channels of its first convolution

    # "staged": each phase has its own optimiser and schedule, which runs down to 0 (LabOR).
    # "joint": one optimiser and one schedule through all rounds, which ask while training goes on
    # (RIPU).
    config.protocol = "staged"
    config.rounds = 3

    # Of the following LabOR's text says little; each choice is ours.
    config.selector = selector = ConfigDict()  # the pixel selector (Eq. 3 and 4)
    selector.steps = 200
    selector.learning_rate = 2.5e-4
    selector.discrepancy_weight = 1.0  # of Eq. 4 against Eq. 3; on softmax outputs
    selector.reversal = 1.0  # how strongly φ' minimises what θ'₁ and θ'₂ maximise
    # Two equal copies would never part: noise on the kernels at the start, as a share of each
    # kernel's standard deviation, and a dropout mask on the features for each classifier.
    selector.noise = 0.1
    selector.feature_dropout = 0.1
    selector.pseudo_label_threshold = 0.0  # confidence that a pseudo label needs; 0: all count

    config.round = round_ = ConfigDict()  # training on the answers (Eq. 5), in each round
    round_.steps = 500  # this and the rate: of "staged"; config.joint has those of "joint"
    round_.learning_rate = 2.5e-4
    round_.target_weight = 1.0  # Eq. 5
    round_.source_weight = 1.0  # source CE joins it; 0: target labels alone
    round_.adversarial_weight = 0.0  # L_adv joins it too where above 0
    round_.discriminator_learning_rate = 1e-4
    round_.local_consistency_weight = 0.0  # RIPU's term on source
    round_.negative_learning_weight = 0.0  # RIPU's term on target

    config.joint = joint = ConfigDict()  # training under the protocol "joint" (RIPU)
    joint.steps = 40_000  # when training ends
    joint.schedule_steps = 62_500  # where the poly schedule would reach 0
    joint.query_steps = (10_000, 12_000, 14_000, 16_000, 18_000)  # the first `rounds` of them ask
    joint.learning_rate = 2.5e-4

    config.acquisition = acquisition = ConfigDict()
    acquisition.method = "spl"  # see README, "Acquisition methods"
    # SPL: largest share of an image asked, over all rounds; of the inconsistent pixels those of
    # largest discrepancy. 0: all of the mask, as in the paper (about 2.2% on Cityscapes).
    acquisition.max_fraction = 0.0
    acquisition.distance = "euclidean"  # PPL: to the prototype; or "cosine"
    # The budget of the other methods, over all rounds: a share of each image's pixels, or else a
    # number of them.
    acquisition.fraction = 0.0
    acquisition.points = 0
    # (height, width) that `points` are meant at: they grow with the area, as in RIPU; None: the
    # number holds at any size.
    acquisition.reference_size = placeholder(tuple)
    acquisition.radius = 1  # RIPU's k: of the score's window, and of the region asked

    config.data = data = ConfigDict()
    data.root = ""  # the folder of the data set
    size = placeholder(tuple)
    data.source_size = size  # (height, width) that images are resized to; None: their own
    data.target_size = placeholder(tuple)
    data.evaluation_size = placeholder(tuple)
    data.cache_bytes = 2**29  # memory for decoded images and labels, all splits together
    # What is found by reading a whole data set, and kept for the next run; "": labor_jax in
    # $XDG_CACHE_HOME, which is ~/.cache where it isn't set.
    data.cache_folder = ""
    data.num_threads = placeholder(int)  # that read and augment; None: the number of cores
    data.verify = "headers"  # or "full": decode every file before the run starts
    # Draw source images so that classes are balanced (RIPU), instead of each once an epoch. The
    # first run reads all their labels for it.
    data.balance_source = False
    data.augment = augment = ConfigDict()  # of training images; see labor_jax.data.AUGMENT_FIELDS
    augment.flip = True
    augment.scale = placeholder(tuple)  # (0.75, 1.5); needs crop
    augment.crop = placeholder(tuple)  # (height, width)
    augment.brightness = 0.0
    augment.contrast = 0.0
    augment.saturation = 0.0
    augment.hue = 0.0
    augment.blur = 0.0

    PAIRS[pair](config)
    return config


def ripu(method: str, pair: str) -> ConfigDict:
    """RIPU's joint training on a data pair: its losses, its optimiser, its rounds.

    Args:
      method: the method's name; also `acquisition.method`.
      pair: one of `PAIRS`.

    Raises:
      ValueError: unknown pair.
    """
    config = base(method, pair)
    config.acquisition.method = method
    config.protocol = "joint"
    config.rounds = 5
    config.source.steps = 0
    config.warmup.steps = 0
    config.round.local_consistency_weight = 0.1
    config.round.negative_learning_weight = 1.0
    config.optimizer.update(
        name="sgd", momentum=0.9, weight_decay=5e-4, classifier_multiplier=10.0, clip_norm=0.0
    )
    if pair in ("gtav", "synthia"):
        # RIPU's 40 points are meant at the network's input; label maps have 2.56 times the pixels.
        config.acquisition.reference_size = (640, 1280)
        config.data.balance_source = True
        config.data.source_size = (720, 1280)  # of SYNTHIA too
    if pair == "street":  # from random weights no part is ahead of the other, and the rate is high
        config.optimizer.update(classifier_multiplier=1.0, clip_norm=1.0)
    # The pixel selector's rate is to the model's as in LabOR's rounds.
    config.selector.learning_rate *= config.joint.learning_rate / config.round.learning_rate
    return config


def _street(config: ConfigDict) -> None:
    """Embedded scenes: simulator → camera. A small network from random weights, for CPUs."""
    data = config.data
    data.seed = 0  # of the scenes; the run's seed doesn't change them
    data.image_size = (64, 128)
    data.source_count = 256
    data.pool_count = 128
    data.evaluation_count = 64
    data.augment.update(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05)
    config.evaluation_batch_size = 16
    config.model.update(width=16, stem="small", output_stride=8, head_channels=32, dropout=0.0)
    config.optimizer.update(
        name="adamw", weight_decay=1e-2, classifier_multiplier=1.0, clip_norm=1.0
    )
    config.source.update(steps=500, learning_rate=1e-2)
    config.warmup.update(steps=100, learning_rate=2e-3, discriminator_width=16)
    config.selector.update(steps=30, learning_rate=5e-4, discrepancy_weight=0.05)
    config.round.update(steps=250, learning_rate=5e-3)
    config.joint.update(
        steps=1000, schedule_steps=1050, query_steps=(500, 550, 600, 650, 700), learning_rate=0.3
    )


def _camvid(config: ConfigDict) -> None:
    """CamVid day → dusk with ImageNet weights; `data.root` is the folder of images/ and labels/."""
    data = config.data
    data.update(source_size=(120, 160), target_size=(120, 160), evaluation_size=(120, 160))
    data.augment.update(brightness=0.3, contrast=0.3, saturation=0.3)
    config.model.update(
        backbone="efficientnet_lite0",
        pretrained="imagenet",
        output_stride=16,
        head_channels=128,
    )
    config.optimizer.update(
        name="adamw", weight_decay=1e-2, classifier_multiplier=10.0, clip_norm=1.0
    )
    config.source.update(steps=300, learning_rate=2e-4)
    config.warmup.update(steps=60, learning_rate=1e-4, discriminator_width=32)
    config.selector.update(steps=20, learning_rate=5e-5, discrepancy_weight=0.05)
    config.round.update(steps=80, learning_rate=2e-4)
    config.joint.update(
        steps=600, schedule_steps=630, query_steps=(300, 330, 360, 390, 420), learning_rate=1e-2
    )


def _folders(config: ConfigDict) -> None:
    """Image and label folders of your own; see README, "Your own folders"."""
    data = config.data
    data.classes = ()  # names, in label order: --config.data.classes="('road', 'sky')"
    data.palette = ()  # an RGB triple a class; empty: distinct colours
    for role in ("source", "pool", "evaluation"):
        section = data[role] = ConfigDict()
        section.images = f"{role}/images"  # below data.root, or absolute
        section.labels = f"{role}/labels"  # label values: class numbers, 255 for void
        section.pattern = "*"  # which files of the folder, a glob on the path below it
        section.image_suffix = ""  # what image names have and label names lack, "_leftImg8bit"
        section.label_pattern = "{stem}.png"  # file name of an image's label
        section.label_map = ""  # class numbers of the values in the files: "7:0, 8:1, other:255"
        section.classes = ()  # if a role has its own list: it must equal the source's


def _gtav(config: ConfigDict) -> None:
    """GTAV → Cityscapes as in the papers: DeepLab-v2 on ResNet-101, batches of 2 and 2.

    `model.pretrained` has to name torchvision's ResNet-101 file. LabOR's text gives neither rates,
    steps nor sizes: its warm-up takes ADVENT's 120,000 steps of batch 1 as 60,000 of batch 2, the
    other phases a part of that, and sizes are RIPU's.
    """
    data = config.data
    data.source_root = ""  # the data sets' own folders, where they aren't in data.root
    data.target_root = ""
    data.target = "cityscapes"  # or "acdc", "bdd100k"
    data.acdc_conditions = ("fog", "night", "rain", "snow")  # of acdc: which images
    data.skip = ()  # names of images to leave out
    data.update(source_size=(720, 1280), target_size=(640, 1280), evaluation_size=(640, 1280))
    data.cache_bytes = 0  # an epoch is longer than any memory
    data.augment.flip = False
    config.source_batch_size = config.target_batch_size = config.evaluation_batch_size = 2
    config.evaluation_flip = True  # RIPU's test
    config.log_every, config.checkpoint_every = 100, 2000
    config.model.update(backbone="resnet101", head="deeplab_v2", batch_norm="frozen")
    config.source.steps = 20_000
    config.warmup.steps = 60_000
    config.warmup.two_levels = True  # as in the published row
    config.selector.steps = 2_000
    config.round.steps = 20_000


def _synthia(config: ConfigDict) -> None:
    """SYNTHIA → Cityscapes, as `_gtav`: a head of 16 classes, mIoU over 16 and 13 of them."""
    _gtav(config)
    config.data.source_size = (760, 1280)  # the images' own
    config.data.num_classes = 16  # or 19


PAIRS = {
    "street": _street,
    "camvid": _camvid,
    "gtav": _gtav,
    "synthia": _synthia,
    "folders": _folders,
}

"""Train a U-Net on a set of pictures and the cells drawn in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from segmentation.unet.network import Network
    from stages.storage.image_sets import Picture

INPUTS = {"training": "image-set"}
OUTPUTS = {"model": "unet-model"}

_MOST_KEPT_OUT = 64
_CROP = 128  # of the classic network


class Params(StageParams):
    architecture: Literal["classic", "blog"] = "classic"
    """classic: two convolutions a level, for pictures of any size. blog: the network of the blog post, with its batch,
    loss and squashing unless they are set."""
    depth: int = Field(4, ge=1, le=7)
    """How often the classic network halves the picture; the blog's has its own depth and width."""
    width: int = Field(16, ge=1)
    """Channels of the classic network's first level; each level further down has twice as many."""
    crop: int | None = Field(None, ge=16)
    """Side of the crops to train on, pixels; a multiple of 2 to the power of depth. Left out: 128, for the blog's
    network 256, which is all that it takes."""
    squash: bool | None = None
    """Resize whole pictures to 256 x 256 in place of cutting crops; for the blog's network, true there if left out."""
    batch_size: int | None = Field(None, ge=1)
    """Crops in a step. Left out: 4, for the blog's network 12."""
    loss: Literal["dice", "bce", "dice+bce"] | None = None
    """Dice, binary cross-entropy, or their sum. Left out: the sum, for the blog's network dice."""
    augment: bool = True
    """Flip, turn, stretch and bend crops, and change their grey values, at random."""
    learning_rate: float = Field(0.003, gt=0, allow_inf_nan=False)
    """Of the Adam optimiser."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """Keep the learning rate, or let it fall to 0 along a cosine, at max_steps or max_minutes."""
    max_steps: int = Field(8500, ge=1)
    """Steps of gradient descent, counted from the first start of this training."""
    max_minutes: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Stop after so many minutes of training, if max_steps are not reached before. How far that gets depends on the
    machine: two runs give the same weights only without it, and on a CPU."""
    validation_fraction: float = Field(0.15, gt=0, lt=1)
    """Share of the pictures, at least one and at most 64, that is kept out of training, to tell which weights are
    best."""
    validation_steps: int = Field(250, ge=1)
    """Look at these pictures every so many steps; the model has the weights that did best there. The network's
    normalisation settles in the first 150 steps: looks before that tell little."""
    patience: int = Field(20, ge=1)
    """Stop when so many looks in a row have not found better weights."""
    seed: int = Field(1, ge=0, lt=2**32)
    """Of the fresh weights, of the order of the crops, and of which pictures are kept out."""

    @model_validator(mode="after")
    def _fits_the_network(self) -> Self:
        if self.architecture == "blog":
            if self.crop not in (None, 256):
                raise ValueError(f"crop is {self.crop}, but the blog's network takes 256 x 256; leave crop out")
            for name in ("depth", "width"):
                if (value := getattr(self, name)) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} is {value}, but the blog's network has its own; leave {name} out")
            if self.batch_size == 1:
                raise ValueError(
                    "batch_size is 1, but the blog's network is normalised over the batch, and has one pixel of each "
                    "crop at its bottom: of one value nothing would be left; set it to 2 or more"
                )
        elif self.squash:
            raise ValueError("squash is for architecture: blog; the classic network takes pictures of any size")
        elif self.crop is not None and self.crop % 2**self.depth:
            raise ValueError(
                f"crop is {self.crop}, but a depth of {self.depth} needs a multiple of {2**self.depth}; "
                f"set it to {-(-self.crop // 2**self.depth) * 2**self.depth}"
            )
        elif self.batch_size == 1 and (self.crop or _CROP) == 2**self.depth:
            raise ValueError(
                f"batch_size is 1, and of a crop of {2**self.depth} a depth of {self.depth} leaves one pixel, of which "
                "normalisation would leave nothing; set one of them otherwise"
            )
        return self

    def resolved(self) -> Self:
        """With what is left out as it comes with the architecture."""
        ours: dict[str, Any] = {"crop": _CROP, "squash": False, "batch_size": 4, "loss": "dice+bce"}
        if self.architecture == "blog":
            ours = {"crop": 256, "squash": True, "batch_size": 12, "loss": "dice"}
        return self.model_copy(update={name: value for name, value in ours.items() if getattr(self, name) is None})


def run(params: Params, context: Context) -> None:
    import keras
    import numpy as np

    from segmentation import backend
    from segmentation.unet import losses
    from segmentation.unet import network as unet
    from segmentation.unet.examples import Examples
    from segmentation.unet.prediction import squash
    from stages.resumable import state
    from stages.resumable.unet_training import Training, Validation
    from stages.storage.words import some

    params = params.resolved()
    pictures = _read(context.inputs["training"])
    network = _network(params, pictures)
    generator = np.random.default_rng(params.seed)
    kept_out = _kept_out(len(pictures), params.validation_fraction, generator)
    data = state.fingerprint(*(picture.image for picture in pictures), *map(_labels, pictures))

    fit = squash if network.squash else np.asarray
    used, looked_at, names = [], [], [pictures[i].name for i in kept_out]
    for number, (image, target, middles) in enumerate(_prepared(pictures, network)):
        if number in kept_out:
            looked_at.append((fit(image), target))
        else:
            used.append((fit(image), fit(target), middles))

    keras.utils.set_random_seed(params.seed)
    model = unet.build(network)
    images, targets, centres = zip(*used, strict=True)
    assert params.crop  # resolved, as the others
    assert params.batch_size
    assert params.loss
    examples = Examples(images, targets, centres, params.crop, params.batch_size, generator, augment=params.augment)
    optimizer = keras.optimizers.Adam(params.learning_rate)
    train = backend.training_step(model, optimizer, losses.LOSSES[params.loss])
    validation = Validation(names, looked_at, params.loss)
    training = Training(params, network, model, optimizer, examples, validation, data, context)
    start = training.resume()
    context.message(
        f"training on {backend.device()} ({backend.name()}), from step {start} to {params.max_steps}, on {len(used)} "
        f"pictures; {len(names)} more are for validation: {some(names)}"
    )
    with context.saves_on_stop():
        training.loop(train, start)


def _read(path: str) -> list[Picture]:
    from stages.storage.image_sets import read_set

    pictures = read_set(path)
    for picture in pictures:
        if picture.labels is None:
            raise InputError(
                f"{path}: {picture.name} has no labels to learn from; connect the training set of import-pairs"
            )
    if len(pictures) < 2:
        raise InputError(
            f"{path}: holds one picture, {pictures[0].name}; training needs two or more, as one is kept out to tell "
            "which weights are best: cut it into parts, or add pictures"
        )
    if not any(picture.labels.any() for picture in pictures):  # type: ignore[union-attr]  # seen above
        raise InputError(f"{path}: no cell is drawn in any of the {len(pictures)} pictures; look at the labels")
    return pictures


def _network(params: Params, pictures: list[Picture]) -> Network:
    from segmentation.unet import network as unet

    if params.architecture == "blog":
        return unet.blog(squash=bool(params.squash))
    channels = 3 if any(picture.image.ndim == 3 for picture in pictures) else 1
    return unet.Network("classic", channels, params.depth, params.width)


def _kept_out(number: int, share: float, generator: np.random.Generator) -> list[int]:
    """Which pictures are for validation: at least one, at most 64, as each is predicted at every look, and not all."""
    count = min(max(round(share * number), 1), number - 1, _MOST_KEPT_OUT)
    return sorted(int(i) for i in generator.permutation(number)[:count])


def _labels(picture: Picture) -> np.ndarray:
    assert picture.labels is not None  # `_read` has seen to it
    return picture.labels


def _prepared(pictures: list[Picture], network: Network) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Normalised image, target, and where crops may be near a cell, of each picture.

    The list is empty in the end, as nobody needs it any more.
    """
    import numpy as np

    from segmentation.unet import instances
    from segmentation.unet import network as unet
    from segmentation.unet.normalisation import normalise

    while pictures:
        picture = pictures.pop(0)
        labels = _labels(picture)
        target = np.ascontiguousarray(instances.targets(labels)[..., : unet.outputs(network)])
        # Where whole pictures are squashed there is nothing to choose.
        middles = np.zeros((0, 2)) if network.squash else instances.centres(labels)
        yield normalise(picture.image, network.channels), target, middles

"""Train a U-Net on a set of pictures and the cells drawn in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from floodrunner.contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from floodrunner.segmentation.unet.augmentation import Ranges
    from floodrunner.segmentation.unet.network import Architecture, NetworkSpec
    from floodrunner.stages.resumable.unet_training import UNetTask
    from floodrunner.stages.storage.image_sets import Picture

INPUTS = {"training": "image-set"}
OUTPUTS = {"model": "unet-model"}

# Training continues from a saved state only if the parameters in `_IDENTITY` are unchanged. The parameters in `_MANNER`
# and the number of steps may change from one run to the next.
_IDENTITY = {"crop", "batch_size", "loss", "augment", "seed", "validation_fraction"}
_MANNER = {"learning_rate", "schedule", "validation_interval", "patience", "max_minutes"}
_METHOD = 2  # increased when a change of the networks, targets or validation loss makes earlier saved states useless

_MOST_KEPT_OUT = 64


class Augmentation(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    flips: bool = True
    """Turn crops by 0, 90, 180 or 270 degrees and reflect them; all 8 orientations are equally frequent."""
    warped: float = Field(0.5, ge=0, le=1)
    """Share of the crops that are also bent, rotated and stretched. This blurs them slightly, and the pictures that the
    network is used on are not blurred, so some crops should stay unwarped."""
    bend: float = Field(6.0, ge=0, le=100)
    """Standard deviation of a smooth random displacement, in pixels of a crop with a side of 256; in crops of other
    sizes it is in proportion; 0 is off."""
    rotation: float = Field(15.0, ge=0, le=180)
    """Largest rotation in either direction, in degrees; 0 is off."""
    stretch: float = Field(0.25, ge=0, le=2)
    """Largest change of scale, as a natural logarithm: 0.25 means a factor of 0.78 to 1.28. In addition, height and
    width are each scaled by up to 0.4 of this logarithm. 0 is off."""
    gamma: float = Field(0.2, ge=0, le=2)
    """Grey values are raised to a power whose natural logarithm is between minus this number and this number; 0 is
    off."""
    contrast: float = Field(0.15, ge=0, le=1)
    """Grey values are multiplied by a factor that differs from 1 by at most this number; 0 is off."""
    brightness: float = Field(0.075, ge=0, le=1)
    """Largest value added to or subtracted from all grey values, which range from about 0 to 1; 0 is off."""
    noise: float = Field(0.03, ge=0, le=1)
    """Largest standard deviation of the noise added to each pixel; 0 is off."""


class Params(StageParams):
    RENAMED: ClassVar[dict[str, str]] = {"validation_steps": "validation_interval"}

    architecture: Literal["classic", "blog"] = "classic"
    """classic: two convolutions per level, for pictures of any size. blog: the network of the blog post that
    this project started from; batch_size, loss and squash then have other defaults."""
    depth: int | None = Field(None, ge=1, le=7)
    """How many times the network halves the picture. By default 4. The depth of the blog's network is fixed."""
    width: int | None = Field(None, ge=1)
    """Channels of the first level; each further level has twice as many. By default 16. The width of the blog's
    network is fixed."""
    crop: int | None = Field(None, ge=16)
    """Side of the crops to train on, pixels; a multiple of 2 to the power of depth. By default 128. The blog's network
    takes only 256."""
    squash: bool | None = None
    """Resize whole pictures to 256 x 256 instead of cutting crops; only for the blog's network, where the
    default is true."""
    batch_size: int | None = Field(None, ge=1)
    """Number of crops in a training step. By default 4, or 12 for the blog's network."""
    loss: Literal["dice", "bce", "dice+bce"] | None = None
    """Loss function: dice, bce (binary cross-entropy), or their sum. By default the sum, or dice for the blog's
    network."""
    augment: bool | Augmentation = True
    """Change the shape and the grey values of crops at random. true: with the defaults below. false: not at all. Or
    give only the settings that differ from the defaults, such as `{rotation: 180, noise: 0}`."""
    learning_rate: float = Field(0.003, gt=0, allow_inf_nan=False)
    """Learning rate of the Adam optimiser."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """Keep the learning rate constant, or decrease it along a cosine to 0 at max_steps or max_minutes."""
    max_steps: int = Field(8500, ge=1)
    """Number of training steps (of gradient descent) in total, over all runs of the stage."""
    max_minutes: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Stop after this many minutes of training, even if max_steps is not reached. The number of steps then depends on
    the speed of the machine: two runs give the same weights only on a CPU and without max_minutes."""
    validation_fraction: float = Field(0.15, gt=0, lt=1)
    """Share of the pictures that are not trained on, but used to find the best weights; at least one picture, at most
    64."""
    validation_interval: int = Field(250, ge=1)
    """Steps from one validation to the next. The model gets the weights with the lowest loss on the validation
    pictures. Batch normalisation needs about 150 steps to settle; earlier validations are not meaningful."""
    patience: int = Field(20, ge=1)
    """Stop after this many validations in a row that found no better weights."""
    seed: int = Field(1, ge=0, lt=2**32)
    """Seed of the random initial weights, of the crops, and of the choice of validation pictures."""

    @model_validator(mode="after")
    def _fits_the_architecture(self) -> Self:
        from floodrunner.segmentation.unet.network import Choices

        resolved = self.resolved()
        _architecture(self).check(Choices(**{name: getattr(resolved, name) for name in Choices._fields}))
        return self

    def resolved(self) -> Self:
        """Returns the parameters, with the architecture's defaults in place of settings that were left out."""
        defaults = _architecture(self).DEFAULTS._asdict()
        missing = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        # Equal settings must have the same form, because saved states compare them.
        augment = True if self.augment == Augmentation() else self.augment
        return self.model_copy(update=missing | {"augment": augment})


def run(params: Params, context: Context) -> None:
    from functools import partial

    import keras
    import numpy as np

    from floodrunner.segmentation import backend
    from floodrunner.segmentation.unet import losses
    from floodrunner.segmentation.unet.examples import Examples
    from floodrunner.segmentation.unet.network import NetworkSpec
    from floodrunner.segmentation.unet.normalisation import weakest_of
    from floodrunner.segmentation.unet.prediction import resized
    from floodrunner.stages.resumable import state, training
    from floodrunner.stages.resumable.unet_training import UNetTask, Validation
    from floodrunner.stages.storage import unet_ranges
    from floodrunner.stages.storage.words import some

    params = params.resolved()
    assert params.depth and params.width and params.crop and params.batch_size and params.loss  # noqa: PT018  # resolved
    architecture = _architecture(params)
    pictures = _read(context.inputs["training"])
    colour = architecture.COLOUR and any(picture.image.ndim == 3 for picture in pictures)
    network = NetworkSpec(params.architecture, 3 if colour else 1, params.depth, params.width, bool(params.squash))
    generator = np.random.default_rng(params.seed)
    with_cells = [bool(_labels(picture).any()) for picture in pictures]
    kept_out = _kept_out(with_cells, params.validation_fraction, generator)
    weakest = weakest_of((each.image for each in pictures if _labels(each).any()), network.channels)
    data = state.fingerprint(*(picture.image for picture in pictures), *map(_labels, pictures))

    fit = partial(resized, shape=(params.crop, params.crop)) if network.squash else np.asarray
    used, validated, names = [], [], [pictures[i].name for i in kept_out]
    for number, (image, target, middles) in enumerate(_prepared(pictures, network, architecture, weakest)):
        if number in kept_out:
            validated.append((fit(image), target))
        else:
            used.append((fit(image), fit(target), middles))

    keras.utils.set_random_seed(params.seed)
    model = architecture.build(network)
    images, targets, centres = zip(*used, strict=True)
    examples = Examples(images, targets, centres, params.crop, params.batch_size, generator, _ranges(params))
    optimizer = keras.optimizers.Adam(params.learning_rate)
    train = backend.training_step(model, optimizer, losses.LOSSES[params.loss])
    validation = Validation(validated, params.loss, params.validation_interval, params.patience)
    task = UNetTask(network, model, optimizer, train, backend.forward(model), examples, validation)
    identity = params.model_dump(mode="json", include=_IDENTITY) | {"data": data, "method": _METHOD}
    if not all(with_cells):  # earlier versions drew other validation pictures from such a set
        identity["empty_pictures"] = with_cells.count(False)
    manner = params.model_dump(mode="json", include=_MANNER)
    saved = training.Saved(context, network._asdict() | identity, manner, Params.RENAMED)
    progress = saved.resume(task, params.max_steps)
    where = f"{backend.device()} ({backend.name()})"
    context.message(
        f"training on {where}, from step {progress.step} to {params.max_steps}, on {len(used)} pictures; "
        f"{len(names)} more for validation: {some(names)}"
    )
    _tell_empty(with_cells, kept_out, context)
    schedule = training.Schedule(params.max_steps, params.learning_rate, params.schedule, params.max_minutes)
    with context.saves_on_stop():
        training.train(task, schedule, progress, saved, context)
    _finish(params, network, task, names, progress.step, context)
    unet_ranges.write_ranges(context.outputs["model"], weakest)


def _architecture(params: Params) -> Architecture:
    from floodrunner.segmentation.unet.architectures import ARCHITECTURES

    return ARCHITECTURES[params.architecture]


def _ranges(params: Params) -> Ranges | None:
    from floodrunner.segmentation.unet.augmentation import Ranges

    if isinstance(params.augment, Augmentation):
        return Ranges(**params.augment.model_dump())
    return Ranges() if params.augment else None


def _read(path: str) -> list[Picture]:
    from floodrunner.stages.storage.image_sets import read_set

    pictures = read_set(path)
    for picture in pictures:
        if picture.labels is None:
            raise InputError(
                f"{path}: {picture.name} has no labels to train on; connect the training set of import-pairs"
            )
    if len(pictures) < 2:
        raise InputError(
            f"{path}: holds one picture, {pictures[0].name}; training needs two or more, because one is kept out for "
            "validation: cut the picture into parts, or add pictures"
        )
    if not any(_labels(picture).any() for picture in pictures):
        raise InputError(f"{path}: no cell is drawn in any of the {len(pictures)} pictures; check the labels")
    return pictures


def _kept_out(with_cells: list[bool], share: float, generator: np.random.Generator) -> list[int]:
    """Chooses the validation pictures: at least one, not all, and at most 64, because each validation takes time. One
    picture with cells at least is left to train on."""
    from floodrunner.segmentation.unet.kept_out import drawn

    number = len(with_cells)
    count = min(max(round(share * number), 1), number - 1, _MOST_KEPT_OUT)
    return sorted(drawn(with_cells, count, 1, generator))


def _tell_empty(with_cells: list[bool], kept_out: list[int], context: Context) -> None:
    if all(with_cells):
        return
    validated = [with_cells[number] for number in kept_out]
    trained = [has for number, has in enumerate(with_cells) if number not in kept_out]
    if not any(validated):
        context.message(
            f"only one of {len(with_cells)} pictures has cells, and it is trained on: no validation picture has a "
            "cell, so the best weights cannot be chosen; the last ones are used, and training does not stop early; add "
            "pictures with cells"
        )
        return
    context.message(
        f"{trained.count(False)} of {len(trained)} training pictures and {validated.count(False)} of {len(validated)} "
        "validation pictures have no cell; the validation Dice is the mean over those with cells, the validation loss "
        "is that of all"
    )


def _labels(picture: Picture) -> np.ndarray:
    assert picture.labels is not None  # checked in `_read`
    return picture.labels


def _prepared(
    pictures: list[Picture], network: NetworkSpec, architecture: Architecture, weakest: list[float]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields, for each picture, the normalised image, the target, and the centres of the cells.

    Each picture is removed from the list when its turn comes, to free memory.
    """
    import numpy as np

    from floodrunner.segmentation.unet import instances
    from floodrunner.segmentation.unet.normalisation import normalise

    while pictures:
        picture = pictures.pop(0)
        labels = _labels(picture)
        target = np.ascontiguousarray(instances.targets(labels)[..., : architecture.OUTPUTS])
        # A squashed picture is used as a whole, so no crop is placed near a cell.
        middles = np.zeros((0, 2)) if network.squash else instances.centres(labels)
        yield normalise(picture.image, network.channels, weakest), target, middles


def _finish(params: Params, network: NetworkSpec, task: UNetTask, names: list[str], end: int, context: Context) -> None:
    """Writes the model with the best weights, and the curves; reports why training ended, and the best scores."""
    from floodrunner.segmentation import curves
    from floodrunner.stages.readers import files
    from floodrunner.stages.storage import unet_models

    validations = task.validations
    if end < params.max_steps:
        why = f"{params.patience} validations in a row found no better weights"
        if not task.enough():
            why = f"the limit of {params.max_minutes:g} minutes (max_minutes) is reached"
        context.message(f"stopped after {end} of {params.max_steps} steps: {why}")
    best = validations[-1 - task.without_gain()]
    context.conclude(
        f"The best weights are from step {best['step']}: loss {best['validation_loss']:.4f}, Dice of pixels "
        f"{best['validation_dice']:.4f} on the validation pictures; these chose the weights, so others may score lower"
        if best["validation_dice"] is not None
        else f"The weights are from step {best['step']}; no validation picture has a cell"
    )
    unet_models.write_model(context.outputs["model"], network, task.best, {"step": best["step"], "validation": names})
    picture = context.output_folder / "curves.png"
    steps = [each["step"] for each in validations]
    drawn = [name for name in ("loss", "validation_loss", "validation_dice") if best[name] is not None]
    lines: dict[str, Any] = {name: [each[name] for each in validations] for name in drawn}
    files.write(picture, curves.draw(steps, lines))
    context.artifact(picture, "training loss, validation loss and validation Dice")

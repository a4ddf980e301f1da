"""Train a U-Net on a set of pictures and the cells drawn in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from stages._contract import Context, InputError, StageParams

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    import numpy as np
    from tensorboard.summary import Writer

    from segmentation.unet.examples import Examples
    from segmentation.unet.network import Network
    from stages._image_sets import Picture

INPUTS = {"training": "image-set"}
OUTPUTS = {"model": "unet-model"}

STATE_FILE = "training.h5"
_SAVE_INTERVAL_S = 300
_REPORT_INTERVAL_S = 2.0
_LOSS_WINDOW = 100
_TILE = 2048


class Params(StageParams):
    architecture: Literal["classic", "blog"] = "classic"
    """classic: two convolutions a level, for pictures of any size. blog: the network of the blog post, with its batch,
    loss and squashing unless they are set."""
    depth: int = Field(4, ge=1, le=7)
    """How often the classic network halves the picture."""
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
    """Of the mask: Dice, binary cross-entropy, or their sum. Left out: the sum, for the blog's network dice."""
    augment: bool = True
    """Flip, turn, stretch and bend crops, and change their grey values, at random."""
    learning_rate: float = Field(0.002, gt=0, allow_inf_nan=False)
    """Of the Adam optimiser."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """Keep the learning rate, or let it fall to 0 along a cosine, at max_steps or max_minutes."""
    max_steps: int = Field(5000, ge=1)
    """Steps of gradient descent, counted from the first start of this training."""
    max_minutes: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Stop after so many minutes of training, if max_steps are not reached before. How far that gets depends on the
    machine: only without it do two runs give the same weights."""
    validation_fraction: float = Field(0.15, gt=0, lt=1)
    """Share of the pictures, at least one, that is kept out of training, to tell which weights are best."""
    validation_steps: int = Field(100, ge=1)
    """Look at these pictures every so many steps; the model has the weights that did best there."""
    patience: int = Field(20, ge=1)
    """Stop when so many looks in a row have not found better weights."""
    seed: int = Field(1, ge=0, lt=2**32)
    """Of the fresh weights, of the order of the crops, and of which pictures are kept out."""

    @model_validator(mode="after")
    def _fits_the_network(self) -> Self:
        if self.architecture == "blog":
            if self.crop not in (None, 256):
                raise ValueError(f"crop is {self.crop}, but the blog's network takes 256 x 256; leave crop out")
        elif self.squash:
            raise ValueError("squash is for architecture: blog; the classic network takes pictures of any size")
        elif self.crop is not None and self.crop % 2**self.depth:
            raise ValueError(
                f"crop is {self.crop}, but a depth of {self.depth} needs a multiple of {2**self.depth}; "
                f"set it to {-(-self.crop // 2**self.depth) * 2**self.depth}"
            )
        return self


def run(params: Params, context: Context) -> None:
    import keras
    import numpy as np

    from segmentation import backend
    from segmentation.unet import losses
    from segmentation.unet import network as unet
    from segmentation.unet.examples import Examples
    from segmentation.unet.instances import targets
    from segmentation.unet.normalisation import normalise
    from segmentation.unet.prediction import squash
    from stages import _state
    from stages._section_names import some

    blog = params.architecture == "blog"
    pictures = _read(context.inputs["training"])
    network = _network(params, pictures)
    generator = np.random.default_rng(params.seed)
    kept_out = _kept_out(len(pictures), params.validation_fraction, generator)

    images = [normalise(picture.image, network.channels) for picture in pictures]
    labels = [picture.labels for picture in pictures if picture.labels is not None]  # all: `_read` has seen to it
    truths = [targets(each)[..., : unet.outputs(network)] for each in labels]
    used = [i for i in range(len(pictures)) if i not in kept_out]
    fit = squash if network.squash else np.asarray
    keras.utils.set_random_seed(params.seed)
    model = unet.build(network)
    examples = Examples(
        [fit(images[i]) for i in used],
        [fit(truths[i]) for i in used],
        params.crop or (256 if blog else 128),
        params.batch_size or (12 if blog else 4),
        generator,
        augment=params.augment,
    )
    loss = losses.of_targets(losses.LOSSES[params.loss or ("dice" if blog else "dice+bce")])
    optimizer = keras.optimizers.Adam(params.learning_rate)
    train = backend.training_step(model, optimizer, loss)
    validation = _Validation([pictures[i].name for i in kept_out], [(images[i], truths[i]) for i in kept_out], loss)
    data = _state.fingerprint(*(picture.image for picture in pictures), *labels)
    training = _Training(params, network, model, optimizer, examples, validation, data, context)
    start = training.resume()
    context.message(
        f"training on {backend.device()} ({backend.name()}), from step {start} to {params.max_steps}, on {len(used)} "
        f"pictures; {len(kept_out)} more are for validation: {some(validation.names)}"
    )
    with context.saves_on_stop():
        training.loop(train, start)


def _read(path: str) -> list[Picture]:
    from stages._image_sets import read_set

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
        return unet.blog(squash=params.squash is not False)
    channels = 3 if any(picture.image.ndim == 3 for picture in pictures) else 1
    return unet.Network("classic", channels, params.depth, params.width)


def _kept_out(number: int, share: float, generator: np.random.Generator) -> list[int]:
    """Which pictures are for validation: at least one, and at least one is left."""
    count = min(max(round(share * number), 1), number - 1)
    return sorted(int(i) for i in generator.permutation(number)[:count])


class _Validation(NamedTuple):
    """Pictures that training never sees: names, (image, target), and the loss (target, output)."""

    names: list[str]
    pictures: list[tuple[np.ndarray, np.ndarray]]
    loss: Callable[[Any, Any], Any]


class _Training:
    """The loop around the steps: learning rate, looks at the validation pictures, reports, the state to continue from.

    What has come of the training so far is `_progress`: JSON, as it is part of the state.
    """

    def __init__(
        self,
        params: Params,
        network: Network,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        examples: Examples,
        validation: _Validation,
        data: str,
        context: Context,
    ) -> None:
        from segmentation import backend
        from stages import _training

        self._params, self._network, self._context = params, network, context
        self._model, self._optimizer, self._examples, self._validation = model, optimizer, examples, validation
        self._forward = backend.forward(model)
        fixed = {"architecture", "depth", "width", "crop", "squash", "batch_size", "loss", "augment", "seed"}
        identity = params.model_dump(mode="json", include=fixed | {"validation_fraction"}) | {"data": data}
        manner = params.model_dump(
            mode="json", include={"learning_rate", "schedule", "validation_steps", "patience", "max_minutes"}
        )
        self._saved = _training.Saved(context, STATE_FILE, identity, manner)
        self._best: list[np.ndarray] = []
        self._progress: dict[str, Any] = {"seconds": 0.0, "losses": [], "looks": []}

    def resume(self) -> int:
        """Continues from the saved state, if there is one of this training; returns the step to go on from."""
        found = self._saved.load(self._params.max_steps)
        if found is None:
            return 0
        arrays, values = found
        for i, variable in enumerate(self._variables()):
            variable.assign(arrays[f"variables/{i}"])
        self._best = [arrays[f"best/{i}"] for i in range(len(self._model.weights)) if f"best/{i}" in arrays]
        self._examples.restore(values["examples"])
        self._progress = values["progress"]
        return int(values["step"])

    def save(self, step: int) -> None:
        import keras

        arrays = {f"variables/{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(self._variables())}
        arrays |= {f"best/{i}": array for i, array in enumerate(self._best)}
        self._saved.save(step, arrays, {"examples": self._examples.state(), "progress": self._progress})

    def loop(self, train: Any, start: int) -> None:
        from tensorboard.summary import Writer

        board = Writer(str(self._context.state / "tensorboard"))
        try:
            end = self._steps(train, start, board)
        finally:
            board.close()
        if end > start:
            self.save(end)
        self._finish(end)

    def _steps(self, train: Any, start: int, board: Writer) -> int:
        """Trains until something says that it is enough; returns the number of steps."""
        from stages import _training

        params, context, progress = self._params, self._context, self._progress
        before, begun = progress["seconds"], time.monotonic()
        reported = saved = begun
        step = start
        while True:
            context.stop_point(lambda: self.save(step))  # noqa: B023  # called before the loop goes on
            share = max(step / params.max_steps, progress["seconds"] / 60 / (params.max_minutes or float("inf")))
            looks = progress["looks"]
            if (share >= 1 or step % params.validation_steps == 0) and step > (looks[-1]["step"] if looks else 0):
                self._look(step, board)
            if share >= 1 or self._in_vain() >= params.patience:
                return step
            self._optimizer.learning_rate.assign(_training.learning_rate(params.learning_rate, params.schedule, share))
            loss, _ = train(*self._examples.batch())
            if loss != loss:
                raise _training.diverged(step, params.learning_rate)
            step += 1
            now = time.monotonic()
            progress["seconds"] = before + now - begun
            progress["losses"] = [*progress["losses"], loss][-_LOSS_WINDOW:]
            if now - reported >= max(_REPORT_INTERVAL_S, (now - begun) / 5000):
                reported = now
                mean = sum(progress["losses"]) / len(progress["losses"])
                board.add_scalar("loss", mean, step)
                context.metric("loss", mean, step=step)
                if params.max_minutes is None or step / params.max_steps >= share:
                    context.progress(step, params.max_steps, "steps")
                else:
                    context.progress(round(share * params.max_minutes, 2), params.max_minutes, "minutes")
            if now - saved >= _SAVE_INTERVAL_S:
                saved = now
                self.save(step)

    def _look(self, step: int, board: Writer) -> None:
        """Scores the weights on the validation pictures, and keeps them if they are the best so far."""
        import keras

        from segmentation.masks import dice
        from segmentation.unet import prediction

        scores = []
        for image, truth in self._validation.pictures:
            self._context.stop_point(lambda: self.save(step))
            found = prediction.picture(self._forward, self._network, image, _TILE)
            loss = float(self._validation.loss(truth[None], found[None]))
            scores.append((loss, dice(found[..., 0] > 0.5, truth[..., 0] > 0.5)))
        loss, overlap = (sum(column) / len(scores) for column in zip(*scores, strict=True))
        losses, looks = self._progress["losses"], self._progress["looks"]
        look = {"step": step, "loss": sum(losses) / len(losses), "validation_loss": loss, "validation_dice": overlap}
        for name in ("validation_loss", "validation_dice"):
            board.add_scalar(name, look[name], step)
            self._context.metric(name, look[name], step=step)
        if not looks or loss < min(each["validation_loss"] for each in looks):
            self._best = [keras.ops.convert_to_numpy(weight) for weight in self._model.weights]
        looks.append(look)

    def _in_vain(self) -> int:
        """How many looks there were since that which found the best weights."""
        losses = [look["validation_loss"] for look in self._progress["looks"]]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def _finish(self, end: int) -> None:
        from PIL import Image

        from segmentation import curves
        from stages import _unet_models

        params, context, looks = self._params, self._context, self._progress["looks"]
        if end < params.max_steps:
            why = f"{params.patience} looks in a row found nothing better"
            if self._in_vain() < params.patience:
                why = f"max_minutes, {params.max_minutes:g}, are over"
            context.message(f"stopped after {end} of {params.max_steps} steps: {why}")
        context.progress(end, end, "steps")
        best = min(looks, key=lambda look: look["validation_loss"])
        context.message(
            f"best at step {best['step']}: loss {best['validation_loss']:.4f}, Dice {best['validation_dice']:.4f} on "
            "validation pictures"
        )
        about = {"step": best["step"], "validation": self._validation.names}
        _unet_models.write_model(context.outputs["model"], self._network, self._best, about)
        picture = context.output_folder / "curves.png"
        steps = [look["step"] for look in looks]
        lines = {name: [look[name] for look in looks] for name in ("loss", "validation_loss", "validation_dice")}
        Image.fromarray(curves.draw(steps, lines)).save(picture)
        context.artifact(picture, "loss in training and on the validation pictures, and their Dice")

    def _variables(self) -> list[Any]:
        return [*self._model.variables, *self._optimizer.variables]

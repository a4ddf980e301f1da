"""Estimates memory and steps of `unet-train`; it checks nothing."""

from __future__ import annotations

from floodrunner.contract.survey import Network, Work
from floodrunner.segmentation.unet.architectures import ARCHITECTURES
from floodrunner.stages.survey.costs import NETWORK
from floodrunner.stages.survey.heads import Head, Pictures, UNetModel
from floodrunner.stages.survey.look import Look
from floodrunner.stages.unet_train import Params


def survey(params: Params, look: Look) -> dict[str, Head]:
    pictures = look.head("training", Pictures)
    if pictures is None:
        return {}
    settings = params.resolved()
    assert settings.depth and settings.width and settings.crop and settings.batch_size  # noqa: PT018  # resolved
    channels = pictures.channels if ARCHITECTURES[settings.architecture].COLOUR else 1
    made = UNetModel(settings.architecture, channels, settings.depth, settings.width, bool(settings.squash))
    network = Network(
        kind="unet",
        settings=vars(made),
        shape=(settings.batch_size, settings.crop, settings.crop),
        trains=True,
    )
    work = Work(
        least=settings.max_steps,
        most=settings.max_steps,
        unit="steps",
        speed=f"unet-train {' '.join(map(str, vars(made).values()))} crop={settings.crop} batch={settings.batch_size}",
        network=network,
        may_end_early=True,
    )
    # Prepared pictures and targets are float32. A level of the network keeps about 12 arrays of its width.
    prepared = pictures.pixels * 4 * (channels + 3)
    activations = 4 * settings.batch_size * settings.crop**2 * settings.width * 24
    weights = 4 * 9 * (settings.width * 2**settings.depth) ** 2 * 4
    look.needs(
        NETWORK + 1.3 * prepared + activations + 4 * weights, 5 * weights + 1e6, work, "a smaller batch_size or crop"
    )
    return {"model": made}

"""Make pictures of nuclei with known truth, many of them touching, to try out a pipeline."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from floodrunner.contract.stage import Context, InputError, StageParams

INPUTS: dict[str, str] = {}
OUTPUTS = {"training": "image-set", "test": "image-set"}


class Params(StageParams):
    pictures: int = Field(24, ge=2)
    """Number of pictures to train on."""
    test_pictures: int = Field(8, ge=1)
    """Number of further pictures to test on."""
    width: int = Field(256, ge=1)
    """Width of each picture, pixels."""
    height: int = Field(256, ge=1)
    """Height of each picture, pixels."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of the random numbers: the same seed gives the same pictures."""
    diameter: float = 24.0
    """Diameter of a typical nucleus, pixels."""
    crowding: float = 0.2
    """Share of a picture that nuclei cover; the higher this share, the more nuclei touch."""
    noise: float = 6.0
    """Standard deviation of the camera noise in the background, grey levels; 0 for none."""


def run(params: Params, context: Context) -> None:
    import numpy as np

    from floodrunner.segmentation.phantom.nuclei import nuclei
    from floodrunner.stages.reports.previews import write_preview
    from floodrunner.stages.storage.image_sets import Picture, write_set

    total = params.pictures + params.test_pictures
    made, cells = [], []
    for number, seed in enumerate(np.random.SeedSequence(params.seed).generate_state(total).tolist(), 1):
        try:
            image, labels = nuclei(
                (params.height, params.width),
                seed,
                diameter=params.diameter,
                crowding=params.crowding,
                noise=params.noise,
            )
        except ValueError as error:
            raise InputError(f"phantom-cells: {error}") from error
        made.append(Picture(f"{number:04d}", image, labels))
        cells.append(int(labels.max()))
        context.progress(number, total, "pictures")
    for port, part in (("training", slice(params.pictures)), ("test", slice(params.pictures, None))):
        write_set(context.outputs[port], made[part])
        context.metric(f"{port}_cells", sum(cells[part]))
    preview = context.output_folder / "preview.png"
    write_preview(preview, made[: params.pictures])
    context.artifact(preview, "some training pictures; below each, its cells")

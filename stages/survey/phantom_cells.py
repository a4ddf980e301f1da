"""Estimates what `phantom-cells` needs, and says how many pictures it will make."""

from __future__ import annotations

from floodrunner.stages.phantom_cells import Params
from floodrunner.stages.survey.costs import PYTHON, reading
from floodrunner.stages.survey.heads import Head, Pictures
from floodrunner.stages.survey.look import Look


def survey(params: Params, look: Look) -> dict[str, Head]:
    size = (params.height, params.width)
    made = {"training": params.pictures, "test": params.test_pictures}
    pixels = sum(made.values()) * size[0] * size[1]
    look.needs(
        1.4 * PYTHON + 8 * pixels,
        1.5 * pixels,
        reading(pixels, "phantom-cells", 3e5, "pixels"),
        "fewer or smaller pictures",
    )
    return {port: Pictures((size,) * number, 1, 1) for port, number in made.items()}

"""Checks that the sections that `import-labels` reads are labels and lie on the image; estimates what it needs."""

from __future__ import annotations

import math
from dataclasses import replace

from floodrunner.stages.import_labels import Params, place_on
from floodrunner.stages.readers.label_pixels import check_form
from floodrunner.stages.readers.sections import open_stack
from floodrunner.stages.readers.stack import announce, place_of
from floodrunner.stages.survey.costs import PYTHON, SLAB, reading
from floodrunner.stages.survey.heads import Head, Volume
from floodrunner.stages.survey.look import Look


def survey(params: Params, look: Look) -> dict[str, Head]:
    with look.checks(), open_stack(look.paths["stack"]) as stack:
        with look.checks():
            check_form(f"{stack.path}: the sections are {stack.form}", stack.form)
        announce(stack, look.context)
        image = look.head("images", Volume)
        made: dict[str, Head] = {}
        with look.checks():
            if "images" not in look.planned.sources:
                known = (params.voxel_size_xyz or stack.voxel_size_xyz) is not None
                place = place_of(stack, params.voxel_size_xyz, look.context)
                made["volume"] = Volume(stack.shape, 4, place, known, stack.files)
            elif image is not None:
                place = place_on(stack, params, image.shape, image.place, image.names, look.context)
                made["volume"] = Volume(stack.shape, 4, place, image.size_known, stack.files)
        if image is not None:  # what later steps would refuse is told too, as if the labels were mended
            made.setdefault("volume", replace(image, itemsize=4))
        voxels = math.prod(stack.shape)
        work = reading(voxels, f"import-labels relabel={params.relabel}", 2.5e6)
        look.needs(1.3 * PYTHON + 32 * SLAB * voxels / stack.shape[0], 0.1 * voxels, work)
        return made
    return {}

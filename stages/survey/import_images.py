"""Checks form, size and voxel size of the sections that `import-images` reads, and estimates what it needs."""

from __future__ import annotations

import math

from floodrunner.stages.import_images import Params, check_form
from floodrunner.stages.readers.sections import open_stack
from floodrunner.stages.readers.stack import announce, place_of
from floodrunner.stages.survey.costs import PYTHON, SLAB, reading
from floodrunner.stages.survey.heads import Head, Volume
from floodrunner.stages.survey.look import Look


def survey(params: Params, look: Look) -> dict[str, Head]:
    with look.checks(), open_stack(look.paths["stack"]) as stack:
        with look.checks():
            check_form(stack, params, look.planned.step)
        announce(stack, look.context)
        place = place_of(stack, params.voxel_size_xyz, look.context)
        known = (params.voxel_size_xyz or stack.voxel_size_xyz) is not None
        voxels = math.prod(stack.shape)
        section = voxels / stack.shape[0] * stack.form.samples * max(stack.form.bits // 8, 1)
        memory = 1.3 * PYTHON + (SLAB + 2 * stack.threads) * section * (3 if params.clahe else 1)
        look.needs(memory, 0.9 * voxels, reading(voxels, f"import-images clahe={params.clahe}", 5e6))
        return {"volume": Volume(stack.shape, 1, place, known, stack.files)}
    return {}

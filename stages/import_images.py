"""Read a stack of sections (PNG or TIFF files, a multi-page TIFF, an HDF5 dataset) as one 8-bit image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from floodrunner.contract.lengths import VoxelSize
from floodrunner.contract.stage import Context, InputError, StageParams

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from floodrunner.stages.readers.stack import Stack

INPUTS = {"stack": "stack"}
OUTPUTS = {"volume": "image"}

Grey = Annotated[float, Field(allow_inf_nan=False)]


def _ascending(greys: tuple[float, float]) -> tuple[float, float]:
    low, high = greys
    if low >= high:
        raise ValueError(f"{low:g} is not less than {high:g}; write [black, white], such as [0, 1]")
    return greys


Greys = Annotated[tuple[Grey, Grey], AfterValidator(_ascending)]


class Params(StageParams):
    voxel_size_xyz: VoxelSize | None = None
    """Size of a voxel in nm. If left out, the size in the TIFF or HDF5 file is used, or 1, 1, 1 if the file gives no
    size."""
    convert_16_bit: Literal["refuse", "full_range", "percentiles"] = "refuse"
    """How to convert 16-bit greys to 8 bits. full_range maps 0 to 0 and 65535 to 255. percentiles maps the 0.1th
    percentile of the whole stack to 0 and the 99.9th to 255. Signed greys: full_range maps -32768 to 0 and 32767 to
    255."""
    convert_float: Literal["refuse", "percentiles"] | Greys = "refuse"
    """How to convert floating-point greys to 8 bits. percentiles maps the 0.1th percentile of the whole stack to 0 and
    the 99.9th to 255. A range, such as [0, 1], maps these two greys to 0 and 255. NaN and infinite greys become 0."""
    convert_rgb: Literal["refuse", "luminance"] = "refuse"
    """How to convert colours to grey. luminance: 0.299 R + 0.587 G + 0.114 B."""
    clahe: bool = False
    """Apply contrast-limited adaptive histogram equalisation to each section."""
    clahe_block: int = Field(127, ge=8)
    """Side of the square, in pixels, in which CLAHE equalises the histogram."""
    clahe_max_slope: float = Field(1.5, ge=1, allow_inf_nan=False)
    """Largest factor by which CLAHE may increase a difference between greys."""


def run(params: Params, context: Context) -> None:
    import numpy as np
    from scipy import ndimage

    from floodrunner.segmentation import blank, contrast, float_greys
    from floodrunner.stages.readers.float_range import float_range
    from floodrunner.stages.readers.forms import opaque
    from floodrunner.stages.readers.sections import open_stack
    from floodrunner.stages.readers.stack import announce, counted, place_of, slabs
    from floodrunner.stages.reports import odd_sections
    from floodrunner.stages.storage.volumes import create_volume, keep_names

    with open_stack(context.inputs["stack"]) as stack:
        check_form(stack, params, context.step)
        announce(stack, context)
        place = place_of(stack, params.voxel_size_xyz, context)
        is_float, signed = stack.form.type == "float", stack.form.type == "signed"
        passes = 2 if is_float or (stack.form.bits == 16 and params.convert_16_bit == "percentiles") else 1
        low, high = (
            float_range(stack, params.convert_float, context) if is_float else _whole_range(stack, params, context)
        )

        def convert(pixels: np.ndarray, name: str) -> tuple[blank.Look, np.ndarray]:
            pixels = opaque(pixels, name)
            if pixels.ndim == 3:
                pixels = contrast.luminance(pixels)
            if is_float:
                border = float_greys.border_of(pixels)
                pixels = contrast.to_display(np.where(np.isfinite(pixels), pixels, low), low, high)
                if border is not None:
                    pixels[border] = 0
                look = blank.look(pixels)
            else:
                look = blank.look(pixels)
                border = blank.black_border(pixels) if look.border and (params.clahe or signed) else None
            if stack.form.bits == 16 and not is_float:
                pixels = contrast.to_8_bit(pixels, int(low), int(high))
            if border is None:
                return look, equalised(pixels)
            tissue = ndimage.find_objects((~border).view(np.int8))[0]
            result = np.zeros_like(pixels)  # the border stays 0, so that the statistics find it, too
            result[tissue] = np.where(border[tissue], 0, equalised(pixels[tissue]))
            return look, result

        def equalised(pixels: np.ndarray) -> np.ndarray:
            return contrast.clahe(pixels, params.clahe_block, params.clahe_max_slope) if params.clahe else pixels

        looks: list[blank.Look] = []

        def converted() -> Iterator[np.ndarray]:
            for look, pixels in stack.sections(convert):
                looks.append(look)
                yield pixels

        with create_volume(context.outputs["volume"], "image", stack.shape, np.uint8, place) as volume:
            keep_names(volume, stack.files)
            sections = counted(converted(), passes - 1, passes, stack.shape[0], context)
            start = 0
            for slab in slabs(sections, volume.chunks[0]):
                volume[start : start + len(slab)] = slab
                start += len(slab)
        names = stack.files or [f"section {k}" for k in range(stack.shape[0])]
        for text in odd_sections.sentences(blank.odd(looks), names):
            context.message(text)


def _whole_range(stack: Stack, params: Params, context: Context) -> tuple[int, int]:
    """Returns the whole numbers that become 0 and 255; reads the stack for percentiles, if these are asked for."""
    from floodrunner.segmentation import contrast
    from floodrunner.stages.readers.forms import opaque
    from floodrunner.stages.readers.stack import counted

    if stack.form.bits != 16 or params.convert_16_bit != "percentiles":
        return (-(2**15), 2**15 - 1) if stack.form.type == "signed" else (0, 2**16 - 1)
    low, high = contrast.percentile_range(counted(stack.sections(opaque), 0, 2, stack.shape[0], context))
    context.message(f"16-bit greys from {low} to {high} are mapped to 0 to 255")
    return low, high


def check_form(stack: Stack, params: Params, step: str) -> None:
    """Raises InputError if the sections are not of a form that these parameters convert to 8-bit grey."""
    from floodrunner.stages.readers.forms import Form

    form, path = stack.form, stack.path
    sections = f"{path}: the sections are {form}"
    if form.type == "inverted":
        raise InputError(f"{sections}, stored with 0 as white; save them with 0 as black")
    if form in [Form(bits, type="float") for bits in (16, 32, 64)]:
        if params.convert_float == "refuse":
            raise InputError(
                f"{sections}, not 8-bit; to convert them add convert_float: percentiles (or the greys of black and "
                f"white, such as [0, 1]) to the params of this step, or --set {step}.convert_float=percentiles"
            )
        return
    if form not in [*(Form(8, samples) for samples in (1, 2, 3, 4)), Form(16), Form(16, type="signed")]:
        raise InputError(f"{sections}; save them as 8-bit grey")
    if form.bits == 16 and params.convert_16_bit == "refuse":
        raise InputError(
            f"{sections}, not 8-bit; to convert them add convert_16_bit: percentiles (or full_range) to the params of "
            f"this step, or --set {step}.convert_16_bit=percentiles"
        )
    if form.samples > 2 and params.convert_rgb == "refuse":
        raise InputError(
            f"{sections}, not grey; to convert them add convert_rgb: luminance to the params of this step, "
            f"or --set {step}.convert_rgb=luminance"
        )

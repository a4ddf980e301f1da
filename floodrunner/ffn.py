"""A trained flood-filling network, which segments volumes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from floodrunner.contract.stage import InputError
from floodrunner.in_process import Steps, checked, load_keras, steps
from floodrunner.reading import Triple, Volume, volume_of
from floodrunner.stages import ffn_infer
from floodrunner.stages import fill as stage_fill
from floodrunner.stages.storage import ffn_models
from floodrunner.stages.storage.volumes import read_volume, write_volume

Convert = Literal["percentiles", "full_range"] | tuple[float, float]
_FILL_NM = 40.0


@dataclass(frozen=True)
class Segmentation:
    """A segmented volume.

    Attributes:
      labels: (z, y, x) int32, an id for each object, 0 = none.
      voxel_size_xyz: nm; None if it is not known.
      offset_xyz: where the first voxel lies in the volume that was given: x, y, z, voxels; not 0 for a box.
      objects: a row for each object, like `objects.csv` of the stage `fill`: voxels, volume_um3, box, centroid,
        contacts with the border. `pandas.DataFrame(result.objects)` makes a table of it. Empty without filling.
      mean, stddev: greys that the network saw as 0 and 1.
      messages: what the steps said.
    """

    labels: np.ndarray
    voxel_size_xyz: Triple | None
    offset_xyz: tuple[int, int, int]
    objects: list[dict[str, Any]]
    mean: float
    stddev: float
    messages: tuple[str, ...]

    @property
    def volume(self) -> Volume:
        """The labels with their voxel size and offset, for `floodrunner.write`."""
        return Volume(self.labels, self.voxel_size_xyz, self.offset_xyz)


class FFN:
    """A flood-filling network.

    Attributes:
      folder: where it is.
      depth, features: residual modules, and channels of each convolution.
      fov_xyz, deltas_xyz: field of view, and how far it moves at once, voxels.
      step: training steps.
    """

    def __init__(self, folder: Path) -> None:
        """Reads the folder `model` of `ffn-train` or `ffn-import`. Raises InputError if it is damaged."""
        network, self.step = ffn_models.read_head(folder)
        self.folder, self.depth, self.features = folder, network.depth, network.features
        self.fov_xyz, self.deltas_xyz = network.fov[::-1], network.deltas[::-1]

    def __repr__(self) -> str:
        return f"FFN({str(self.folder)!r}, depth {self.depth}, fov_xyz {list(self.fov_xyz)}, {self.step} steps)"

    def segment(
        self,
        image: np.ndarray | Volume | str | os.PathLike[str],
        voxel_size_xyz: Triple | None = None,
        *,
        fill: float | None = _FILL_NM,
        convert: Convert | None = None,
        statistics: tuple[float, float] | None = None,
        quiet: bool = False,
        **params: Any,
    ) -> Segmentation:
        """Segments a volume: import-images, statistics, ffn-infer and fill, as in a pipeline, with the same result.

        The steps run in this process, and keep their data in the folder for temporary files until they end. Ctrl-C
        stops at once, and nothing is kept. For a volume that takes hours, use `floodrunner run`, which can be stopped
        and continued.

        Args:
          image: (z, y, x) grey, or the path of a stack.
          voxel_size_xyz: nm; by default that of the volume. Filling needs it.
          fill: voxels of no object get the id of the nearest one up to this distance, nm. None: they stay 0.
          convert: how 16-bit and float greys become 8 bits: "percentiles" maps the 0.1th percentile to 0 and the 99.9th
            to 255; "full_range" (16 bits only) the whole range of the type; (black, white), for floats, these greys.
          statistics: mean and standard deviation of the greys (of 8 bits); by default those of the stack's tissue.
          quiet: show no progress.
          params: parameters of the stage ffn-infer, such as `min_segment_size=1000`,
            `box_xyz={"start": [0, 0, 0], "size": [200, 200, 50]}`; see docs/pipeline-reference.md.

        Raises:
          InputError: if the image, or a parameter, is wrong.
        """
        volume = volume_of(image, "image", voxel_size_xyz)
        if fill is not None and volume.voxel_size_xyz is None:
            raise InputError("voxel_size_xyz: is not known, and fill is in nm; give voxel_size_xyz, or fill=None")
        known = {} if statistics is None else {"image_mean": statistics[0], "image_stddev": statistics[1]}
        params |= known
        checked(ffn_infer.Params, params, {} if known else {"statistics": ""})  # before anything takes time
        if fill is not None:
            checked(stage_fill.Params, {"max_distance": fill}, {})
        load_keras()
        stages = {"image": "import-images", "statistics": "statistics", "segment": "ffn-infer"}
        stages |= {} if fill is None else {"filled": "fill"}
        with steps(stages, quiet) as at_work:
            image_file = _imported(at_work, volume, convert)
            if statistics is None:
                moments = at_work.run("statistics", "statistics", {"volume": image_file}, {})
                greys, inputs = moments.json("json"), {"statistics": moments["json"]}
                statistics = (greys["mean"], greys["stddev"])
            else:
                inputs = {}
            done = at_work.run("segment", "ffn-infer", {"image": image_file, "model": self.folder, **inputs}, params)
            objects: list[dict[str, Any]] = []
            if fill is not None:
                given = {"segmentation": done["segmentation"]}
                done = at_work.run("filled", "fill", given, {"max_distance": float(fill)})
                objects = done.table("objects.csv")
            labels, place = read_volume(done["segmentation"])
            return Segmentation(
                labels.astype(np.int32),
                volume.voxel_size_xyz,
                place.offset_xyz,
                objects,
                *statistics,
                tuple(at_work.said),
            )


def _imported(at_work: Steps, volume: Volume, convert: Convert | None) -> Path:
    """Writes a volume and has it imported, as 8-bit greys. Raises InputError if it is not clear how to convert them."""
    dtype = volume.array.dtype
    params: dict[str, Any] = {}
    if dtype.kind == "f" and convert not in (None, "full_range"):
        params["convert_float"] = convert
    elif dtype in (np.uint16, np.int16) and isinstance(convert, str):
        params["convert_16_bit"] = convert
    elif dtype != np.uint8:
        ways = {"f": 'convert="percentiles", or convert=(black, white)'}
        way = ways.get(dtype.kind, 'convert="percentiles", or "full_range"')
        advice = f"give {way}" if dtype.kind == "f" or dtype.itemsize == 2 else "make it uint8, uint16 or float32"
        raise InputError(f"image: the array is {dtype}, not uint8; {advice}")
    file = at_work.folder / "array.h5"
    write_volume(file, "image", volume.array, volume.place)
    if volume.voxel_size_xyz is not None:
        params["voxel_size_xyz"] = volume.voxel_size_xyz
    return at_work.run("image", "import-images", {"stack": file}, params)["volume"]

"""The one name that is installed: the command, functions for Python, and the repository's other packages below it.

    import floodrunner

    image = floodrunner.read("my/sections")               # a folder, a TIFF, file.h5:dataset
    model = floodrunner.load("runs/ffn/train/model")      # or floodrunner.train(...)
    result = model.segment(image, voxel_size_xyz=(4, 4, 30))
    floodrunner.write("result.tif", result.volume)

Volumes are arrays (z, y, x), pictures (y, x) or (y, x, 3). What ends in `_xyz` is in the order x, y, z; voxel sizes are
in nm. What the user can mend is an `InputError`: one line that says where, what was found, what to do.

`contract`, `runner`, `stages`, `segmentation` and `pipelines` are links to the folders beside this one; in a wheel they
are the folders. What belongs to one of them does not belong here: the functions for Python read, call stages, and
return. Importing this loads nothing heavy; the packages that steps need are loaded by the first use of a function.
"""

from typing import TYPE_CHECKING, Any

from floodrunner.version import __version__ as __version__

if TYPE_CHECKING:
    from floodrunner.contract.stage import InputError, StageError
    from floodrunner.ffn import FFN, Segmentation
    from floodrunner.models import load
    from floodrunner.pictures import overlay
    from floodrunner.reading import Picture, Volume, read, read_pictures
    from floodrunner.scoring import PictureScores, VolumeScores, cell_scores, scores
    from floodrunner.training import train
    from floodrunner.unet import Cells, UNet
    from floodrunner.writing import write

__all__ = [
    "FFN",
    "Cells",
    "InputError",
    "Picture",
    "PictureScores",
    "Segmentation",
    "StageError",
    "UNet",
    "Volume",
    "VolumeScores",
    "cell_scores",
    "load",
    "overlay",
    "read",
    "read_pictures",
    "scores",
    "train",
    "write",
]

_MODULES = {
    "contract.stage": ("InputError", "StageError"),
    "ffn": ("FFN", "Segmentation"),
    "models": ("load",),
    "pictures": ("overlay",),
    "reading": ("Picture", "Volume", "read", "read_pictures"),
    "scoring": ("PictureScores", "VolumeScores", "cell_scores", "scores"),
    "training": ("train",),
    "unet": ("Cells", "UNet"),
    "writing": ("write",),
}


def __getattr__(name: str) -> Any:
    """Loads a name of `__all__` when it is first used."""
    import importlib

    for module, names in _MODULES.items():
        if name in names:
            try:
                return getattr(importlib.import_module(f"{__name__}.{module}"), name)
            except ModuleNotFoundError as error:
                if (error.name or "").startswith(__name__):
                    raise
                raise ImportError(_without_packages(name, str(error.name))) from error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _without_packages(name: str, missing: str) -> str:
    from floodrunner.runner import installed

    return (
        f"floodrunner.{name}: the packages that steps need are not installed ({missing}); {installed.command()} "
        "installs them"
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

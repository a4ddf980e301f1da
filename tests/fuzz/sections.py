"""What users bring: PNG, TIFF and JPEG sections and pictures, and HDF5 stacks."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path
from random import Random

import h5py
import numpy as np
import tifffile
from PIL import Image

from tests.fuzz.damage import damaged
from tests.fuzz.format import Format, Outcome, stage
from tests.fuzz.hdf5_edits import edited

_RNG = np.random.default_rng(3)
_GREY = _RNG.integers(0, 255, (24, 30), np.uint8)
_COLOUR = _RNG.integers(0, 255, (24, 30, 3), np.uint8)
_STACK = _RNG.integers(0, 255, (4, 24, 30), np.uint8)
_FEW_VALUES = _STACK // 16  # as noise of all grey values is refused as labels


def _sections(folder: Path, suffix: str, image: Image.Image, **options: object) -> None:
    folder.mkdir(parents=True)
    for z in range(3):
        image.save(folder / f"z{z}{suffix}", **options)


def _make_png(folder: Path) -> None:
    for name, pixels in {"grey": _GREY, "16-bit": _GREY.astype(np.uint16) * 200, "rgb": _COLOUR}.items():
        _sections(folder / name, ".png", Image.fromarray(pixels))
    _sections(folder / "alpha", ".png", Image.fromarray(np.dstack([_COLOUR, np.full_like(_GREY, 255)])))


def _make_tiff(folder: Path) -> None:
    grey: dict[str, object] = {"photometric": "minisblack"}
    kinds: dict[str, tuple[np.ndarray, dict[str, object]]] = {
        "pages": (_STACK, grey),
        "separate": (_STACK, {**grey, "metadata": None}),
        "imagej": (
            _STACK,
            {"imagej": True, "resolution": (2.5, 2.5), "metadata": {"axes": "ZYX", "unit": "um", "spacing": 0.03}},
        ),
        "ome": (_STACK, {**grey, "ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 4.0}}),
        "tiled": (_STACK, {**grey, "tile": (16, 16), "compression": "zlib"}),
        "lzw": (_STACK, {**grey, "compression": "lzw", "predictor": True}),
        "zstd": (_STACK, {**grey, "compression": "zstd"}),
        "jpeg": (_STACK, {**grey, "compression": "jpeg"}),
        "big-endian": (_STACK.astype(np.uint16), {**grey, "byteorder": ">"}),
        "bigtiff": (_STACK, {**grey, "bigtiff": True}),
        "rgb": (np.stack([_COLOUR] * 3), {"photometric": "rgb"}),
    }
    for name, (pixels, options) in kinds.items():
        (folder / name).mkdir(parents=True)
        tifffile.imwrite(folder / name / "stack.tif", pixels, **options)


def _read_sections(folder: Path) -> Outcome:
    params = {"convert_rgb": "luminance", "convert_16_bit": "full_range"}
    return stage(folder, "import-images", {"stack": folder}, params)


def _read_labels(folder: Path) -> Outcome:
    return stage(folder, "import-labels", {"stack": folder / "stack.tif"})


def _read_tiff(folder: Path) -> Outcome:
    params = {"convert_rgb": "luminance", "convert_16_bit": "full_range"}
    return stage(folder, "import-images", {"stack": folder / "stack.tif"}, params)


def _make_label_tiff(folder: Path) -> None:
    for name, dtype in (("8-bit", np.uint8), ("16-bit", np.uint16), ("32-bit", np.uint32), ("signed", np.int32)):
        (folder / name).mkdir(parents=True)
        pixels = (_STACK > 128).astype(dtype)
        tifffile.imwrite(folder / name / "stack.tif", pixels, photometric="minisblack", compression="zlib")


def _make_pictures(folder: Path) -> None:
    """Four pictures of each kind, and their masks."""
    turned = Image.Exif()
    turned[0x0112] = 3
    grey, colour, mask = (
        Image.fromarray(_GREY),
        Image.fromarray(_COLOUR),
        Image.fromarray(np.uint8(255) * (_GREY > 128)),
    )
    kinds: dict[str, tuple[str, Image.Image, dict[str, object]]] = {
        "grey.jpg": (".jpg", grey, {}),
        "rgb.jpg": (".jpg", colour, {}),
        "progressive.jpg": (".jpg", grey, {"progressive": True}),
        "exif.jpg": (".jpg", colour, {"exif": turned}),
        "rgb.png": (".png", colour, {}),
        "16-bit.png": (".png", Image.fromarray(_GREY.astype(np.uint16) * 200), {}),
        "lzw.tif": (".tif", colour, {"compression": "tiff_lzw"}),
    }
    for name, (suffix, image, options) in kinds.items():
        for part in ("images", "masks"):
            (folder / name / part).mkdir(parents=True)
        for k in range(4):
            image.save(folder / name / "images" / f"p{k}{suffix}", **options)
            mask.save(folder / name / "masks" / f"p{k}.png")


def _make_jpeg(folder: Path) -> None:
    _make_pictures(folder)
    for variant in folder.iterdir():
        if variant.suffix != ".jpg":
            shutil.rmtree(variant)


def _read_pairs(folder: Path) -> Outcome:
    return stage(folder, "import-pairs", {"images": folder / "images", "labels": folder / "masks"})


def _make_hdf5(folder: Path) -> None:
    for name in ("plain", "ilastik", "cremi"):
        (folder / name).mkdir(parents=True)
        with h5py.File(folder / name / "stack.h5", "w") as file:
            if name == "plain":
                file.create_dataset("raw", data=_FEW_VALUES, chunks=(2, 16, 16), compression="gzip")
            elif name == "ilastik":
                data = file.create_dataset("exported_data", data=_FEW_VALUES[..., None])
                axes = ", ".join(f'{{"key": "{key}", "typeFlags": 2, "resolution": 0}}' for key in "zyxc")
                data.attrs["axistags"] = f'{{"axes": [{axes}]}}'
            else:
                data = file.create_dataset("volumes/raw", data=_FEW_VALUES, compression="gzip", shuffle=True)
                data.attrs["resolution"] = (40.0, 4.0, 4.0)
                data.attrs["offset"] = (0.0, 0.0, 0.0)


def _make_hdf5_labels(folder: Path) -> None:
    _make_hdf5(folder)
    for file in folder.glob("*/stack.h5"):
        with h5py.File(file, "r+") as opened:
            for name in ("raw", "exported_data", "volumes/raw"):
                if name in opened:
                    opened[name][...] = 0
                    opened[name][:, 3:12, 4:15] = 1
                    opened[name][:, 13:20, 8:25] = 2


def _read_hdf5(folder: Path) -> Outcome:
    return stage(folder, "import-images", {"stack": folder / "stack.h5"})


def _read_hdf5_labels(folder: Path) -> Outcome:
    return stage(folder, "import-labels", {"stack": folder / "stack.h5"})


def _change_png(file: Path, random: Random) -> None:
    """Half of the time, the checksums of all chunks fit again, so that what is in them is read."""
    data = damaged(file.read_bytes(), random)
    if random.randrange(2):
        whole, at = data[:8], 8
        while at + 12 <= len(data):
            end = at + 8 + int.from_bytes(data[at : at + 4], "big")
            whole += data[at:end] + zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
            at = end + 4
        data = whole
    file.write_bytes(data)


FORMATS = (
    Format("png", _make_png, _read_sections, "z1.png", _change_png),
    Format("jpeg", _make_jpeg, _read_pairs, "images/p[12].jpg"),
    Format("tiff", _make_tiff, _read_tiff, "stack.tif"),
    Format("tiff-labels", _make_label_tiff, _read_labels, "stack.tif"),
    Format("pictures", _make_pictures, _read_pairs, "*/p[12].*"),
    Format("hdf5-stack", _make_hdf5, _read_hdf5, "stack.h5", edited),
    Format("hdf5-stack-labels", _make_hdf5_labels, _read_hdf5_labels, "stack.h5", edited),
)

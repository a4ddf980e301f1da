"""Voxel sizes and grey values as ImageJ and OME describe them in TIFF files."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any, Final, NamedTuple

import tifffile

from floodrunner.contract.lengths import doubt
from floodrunner.stages.readers import ome

_NM = {
    "nm": 1.0,
    "nanometer": 1.0,
    "nanometers": 1.0,
    "um": 1e3,
    "μm": 1e3,  # the Greek letter, which NFKC makes of the sign for micro
    "micron": 1e3,
    "microns": 1e3,
    "micrometer": 1e3,
    "micrometers": 1e3,
    "mm": 1e6,
    "cm": 1e7,
    "inch": 2.54e7,
    "inches": 2.54e7,
    "m": 1e9,
    "meter": 1e9,
    "meters": 1e9,
    "pm": 1e-3,
    "å": 0.1,
    "angstrom": 0.1,
    "angstroms": 0.1,
}
"""Units of length in nm."""

_PRINTERS: Final = ("cm", "inch", "inches")
_FINEST_PRINT: Final = 1e4
"""Length of a pixel, nm, above which a unit of printers means their dots per inch or cm, which ImageJ copies from the
resolution tag of any file. They have at most 2400 dots per inch."""

_NO_UNIT: Final = ("", "pixel", "pixels", "px", "voxel", "voxels", "none", "null", "unit")

_SIGNED = (0, -32768, 1)  # ImageJ: cf = 0 is a straight line, c0 + c1 x

Size = tuple[float, float, float]


class Scale(NamedTuple):
    """Lengths in nm; None where the file does not give them.

    Attributes:
      xy: length of a pixel along x and y.
      z: distance of sections.
      remarks: what is wrong with lengths that are written.
    """

    xy: tuple[float, float] | None = None
    z: float | None = None
    remarks: tuple[str, ...] = ()

    @property
    def voxel_size(self) -> Size | None:
        """Voxel size x, y, z in nm; None unless all three are known."""
        return None if self.xy is None or self.z is None else (*self.xy, self.z)

    def turned(self, orientation: int) -> Scale:
        """The scale of pixels that are turned by an orientation tag; from 5 on, x and y change places."""
        return self._replace(xy=self.xy[::-1]) if self.xy and orientation >= 5 else self


def scale_of(tiff: tifffile.TiffFile) -> Scale:
    """Reads the scale from ImageJ or OME metadata.

    The resolution tag alone is not used, because most programs write 72 dpi, whatever the true pixel size is.
    """
    page = tiff.pages.first
    scale = Scale()
    if page.is_ome:
        scale = _of_ome(page.description)
    elif tiff.is_imagej:
        scale = _of_imagej(tiff.imagej_metadata or {}, page)
    said = doubt([length for length in (*(scale.xy or ()), scale.z) if length is not None])
    return scale._replace(remarks=(*scale.remarks, f"the size of its pixels is odd: {said}")) if said else scale


def _of_ome(description: str) -> Scale:
    written = ome.sizes(description)
    read = {axis: _in_nm(number, unit) for axis, (number, unit) in written.items()}
    for axis, (number, unit) in written.items():
        if read[axis] is None and _scale(unit) is not None:
            return Scale(
                remarks=(f"the PhysicalSize{axis.upper()} is {number!r}, not a number above 0: it is not used",)
            )
    x, y, z = (read.get(axis) for axis in "xyz")
    return Scale(None if x is None or y is None else (x, y), z)


def _of_imagej(data: dict[str, Any], page: tifffile.TiffPage) -> Scale:
    unit = str(data.get("unit", ""))
    if _scale(unit) is None and _plain(unit) not in _NO_UNIT:
        return Scale(remarks=(f"ImageJ's unit of length is {unit[:20]!r}, which is not known: its scale is not used",))
    x, y = (_in_nm(_length(page.tags.valueof(code)), unit) for code in (282, 283))
    xy = None if x is None or y is None else (x, y)
    if xy and _plain(unit) in _PRINTERS and max(xy) > _FINEST_PRINT:
        return Scale()
    if "spacing" not in data or _scale(unit) is None:
        return Scale(xy)
    z = _in_nm(data["spacing"], unit)
    wrong = f"ImageJ's spacing of sections is {data['spacing']!r}, not a number above 0: it is not used"
    return Scale(xy, z, () if z is not None else (wrong,))


def _length(resolution: object) -> float | None:
    """Returns the length of a pixel for a resolution, which TIFF stores as a fraction of pixels per unit."""
    match resolution:
        case (int(pixels), int(units)) if pixels > 0:
            return units / pixels
    return None


def _scale(unit: str) -> float | None:
    """Returns the length of a unit in nm; None if it is none."""
    return _NM.get(_plain(unit))


def _plain(unit: str) -> str:
    """Returns a unit in small letters. ImageJ writes letters beyond ASCII as `\\u00B5`."""
    letters = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda code: chr(int(code[1], 16)), unit)
    return unicodedata.normalize("NFKC", letters).strip().lower()


def _in_nm(length: object, unit: str) -> float | None:
    """Returns a length in nm; None if it is no finite number above 0, or the unit is no unit of length."""
    scale = _scale(unit)
    try:
        value = float(length) * scale if scale is not None else math.nan  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return round(value, 6) if 0 < value < math.inf and round(value, 6) else None


def calibration(tiff: tifffile.TiffFile) -> tuple[bool, tuple[str, ...]]:
    """Returns whether ImageJ's calibration makes the 16-bit numbers of a file signed, and remarks about any other.

    ImageJ stores a signed number plus 32768, and says so in its calibration: y = c0 + c1 x.

    Source: ImageJ, `Calibration.isSigned16Bit` and `FileOpener.decodeDescriptionString`.
    """
    data = (tiff.imagej_metadata or {}) if tiff.is_imagej else {}
    if "cf" not in data and "c0" not in data:
        return False, ()
    curve = (data.get("cf", 0), data.get("c0", 0), data.get("c1", 1))
    if curve == _SIGNED:
        return True, ()
    if curve == (0, 0, 1):
        return False, ()
    return False, (f"ImageJ's calibration of grey values (cf, c0, c1 = {_list(curve)}) is not applied",)


def _list(values: tuple[object, ...]) -> str:
    return ", ".join(repr(value)[:20] for value in values)

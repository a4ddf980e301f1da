"""Voxel sizes and signs of grey values as ImageJ and OME write them, also when they are no numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from floodrunner.stages.readers import ome, tiff
from floodrunner.stages.readers.forms import Form
from floodrunner.stages.readers.sections import open_stack
from tests.stages.readers.test_sections import GREY, read


def scale(file: Path) -> tuple[tuple[float, float, float] | None, tuple[str, ...]]:
    with open_stack(str(file)) as stack:
        return stack.voxel_size_xyz, stack.remarks


def imagej(file: Path, lines: str, resolution: tuple[float, float] = (0.25, 0.2)) -> Path:
    with tifffile.TiffWriter(file) as out:
        for section in GREY:
            description = f"ImageJ=1.54f\nimages=3\nslices=3\n{lines}\n"
            text = description.encode()
            out.write(section, metadata=None, description=text, resolution=resolution, contiguous=False)
    return file


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("unit=nm\nspacing=30.0", (4, 5, 30)),
        ("unit=\\u00B5m\nspacing=0.03", (4000, 5000, 30)),
        ("unit=\u00b5m\nspacing=0.03", (4000, 5000, 30)),
        ("unit=micron\nspacing=0.03", (4000, 5000, 30)),
        ("unit=\\u00C5\nspacing=300", (0.4, 0.5, 30)),
        ("unit=pixel\nspacing=1.0", None),
        ("unit=inch\nspacing=1.0", None),  # 72 dpi, which ImageJ took for a pixel size
        ("unit=cm\nspacing=1.0", None),
        ("spacing=30.0", None),
        ("unit=nm", None),
    ],
)
def test_units_of_imagej(tmp_path: Path, lines: str, expected: tuple[float, ...] | None) -> None:
    found, remarks = scale(imagej(tmp_path / "a.tif", lines))
    assert found == (pytest.approx(expected) if expected else None)
    assert remarks == ()


@pytest.mark.parametrize(
    ("unit", "pixels", "spacing", "nm"),
    [("cm", 2.5e6, 3e-6, 4), ("inch", 6.35e6, 3e-6 / 2.54, 4), ("m", 2.5e8, 3e-8, 4)],
)
def test_units_of_printers_are_used_if_no_printer_is_that_fine(
    tmp_path: Path, unit: str, pixels: float, spacing: float, nm: float
) -> None:
    file = imagej(tmp_path / "a.tif", f"unit={unit}\nspacing={spacing!r}", (pixels, pixels))
    found, remarks = scale(file)
    assert found == pytest.approx((nm, nm, 30), rel=1e-5)
    assert remarks == ()


def test_a_unit_that_is_not_known_is_told(tmp_path: Path) -> None:
    assert scale(imagej(tmp_path / "a.tif", "unit=furlong\nspacing=1.0")) == (
        None,
        ("a.tif: ImageJ's unit of length is 'furlong', which is not known: its scale is not used",),
    )


def test_a_size_in_another_unit_is_told(tmp_path: Path) -> None:
    _, remarks = scale(imagej(tmp_path / "a.tif", "unit=nm\nspacing=0.03", (250, 250)))
    assert remarks == (
        "a.tif: the size of its pixels is odd: 0.004 nm is less than an atom; did you mean µm? write [4, 4, 30]",
    )


@pytest.mark.parametrize("spacing", ["unknown", "-30.0", "0", "NaN", "Infinity", "1e999", "9" * 400])
def test_a_spacing_that_is_no_length_is_told(tmp_path: Path, spacing: str) -> None:
    found, remarks = scale(imagej(tmp_path / "a.tif", f"unit=nm\nspacing={spacing}"))
    assert found is None
    assert [remark.startswith("a.tif: ImageJ's spacing of sections is ") for remark in remarks] == [True]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [("unit=micron", (4000, 5000)), ("unit=pixel", None), ("unit=inch", None), ("", None)],
)
def test_a_picture_needs_no_spacing(tmp_path: Path, lines: str, expected: tuple[float, ...] | None) -> None:
    file = tmp_path / "a.tif"
    description = f"ImageJ=1.54f\n{lines}\n"
    tifffile.imwrite(file, GREY[0], metadata=None, description=description, resolution=(0.25, 0.2))
    assert tiff.single_page(file).pixel_size_xy == (pytest.approx(expected) if expected else None)
    with open_stack(str(imagej(tmp_path / "b.tif", lines))) as stack:
        assert stack.pixel_size_xy == (pytest.approx(expected) if expected else None)
        assert stack.voxel_size_xyz is None


@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER", "NONE"])
def test_lengths_that_are_no_numbers_do_not_stop_a_picture(tmp_path: Path, unit: str) -> None:
    file = tmp_path / "a.tif"
    for lines in (f"unit={'9' * 400}\nspacing={'9' * 400}", "unit=um\nspacing=x", f"unit=um\nspacing={'9' * 400}"):
        text = f"ImageJ=1.54f\n{lines}\n"
        tifffile.imwrite(file, GREY[0], metadata=None, description=text, resolution=(0, 0), resolutionunit=unit)
        head = tiff.single_page(file)
        assert (head.pixel_size_xy, head.spacing) == (None, None)


@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER", "NONE"])
def test_dots_per_inch_are_no_pixel_size(tmp_path: Path, unit: str) -> None:
    file = tmp_path / "a.tif"
    for dots in (72, 96, 300):
        tifffile.imwrite(file, GREY[0], metadata=None, resolution=(dots, dots), resolutionunit=unit)
        assert tiff.single_page(file).pixel_size_xy is None


def test_a_turned_picture_has_its_sizes_turned(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    turned = (274, "H", 1, 6, True)
    description = "ImageJ=1.54f\nunit=nm\nspacing=30\n"
    tifffile.imwrite(file, GREY[0], metadata=None, description=description, resolution=(0.25, 0.2), extratags=[turned])
    head = tiff.single_page(file)
    assert (head.height, head.width) == GREY[0].shape[::-1]
    assert (head.pixel_size_xy, head.spacing) == ((5, 4), 30)


def test_a_resolution_of_nothing_is_no_size(tmp_path: Path) -> None:
    assert scale(imagej(tmp_path / "a.tif", "unit=nm\nspacing=30", resolution=(0, 0))) == (None, ())


def ome_file(file: Path, size: str, unit: str) -> Path:
    pixels = (
        '<Pixels DimensionOrder="XYZCT" Type="uint8" SizeX="30" SizeY="20" SizeZ="3" SizeC="1" SizeT="1" '
        f'PhysicalSizeX="{size}" PhysicalSizeY="5" PhysicalSizeZ="30" PhysicalSizeXUnit="{unit}" '
        'PhysicalSizeYUnit="nm" PhysicalSizeZUnit="nm"><TiffData/></Pixels>'
    )
    schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    description = f'<?xml version="1.0"?><OME xmlns="{schema}"><Image ID="I">{pixels}</Image></OME>'
    tifffile.imwrite(file, GREY, photometric="minisblack", metadata=None, description=description.encode())
    return file


@pytest.mark.parametrize(
    ("size", "unit", "x"),
    [("4", "nm", 4), ("0.004", "&#181;m", 4), ("0.004", "\u03bcm", 4), ("40", "\u00c5", 4), ("4e-6", "mm", 4)],
)
def test_units_of_ome(tmp_path: Path, size: str, unit: str, x: float) -> None:
    assert scale(ome_file(tmp_path / "a.tif", size, unit)) == ((x, 5, 30), ())


def test_sizes_of_ome_that_are_no_lengths(tmp_path: Path) -> None:
    for size in ("4,0", "", "-4", "nan", "inf", "0"):
        words = f"a.tif: the PhysicalSizeX is {size!r}, not a number above 0: it is not used"
        assert scale(ome_file(tmp_path / "a.tif", size, "nm")) == (None, (words,))
    for unit in ("pixel", "reference frame", ""):
        assert scale(ome_file(tmp_path / "a.tif", "4", unit)) == (None, ())
    assert ome.sizes("<OME") == {}
    assert ome.sizes("<OME/>") == {}


def calibrated(file: Path, lines: str, array: np.ndarray) -> Path:
    with tifffile.TiffWriter(file) as out:
        for section in array:
            text = f"ImageJ=1.54f\nimages={len(array)}\nslices={len(array)}\n{lines}"
            out.write(section, metadata=None, description=text, contiguous=False)
    return file


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_signed_numbers_of_imagej_get_their_sign(tmp_path: Path, byteorder: str) -> None:
    """ImageJ stores 0 as 32768 when it has opened a file of signed 16-bit numbers, also one of labels."""
    signed = (GREY.astype(np.int16) - 100) * 7
    stored = (signed.astype(np.int32) + 32768).astype(np.uint16)
    stack = calibrated(tmp_path / "a.tif", "cf=0\nc0=-32768\nc1=1\nvunit=gray value\n", stored.astype(byteorder + "u2"))
    np.testing.assert_array_equal(read(stack), signed)
    with open_stack(str(stack)) as opened:
        assert opened.form == Form(16, type="signed")
    one = calibrated(tmp_path / "b.tif", "cf=0\nc0=-32768\nc1=1\n", stored[:1])
    np.testing.assert_array_equal(tiff.page_pixels(one, tiff.single_page(one).form), signed[0])
    compressed = tmp_path / "c.tif"
    with tifffile.TiffFile(stack) as opened_tiff:
        description = opened_tiff.pages.first.description
    tifffile.imwrite(
        compressed, stored, photometric="minisblack", metadata=None, description=description, compression="zlib"
    )
    np.testing.assert_array_equal(read(compressed), signed)


def test_other_calibrations_are_told(tmp_path: Path) -> None:
    wide = GREY.astype(np.uint16)
    told = "a.tif: ImageJ's calibration of grey values (cf, c0, c1 = 0, 5.5, -0.5) is not applied"
    assert scale(calibrated(tmp_path / "a.tif", "cf=0\nc0=5.5\nc1=-0.5\n", wide))[1] == (told,)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), wide)
    assert scale(calibrated(tmp_path / "a.tif", "cf=0\nc0=0\nc1=1\n", wide))[1] == ()
    np.testing.assert_array_equal(read(calibrated(tmp_path / "a.tif", "cf=0\nc0=-32768\nc1=1\n", GREY)), GREY)

"""Pages that are channels, times or positions, by the description of ImageJ, OME or tifffile."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest
import tifffile

from floodrunner.stages.readers import tiff
from floodrunner.stages.readers.forms import FileError
from tests.stages.readers.test_sections import GREY, read, refusal
from tests.stages.readers.test_tiff import SIX, remarks

ONE_OF = "a network takes one grey channel or RGB: save the one with the cells (Image > Color > Split Channels)"
SLICES = "if they are sections, make them slices (Image > Hyperstacks > Re-order Hyperstack); otherwise, "
IDS = [uuid.UUID(int=k + 1) for k in range(6)]


@pytest.mark.parametrize(
    ("options", "name"), [({"imagej": True}, "ImageJ's C"), ({"ome": True}, "OME's C"), ({}, "axis C")]
)
def test_channels_are_refused_by_name(tmp_path: Path, options: dict[str, object], name: str) -> None:
    file = tmp_path / "a.tif"
    for shape, axes in (((2, 20, 30), "CYX"), ((4, 2, 20, 30), "ZCYX")):
        metadata = {"axes": axes}
        tifffile.imwrite(file, np.zeros(shape, np.uint8), photometric="minisblack", metadata=metadata, **options)
        remedy = ONE_OF if axes == "ZCYX" or name != "ImageJ's C" else SLICES + ONE_OF
        assert refusal(file) == f"{file}: holds 2 channels ({name}); {remedy}"
        with pytest.raises(FileError) as caught:
            tiff.single_page(file)
        assert caught.value.problem == f"holds 2 channels ({name}); {remedy}"


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {}])
def test_sections_and_times_are_refused(tmp_path: Path, options: dict[str, object]) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(
        file, np.zeros((2, 3, 20, 30), np.uint8), photometric="minisblack", metadata={"axes": "TZYX"}, **options
    )
    assert "pictures (axes" in refusal(file)
    assert "a stack has one axis of sections; save one channel and one time point of the file" in refusal(file)


@pytest.mark.parametrize("axes", [None, "QQYX", "PRYX", "\nZYX"])
def test_two_axes_of_any_name_are_refused(tmp_path: Path, axes: str | None) -> None:
    file = tmp_path / "a.tif"
    metadata = {"axes": axes} if axes else {}
    tifffile.imwrite(file, np.zeros((4, 2, 20, 30), np.uint8), photometric="minisblack", metadata=metadata)
    assert f"{file}: holds 4 x 2 pictures (axes" in refusal(file)


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {}])
def test_times_alone_are_taken_as_sections_and_told(tmp_path: Path, options: dict[str, object]) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, GREY, photometric="minisblack", metadata={"axes": "TYX"}, **options)
    np.testing.assert_array_equal(read(file), GREY)
    assert remarks(file) == ("a.tif: the axis T (times) is taken as the axis of sections",)


def test_more_channels_than_there_are_in_light_are_sections(tmp_path: Path) -> None:
    """What tifffile writes for ImageJ without being told the axes."""
    stack = np.resize(GREY, (8, 20, 30))
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), stack)
    assert remarks(tmp_path / "a.tif") == ("a.tif: the axis C (channels) is taken as the axis of sections",)
    for few in (2, 7):
        tifffile.imwrite(tmp_path / "a.tif", stack[:few], imagej=True)
        assert f"holds {few} channels (ImageJ's C); {SLICES}{ONE_OF}" in refusal(tmp_path / "a.tif")


def test_colours_are_no_channels_whatever_the_axis_is_called(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (4, 20, 30, 3), np.uint8)
    for axes in ("ZYXS", "ZYXC"):
        tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb", metadata={"axes": axes})
        np.testing.assert_array_equal(read(tmp_path / "a.tif"), colours)
    tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb", metadata={"axes": "ZYXS"}, ome=True)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), colours)


def ome(planes: str, z: int = 6, c: int = 1, own: uuid.UUID | None = None, order: str = "XYZCT") -> bytes:
    image = (
        f'<Pixels ID="Pixels:0" DimensionOrder="{order}" Type="uint8" SizeX="30" SizeY="20" SizeZ="{z}" SizeC="{c}" '
        f'SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{planes}</Pixels>'
    )
    identity = f' UUID="urn:uuid:{own}"' if own else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
        f'{identity}><Image ID="Image:0">{image}</Image></OME>'
    ).encode()


def files(names: list[str]) -> str:
    """The planes of a data set with one plane in each file."""
    return "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{IDS[z]}</UUID></TiffData>'
        for z, name in enumerate(names)
    )


def write(file: Path, sections: np.ndarray, description: bytes) -> None:
    tifffile.imwrite(file, sections, photometric="minisblack", metadata=None, description=description)


def test_a_plane_of_an_ome_data_set_is_a_section_whether_the_others_are_there_or_not(tmp_path: Path) -> None:
    names = [f"run_z{z}.ome.tif" for z in range(6)]
    told = "the OME description speaks of 6 planes, of which 1 is here; the other files"
    for folder, as_named in (("all", names), ("renamed", [f"s{z}.tif" for z in range(6)]), ("part", names[:3])):
        (tmp_path / folder).mkdir()
        for z, name in enumerate(as_named):
            write(tmp_path / folder / name, SIX[z], ome(files(names), own=IDS[z]))
        np.testing.assert_array_equal(read(tmp_path / folder), SIX[: len(as_named)])
        assert [told in remark for remark in remarks(tmp_path / folder)] == [True]
    assert "is one section" in refusal(tmp_path / "all" / names[0])


def test_the_rest_of_an_ome_data_set_in_other_files_is_not_forgotten(tmp_path: Path) -> None:
    parts = "".join(
        f'<TiffData FirstZ="{z}" IFD="{z % 3}" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:{IDS[z // 3]}</UUID></TiffData>'
        for z, name in enumerate(["a.ome.tif"] * 3 + ["a_1.ome.tif"] * 3)
    )
    for k, name in enumerate(("a.ome.tif", "a_1.ome.tif")):
        write(tmp_path / name, SIX[3 * k : 3 * k + 3], ome(parts, own=IDS[k]))
    for name, other in (("a.ome.tif", "a_1.ome.tif"), ("a_1.ome.tif", "a.ome.tif")):
        assert refusal(tmp_path / name) == (
            f"{tmp_path / name}: holds 3 of 6 planes of an OME data set, whose others are in {other}; open it in Fiji "
            "(Bio-Formats) and save all planes as one TIFF"
        )
    (tmp_path / "a_1.ome.tif").unlink()
    np.testing.assert_array_equal(read(tmp_path / "a.ome.tif"), SIX[:3])
    assert "speaks of 6 planes, of which 3 are here" in remarks(tmp_path / "a.ome.tif")[0]


def test_planes_that_imagej_has_cropped_are_still_in_the_description(tmp_path: Path) -> None:
    planes = "".join(f'<TiffData FirstZ="{z}" IFD="{z}" PlaneCount="1"/>' for z in range(6))
    write(tmp_path / "a.tif", SIX[:4], ome(planes, z=4))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), SIX[:4])
    write(tmp_path / "a.tif", SIX[:4], ome(planes, z=6))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), SIX[:4])
    assert remarks(tmp_path / "a.tif") == ("a.tif: the OME description speaks of 6 planes, but there are 4",)


def test_sections_are_in_the_order_of_the_description(tmp_path: Path) -> None:
    planes = "".join(f'<TiffData FirstZ="{z}" IFD="{5 - z}" PlaneCount="1"/>' for z in range(6))
    write(tmp_path / "a.tif", SIX, ome(planes))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), SIX[::-1])


@pytest.mark.parametrize("planes", ["", "<TiffData/>", '<TiffData IFD="0" PlaneCount="6"/>'])
def test_planes_that_are_not_told_one_by_one(tmp_path: Path, planes: str) -> None:
    write(tmp_path / "a.tif", SIX, ome(planes))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), SIX)
    for order in ("XYCZT", "XYZCT"):
        write(tmp_path / "a.tif", SIX, ome(planes, z=3, c=2, order=order))
        assert "holds 2 channels (OME's C)" in refusal(tmp_path / "a.tif")


def test_ome_images_are_positions_unless_each_is_one_page(tmp_path: Path) -> None:
    file = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(file, ome=True) as out:
        for section in SIX:
            out.write(section)
    np.testing.assert_array_equal(read(file), SIX)
    assert remarks(file) == ("a.ome.tif: 6 OME images of one page each are taken as sections",)
    with tifffile.TiffWriter(file, ome=True) as out:
        out.write(SIX[:4], photometric="minisblack")
        out.write(SIX[4:], photometric="minisblack")
    words = "holds 2 OME images of 4 and 2 pages ({}); save the one to use as a file of its own"
    assert refusal(file) == f"{file}: " + words.format("Image0, Image1")
    file.write_bytes(file.read_bytes().replace(b'"Image0"', b'"I&#10;0"'))
    assert refusal(file) == f"{file}: " + words.format("I 0, Image1")


def test_descriptions_that_say_nothing_are_told(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    for description, words in (
        (b"<OME><Image></OME>", "the OME description cannot be read"),
        (ome("<TiffData IFD='x'/>"), "the OME description cannot be read"),
        (ome("").replace(b"<Image", b'<BinaryOnly MetadataFile="m.ome" UUID="1"/><Image'), "is in another file"),
    ):
        write(file, GREY, description)
        np.testing.assert_array_equal(read(file), GREY)
        assert [words in remark for remark in remarks(file)] == [True]


def test_a_description_that_is_no_ascii_is_no_damage(tmp_path: Path) -> None:
    for encoding in ("shift_jis", "utf-8", "latin-1", "utf-16"):
        text = "高電圧 5 kV" if encoding != "latin-1" else "Vergrößerung 5 µm"
        write(tmp_path / "a.tif", GREY, text.encode(encoding))
        np.testing.assert_array_equal(read(tmp_path / "a.tif"), GREY)
        assert remarks(tmp_path / "a.tif") == ()

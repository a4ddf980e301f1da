from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from floodrunner.contract.stage import InputError
from floodrunner.stages import import_images
from floodrunner.stages.storage.volumes import Place, open_volume, read_volume, write_volume

RNG = np.random.default_rng(3)
GREY = RNG.integers(0, 256, (5, 20, 30), np.uint8)


@pytest.fixture
def stack(tmp_path: Path) -> Callable[..., Path]:
    def make(sections: np.ndarray, name: str = "z{}.png", mode: str | None = None) -> Path:
        folder = tmp_path / "images"
        folder.mkdir()
        for z, section in enumerate(sections):
            Image.fromarray(section, mode).save(folder / name.format(z))
        return folder

    return make


def said(result: object) -> list[str]:
    return [event["text"] for event in result.reported("message")]  # type: ignore[attr-defined]


def refusal(run_stage: Callable[..., object], path: Path, **params: object) -> str:
    with pytest.raises(InputError) as caught:
        run_stage("import-images", {"stack": path}, **params)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_stack_becomes_a_volume(stack, run_stage) -> None:
    folder = stack(RNG.integers(0, 256, (40, 150, 140), np.uint8))  # several chunks each way
    expected = np.stack([np.asarray(Image.open(folder / f"z{z}.png")) for z in range(40)])
    result = run_stage("import-images", {"stack": folder}, voxel_size_xyz=[4, 4, 30])
    volume, place = read_volume(result["volume"])
    assert volume.dtype == np.uint8
    np.testing.assert_array_equal(volume, expected)
    assert place == Place((4.0, 4.0, 30.0))
    assert said(result) == [f"{folder}: 40 sections (z0.png to z39.png) of 140 x 150, 8-bit grey"]
    last = result.reported("progress")[-1]
    assert (last["done"], last["total"], last["unit"]) == (40, 40, "sections")
    with h5py.File(result["volume"]) as file:
        assert list(file["section_names"].asstr()) == [f"z{z}.png" for z in range(40)]


def test_an_unknown_voxel_size_is_said_to_be(stack, run_stage) -> None:
    result = run_stage("import-images", {"stack": stack(GREY)})
    assert read_volume(result["volume"])[1].voxel_size_xyz == (1.0, 1.0, 1.0)
    assert said(result)[1:] == [
        "the voxel size is not known, so 1 x 1 x 1 nm is used; set voxel_size_xyz: [x, y, z] in nm",
    ]


def test_the_voxel_size_of_the_file_counts_where_none_is_given(tmp_path: Path, run_stage) -> None:
    file = tmp_path / "stack.tif"
    metadata = {"spacing": 0.03, "unit": "um", "axes": "ZYX"}
    tifffile.imwrite(file, GREY, imagej=True, resolution=(250, 250), metadata=metadata)
    result = run_stage("import-images", {"stack": file})
    assert read_volume(result["volume"])[1].voxel_size_xyz == pytest.approx((4, 4, 30))
    assert not [text for text in said(result) if "voxel size" in text]
    for given in ([4, 4, 30], [4.01, 4.01, 29.9]):  # the same, as rounded
        result = run_stage("import-images", {"stack": file}, voxel_size_xyz=given)
        assert not [text for text in said(result) if "leave voxel_size_xyz out" in text]


def test_a_voxel_size_that_differs_from_that_of_the_file_is_told(tmp_path: Path, run_stage) -> None:
    file = tmp_path / "stack.tif"
    metadata = {"spacing": 0.03, "unit": "um", "axes": "ZYX"}
    tifffile.imwrite(file, GREY, imagej=True, resolution=(250, 250), metadata=metadata)
    write_volume(tmp_path / "stack.h5", "image", GREY, Place((4, 4, 30)))
    for path in (file, tmp_path / "stack.h5"):
        result = run_stage("import-images", {"stack": path}, voxel_size_xyz=[8, 8, 40])
        assert read_volume(result["volume"])[1].voxel_size_xyz == (8, 8, 40)
        assert said(result)[1:] == [
            f"{path}: the file says that its voxels are 4 x 4 x 30 nm (x, y, z), but voxel_size_xyz is set to "
            "8 x 8 x 40 nm, which is used; to use the size of the file, leave voxel_size_xyz out"
        ]
        told = said(run_stage("import-images", {"stack": path}))
        assert told[1:] == ["voxels are 4 x 4 x 30 nm (x, y, z), from the file"]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_dots_per_inch_are_no_voxel_size(tmp_path: Path, run_stage, suffix: str) -> None:
    """Most programs write 72 dpi, whatever the size of a pixel is."""
    (tmp_path / "em").mkdir()
    for z, section in enumerate(GREY):
        Image.fromarray(section).save(tmp_path / "em" / f"z{z}{suffix}", dpi=(72, 72))
    assert (
        "the voxel size is not known, so 1 x 1 x 1 nm is used"
        in said(run_stage("import-images", {"stack": tmp_path / "em"}))[-1]
    )


def test_our_own_volume_keeps_its_place_and_names(stack, run_stage, tmp_path: Path) -> None:
    first = run_stage("import-images", {"stack": stack(GREY)}, voxel_size_xyz=[4, 4, 30])
    again = run_stage("import-images", {"stack": first["volume"]})
    with open_volume(again["volume"]) as volume, h5py.File(first["volume"]) as file:
        assert volume.place == Place((4.0, 4.0, 30.0))
        np.testing.assert_array_equal(volume.dataset.file["section_names"], file["section_names"])
    write_volume(tmp_path / "box.h5", "image", GREY, Place((4, 4, 30), (5, 6, 7)))
    again = run_stage("import-images", {"stack": tmp_path / "box.h5"})
    assert read_volume(again["volume"])[1] == Place((4, 4, 30), (5, 6, 7))


def test_numbers_that_are_left_out_are_told(tmp_path: Path, run_stage) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for z in (0, 1, 4, 5, 9):
        Image.fromarray(GREY[0]).save(folder / f"{z:03d}.png")
    assert said(run_stage("import-images", {"stack": folder}, voxel_size_xyz=[1, 1, 1]))[1:] == [
        f"{folder}: section numbers are missing: 4 follows 1, and 1 more gap; the sections are stacked without gaps"
    ]


# Sections that show no tissue


def test_blank_sections_are_counted_and_named(stack, run_stage) -> None:
    sections = RNG.integers(1, 255, (9, 20, 30), np.uint8)
    sections[3], sections[5], sections[6] = 0, 0, 200
    sections[7, :15] = 255
    result = run_stage("import-images", {"stack": stack(sections)}, voxel_size_xyz=[1, 1, 1])
    assert said(result)[1:] == [
        "2 of 9 sections are blank (all 0): z3.png, z5.png",
        "1 of 9 sections is blank (all 200): z6.png",
        "1 of 9 sections is saturated (more than half of the voxels are black or white): z7.png",
    ]
    np.testing.assert_array_equal(read_volume(result["volume"])[0], sections)


@pytest.mark.parametrize("clahe", [False, True])
def test_black_borders_are_told_and_stay_black(stack, run_stage, clahe: bool) -> None:
    sections = np.pad(RNG.integers(1, 255, (9, 20, 30), np.uint8), ((0, 0), (10, 10), (15, 15)))
    result = run_stage("import-images", {"stack": stack(sections)}, voxel_size_xyz=[1, 1, 1], clahe=clahe)
    assert said(result)[1:] == ["all 9 sections have a black border (0 from the edge inwards, 75.0 % of all voxels)"]
    volume, _ = read_volume(result["volume"])
    assert not volume[:, :10].any()
    assert not volume[:, :, :15].any()
    (line,) = said(run_stage("statistics", {"volume": result["volume"]}))
    assert "with 9 sections with black borders (z0.png, z1.png, z2.png, ...) they would be" in line


def test_sections_that_have_borders_are_named(stack, run_stage) -> None:
    sections = RNG.integers(1, 255, (9, 20, 30), np.uint8)
    sections[[2, 5], :, :9] = 0
    sections[7, -4:] = 0
    result = run_stage("import-images", {"stack": stack(sections)}, voxel_size_xyz=[1, 1, 1])
    assert said(result)[1:] == [
        "3 of 9 sections have a black border (0 from the edge inwards, 8.9 % of all voxels): z2.png, z5.png, z7.png"
    ]


def test_sections_of_one_name_are_looked_at_each(tmp_path: Path, run_stage) -> None:
    sections = RNG.integers(1, 255, (6, 20, 30), np.uint8)
    sections[2] = 0
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = sections
        file["section_names"] = ["a.png"] * 6
    result = run_stage("import-images", {"stack": tmp_path / "a.h5"}, voxel_size_xyz=[1, 1, 1])
    assert said(result)[-1].startswith("1 of 6 sections is blank (all 0)")


def test_all_sections_blank(stack, run_stage) -> None:
    result = run_stage("import-images", {"stack": stack(np.zeros((3, 20, 30), np.uint16))}, convert_16_bit="full_range")
    assert said(result)[-1] == "all 3 sections are blank (all 0)"


# 16 bits


def test_16_bit_is_refused_with_the_way_to_ask(stack, run_stage) -> None:
    folder = stack(GREY.astype(np.uint16) * 100)
    assert refusal(run_stage, folder) == (
        f"{folder}: the sections are 16-bit grey, not 8-bit; to convert them add convert_16_bit: percentiles "
        "(or full_range) to the params of this step, or --set this-step.convert_16_bit=percentiles"
    )


def test_16_bit_full_range(stack, run_stage) -> None:
    sections = RNG.integers(0, 2**16, GREY.shape, np.uint16)
    sections[0, 0, :2] = 0, 65535
    result = run_stage("import-images", {"stack": stack(sections)}, convert_16_bit="full_range")
    expected = np.floor(sections / 257 + 0.5)
    np.testing.assert_array_equal(read_volume(result["volume"])[0], expected)


def test_16_bit_percentiles_are_those_of_the_whole_stack(stack, run_stage) -> None:
    sections = RNG.normal(3000, 300, (6, 50, 60)).astype(np.uint16)
    sections[3] += 2000  # a brighter section stays brighter
    sections[0, 0, 0], sections[0, 0, 1] = 0, 65535
    result = run_stage("import-images", {"stack": stack(sections)}, convert_16_bit="percentiles")
    low, high = np.percentile(sections, [0.1, 99.9], method="inverted_cdf")
    expected = np.floor((np.clip(sections.astype(float), low, high) - low) / (high - low) * 255 + 0.5)
    volume, _ = read_volume(result["volume"])
    np.testing.assert_array_equal(volume, expected)
    assert volume[3].mean() > volume[2].mean() + 50
    assert f"16-bit greys from {low} to {high} are mapped to 0 to 255" in said(result)
    last = result.reported("progress")[-1]
    assert (last["done"], last["total"]) == (12, 12)  # two passes


@pytest.fixture(params=["HDF5", "TIFF", "ImageJ"])
def signed(request, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Signed greys, as 3View and MRC files have them: numbers of that type, or as Fiji saves them."""
    sections = RNG.normal(-200, 100, (6, 50, 60)).astype(np.int16)
    sections[0, 0, 0], sections[0, 0, 1], sections[:, :, -12:] = -(2**15), 2**15 - 1, 0
    if request.param == "HDF5":
        return hdf5(tmp_path / "a.h5", sections), sections
    if request.param == "TIFF":
        tifffile.imwrite(tmp_path / "a.tif", sections, photometric="minisblack")
    else:
        description = "ImageJ=1.54f\nimages=6\nslices=6\ncf=0\nc0=-32768\nc1=1\n"
        stored = (sections.astype(np.int32) + 2**15).astype(np.uint16)
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", metadata=None, description=description)
    return tmp_path / "a.tif", sections


def test_signed_16_bit_is_converted_when_asked_for(signed: tuple[Path, np.ndarray], run_stage) -> None:
    file, sections = signed
    assert refusal(run_stage, file) == (
        f"{file}: the sections are 16-bit signed grey, not 8-bit; to convert them add convert_16_bit: percentiles "
        "(or full_range) to the params of this step, or --set this-step.convert_16_bit=percentiles"
    )
    tissue = sections[:, :, :-12].astype(float)
    low, high = np.percentile(tissue, [0.1, 99.9], method="inverted_cdf")
    for convert, first, last in (("percentiles", low, high), ("full_range", -(2**15), 2**15 - 1)):
        result = run_stage("import-images", {"stack": file}, convert_16_bit=convert)
        volume, _ = read_volume(result["volume"])
        expected = np.floor((np.clip(tissue, first, last) - first) / (last - first) * 255 + 0.5)
        np.testing.assert_array_equal(volume[:, :, :-12], expected)
        assert not volume[:, :, -12:].any()  # what was 0 at the border was not imaged
        assert said(result)[-1].startswith("all 6 sections have a black border")


# Colour


def test_rgb_is_refused_with_the_way_to_ask(stack, run_stage) -> None:
    folder = stack(RNG.integers(0, 256, (3, 20, 30, 3), np.uint8))
    assert refusal(run_stage, folder) == (
        f"{folder}: the sections are 8-bit RGB, not grey; to convert them add convert_rgb: luminance to the params of "
        "this step, or --set this-step.convert_rgb=luminance"
    )


def test_rgb_luminance_is_pillows(stack, run_stage) -> None:
    sections = RNG.integers(0, 256, (3, 20, 30, 3), np.uint8)
    sections[0, 0] = np.arange(30)[:, None]  # grey stays what it is
    result = run_stage("import-images", {"stack": stack(sections)}, convert_rgb="luminance")
    expected = np.stack([np.asarray(Image.fromarray(section).convert("L")) for section in sections])
    np.testing.assert_array_equal(read_volume(result["volume"])[0], expected)
    assert expected[0, 0].tolist() == list(range(30))


@pytest.mark.parametrize("samples", [2, 4])
def test_alpha_is_dropped_where_opaque_and_refused_elsewhere(stack, run_stage, samples: int) -> None:
    sections = np.full((3, 20, 30, samples), 255, np.uint8)
    sections[..., :-1] = RNG.integers(0, 256, (3, 20, 30, 1))
    folder = stack(sections)
    result = run_stage("import-images", {"stack": folder}, convert_rgb="luminance")
    np.testing.assert_array_equal(read_volume(result["volume"])[0], sections[..., 0])
    sections[1, :10, :, -1] = 0
    Image.fromarray(sections[1]).save(folder / "z1.png")
    assert refusal(run_stage, folder, convert_rgb="luminance") == (
        f"{folder / 'z1.png'}: has transparent pixels (50 % of them); save it without transparency"
    )


# What no parameter converts


def hdf5(path: Path, array: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file["raw"] = array
    return path


@pytest.mark.parametrize(
    ("array", "form"),
    [
        (np.zeros((2, 3, 4), np.int64), "64-bit signed grey"),
        (np.zeros((2, 3, 4), np.int32), "32-bit signed grey"),
        (np.zeros((2, 3, 4), np.uint32), "32-bit grey"),
        (np.zeros((2, 3, 4), bool), "1-bit grey"),
    ],
)
def test_other_types_are_refused(tmp_path: Path, run_stage, array: np.ndarray, form: str) -> None:
    file = hdf5(tmp_path / "a.h5", array)
    everything = {"convert_16_bit": "full_range", "convert_rgb": "luminance"}
    assert refusal(run_stage, file, **everything) == f"{file}: the sections are {form}; save them as 8-bit grey"


def test_palette_and_bilevel_and_inverted_sections_are_refused(tmp_path: Path, run_stage) -> None:
    picture = Image.fromarray(GREY[0])
    for name, section in (("palette", picture.convert("P")), ("bilevel", picture.convert("1"))):
        folder = tmp_path / name
        folder.mkdir()
        section.save(folder / "z0.png")
        form = {"palette": "8-bit palette", "bilevel": "1-bit grey"}[name]
        assert refusal(run_stage, folder) == f"{folder}: the sections are {form}; save them as 8-bit grey"
    file = tmp_path / "inverted.tif"
    tifffile.imwrite(file, GREY, photometric="miniswhite")
    assert refusal(run_stage, file) == (
        f"{file}: the sections are 8-bit inverted grey, stored with 0 as white; save them with 0 as black"
    )


# CLAHE


def test_clahe_is_of_each_section(stack, run_stage) -> None:
    from skimage.exposure import equalize_adapthist

    sections = RNG.integers(90, 140, (3, 64, 70)).astype(np.uint8)
    sections[1] = 17  # a blank section stays as it is
    result = run_stage("import-images", {"stack": stack(sections)}, clahe=True, clahe_block=32, clahe_max_slope=2)
    volume, _ = read_volume(result["volume"])
    for z in (0, 2):
        expected = np.rint(255 * equalize_adapthist(sections[z], 32, clip_limit=2 / 256, nbins=256))
        np.testing.assert_array_equal(volume[z], expected)
        assert volume[z].std() > 2 * sections[z].std()
    assert (volume[1] == 17).all()


# Parameters


@pytest.mark.parametrize(
    "params",
    [
        {"voxel_size_xyz": [4, 4]},
        {"voxel_size_xyz": [4, 4, 0]},
        {"voxel_size_xyz": [4, 4, float("inf")]},
        {"voxel_size_xyz": "4 4 30"},
        {"convert_16_bit": True},
        {"convert_16_bit": "scale"},
        {"clahe": 1},
        {"clahe_max_slope": 0.5},
        {"clip_limit": 0.01},
    ],
)
def test_wrong_parameters_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        import_images.Params.parse(params)


@pytest.mark.real_data
def test_real_sections(shared: Path, run_stage) -> None:
    result = run_stage("import-images", {"stack": shared / "snemi3d" / "images"}, voxel_size_xyz=[4, 4, 30])
    volume, _ = read_volume(result["volume"])
    assert volume.shape == (70, 512, 512)
    for z in (0, 9, 10, 69):
        np.testing.assert_array_equal(volume[z], Image.open(shared / "snemi3d" / "images" / f"{z:04d}.png"))

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.labels import ids_to_rgb
from floodrunner.stages import import_labels
from floodrunner.stages.storage.volumes import Place, read_volume, write_volume
from tests.stages.label_stacks import folder, hdf5, refusal, said

RNG = np.random.default_rng(3)
IDS = RNG.integers(0, 5, (6, 4, 5)).repeat(5, 1).repeat(6, 2)  # (6, 20, 30)


# What is read


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_grey_labels_in_pngs(tmp_path: Path, run_stage, dtype: type) -> None:
    result = run_stage("import-labels", {"stack": folder(tmp_path / "l", IDS.astype(dtype), "{}.tif")})
    volume, place = read_volume(result["volume"])
    assert volume.dtype == np.uint32
    np.testing.assert_array_equal(volume, IDS)
    assert place == Place()
    with h5py.File(result["volume"]) as file:
        assert list(file["section_names"].asstr()) == [f"{z}.tif" for z in range(6)]


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64, np.int64, np.int16, bool])
def test_labels_in_one_file(tmp_path: Path, run_stage, dtype: type) -> None:
    ids = IDS.astype(dtype) if dtype is not bool else IDS == 1
    volume, _ = read_volume(run_stage("import-labels", {"stack": hdf5(tmp_path / "l.h5", ids)})["volume"])
    assert volume.dtype == np.uint32
    np.testing.assert_array_equal(volume, ids)


def test_ids_beyond_32_bits_are_kept(tmp_path: Path, run_stage) -> None:
    for largest, dtype in ((2**32 - 4, np.uint32), (2**32, np.uint64), (2**63 + 1, np.uint64)):
        ids = IDS.astype(np.uint64)
        ids[3, 2, 1] = largest
        volume, _ = read_volume(run_stage("import-labels", {"stack": hdf5(tmp_path / "l.h5", ids)})["volume"])
        assert volume.dtype == dtype
        np.testing.assert_array_equal(volume, ids)


def test_colours_as_vast_exports_them(tmp_path: Path, run_stage) -> None:
    ids = IDS * 100_001
    result = run_stage("import-labels", {"stack": folder(tmp_path / "rgb", ids_to_rgb(ids))})
    np.testing.assert_array_equal(read_volume(result["volume"])[0], ids)
    assert "colours are read as VAST exports them: id = R x 65536 + G x 256 + B" in said(result)
    opaque = np.concatenate([ids_to_rgb(ids), np.full((*ids.shape, 1), 255, np.uint8)], axis=-1)
    result = run_stage("import-labels", {"stack": folder(tmp_path / "rgba", opaque)})
    np.testing.assert_array_equal(read_volume(result["volume"])[0], ids)
    opaque[2, 0, 0, 3] = 254
    Image.fromarray(opaque[2]).save(tmp_path / "rgba" / "z0002.png")
    assert refusal(run_stage, {"stack": tmp_path / "rgba"}).startswith(
        f"{tmp_path / 'rgba' / 'z0002.png'}: has transparent pixels"
    )


# What is reported


def two_ids() -> np.ndarray:
    ids = np.zeros((20, 10, 10), np.uint8)
    ids[:, 1:3, 1:3] = 4
    ids[:5, 6:8, 1] = ids[10:, 6:8, 1] = ids[0, 6, 9] = 9
    return ids


def test_report(tmp_path: Path, run_stage) -> None:
    result = run_stage("import-labels", {"stack": folder(tmp_path / "l", two_ids())}, voxel_size_xyz=[4, 4, 30])
    share = (two_ids() == 0).mean()
    assert {event["name"]: event["value"] for event in result.reported("metric")} == {
        "ids": 2,
        "background_share": pytest.approx(share),
    }
    assert said(result)[1:] == [
        f"2 ids in 4 connected pieces; {100 * share:.1f} % of the voxels are background; no id touches all six sides",
        "1 of 2 ids is not connected (26 neighbours): 9 in 3 pieces; "
        "set relabel: connected_components to give each piece its own id",
    ]
    assert read_volume(result["volume"])[1] == Place((4, 4, 30))


def test_of_many_ids_in_pieces_the_first_are_named(tmp_path: Path, run_stage) -> None:
    ids = np.zeros((1, 20, 40), np.uint8)
    ids[0, ::4, ::4] = np.arange(1, 11)  # each id 5 times
    result = run_stage("import-labels", {"stack": folder(tmp_path / "l", ids)})
    assert said(result)[-1].startswith(
        "10 of 10 ids are not connected (26 neighbours): 1 in 5 pieces, 2 in 5 pieces, 3 in 5 pieces, 4 in 5 pieces, "
        "5 in 5 pieces, ...; set relabel"
    )


def test_relabelling_gives_each_piece_an_id(tmp_path: Path, run_stage) -> None:
    result = run_stage("import-labels", {"stack": folder(tmp_path / "l", two_ids())}, relabel="connected_components")
    volume, _ = read_volume(result["volume"])
    assert volume.dtype == np.uint32
    pieces = {(int(new), int(old)) for new, old in zip(volume.ravel(), two_ids().ravel(), strict=True)}
    assert pieces == {(0, 0), (1, 4), (2, 9), (3, 9), (4, 9)}
    assert said(result)[-1] == (
        "relabelled: 4 connected pieces (26 neighbours), each with its own id; "
        "the largest holds 72 % of the labelled voxels"
    )
    assert result.reported("metric")[0]["value"] == 4
    last = result.reported("progress")[-1]
    assert (last["done"], last["total"]) == (40, 40)  # two passes


# What is refused

BACKGROUND = "all 2 sections of 4 x 3 are background (label 0); give sections with labelled objects"


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (
            np.full((2, 3, 4), np.nan, np.float32),
            "the sections are 32-bit float grey; labels are whole numbers, save them as 16- or 32-bit integers "
            "(in Fiji: Image > Type > 16-bit, with 'Scale when converting' off)",
        ),
        (
            np.zeros((2, 3, 4), np.uint16),
            BACKGROUND,
        ),
    ],
)
def test_what_is_no_labels(tmp_path: Path, run_stage, array: np.ndarray, words: str) -> None:
    file = hdf5(tmp_path / "l.h5", array)
    assert refusal(run_stage, {"stack": file}) == f"{file}: {words}"


def test_palettes_and_16_bit_colours_are_refused(tmp_path: Path, run_stage) -> None:
    stack = tmp_path / "palette"
    stack.mkdir()
    Image.fromarray(IDS[0].astype(np.uint8)).convert("P").save(stack / "z0.png")
    assert refusal(run_stage, {"stack": stack}) == (
        f"{stack}: the sections are 8-bit palette, which may mean ids or colours; "
        "save them as 8- or 16-bit grey (in Fiji: Image > Lookup Tables > Grays, which keeps the ids)"
    )
    file = tmp_path / "rgb.tif"
    tifffile.imwrite(file, np.zeros((3, 4, 5, 3), np.uint16), photometric="rgb")
    assert refusal(run_stage, {"stack": file}) == (
        f"{file}: the sections are 16-bit RGB; save them as grey of 8, 16 or 32 bits, one id per object, "
        "or as 8-bit RGB as VAST exports it"
    )


# With the images


@pytest.fixture
def images(tmp_path: Path, run_stage) -> Callable[..., Path]:
    def make(shape: tuple[int, int, int], first: int = 0) -> Path:
        sections = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
        stack = folder(tmp_path / f"images{first}", sections, "img_{:03d}.png", first)
        return run_stage("import-images", {"stack": stack}, voxel_size_xyz=[4, 4, 30])["volume"]

    return make


def test_labels_lie_where_the_images_lie(tmp_path: Path, run_stage) -> None:
    place = Place((4, 4, 30), (10, 20, 30))
    write_volume(tmp_path / "i.h5", "image", np.zeros(IDS.shape, np.uint8), place)
    stack = folder(tmp_path / "l", IDS.astype(np.uint8))
    inputs = {"stack": stack, "images": tmp_path / "i.h5"}
    assert read_volume(run_stage("import-labels", inputs)["volume"])[1] == place
    assert read_volume(run_stage("import-labels", inputs, voxel_size_xyz=[4, 4, 30])["volume"])[1] == place
    assert refusal(run_stage, inputs, voxel_size_xyz=[4, 4, 40]) == (
        "voxel_size_xyz: [4.0, 4.0, 40.0] is given, but the voxel size of the images is [4.0, 4.0, 30.0]; "
        "leave voxel_size_xyz out here, so that the size of the images is used"
    )


def test_a_preview_shows_the_labels_over_the_images(tmp_path: Path, run_stage, images) -> None:
    stack = folder(tmp_path / "l", IDS.astype(np.uint8))
    result = run_stage("import-labels", {"stack": stack, "images": images(IDS.shape)})
    (artifact,) = result.reported("artifact")
    assert (artifact["path"], artifact["title"]) == (
        "preview.png",
        "labels over images: see whether they lie on each other",
    )
    picture = np.asarray(Image.open(result["volume"].parent / "preview.png"))
    below = picture[8 + 26 + 240 + 60 :][:240, 8 : 8 + 360]  # of section 1, 30 x 20, enlarged 12 times
    coloured = np.ptp(below[6::12, 6::12].astype(int), axis=-1) > 0
    np.testing.assert_array_equal(coloured, IDS[1] > 0)
    assert not run_stage("import-labels", {"stack": stack}).reported("artifact")


def test_section_numbers_a_step_apart_are_refused(tmp_path: Path, run_stage, images) -> None:
    stack = folder(tmp_path / "l", IDS.astype(np.uint8), first=1)
    inputs = {"stack": stack, "images": images(IDS.shape)}
    assert refusal(run_stage, inputs) == (
        f"{stack}: labels and images do not match: section 0 is z0001.png in the labels and img_000.png in the "
        "images; give the same sections for both, or set check_order: false if only the names differ"
    )
    run_stage("import-labels", inputs, check_order=False)


@pytest.mark.parametrize(("name", "first"), [("seg_{:02d}.png", 0), ("z{:04d}.png", 1000)])
def test_the_same_numbers_and_wholly_other_numbers_pass(
    tmp_path: Path, run_stage, images, name: str, first: int
) -> None:
    stack = folder(tmp_path / "l", IDS.astype(np.uint8), name, first)
    result = run_stage("import-labels", {"stack": stack, "images": images(IDS.shape)})
    np.testing.assert_array_equal(read_volume(result["volume"])[0], IDS)


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "ids"), [("snemi3d", 80), ("isbi2012", 3)])
def test_real_labels(shared: Path, tmp_path: Path, run_stage, name: str, ids: int) -> None:
    def some(what: str, first: int) -> Path:
        path = tmp_path / f"{what}{first}"
        path.mkdir()
        files = sorted((shared / name / what).iterdir())
        for z in range(24):
            (path / f"{z:04d}.png").symlink_to(files[(first + z) % len(files)])
        return path

    image = run_stage("import-images", {"stack": some("images", 0)}, voxel_size_xyz=[4, 4, 30])["volume"]
    stack = some("labels", 0)
    relabel = "none" if name == "snemi3d" else "connected_components"  # those of ISBI 2012 are cells and membranes
    result = run_stage("import-labels", {"stack": stack, "images": image}, relabel=relabel)
    assert not [text for text in said(result) if "do not seem to lie" in text]
    volume, _ = read_volume(result["volume"])
    expected = np.stack([np.asarray(Image.open(file)) for file in sorted(stack.iterdir())])
    np.testing.assert_array_equal(volume if name == "snemi3d" else 255 * (volume > 0), expected)
    assert result.reported("metric")[0]["value"] == ids == len(np.unique(volume)) - 1
    # The same, a section out of step, which no name tells.
    assert "their outlines fit the image section after theirs better than their own" in refusal(
        run_stage, {"stack": some("labels", 1), "images": image}, relabel=relabel
    )


@pytest.mark.parametrize(
    "params",
    [
        {"unlabelled": [2**64]},
        {"unlabelled": [255.0]},
        {"relabel": True},
        {"relabel": "pieces"},
        {"check_order": 1},
        {"voxel_size": [1]},
    ],
)
def test_wrong_parameters_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        import_labels.Params.parse(params)


def test_an_overlay_is_refused_and_the_ids_beside_it_are_named(run_stage, tmp_path: Path) -> None:
    (tmp_path / "ids").mkdir()
    (tmp_path / "sections").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    for z in range(3):
        Image.fromarray(noise).save(tmp_path / "sections" / f"z{z:04d}.png")
    with pytest.raises(InputError, match=r"change from pixel to pixel like grey values.*may hold the ids: .*ids$"):
        run_stage("import-labels", {"stack": tmp_path / "sections"})

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from floodrunner.contract.stage import InputError
from floodrunner.segmentation import colours
from floodrunner.stages import export_stack
from floodrunner.stages.storage.volumes import Place, read_volume, write_volume

RNG = np.random.default_rng(3)
IDS = RNG.integers(0, 6, (20, 4, 5)).repeat(5, 1).repeat(6, 2).astype(np.uint32)  # (20, 20, 30), more than a chunk deep
GREY = RNG.integers(0, 256, IDS.shape, np.uint8)
NM = (4.0, 4.0, 30.0)
TOP, LEFT = 8 + 26, 8  # where the first panel of an overview begins: margin and title


@pytest.fixture
def volume(tmp_path: Path) -> Callable[..., Path]:
    def make(array: np.ndarray, kind: str = "labels", offset: tuple[int, int, int] = (0, 0, 0)) -> Path:
        path = tmp_path / f"{kind}.h5"
        write_volume(path, kind, array, Place(NM, offset))
        return path

    return make


def read(folder: Path) -> np.ndarray:
    files = sorted(folder.iterdir())
    assert files
    return np.stack(
        [tifffile.imread(file) if file.suffix == ".tif" else np.asarray(Image.open(file)) for file in files]
    )


def refusal(run_stage: Callable[..., object], inputs: dict[str, Path], **params: object) -> str:
    with pytest.raises(InputError) as caught:
        run_stage("export-stack", inputs, **params)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_image_goes_out_as_it_is(run_stage, volume) -> None:
    result = run_stage("export-stack", {"volume": volume(GREY, "image")})
    sections = read(result["sections"])
    assert sections.dtype == np.uint8
    np.testing.assert_array_equal(sections, GREY)
    assert [file.name for file in sorted(result["sections"].iterdir())] == [f"z{z:04d}.png" for z in range(20)]
    assert [(event["path"], event["title"]) for event in result.reported("artifact")] == [
        ("sections", "20 sections, the first is z0000.png"),
    ]
    last = result.reported("progress")[-1]
    assert (last["done"], last["total"], last["unit"]) == (20, 20, "sections")


@pytest.mark.parametrize("kind", ["labels", "segmentation"])
@pytest.mark.parametrize(
    ("form", "largest", "dtype"),
    [("png", 65535, np.uint16), ("tiff", 65535, np.uint16), ("tiff", 65536, np.uint32), ("tiff", 2**32 - 4, np.uint32)],
)
def test_ids_go_out_as_they_are(run_stage, volume, kind: str, form: str, largest: int, dtype: type) -> None:
    ids = IDS.astype(np.uint64)
    ids[17, 3, 2] = largest
    sections = read(run_stage("export-stack", {"volume": volume(ids, kind)}, format=form)["sections"])
    assert sections.dtype == dtype
    np.testing.assert_array_equal(sections, ids)


def test_ids_that_do_not_fit_are_refused(run_stage, volume) -> None:
    for largest, params, words in (
        (2**16, {}, "does not fit the 16 bits of a grey PNG; set format: tiff, or style: vast"),
        (
            2**32,
            {"format": "tiff"},
            "does not fit the 32 bits of a TIFF; renumber the ids "
            "(import-labels with relabel: connected_components), or use style: colour",
        ),
        (2**24, {"style": "vast"}, "does not fit the 24 bits of style: vast; use style: ids"),
    ):
        ids = IDS.astype(np.uint64)
        ids[17, 3, 2] = largest
        path = volume(ids)
        assert refusal(run_stage, {"volume": path}, **params) == f"{path}: id {largest} {words}"


def test_8_bit_is_the_id_up_to_255_and_shared_above(run_stage, volume) -> None:
    result = run_stage("export-stack", {"volume": volume(IDS * 51)}, style="8_bit")
    sections = read(result["sections"])
    assert sections.dtype == np.uint8
    np.testing.assert_array_equal(sections, IDS * 51)
    assert not result.reported("message")
    result = run_stage("export-stack", {"volume": volume(IDS * 256)}, style="8_bit")
    sections = read(result["sections"])
    np.testing.assert_array_equal(sections, IDS)  # 256 -> 1, 512 -> 2, and so on: none is lost in the background
    assert [event["text"] for event in result.reported("message")] == [
        "ids go up to 1280: above 255 the greys begin again at 1, so 0 of 5 ids share their grey with another; "
        "style: ids keeps them apart"
    ]


def test_8_bit_says_how_many_ids_share_a_grey(run_stage, volume) -> None:
    result = run_stage(
        "export-stack", {"volume": volume(np.arange(1, 601, dtype=np.uint32).reshape(2, 15, 20))}, style="8_bit"
    )
    assert [event["text"] for event in result.reported("message")] == [
        "ids go up to 600: above 255 the greys begin again at 1, so 345 of 600 ids share their grey with another; "
        "style: ids keeps them apart"
    ]


@pytest.mark.parametrize("style", ["ids", "8_bit", "colour", "overlay", "vast"])
@pytest.mark.parametrize("form", ["png", "tiff"])
def test_negative_ids_are_refused_in_every_style(run_stage, volume, style: str, form: str) -> None:
    ids = IDS.astype(np.int32)
    ids[18, 2, 3] = -9
    inputs = {"volume": volume(ids), "image": volume(GREY, "image")}
    assert refusal(run_stage, inputs, style=style, format=form) == (
        f"{inputs['volume']}: dataset /labels holds the negative label -9; if it means none, import the labels with "
        "import-labels and unlabelled: [-9]; otherwise renumber them"
    )


@pytest.mark.parametrize("style", ["ids", "8_bit", "colour", "overlay", "vast"])
def test_ids_that_mean_none_go_out_as_0_in_every_style(run_stage, volume, style: str) -> None:
    image, none = volume(GREY, "image"), IDS == 2
    clean = run_stage("export-stack", {"volume": volume(np.where(none, 0, IDS)), "image": image}, style=style)
    for dtype, value in ((np.uint64, 2**64 - 1), (np.int64, -1)):
        ids = np.where(none, dtype(value), IDS.astype(dtype))
        result = run_stage("export-stack", {"volume": volume(ids), "image": image}, style=style)
        np.testing.assert_array_equal(read(result["sections"]), read(clean["sections"]))
        (message,) = result.reported("message")
        assert f"{none.sum():,} voxels ({100 * none.mean():.1f} %) are {value}, which means none" in message["text"]


def test_says_what_a_dataset_of_another_name_is_taken_for(run_stage, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["volumes/data"] = GREY
    result = run_stage("export-stack", {"volume": f"{tmp_path / 'own.h5'}:volumes/data"})
    assert [event["text"] for event in result.reported("message")] == [
        f"{tmp_path / 'own.h5'}:volumes/data: dataset /volumes/data is taken for labels; if it is an image, "
        "rename it raw"
    ]


def test_one_huge_id_among_small_ones(run_stage, volume) -> None:
    ids = IDS.astype(np.uint64)
    ids[17, 3, 2] = 2**63 + 5
    path = volume(ids)
    sections = read(run_stage("export-stack", {"volume": path}, style="colour")["sections"])
    np.testing.assert_array_equal(sections[0], colours.colours(IDS[0]))
    assert (sections[17, 3, 2] > 0).any()
    assert "id 9223372036854775813 does not fit the 32 bits" in refusal(run_stage, {"volume": path}, format="tiff")


@pytest.mark.parametrize("shape", [(1, 20, 30), (1, 1, 1), (20, 1, 30)])
@pytest.mark.parametrize("style", ["ids", "8_bit", "colour", "overlay", "vast"])
def test_empty_and_flat_volumes(run_stage, volume, shape: tuple[int, int, int], style: str) -> None:
    inputs = {"volume": volume(np.zeros(shape, np.uint32)), "image": volume(np.full(shape, 9, np.uint8), "image")}
    sections = read(run_stage("export-stack", inputs, style=style)["sections"])
    assert sections.shape[:3] == shape
    assert (sections == (9 if style == "overlay" else 0)).all()


@pytest.mark.parametrize(
    "image",
    [
        GREY.astype(np.int16) * 100 - 9000,
        GREY.astype(np.int8),
        GREY.astype(np.uint32) * 9_000_000,
        GREY.astype(np.int64) - 5,
        GREY.astype(np.float32) / 7,
        GREY / 7,
    ],
)
def test_images_that_a_png_cannot_hold_go_out_as_tiff(run_stage, volume, image: np.ndarray) -> None:
    path = volume(image, "image")
    assert refusal(run_stage, {"volume": path}) == (
        f"{path}: the image is {image.dtype}, but a PNG takes whole numbers of 8 or 16 bits without sign; set format: "
        "tiff, which keeps all values"
    )
    sections = read(run_stage("export-stack", {"volume": path}, format="tiff")["sections"])
    assert sections.dtype == image.dtype
    np.testing.assert_array_equal(sections, image)


def test_images_of_half_precision_and_of_true_and_false(run_stage, volume) -> None:
    half = (GREY / 7).astype(np.float16)
    sections = read(run_stage("export-stack", {"volume": volume(half, "image")}, format="tiff")["sections"])
    assert sections.dtype == np.float32
    np.testing.assert_array_equal(sections, half)
    for form in ("png", "tiff"):
        result = run_stage("export-stack", {"volume": volume(GREY > 99, "image")}, format=form)
        np.testing.assert_array_equal(read(result["sections"]), np.where(GREY > 99, 255, 0))
        assert "true and false, which are written as 255 and 0" in result.reported("message")[0]["text"]


def test_an_overlay_over_16_bits(run_stage, volume) -> None:
    image = GREY.astype(np.uint16) * 16  # 12 bits: the highest byte alone would be black, the lowest alone noise
    result = run_stage("export-stack", {"volume": volume(IDS), "image": volume(image, "image")}, style="overlay")
    assert "the image is uint16; its values from " in result.reported("message")[0]["text"]
    ours = read(result["sections"]).astype(int)
    expected = np.stack([colours.overlay(grey, ids, 0.35) for grey, ids in zip(GREY, IDS, strict=True)])
    assert np.abs(ours - expected).max() <= 2
    picture = np.asarray(Image.open(result["sections"].parent / "overview.png"))
    shown = picture[TOP : TOP + 360, LEFT : LEFT + 540][9::18, 9::18, 0]  # 30 x 20, enlarged 18 times
    assert np.abs(shown.astype(int) - GREY[10]).max() <= 2


@pytest.mark.parametrize("form", ["png", "tiff"])
def test_vast_colours_come_back_as_the_same_ids(run_stage, volume, form: str) -> None:
    ids = IDS * 3_000_001
    folder = run_stage("export-stack", {"volume": volume(ids)}, style="vast", format=form)["sections"]
    assert read(folder).shape == (*ids.shape, 3)
    np.testing.assert_array_equal(read_volume(run_stage("import-labels", {"stack": folder})["volume"])[0], ids)


@pytest.mark.parametrize("form", ["png", "tiff"])
def test_colours(run_stage, volume, form: str) -> None:
    sections = read(run_stage("export-stack", {"volume": volume(IDS)}, style="colour", format=form)["sections"])
    np.testing.assert_array_equal(sections, [colours.colours(section) for section in IDS])


def test_an_overlay_of_a_box_lies_on_its_part_of_the_image(run_stage, volume) -> None:
    box = (slice(2, 19), slice(5, 15), slice(7, 30))
    inputs = {"volume": volume(IDS[box], "labels", (107, 205, 302)), "image": volume(GREY, "image", (100, 200, 300))}
    result = run_stage("export-stack", inputs, style="overlay", opacity=0.5)
    files = sorted(result["sections"].iterdir())
    assert (files[0].name, files[-1].name) == ("z0302.png", "z0318.png")
    expected = [colours.overlay(grey, ids, 0.5) for grey, ids in zip(GREY[box], IDS[box], strict=True)]
    np.testing.assert_array_equal(read(result["sections"]), expected)


def test_with_an_image_there_are_sections_to_look_at_and_ids_for_programs(run_stage, volume) -> None:
    result = run_stage("export-stack", {"volume": volume(IDS * 1000), "image": volume(GREY, "image")})
    expected = [colours.overlay(grey, ids * 1000, 0.35) for grey, ids in zip(GREY, IDS, strict=True)]
    np.testing.assert_array_equal(read(result["sections"]), expected)
    ids = read(result["sections"].parent / "ids")
    assert ids.dtype == np.uint16
    np.testing.assert_array_equal(ids, IDS * 1000)
    assert [(event["path"], event["title"]) for event in result.reported("artifact")] == [
        (
            "sections",
            "20 sections, the first is z0000.png; objects in colour over the image (with scale: overview.png)",
        ),
        ("ids", "20 sections, the first is z0000.png; object ids, 16 bit; looks black in most viewers"),
        ("overview.png", "image and labels: the middle section, and a cut along z"),
    ]


def test_ids_beside_an_overlay_are_tiff_if_they_need_32_bits(run_stage, volume) -> None:
    inputs = {"volume": volume(IDS * 100_000), "image": volume(GREY, "image")}
    result = run_stage("export-stack", inputs)
    assert read(result["sections"]).shape == (*IDS.shape, 3)
    folder = result["sections"].parent / "ids"
    assert {file.suffix for file in folder.iterdir()} == {".tif"}
    assert {file.suffix for file in result["sections"].iterdir()} == {".png"}
    np.testing.assert_array_equal(read(folder), IDS * 100_000)
    assert result.reported("artifact")[1]["title"].endswith("object ids, 32 bit TIFF; looks black in most viewers")


@pytest.mark.parametrize("style", ["ids", "8_bit", "colour", "overlay", "vast"])
def test_a_style_that_is_asked_for_is_all_that_is_written(run_stage, volume, style: str) -> None:
    result = run_stage("export-stack", {"volume": volume(IDS), "image": volume(GREY, "image")}, style=style)
    assert sorted(each.name for each in result["sections"].parent.iterdir() if each.suffix != ".jsonl") == [
        "overview.png",
        "sections",
    ]


def test_objects_have_the_colours_of_the_true_objects(run_stage, volume, tmp_path: Path) -> None:
    """Object 1 covers neurons 11 and 12, most of it 11; neuron 13 is split into 2 and 3."""
    found, true = np.zeros((2, 3, 12, 40), np.uint32)
    for labels, objects in (
        (found, {1: slice(0, 20), 2: slice(20, 34), 3: slice(34, 40)}),
        (true, {11: slice(0, 13), 12: slice(13, 20), 13: slice(20, 40)}),
    ):
        for label, where in objects.items():
            labels[:, :, where] = label
    write_volume(tmp_path / "truth.h5", "labels", true, Place(NM))
    grey = np.full(found.shape, 90, np.uint8)
    inputs = {
        "volume": volume(found, "segmentation"),
        "image": volume(grey, "image"),
        "truth": tmp_path / "truth.h5",
    }
    result = run_stage("export-stack", inputs)
    shown = np.where(found == 1, 11, np.where(found == 2, 13, found))  # 3 has lost its neuron to 2
    first = np.unique(true).max()
    assert first == 13
    shown[found == 3] = 1  # the first id that the truth does not have
    np.testing.assert_array_equal(read(result["sections"])[1], colours.overlay(grey[1], shown[1], 0.35))
    np.testing.assert_array_equal(read(result["sections"].parent / "ids"), found)
    picture = np.asarray(Image.open(result["sections"].parent / "overview.png"))
    at = [picture[TOP + 50, LEFT + k * (520 + 8) + x] for k in (1, 2) for x in (80, 220, 350, 490)]
    merged, also, split, rest, one, other, neuron, end = (tuple(each.tolist()) for each in at)
    assert merged == also == one != other
    assert split == neuron == end != rest
    assert len({merged, other, split, rest}) == 4
    assert result.reported("artifact")[-1]["title"] == (
        "image, result and truth: the middle section, and a cut along z"
    )


def test_an_overview_is_to_scale(run_stage, volume) -> None:
    result = run_stage("export-stack", {"volume": volume(IDS), "image": volume(GREY, "image")})
    picture = np.asarray(Image.open(result["sections"].parent / "overview.png"))
    section = picture[TOP : TOP + 360, LEFT : LEFT + 540]
    np.testing.assert_array_equal(section[..., 0], GREY[10].repeat(18, 0).repeat(18, 1))
    top = TOP + 360 + 60 + 26  # the title of the narrow cut takes two lines
    cut = picture[top : top + 600, LEFT : LEFT + 120]  # voxels are 4 nm wide and 30 nm high
    np.testing.assert_array_equal(cut[..., 0], GREY[:, 10].repeat(30, 0).repeat(4, 1))


def test_a_large_picture_is_reduced(run_stage, volume) -> None:
    shape = (1, 2500, 1000)
    inputs = {"volume": volume(np.ones(shape, np.uint8)), "image": volume(np.zeros(shape, np.uint8), "image")}
    result = run_stage("export-stack", inputs)
    width, height = Image.open(result["sections"].parent / "overview.png").size
    assert 1024 < height < 1150
    assert 2 * 410 < width < 2 * 410 + 40


@pytest.mark.parametrize("kind", ["labels", "image"])
def test_tiff_sections_have_the_voxel_size_as_fiji_reads_it(run_stage, volume, kind: str) -> None:
    path = volume(IDS if kind == "labels" else GREY, kind)
    folder = run_stage("export-stack", {"volume": path}, format="tiff")["sections"]
    with tifffile.TiffFile(folder / "z0003.tif") as file:
        assert file.imagej_metadata is not None
        assert (file.imagej_metadata["unit"], file.imagej_metadata["spacing"]) == ("micron", 0.03)
        assert file.pages.first.resolution == (250, 250)
    again = run_stage("import-labels" if kind == "labels" else "import-images", {"stack": folder})["volume"]
    array, place = read_volume(again)
    assert place.voxel_size_xyz == NM
    np.testing.assert_array_equal(array, IDS if kind == "labels" else GREY)


def test_tiff_sections_without_a_voxel_size_have_none(run_stage, tmp_path: Path) -> None:
    write_volume(tmp_path / "labels.h5", "labels", IDS, Place())
    folder = run_stage("export-stack", {"volume": tmp_path / "labels.h5"}, format="tiff")["sections"]
    with tifffile.TiffFile(folder / "z0003.tif") as file:
        assert not file.is_imagej


@pytest.mark.parametrize("offset", [(0, 0, 1), (0, -1, 0), (1, 0, 0)])
def test_a_box_outside_the_image_is_refused(run_stage, volume, offset: tuple[int, int, int]) -> None:
    inputs = {"volume": volume(IDS, "labels", offset), "image": volume(GREY, "image")}
    x, y, z = offset
    assert refusal(run_stage, inputs) == (
        f"{inputs['volume']}: its box, 30 x 20 x 20 voxels at {x} x {y} x {z} (x, y, z), is not inside the box of the "
        "image, 30 x 20 x 20 voxels at 0 x 0 x 0 (x, y, z); connect the image that the labels were made from"
    )


def test_styles_and_ports_that_do_not_go_together(run_stage, volume) -> None:
    labels, image = volume(IDS), volume(GREY, "image")
    assert refusal(run_stage, {"volume": labels}, style="overlay") == (
        "style: overlay needs the image; connect it with in: {image: image.volume}, or use style: colour"
    )
    assert refusal(run_stage, {"volume": image}, style="colour") == (
        f"style: colour is for labels, but {image} is an image; leave style out"
    )
    assert refusal(run_stage, {"volume": image, "image": image}) == (
        f"{image}: is an image itself; connect `image` only if `volume` holds labels"
    )


def test_damaged_and_wrong_volumes(run_stage, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "float.h5", "w") as file:
        file["labels"] = np.full((2, 3, 4), np.nan)
    assert refusal(run_stage, {"volume": tmp_path / "float.h5"}).startswith(
        f"{tmp_path / 'float.h5'}: dataset /labels is float64, not integer labels"
    )
    path = tmp_path / "labels.h5"
    write_volume(path, "labels", RNG.integers(0, 2**32, (40, 64, 64), np.uint32), Place())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(3000) + data[len(data) // 2 + 3000 :])
    assert refusal(run_stage, {"volume": path}, format="tiff").startswith(
        f"{path}: cannot be read because the file is damaged (HDF5: "
    )


@pytest.mark.parametrize("params", [{"format": "jpg"}, {"style": 8}, {"opacity": 1.1}, {"opacity": True}, {"alpha": 1}])
def test_wrong_parameters_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        export_stack.Params.parse(params)


@pytest.mark.real_data
def test_real_labels_go_out_and_come_back(shared: Path, run_stage, tmp_path: Path) -> None:
    stack = tmp_path / "some"
    stack.mkdir()
    for file in sorted((shared / "snemi3d" / "labels").iterdir())[:20]:
        (stack / file.name).symlink_to(file)
    labels = run_stage("import-labels", {"stack": stack})["volume"]
    again = run_stage("import-labels", {"stack": run_stage("export-stack", {"volume": labels})["sections"]})["volume"]
    np.testing.assert_array_equal(read_volume(again)[0], read_volume(labels)[0])
    assert len(np.unique(read_volume(again)[0])) > 50

from __future__ import annotations

import os
import shutil
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from floodrunner.stages import import_pairs
from floodrunner.stages.readers.tiff_write import write_page
from floodrunner.stages.storage.image_sets import read_set
from tests.stages.pairs import RNG, SIZES, all_of, cells, image, labels_of, refusal, rewrite, said, same_cells, save


def png_of_16_bit_colours(height: int, width: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(b"".join(b"\0" + RNG.bytes(6 * width) for _ in range(height)))
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_pictures_and_ids_of_any_size(run_stage, data: dict[str, Path]) -> None:
    result = run_stage("import-pairs", data)
    pictures = all_of(result)
    assert set(pictures) == {"p2", "p4", "p6", "p8", "p10"}
    for name, picture in pictures.items():
        np.testing.assert_array_equal(picture.image, np.asarray(Image.open(data["images"] / f"{name}.png")))
        assert picture.labels is not None
        np.testing.assert_array_equal(picture.labels, np.asarray(Image.open(data["labels"] / f"{name}.png")))
        assert (picture.image.dtype, picture.labels.dtype, picture.probability) == (np.uint8, np.int32, None)
    assert said(result) == [
        "the masks hold an id for each cell: 20 ids in 20 pieces, of 100 pixels in the median and 100 at most; they "
        "cover 19 % of the pictures"
    ]
    assert {event["name"]: event["value"] for event in result.reported("metric")} == {
        "training_pictures": 4, "training_cells": 16, "test_pictures": 1, "test_cells": 4
    }  # fmt: skip
    (preview,) = result.reported("artifact")
    assert Image.open(result["test"].parent / preview["path"]).width > 3 * 360


def test_the_pixel_size_of_tiff_files_is_kept(run_stage, data: dict[str, Path]) -> None:
    for file in sorted(data["images"].iterdir()):
        pixels = np.asarray(Image.open(file))
        file.unlink()
        write_page(file.with_suffix(".tif"), pixels, None if file.stem == "p4" else (500.0, 250.0))
    sizes = {name: picture.pixel_size_xy for name, picture in all_of(run_stage("import-pairs", data)).items()}
    assert sizes == {name: None if name == "p4" else (500.0, 250.0) for name in ("p2", "p4", "p6", "p8", "p10")}


def test_the_test_is_drawn_by_the_seed_and_never_trained_on(run_stage, data: dict[str, Path]) -> None:
    drawn = set()
    for seed in range(1, 9):
        result = run_stage("import-pairs", data, seed=seed, test_fraction=0.4)
        training, test = ({picture.name for picture in read_set(result[port])} for port in ("training", "test"))
        assert len(test) == 2
        assert training | test == {"p2", "p4", "p6", "p8", "p10"}
        assert not training & test
        drawn.add(frozenset(test))
        again = run_stage("import-pairs", data, seed=seed, test_fraction=0.4)
        assert {picture.name for picture in read_set(again["test"])} == test
    assert len(drawn) > 2


@pytest.mark.parametrize(("fraction", "size"), [(0.001, 1), (0.5, 2), (0.999, 3)])
def test_neither_set_is_empty(run_stage, data: dict[str, Path], fraction: float, size: int) -> None:
    assert len(read_set(run_stage("import-pairs", data, test_fraction=fraction)["test"])) == size


def test_16_bit_ids_and_pictures(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: ids.astype(np.uint16) * 9000, ".tif")
    rewrite(data["images"], lambda pixels: pixels.astype(np.uint16) * 200)
    pictures = all_of(run_stage("import-pairs", data))
    for labels, shape in zip(labels_of(pictures), SIZES, strict=True):
        np.testing.assert_array_equal(labels, cells(shape).astype(int) * 9000)
    assert {picture.image.dtype for picture in pictures.values()} == {np.dtype(np.uint16)}


def test_grey_in_rgb_is_grey(run_stage, data: dict[str, Path]) -> None:
    opaque = (data["images"] / "p4.png", data["labels"] / "p6.png")
    for folder in data.values():
        rewrite(folder, lambda pixels: np.repeat(pixels[..., None], 3, 2))
    for file in opaque:
        Image.open(file).convert("RGBA").save(file)
    pictures = all_of(run_stage("import-pairs", data))
    assert {picture.image.ndim for picture in pictures.values()} == {2}
    for labels, shape in zip(labels_of(pictures), SIZES, strict=True):
        np.testing.assert_array_equal(labels, cells(shape))


def test_colour_pictures_stay_or_become_grey(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["images"], lambda pixels: image((*pixels.shape, 3)))
    pictures = all_of(run_stage("import-pairs", data))
    assert {picture.image.shape[2:] for picture in pictures.values()} == {(3,)}
    grey = all_of(run_stage("import-pairs", data, convert_rgb="luminance"))
    for name, picture in grey.items():
        expected = Image.open(data["images"] / f"{name}.png").convert("L")
        np.testing.assert_array_equal(picture.image, np.asarray(expected))


def test_stacks_of_sections(run_stage, tmp_path: Path) -> None:
    """As ISBI 2012 is handed out: one file of pictures, one of masks."""
    volume = image((6, 40, 50))
    ids = np.stack([cells((40, 50))] * 6)
    tifffile.imwrite(tmp_path / "train-volume.tif", volume, photometric="minisblack")
    (tmp_path / "labels").mkdir()
    tifffile.imwrite(tmp_path / "labels" / "train-labels.tif", np.where(ids, 255, 0).astype(np.uint8))
    with h5py.File(tmp_path / "ids.h5", "w") as file:
        file["labels"] = ids
    for labels, most in ((tmp_path / "labels", 3), (tmp_path / "ids.h5", 4)):
        pictures = all_of(run_stage("import-pairs", {"images": tmp_path / "train-volume.tif", "labels": labels}))
        assert set(pictures) == {f"{z:04d}" for z in range(6)}
        for z in range(6):
            picture = pictures[f"{z:04d}"]
            np.testing.assert_array_equal(picture.image, volume[z])
            assert picture.labels is not None
            assert picture.labels.max() == most


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("{}.png", "{}_mask.png"), ("{}.tif", "{}_masks.png"), ("{}.png", "{}_label.tif"), ("{}.jpg", "{}-Labels.png"),
        ("{}.png", "{}_seg.png"), ("{}_img.png", "{}_masks.png"), ("{}.png", "{}_cp_masks.png"),
        ("{} mask.png", "{} mask.png"), ("img_{}.png", "mask_{}.png"), ("{}.png", "Label-{}.png"),
        ("image_{}.png", "seg_{}.png"), ("mask_{}.png", "mask_{}_seg.png"),
    ],
)  # fmt: skip
def test_names_are_alike_but_for_a_suffix(run_stage, tmp_path: Path, picture: str, mask: str) -> None:
    for k, name in enumerate(("b", "a", "c.2"), 1):
        save(tmp_path / "images" / picture.format(name), image((40, 50)))
        save(tmp_path / "labels" / mask.format(name), cells((40, 50)) * k)
    pictures = all_of(run_stage("import-pairs", {"images": tmp_path / "images", "labels": tmp_path / "labels"}))
    kept = picture.partition(".")[0]
    found = {k: pictures[kept.format(k)].labels.max() for k in ("b", "a", "c.2")}
    assert found == {"b": 4, "a": 8, "c.2": 12}


def test_the_same_name_counts_more_than_a_suffix(run_stage, tmp_path: Path) -> None:
    for k, name in enumerate(("a", "a_mask", "b"), 1):
        save(tmp_path / "images" / f"{name}.png", image((40, 50)))
        save(tmp_path / "labels" / f"{name}.png", cells((40, 50)) * k)
    pictures = all_of(run_stage("import-pairs", {"images": tmp_path / "images", "labels": tmp_path / "labels"}))
    assert {name: picture.labels.max() for name, picture in pictures.items()} == {"a": 4, "a_mask": 8, "b": 12}


def test_a_missing_and_an_extra_partner_are_named(run_stage, data: dict[str, Path]) -> None:
    images, labels = data["images"], data["labels"]
    (labels / "p4.png").rename(labels / "p5.png")
    assert refusal(run_stage, data) == (
        f"{labels}: no mask for p4 (1 of 5 pictures in {images}) and no picture for p5 (1 of 5 masks); "
        "add the missing files, or remove those without a partner"
    )
    (labels / "p5.png").unlink()
    assert refusal(run_stage, data).startswith(f"{labels}: no mask for p4 (1 of 5 pictures in {images}); add")
    for name in ("p2", "p4", "p8", "p10"):
        (images / f"{name}.png").unlink()
    assert refusal(run_stage, data).startswith(f"{labels}: no picture for p2, p8, p10 (3 of 4 masks); add")


def test_two_masks_of_one_picture(run_stage, data: dict[str, Path]) -> None:
    (data["labels"] / "p4.png").rename(data["labels"] / "p4_mask.png")
    shutil.copy(data["labels"] / "p4_mask.png", data["labels"] / "p4_seg.png")
    assert refusal(run_stage, data) == (
        f"{data['labels']}: p4_mask, p4_seg may all be the mask of p4; keep only one of them"
    )


def test_no_pairs_at_all(run_stage, data: dict[str, Path]) -> None:
    for file in data["labels"].iterdir():
        file.rename(file.with_stem(f"truth{file.stem}"))
    assert refusal(run_stage, data) == (
        f"{data['labels']}: no mask (truthp2, truthp4, truthp6, ...) has the name of a picture in {data['images']} "
        "(p2, p4, p6, ...); give each mask the name of its picture, with or without _mask at the end"
    )


def test_a_prefix_leaves_no_choice_open(run_stage, data: dict[str, Path]) -> None:
    images, labels = data["images"], data["labels"]
    (labels / "p4.png").rename(labels / "mask_p4.png")
    shutil.copy(labels / "mask_p4.png", labels / "p4_mask.png")
    assert refusal(run_stage, data) == f"{labels}: mask_p4, p4_mask may all be the mask of p4; keep only one of them"
    (labels / "p4_mask.png").unlink()
    shutil.copy(images / "p4.png", images / "img_p4.png")
    assert refusal(run_stage, data).startswith(f"{labels}: no mask for p4 (1 of 6 pictures in {images}); add")


def test_fewer_pictures_than_training_and_test_need(run_stage, data: dict[str, Path]) -> None:
    def leave(*names: str) -> None:
        for folder in data.values():
            for file in folder.iterdir():
                if file.stem not in names:
                    file.unlink()

    words = "give three or more: one to train on, one to validate the training with, and one to test the result"
    leave("p2", "p4", "p6")
    for fraction in (0.2, 0.9):
        result = run_stage("import-pairs", data, test_fraction=fraction)
        assert [len(read_set(result[port])) for port in ("training", "test")] == [2, 1]
    leave("p2", "p4")
    assert refusal(run_stage, data) == f"{data['images']}: holds two pictures; {words}"
    leave("p2")
    assert refusal(run_stage, data) == f"{data['images']}: holds one picture; {words}"
    file = data["images"] / "p2.png"
    assert refusal(run_stage, {"images": file, "labels": data["labels"]}).startswith(f"{file}: is one section")


def test_one_folder_for_both_is_refused(run_stage, data: dict[str, Path]) -> None:
    assert refusal(run_stage, {"images": data["images"], "labels": data["labels"] / ".." / "images"}) == (
        f"{data['images']}: images and labels are the same; give the folder of the masks as labels"
    )


@pytest.mark.parametrize("what", ["images", "labels"])
def test_damaged_empty_and_foreign_files_are_named(run_stage, data: dict[str, Path], what: str) -> None:
    file = data[what] / "p4.png"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert refusal(run_stage, data) == f"{file}: is truncated or damaged; copy it again from its source"
    file.write_bytes(b"")
    assert refusal(run_stage, data).startswith(f"{file}: is empty; ")
    file.write_text("no")
    assert refusal(run_stage, data).startswith(f"{file}: is not a PNG file, although its name says so; ")
    file.unlink()
    for suffix, kind in ((".jpg", "JPEG"), (".tif", "TIFF")):
        file.with_suffix(suffix).write_bytes(whole)
        text = f"{file.with_suffix(suffix)}: is not a {kind} file, although its name says so; "
        assert refusal(run_stage, data).startswith(text)
        file.with_suffix(suffix).unlink()
    save(file.with_suffix(".jpg"), image((40, 50)))
    whole = file.with_suffix(".jpg").read_bytes()
    file.with_suffix(".jpg").write_bytes(whole[: len(whole) // 2])
    assert refusal(run_stage, data).startswith(f"{file.with_suffix('.jpg')}: is truncated or damaged")
    file.with_suffix(".jpg").write_bytes(b"")
    assert refusal(run_stage, data).startswith(f"{file.with_suffix('.jpg')}: is empty; ")
    file.with_suffix(".jpg").unlink()
    (data[what] / "notes.doc").touch()
    assert refusal(run_stage, data) == (
        f"notes.doc in {data[what]} is not a PNG, TIFF or JPEG picture; move it out of the folder"
    )


@pytest.mark.parametrize("what", ["images", "labels"])
def test_folders_without_pictures(run_stage, data: dict[str, Path], tmp_path: Path, what: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    inputs = data | {what: empty}
    assert refusal(run_stage, inputs) == (
        f"{empty}: is empty, no PNG, TIFF or JPEG pictures; name the folder that holds them"
    )
    shutil.copytree(data[what], empty / "inside")
    text = refusal(run_stage, inputs)
    if what == "images":
        assert text.startswith(f"{empty}: holds only folders (inside), no PNG, TIFF or JPEG pictures; name the folder")
    else:  # a folder for a picture of that name
        assert text.startswith(f"{empty}: no mask (inside) has the name of a picture")
    assert refusal(run_stage, data | {what: tmp_path / "no"}).startswith(f"{tmp_path / 'no'}: no such file or folder")


def test_two_files_of_one_name(run_stage, data: dict[str, Path]) -> None:
    save(data["images"] / "p4.tif", image(SIZES[1]))
    assert refusal(run_stage, data) == (
        f"{data['images']}: p4.png and p4.tif have the same name; rename or remove one of them"
    )


@pytest.mark.parametrize(
    "names", [("cell.jpg", "cell.overlay.png", "cell.png"), ("Cell.png", "b.png", "cell.png"), ("C.PNG", "c.tif")]
)
def test_two_files_of_one_name_with_others_between(run_stage, data: dict[str, Path], names: tuple[str, ...]) -> None:
    for name in names:
        (data["images"] / name).touch()
    assert refusal(run_stage, data) == (
        f"{data['images']}: {names[0]} and {names[-1]} have the same name; rename or remove one of them"
    )


def test_two_folders_of_one_name(run_stage, data: dict[str, Path]) -> None:
    for name in ("A", "a"):
        (data["labels"].parent / "folders" / name).mkdir(parents=True)
    inputs = data | {"labels": data["labels"].parent / "folders"}
    assert refusal(run_stage, inputs) == (
        f"{inputs['labels']}: A and a have the same name; rename or remove one of them"
    )


@pytest.mark.parametrize("what", ["images", "labels"])
def test_a_name_that_is_no_text(run_stage, data: dict[str, Path], what: str) -> None:
    (data[what] / "p4.png").rename(data[what] / os.fsdecode("zelle-ä-".encode() + b"\xe4.png"))
    assert refusal(run_stage, data) == f"{data[what]}: the name zelle-ä-\\xe4.png is not UTF-8; rename it"


def test_folders_beside_pictures_are_told(run_stage, data: dict[str, Path]) -> None:
    for name in ("batch2", "batch10"):
        save(data["images"] / name / "p12.png", image((40, 50)))
    save(data["labels"] / "batch2" / "p12.png", cells((40, 50)))
    (data["labels"] / ".thumbnails").mkdir()
    result = run_stage("import-pairs", data)
    assert len(all_of(result)) == 5
    assert said(result)[:2] == [
        f"{data['images']}: 2 folders beside the pictures are ignored: batch2, batch10",
        f"{data['labels']}: 1 folder beside the pictures is ignored: batch2",
    ]


def test_files_of_text_beside_pictures_are_told(run_stage, data: dict[str, Path]) -> None:
    """What programs write there: settings, tables, annotations."""
    for name in ("notes.txt", "Thumbs.csv"):
        (data["images"] / name).touch()
    (data["labels"] / "instances.json").touch()
    (data["labels"] / "old").mkdir()
    assert said(run_stage("import-pairs", data))[:2] == [
        f"{data['images']}: 2 files of text beside the pictures are ignored: Thumbs.csv, notes.txt",
        f"{data['labels']}: 1 folder and 1 file of text beside the pictures are ignored: old, instances.json",
    ]


def test_pages_among_pictures_are_refused(run_stage, data: dict[str, Path]) -> None:
    (data["images"] / "p4.png").unlink()
    tifffile.imwrite(data["images"] / "p4.tif", image((3, 40, 50)), photometric="minisblack")
    assert refusal(run_stage, data).startswith(f"{data['images'] / 'p4.tif'}: holds 3 pages")


def test_grey_among_colour_pictures(run_stage, data: dict[str, Path]) -> None:
    save(data["images"] / "p6.png", image((*SIZES[2], 3)))
    assert refusal(run_stage, data) == (
        "p2 is grey and p6 has colours (4 grey and 1 colour pictures); convert all to grey with "
        "convert_rgb: luminance, "
        "or remove one kind"
    )
    assert len(all_of(run_stage("import-pairs", data, convert_rgb="luminance"))) == 5


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("p2.png", np.zeros((40, 50), bool), "is 1-bit grey; save it as 8- or 16-bit grey or RGB"),
        ("p2.tif", np.zeros((40, 50), np.int32), "is 32-bit signed grey; save it as"),
        ("p2.tif", np.full((40, 50), np.nan, np.float32), "has pixels that are not numbers (NaN or infinite)"),
        ("p2.png", np.full((40, 50, 4), 200, np.uint8), "has transparent pixels (100 % of them)"),
    ],
)
def test_pixels_that_are_no_pictures(
    run_stage, data: dict[str, Path], name: str, array: np.ndarray, words: str
) -> None:
    (data["images"] / "p2.png").unlink()
    if array.dtype == np.int32:
        tifffile.imwrite(data["images"] / name, array)
    else:
        save(data["images"] / name, array)
    assert refusal(run_stage, data).startswith(f"{data['images'] / name}: {words}")


def test_signed_16_bit_pictures_keep_their_differences(run_stage, data: dict[str, Path]) -> None:
    signed = image((40, 50), np.uint16).astype(np.int32) - 2**15
    signed[0, :2] = -(2**15), 2**15 - 1
    (data["images"] / "p2.png").unlink()
    tifffile.imwrite(data["images"] / "p2.tif", signed.astype(np.int16))
    read = all_of(run_stage("import-pairs", data))["p2"].image
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, signed + 2**15)


def test_16_bit_colours_come_from_tiff_only(run_stage, data: dict[str, Path]) -> None:
    for file in sorted(data["images"].iterdir()):
        shape = np.asarray(Image.open(file)).shape
        file.unlink()
        save(file.with_suffix(".tif"), image((*shape, 3), np.uint16))
    kinds = {(p.image.dtype, p.image.ndim) for p in all_of(run_stage("import-pairs", data)).values()}
    assert kinds == {(np.dtype(np.uint16), 3)}

    file = data["images"] / "p4.png"
    file.with_suffix(".tif").unlink()
    file.write_bytes(png_of_16_bit_colours(*SIZES[1]))
    assert refusal(run_stage, data) == (
        f"{file}: is 16-bit RGB, which can be read from TIFF only; save it as TIFF, or with 8 bits"
    )


@pytest.mark.parametrize(
    "params", [{"test_fraction": 0}, {"test_fraction": 1.0}, {"labels_are": "membranes"}, {"seed": -1}, {"fraction": 1}]
)
def test_wrong_parameters_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        import_pairs.Params.parse(params)


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "pictures", "sizes"), [("dsb2018", (96, 24), 7), ("isbi2012", (19, 5), 1)])
def test_real_pairs(shared: Path, run_stage, name: str, pictures: tuple[int, int], sizes: int) -> None:
    inputs = {"images": shared / name / "images", "labels": shared / name / "labels"}
    result = run_stage("import-pairs", inputs)
    assert tuple(len(read_set(result[port])) for port in ("training", "test")) == pictures
    found = all_of(result)
    assert len({picture.image.shape for picture in found.values()}) == sizes
    for file in inputs["labels"].iterdir():
        labels, ids = found[file.stem].labels, np.asarray(Image.open(file)).astype(int)
        assert labels is not None
        assert same_cells(labels, ids if name == "dsb2018" else ndimage.label(ids)[0])

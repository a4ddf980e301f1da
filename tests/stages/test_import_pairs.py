from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from segmentation.labels import ids_to_rgb
from stages import import_pairs
from stages._contract import InputError
from stages._image_sets import Picture, read_set

RNG = np.random.default_rng(5)
SIZES = ((40, 50), (40, 50), (36, 70), (64, 33), (40, 50))


def cells(shape: tuple[int, int], dtype: type = np.uint8) -> np.ndarray:
    """Ids of a few squares, two of which touch."""
    ids = np.zeros(shape, dtype)
    for id_, (y, x) in enumerate(((2, 3), (2, 13), (20, 5), (25, 22)), 1):
        ids[y : y + 10, x : x + 10] = id_
    return ids


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, array, photometric="rgb" if array.ndim == 3 else "minisblack")
    else:
        Image.fromarray(array).save(path, quality=80) if path.suffix == ".jpg" else Image.fromarray(array).save(path)


def image(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Path]:
    """Five pictures of several sizes, `p2` to `p10`, and their ids."""
    for k, shape in enumerate(SIZES):
        save(tmp_path / "images" / f"p{2 * k + 2}.png", image(shape))
        save(tmp_path / "labels" / f"p{2 * k + 2}.png", cells(shape))
    return {"images": tmp_path / "images", "labels": tmp_path / "labels"}


def rewrite(folder: Path, change: Callable[[np.ndarray], np.ndarray], suffix: str = ".png") -> None:
    for file in sorted(folder.iterdir()):
        array = change(np.asarray(Image.open(file)))
        file.unlink()
        save(file.with_suffix(suffix), array)


def all_of(result: dict[str, Path]) -> dict[str, Picture]:
    return {picture.name: picture for port in ("training", "test") for picture in read_set(result[port])}


def said(result: object) -> list[str]:
    return [event["text"] for event in result.reported("message")]  # type: ignore[attr-defined]


def png_of_16_bit_colours(height: int, width: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(b"".join(b"\0" + RNG.bytes(6 * width) for _ in range(height)))
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def refusal(run_stage: Callable[..., object], inputs: dict[str, Path], **params: object) -> str:
    with pytest.raises(InputError) as caught:
        run_stage("import-pairs", inputs, **params)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def labels_of(pictures: dict[str, Picture]) -> list[np.ndarray]:
    assert all(picture.labels is not None for picture in pictures.values())
    return [pictures[name].labels for name in sorted(pictures, key=lambda name: int(name[1:]))]


def same_cells(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two label arrays differ in the numbers only."""
    pairs = {*zip(one.ravel().tolist(), other.ravel().tolist(), strict=True)}
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) and (0, 0) in pairs


# What is read


def test_pictures_and_ids_of_any_size(run_stage, data: dict[str, Path]) -> None:
    result = run_stage("import-pairs", data)
    pictures = all_of(result)
    assert set(pictures) == {"p2", "p4", "p6", "p8", "p10"}
    for name, picture in pictures.items():
        np.testing.assert_array_equal(picture.image, np.asarray(Image.open(data["images"] / f"{name}.png")))
        assert picture.labels is not None
        np.testing.assert_array_equal(picture.labels, np.asarray(Image.open(data["labels"] / f"{name}.png")))
        assert (picture.image.dtype, picture.labels.dtype, picture.probability) == (np.uint8, np.int32, None)
    assert said(result) == ["the masks hold an id for each cell"]
    assert {event["name"]: event["value"] for event in result.reported("metric")} == {
        "training pictures": 4, "training cells": 16, "test pictures": 1, "test cells": 4
    }  # fmt: skip
    (preview,) = result.reported("artifact")
    assert Image.open(result["test"].parent / preview["path"]).size == (4 * 368 - 8, 2 * 368 - 8)


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


@pytest.mark.parametrize(("fraction", "size"), [(0.001, 1), (0.5, 2), (0.999, 4)])
def test_neither_set_is_empty(run_stage, data: dict[str, Path], fraction: float, size: int) -> None:
    assert len(read_set(run_stage("import-pairs", data, test_fraction=fraction)["test"])) == size


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 1), (1, 2)])
def test_binary_masks_become_connected_pieces(run_stage, data: dict[str, Path], low: int, high: int) -> None:
    rewrite(data["labels"], lambda ids: np.where(ids > 0, high, low).astype(np.uint8))
    for labels_are in ("auto", "binary"):
        result = run_stage("import-pairs", data, labels_are=labels_are)
        for labels, shape in zip(labels_of(all_of(result)), SIZES, strict=True):
            assert same_cells(labels, ndimage.label(cells(shape) > 0)[0])
            assert labels.max() == 3  # two of the four touch
        what = f"not {low}" if low == 0 else f"{high}, not {low}"
        assert said(result) == [f"cells are the connected pieces (4 neighbours) of what is {what} in the masks"]


def test_white_may_be_1_in_one_mask_and_255_in_another(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: np.where(ids > 0, 255, 0).astype(np.uint8))
    save(data["labels"] / "p4.png", (cells(SIZES[1]) > 0).astype(np.uint8))
    save(data["labels"] / "p6.png", np.zeros(SIZES[2], np.uint8))
    for labels_are in ("auto", "binary"):
        labels = labels_of(all_of(run_stage("import-pairs", data, labels_are=labels_are)))
        assert [each.max() for each in labels] == [3, 3, 0, 3, 3]
    assert "the masks hold greys near 0 and 255" in refusal(run_stage, data, labels_are="instances")


def test_pieces_that_share_a_corner_are_two(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: np.where(np.kron(np.eye(2), np.ones((9, 9))), 255, 0).astype(np.uint8))
    rewrite(data["images"], lambda pixels: image((18, 18)))
    assert all(labels.max() == 2 for labels in labels_of(all_of(run_stage("import-pairs", data))))


def test_masks_that_were_saved_as_jpeg_are_cut_in_the_middle(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: np.where(ids > 0, 255, 0).astype(np.uint8), ".jpg")
    greys = {v for file in data["labels"].iterdir() for v in np.unique(np.asarray(Image.open(file)))}
    assert len(greys) > 10
    result = run_stage("import-pairs", data)
    for labels, shape in zip(labels_of(all_of(result)), SIZES, strict=True):
        np.testing.assert_array_equal(labels > 0, cells(shape) > 0)
    assert said(result) == [
        f"the masks hold {len(greys)} greys, most of them near {min(greys)} and {max(greys)}, as JPEG leaves them: "
        f"cells are the connected pieces (4 neighbours) of what is above {(min(greys) + max(greys)) // 2}"
    ]
    assert refusal(run_stage, data, labels_are="instances") == (
        f"{data['labels']}: the masks hold greys near {min(greys)} and {max(greys)}, not an id for each cell; "
        "set labels_are: binary, or export the ids neither as JPEG nor resized"
    )


def test_ids_that_were_saved_as_jpeg_are_refused(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: ids * 20, ".jpg")
    text = refusal(run_stage, data)
    assert text == f"{data['labels'] / 'p2.jpg'}: JPEG does not keep the ids of cells; export the masks as PNG or TIFF"


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


def test_colours_of_vast_are_ids(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: ids_to_rgb(ids.astype(np.uint32) * 70_001))
    result = run_stage("import-pairs", data)
    for labels, shape in zip(labels_of(all_of(result)), SIZES, strict=True):
        np.testing.assert_array_equal(labels, cells(shape).astype(int) * 70_001)
    assert said(result) == [
        "the masks hold an id for each cell, in colours as VAST exports them: id = R x 65536 + G x 256 + B"
    ]


def test_a_mask_in_one_colour_is_binary(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: (ids[..., None] > 0).astype(np.uint8) * np.array([255, 0, 0], np.uint8))
    assert all(labels.max() == 3 for labels in labels_of(all_of(run_stage("import-pairs", data))))


def test_colour_pictures_stay_or_become_grey(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["images"], lambda pixels: image((*pixels.shape, 3)))
    pictures = all_of(run_stage("import-pairs", data))
    assert {picture.image.shape[2:] for picture in pictures.values()} == {(3,)}
    grey = all_of(run_stage("import-pairs", data, convert_rgb="luminance"))
    for name, picture in grey.items():
        expected = Image.open(data["images"] / f"{name}.png").convert("L")
        np.testing.assert_array_equal(picture.image, np.asarray(expected))


def test_a_file_for_each_cell(run_stage, tmp_path: Path) -> None:
    """As the Data Science Bowl 2018 keeps its training pictures: one folder is images and labels."""
    root = tmp_path / "stage1_train"
    for k, shape in enumerate(SIZES):
        name = f"{k:08x}"
        grey = image(shape)
        save(root / name / "images" / f"{name}.png", np.dstack([grey, grey, grey, np.full_like(grey, 255)]))
        for id_ in range(1, 5):
            mask = np.where(cells(shape) == id_, 255, 0).astype(np.uint8)
            if id_ == 4:
                mask[20:30, 14:22] = 255  # a column of the third is in both
            save(root / name / "masks" / f"{id_}.png", mask)
    result = run_stage("import-pairs", {"images": root, "labels": root})
    pictures = all_of(result)
    assert set(pictures) == {f"{k:08x}" for k in range(5)}
    assert said(result) == ["the masks are a file for each cell"]
    for k, shape in enumerate(SIZES):
        labels, expected = pictures[f"{k:08x}"].labels, cells(shape)
        assert labels is not None
        assert len(np.unique(labels)) == 5
        for id_ in (1, 2):  # which touch, and stay two
            assert same_cells((labels == labels[expected == id_][0]).astype(int), (expected == id_).astype(int))
        assert (labels[20:30, 14] == labels[20, 5]).all()  # the first file has it


def test_folders_of_masks_beside_a_folder_of_pictures(run_stage, data: dict[str, Path], tmp_path: Path) -> None:
    for file in data["labels"].iterdir():
        ids = np.asarray(Image.open(file))
        for id_ in range(1, 5):
            save(tmp_path / "cells" / f"{file.stem}_masks" / f"{id_}.png", (ids == id_).astype(np.uint8))
    (tmp_path / "cells" / "p2_masks" / "5.png").write_bytes((tmp_path / "cells" / "p2_masks" / "1.png").read_bytes())
    for file in (tmp_path / "cells" / "p4_masks").iterdir():
        file.unlink()  # no cells
    inputs = {"images": data["images"], "labels": tmp_path / "cells"}
    result = run_stage("import-pairs", inputs)
    two, four, *others = labels_of(all_of(result))
    assert four.max() == 0
    assert set(np.unique(two)) == {0, 1, 2, 3, 4}  # all of 5 is in 1
    assert all(same_cells(labels, cells(shape)) for labels, shape in zip(others, SIZES[2:], strict=True))
    assert "1 of 5 pictures has no cell: p4" in said(result)
    assert refusal(run_stage, inputs, labels_are="binary") == (
        f"{tmp_path / 'cells'}: holds a folder for each picture, with a file for each cell; leave labels_are out"
    )
    save(tmp_path / "cells" / "p4_masks" / "x.png", cells(SIZES[1]))
    assert refusal(run_stage, inputs) == (
        f"{tmp_path / 'cells' / 'p4_masks' / 'x.png'}: holds 5 different values; as the file of one cell it holds 0, "
        "and one more where the cell is"
    )


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


# Which belongs to which


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("{}.png", "{}_mask.png"), ("{}.tif", "{}_masks.png"), ("{}.png", "{}_label.tif"), ("{}.jpg", "{}-Labels.png"),
        ("{}.png", "{}_seg.png"), ("{}_img.png", "{}_masks.png"), ("{}.png", "{}_cp_masks.png"),
        ("{} mask.png", "{} mask.png"),
    ],
)  # fmt: skip
def test_names_are_alike_but_for_a_suffix(run_stage, tmp_path: Path, picture: str, mask: str) -> None:
    for k, name in enumerate(("b", "a", "c.2"), 1):
        save(tmp_path / "images" / picture.format(name), image((40, 50)))
        save(tmp_path / "labels" / mask.format(name), cells((40, 50)) * k)
    pictures = all_of(run_stage("import-pairs", {"images": tmp_path / "images", "labels": tmp_path / "labels"}))
    found = {name.removesuffix("_img").removesuffix(" mask"): p.labels.max() for name, p in pictures.items()}
    assert found == {"b": 4, "a": 8, "c.2": 12}


def test_the_same_name_counts_more_than_a_suffix(run_stage, tmp_path: Path) -> None:
    for k, name in enumerate(("a", "a_mask"), 1):
        save(tmp_path / "images" / f"{name}.png", image((40, 50)))
        save(tmp_path / "labels" / f"{name}.png", cells((40, 50)) * k)
    pictures = all_of(run_stage("import-pairs", {"images": tmp_path / "images", "labels": tmp_path / "labels"}))
    assert {name: picture.labels.max() for name, picture in pictures.items()} == {"a": 4, "a_mask": 8}


def test_a_missing_and_an_extra_partner_are_named(run_stage, data: dict[str, Path]) -> None:
    images, labels = data["images"], data["labels"]
    (labels / "p4.png").rename(labels / "p5.png")
    assert refusal(run_stage, data) == (
        f"{labels}: no mask for p4 (1 of 5 pictures in {images}) and no picture for p5 (1 of 5 masks); "
        "add what is missing, or take out what is left over"
    )
    (labels / "p5.png").unlink()
    assert refusal(run_stage, data).startswith(f"{labels}: no mask for p4 (1 of 5 pictures in {images}); add")
    for name in ("p2", "p4", "p8", "p10"):
        (images / f"{name}.png").unlink()
    assert refusal(run_stage, data).startswith(f"{labels}: no picture for p2, p8, p10 (3 of 4 masks); add")


def test_two_masks_of_one_picture(run_stage, data: dict[str, Path]) -> None:
    (data["labels"] / "p4.png").rename(data["labels"] / "p4_mask.png")
    shutil.copy(data["labels"] / "p4_mask.png", data["labels"] / "p4_seg.png")
    assert refusal(run_stage, data) == (f"{data['labels']}: p4_mask, p4_seg may all be the mask of p4; keep one")


def test_no_pairs_at_all(run_stage, data: dict[str, Path]) -> None:
    for file in data["labels"].iterdir():
        file.rename(file.with_stem(f"truth{file.stem}"))
    assert refusal(run_stage, data) == (
        f"{data['labels']}: no mask (truthp2, truthp4, truthp6, ...) has the name of a picture in {data['images']} "
        "(p2, p4, p6, ...); name masks like their pictures, or with _mask behind"
    )


def test_one_picture_only(run_stage, data: dict[str, Path]) -> None:
    for folder in data.values():
        for name in ("p4", "p6", "p8", "p10"):
            (folder / f"{name}.png").unlink()
    assert refusal(run_stage, data) == (
        f"{data['images']}: holds one picture; give two or more: one is held back, to test what is learnt from the "
        "others"
    )
    file = data["images"] / "p2.png"
    assert refusal(run_stage, {"images": file, "labels": data["labels"]}).startswith(f"{file}: is one section")


def test_one_folder_for_both_is_refused(run_stage, data: dict[str, Path]) -> None:
    assert refusal(run_stage, {"images": data["images"], "labels": data["labels"] / ".." / "images"}) == (
        f"{data['images']}: images and labels are the same; give the folder of the masks as labels"
    )


# What is refused


def test_a_mask_of_another_size(run_stage, data: dict[str, Path]) -> None:
    save(data["labels"] / "p6.png", cells((36, 71)))
    assert refusal(run_stage, data) == (
        f"{data['labels'] / 'p6.png'}: is 71 x 36 pixels, its picture {data['images'] / 'p6.png'} is 70 x 36; "
        "export the mask in the size of its picture"
    )


def test_an_empty_mask_is_told_and_kept(run_stage, data: dict[str, Path]) -> None:
    for name, shape in (("p4", SIZES[1]), ("p6", SIZES[2])):
        save(data["labels"] / f"{name}.png", np.zeros(shape, np.uint8))
    result = run_stage("import-pairs", data)
    assert "2 of 5 pictures have no cell: p4, p6" in said(result)
    assert all_of(result)["p4"].labels.max() == 0
    assert len(all_of(result)) == 5


@pytest.mark.parametrize(
    ("value", "what"), [(0, "no pixel of any mask is part of a cell"), (255, "masks tell no cells")]
)
def test_masks_of_one_value_are_refused(run_stage, data: dict[str, Path], value: int, what: str) -> None:
    rewrite(data["labels"], lambda ids: np.full(ids.shape, value, np.uint8))
    for labels_are in ("auto", "binary", "instances"):
        text = refusal(run_stage, data, labels_are=labels_are)
        assert text.startswith(f"{data['labels']}: {what}")
        assert text.endswith(f", all pixels are {value}; give masks with cells")


def test_ids_are_no_binary_masks(run_stage, data: dict[str, Path]) -> None:
    assert refusal(run_stage, data, labels_are="binary") == (
        f"{data['labels']}: the masks hold 5 different values (0, 1, 2, ...), binary ones two; "
        "set labels_are: instances if they are ids of cells, or save them as 0 and 255"
    )


def test_classes_are_not_taken_for_ids(run_stage, data: dict[str, Path]) -> None:
    """Background, rim and inside of cells: two classes, and many pieces of each."""

    def classes(ids: np.ndarray) -> np.ndarray:
        dots = np.zeros_like(ids)
        dots[2::6, 2::6], dots[2::6, 4::6] = 1, 2
        return dots

    rewrite(data["labels"], classes)
    text = refusal(run_stage, data)
    assert text.startswith(f"{data['labels']}: read as ids, the masks hold 10 cells in ")
    assert text.endswith("; save masks with two values, or set labels_are: instances if this is right")
    assert " 10 cells in " in said(run_stage("import-pairs", data, labels_are="instances"))[0]


def test_ids_of_more_than_31_bits(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: ids.astype(np.uint32) * 2**29, ".tif")
    assert refusal(run_stage, data) == (
        f"{data['labels'] / 'p2.tif'}: id 2147483648 takes more than 31 bits; renumber the ids"
    )


@pytest.mark.parametrize("what", ["images", "labels"])
def test_damaged_empty_and_foreign_files_are_named(run_stage, data: dict[str, Path], what: str) -> None:
    file = data[what] / "p4.png"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert refusal(run_stage, data) == f"{file}: is truncated or damaged; copy it again from where it came"
    file.write_bytes(b"")
    assert refusal(run_stage, data).startswith(f"{file}: is empty; ")
    file.write_text("no")
    assert refusal(run_stage, data).startswith(f"{file}: is not a PNG file, whatever its name says; ")
    file.unlink()
    for suffix, kind in ((".jpg", "JPEG"), (".tif", "TIFF")):
        file.with_suffix(suffix).write_bytes(whole)
        text = f"{file.with_suffix(suffix)}: is not a {kind} file, whatever its name says; "
        assert refusal(run_stage, data).startswith(text)
        file.with_suffix(suffix).unlink()
    save(file.with_suffix(".jpg"), image((40, 50)))
    whole = file.with_suffix(".jpg").read_bytes()
    file.with_suffix(".jpg").write_bytes(whole[: len(whole) // 2])
    assert refusal(run_stage, data).startswith(f"{file.with_suffix('.jpg')}: is truncated or damaged")
    file.with_suffix(".jpg").write_bytes(b"")
    assert refusal(run_stage, data).startswith(f"{file.with_suffix('.jpg')}: is empty; ")
    file.with_suffix(".jpg").unlink()
    (data[what] / "notes.txt").touch()
    assert refusal(run_stage, data) == (
        f"notes.txt in {data[what]} is not a PNG, TIFF or JPEG picture; move it out of the folder"
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
        assert text.startswith(f"{empty}: holds folders only (inside), no PNG, TIFF or JPEG pictures; name the folder")
    else:  # a folder for a picture of that name
        assert text.startswith(f"{empty}: no mask (inside) has the name of a picture")
    assert refusal(run_stage, data | {what: tmp_path / "no"}).startswith(f"{tmp_path / 'no'}: no such file or folder")


def test_two_files_of_one_name(run_stage, data: dict[str, Path]) -> None:
    save(data["images"] / "p4.tif", image(SIZES[1]))
    assert refusal(run_stage, data) == (
        f"{data['images']}: p4.png and p4.tif have one name; rename or remove one of them"
    )


def test_pages_among_pictures_are_refused(run_stage, data: dict[str, Path]) -> None:
    (data["images"] / "p4.png").unlink()
    tifffile.imwrite(data["images"] / "p4.tif", image((3, 40, 50)), photometric="minisblack")
    assert refusal(run_stage, data).startswith(f"{data['images'] / 'p4.tif'}: holds 3 pages")


def test_grey_among_colour_pictures(run_stage, data: dict[str, Path]) -> None:
    save(data["images"] / "p6.png", image((*SIZES[2], 3)))
    assert refusal(run_stage, data) == (
        "p2 is grey and p6 has colours (4 and 1 pictures); make all grey with convert_rgb: luminance, or leave some out"
    )
    assert len(all_of(run_stage("import-pairs", data, convert_rgb="luminance"))) == 5


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("p2.png", np.zeros((40, 50), bool), "is 1-bit grey; save it as 8- or 16-bit grey or RGB"),
        ("p2.tif", np.zeros((40, 50), np.int16), "is 16-bit signed grey; save it as"),
        ("p2.tif", np.full((40, 50), np.nan, np.float32), "has pixels that are no numbers (NaN or infinite)"),
        ("p2.png", np.full((40, 50, 4), 200, np.uint8), "has transparent pixels (100% of them)"),
    ],
)
def test_pixels_that_are_no_pictures(
    run_stage, data: dict[str, Path], name: str, array: np.ndarray, words: str
) -> None:
    (data["images"] / "p2.png").unlink()
    if array.dtype == np.int16:
        tifffile.imwrite(data["images"] / name, array)
    else:
        save(data["images"] / name, array)
    assert refusal(run_stage, data).startswith(f"{data['images'] / name}: {words}")


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
        f"{file}: 16-bit RGB cannot be read from this kind of file; save it as TIFF, or as 8-bit"
    )


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((40, 50), np.float32), "is 32-bit float grey; labels are whole numbers"),
        (np.full((40, 50), -1, np.int16), "holds the negative label -1; labels are 0 (none) or an id above 0"),
    ],
)
def test_pixels_that_are_no_labels(run_stage, data: dict[str, Path], array: np.ndarray, words: str) -> None:
    (data["labels"] / "p2.png").unlink()
    tifffile.imwrite(data["labels"] / "p2.tif", array)
    assert refusal(run_stage, data).startswith(f"{data['labels'] / 'p2.tif'}: {words}")


def test_a_palette_is_refused(run_stage, data: dict[str, Path]) -> None:
    for what in ("labels", "images"):
        file = data[what] / "p4.png"
        Image.open(file).convert("P").save(file)
        assert refusal(run_stage, data).startswith(f"{file}: is 8-bit palette")


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

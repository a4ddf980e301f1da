"""What the masks of pictures mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from floodrunner.segmentation.labels import ids_to_rgb
from tests.stages.pairs import SIZES, all_of, cells, image, labels_of, refusal, rewrite, said, same_cells, save


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 1), (1, 2)])
def test_binary_masks_become_connected_pieces(run_stage, data: dict[str, Path], low: int, high: int) -> None:
    rewrite(data["labels"], lambda ids: np.where(ids > 0, high, low).astype(np.uint8))
    for labels_are in ("auto", "binary"):
        result = run_stage("import-pairs", data, labels_are=labels_are)
        for labels, shape in zip(labels_of(all_of(result)), SIZES, strict=True):
            assert same_cells(labels, ndimage.label(cells(shape) > 0)[0])
            assert labels.max() == 3  # two of the four touch
        what = f"not {low}" if low == 0 else f"{high}, not {low}"
        assert said(result) == [
            f"cells are the connected pieces (4 neighbours) of pixels that are {what} in the masks: 15 cells, of 100 "
            "pixels in the median and 200 at most, 2 times the median; they cover 19 % of the pictures"
        ]


def test_white_may_be_1_in_one_mask_and_255_in_another(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: np.where(ids > 0, 255, 0).astype(np.uint8))
    save(data["labels"] / "p4.png", (cells(SIZES[1]) > 0).astype(np.uint8))
    save(data["labels"] / "p6.png", np.zeros(SIZES[2], np.uint8))
    for labels_are in ("auto", "binary"):
        labels = labels_of(all_of(run_stage("import-pairs", data, labels_are=labels_are)))
        assert [each.max() for each in labels] == [3, 3, 0, 3, 3]
    ids = labels_of(all_of(run_stage("import-pairs", data, labels_are="instances")))
    assert [each.max() for each in ids] == [255, 1, 0, 255, 255]


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
    assert said(result)[0].startswith(
        f"the masks hold {len(greys)} greys, most of them near {min(greys)} and {max(greys)}, as after JPEG "
        f"compression: cells are the connected pieces (4 neighbours) of pixels above "
        f"{(min(greys) + max(greys)) // 2}: 15 cells"
    )
    assert refusal(run_stage, data, labels_are="instances") == (
        f"{data['labels']}: the masks hold greys near {min(greys)} and {max(greys)}, not an id for each cell; "
        "set labels_are: binary, or export the ids as PNG or TIFF"
    )
    rewrite(data["labels"], lambda greys: greys)  # as PNG, what JPEG has made of them
    blurred = run_stage("import-pairs", data)
    assert said(blurred) == said(result)
    for labels, shape in zip(labels_of(all_of(blurred)), SIZES, strict=True):
        np.testing.assert_array_equal(labels > 0, cells(shape) > 0)
    as_ids = labels_of(all_of(run_stage("import-pairs", data, labels_are="instances")))
    assert max(each.max() for each in as_ids) == max(greys)


@pytest.mark.parametrize("ids", [(1, 3, 240, 0), (1, 255, 0, 0), (1, 2, 240, 250), tuple(range(4))])
def test_a_few_ids_near_both_ends_are_ids(run_stage, data: dict[str, Path], ids: tuple[int, ...]) -> None:
    given = np.array([0, *ids], np.uint8)
    rewrite(data["labels"], lambda array: given[array])
    for labels_are in ("auto", "instances"):
        result = run_stage("import-pairs", data, labels_are=labels_are)
        for labels, shape in zip(labels_of(all_of(result)), SIZES, strict=True):
            np.testing.assert_array_equal(labels, given[cells(shape)])
        count = 5 * len(set(ids) - {0})
        assert said(result)[0].startswith(f"the masks hold an id for each cell: {count} ids in {count} pieces, of 100")


def test_masks_that_were_resized_are_cut_in_the_middle(run_stage, data: dict[str, Path]) -> None:
    """Small ones, in which most greys occur once."""
    y, x = np.indices((100, 100))
    discs = np.where((np.hypot(y - 30, x - 30) < 20) | (np.hypot(y - 70, x - 62) < 22), 255, 0).astype(np.uint8)
    small = np.asarray(Image.fromarray(discs).resize((64, 64), Image.Resampling.BICUBIC))
    sharp = np.asarray(Image.fromarray(discs).resize((64, 64), Image.Resampling.NEAREST))
    rewrite(data["images"], lambda pixels: image((64, 64)))
    rewrite(data["labels"], lambda ids: small)
    result = run_stage("import-pairs", data)
    for labels in labels_of(all_of(result)):
        assert ((labels > 0) != (sharp > 0)).mean() < 0.02
        assert labels.max() == 2
    assert "greys, most of them near 0 and 255, as after JPEG compression" in said(result)[0]
    rewrite(data["labels"], lambda greys: small.astype(np.uint16) * 257)
    assert "whose median size is 1 pixels: they seem to hold classes, or to be blurred; " in refusal(run_stage, data)


def test_many_ids_near_both_ends_are_ids(run_stage, data: dict[str, Path]) -> None:
    ids = np.array([1, 2, 3, 4, 5, 6, 7, 8, 240, 241, 242, 243, 244, 245, 246, 247], np.uint8).reshape(4, 4)
    rewrite(data["labels"], lambda array: np.pad(ids.repeat(5, 0).repeat(5, 1), ((0, 20), (0, 30))))
    rewrite(data["images"], lambda pixels: image((40, 50)))
    for labels in labels_of(all_of(run_stage("import-pairs", data))):
        assert set(np.unique(labels)) == {0, *ids.ravel().tolist()}


def test_a_few_greys_are_cut_where_they_are_said_to_be_binary(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: np.array([0, 254, 255, 255, 255], np.uint8)[ids])
    for labels in labels_of(all_of(run_stage("import-pairs", data, labels_are="binary"))):
        assert labels.max() == 3


@pytest.mark.parametrize("labels_are", ["auto", "instances"])
def test_cells_in_red_green_and_blue_are_ids(run_stage, data: dict[str, Path], labels_are: str) -> None:
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 1]], np.uint8)
    rewrite(data["labels"], lambda ids: colours[ids])
    result = run_stage("import-pairs", data, labels_are=labels_are)
    for labels, shape in zip(labels_of(all_of(result)), SIZES, strict=True):
        np.testing.assert_array_equal(labels, np.array([0, 0xFF0000, 0x00FF00, 0x0000FF, 1])[cells(shape)])
    assert "in colours as VAST exports them" in said(result)[0]


def test_shades_of_blue_are_no_blurred_masks(run_stage, data: dict[str, Path]) -> None:
    """Of ids below 256, VAST's colours are blue."""
    rewrite(data["labels"], lambda ids: ids_to_rgb(np.array([0, 1, 3, 240, 255], np.uint32)[ids]))
    assert "in colours" in said(run_stage("import-pairs", data))[0]
    assert refusal(run_stage, data, labels_are="binary").startswith(f"{data['labels']}: the masks hold 5 different")


def test_masks_with_the_inverting_look_up_table_of_fiji(run_stage, data: dict[str, Path]) -> None:
    for file in sorted(data["labels"].iterdir()):
        ids = np.asarray(Image.open(file))
        file.unlink()
        tifffile.imwrite(file.with_suffix(".tif"), np.where(ids, 255, 0).astype(np.uint8), photometric="miniswhite")
    result = run_stage("import-pairs", data)
    for labels, shape in zip(labels_of(all_of(result)), SIZES, strict=True):
        np.testing.assert_array_equal(labels > 0, cells(shape) > 0)
    assert said(result)[0].startswith(
        "cells are the connected pieces (4 neighbours) of pixels that are not 0 (shown as black) in the masks: 15 cells"
    )
    file = data["labels"] / "p4.tif"
    tifffile.imwrite(file, cells(SIZES[1]) > 0, photometric="miniswhite")  # not Fiji's: which are the cells?
    assert refusal(run_stage, data) == (
        f"{file}: is 1-bit inverted grey, stored with 0 as white; save them with 0 as black "
        "(in Fiji: Image > Lookup Tables > Grays, which keeps the ids)"
    )


def test_ids_that_were_saved_as_jpeg_are_refused(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: ids * 20, ".jpg")
    text = refusal(run_stage, data)
    assert text == f"{data['labels'] / 'p2.jpg'}: JPEG does not keep the ids of cells; export the masks as PNG or TIFF"


def test_colours_of_vast_are_ids(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: ids_to_rgb(ids.astype(np.uint32) * 70_001))
    result = run_stage("import-pairs", data)
    for labels, shape in zip(labels_of(all_of(result)), SIZES, strict=True):
        np.testing.assert_array_equal(labels, cells(shape).astype(int) * 70_001)
    assert said(result)[0].startswith(
        "the masks hold an id for each cell, in colours as VAST exports them (id = R x 65536 + G x 256 + B): 20 ids in "
    )


def test_a_mask_in_one_colour_is_binary(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: (ids[..., None] > 0).astype(np.uint8) * np.array([255, 0, 0], np.uint8))
    assert all(labels.max() == 3 for labels in labels_of(all_of(run_stage("import-pairs", data))))


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
    assert said(result)[0].startswith("each cell has a mask file of its own: 20 ids in 20 pieces")
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
        f"{tmp_path / 'cells' / 'p4_masks' / 'x.png'}: holds 5 different values; the file of one cell must hold "
        "0, and one other value where the cell is"
    )


def test_a_mask_of_another_size(run_stage, data: dict[str, Path]) -> None:
    save(data["labels"] / "p6.png", cells((36, 71)))
    assert refusal(run_stage, data) == (
        f"{data['labels'] / 'p6.png'}: is 71 x 36 pixels, but its picture {data['images'] / 'p6.png'} is 70 x 36; "
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
    ("value", "what"), [(0, "no pixel of any mask is part of a cell"), (255, "the masks have no background")]
)
def test_masks_of_one_value_are_refused(run_stage, data: dict[str, Path], value: int, what: str) -> None:
    rewrite(data["labels"], lambda ids: np.full(ids.shape, value, np.uint8))
    for labels_are in ("auto", "binary", "instances"):
        text = refusal(run_stage, data, labels_are=labels_are)
        assert text.startswith(f"{data['labels']}: {what}")
        assert text.endswith(f", all pixels are {value}; give masks with cells")


def test_ids_are_no_binary_masks(run_stage, data: dict[str, Path]) -> None:
    assert refusal(run_stage, data, labels_are="binary") == (
        f"{data['labels']}: the masks hold 5 different values (0, 1, 2, ...), but binary masks hold two; "
        "set labels_are: instances if the values are ids of cells, or classes if they are kinds of cells, or save the "
        "masks with the values 0 and 255"
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
    assert text.endswith(
        "; set labels_are: classes if each value is a kind of cell, or instances if the values are ids, or save masks "
        "with two values"
    )
    assert " 10 ids in " in said(run_stage("import-pairs", data, labels_are="instances"))[0]


def test_ids_of_more_than_31_bits(run_stage, data: dict[str, Path]) -> None:
    rewrite(data["labels"], lambda ids: ids.astype(np.uint32) * 2**29, ".tif")
    assert refusal(run_stage, data) == (
        f"{data['labels'] / 'p2.tif'}: id 2147483648 takes more than 31 bits; renumber the ids"
    )


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((40, 50), 0.25, np.float32), "holds 0.25, and masks hold whole numbers; if it is a map of"),
        (np.full((40, 50), np.nan, np.float32), "holds nan, and masks hold whole numbers; if it is a map of"),
        (np.full((40, 50), 1e30, np.float32), "holds 1e+30, and masks hold whole numbers; if it is a map of"),
        (np.full((40, 50), -7, np.int16), "holds the negative label -7; labels are 0 (none) or an id above 0"),
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
        if what == "labels":
            assert refusal(run_stage, data).endswith("(in Fiji: Image > Lookup Tables > Grays, which keeps the ids)")

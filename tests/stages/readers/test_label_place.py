from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from floodrunner.segmentation.alignment import boundaries
from floodrunner.stages.readers.label_place import outer_sections
from floodrunner.stages.storage.volumes import Place, read_volume, write_volume
from tests.stages.label_stacks import cells, folder, hdf5, refusal, said

Importing = Callable[..., dict[str, Path]]


def picture(labels: np.ndarray, membrane: int = 60) -> np.ndarray:
    image = np.where([boundaries(section) for section in labels], membrane, 150)
    noise = np.random.default_rng(0).normal(0, 25, labels.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def inputs(tmp_path: Path) -> Importing:
    def make(image: np.ndarray, labels: np.ndarray) -> dict[str, Path]:
        write_volume(tmp_path / "i.h5", "image", image, Place())
        return {"stack": hdf5(tmp_path / "l.h5", labels), "images": tmp_path / "i.h5"}

    return make


# Sizes


@pytest.mark.parametrize(
    ("shape", "size", "remedy"),
    [
        ((5, 20, 30), "5 sections of 30 x 20", "give labels and images of the same sections"),
        ((6, 20, 31), "6 sections of 31 x 20", "give labels and images of the same size"),
        (
            (6, 40, 60),
            "6 sections of 60 x 40",
            "the labels are 2 times smaller in x and y: export them at full resolution (mip 0), or scale them up "
            "without interpolation",
        ),
        (
            (6, 10, 15),
            "6 sections of 15 x 10",
            "the labels are 2 times larger in x and y: give images of their resolution",
        ),
        (
            (6, 30, 20),
            "6 sections of 20 x 30",
            "x and y are swapped: transpose the labels, or turn them by 90 degrees, so that they lie on the images",
        ),
        (
            (30, 20, 6),
            "30 sections of 6 x 20",
            "the axes are swapped (files hold z, y, x): transpose the labels, or turn them by 90 degrees, so that they "
            "lie on the images",
        ),
        ((6, 30, 60), "6 sections of 60 x 30", "give labels and images of the same size"),
    ],
)
def test_other_sizes_than_the_images_are_refused(
    run_stage, inputs: Importing, shape: tuple[int, int, int], size: str, remedy: str
) -> None:
    files = inputs(np.zeros(shape, np.uint8), np.ones((6, 20, 30), np.uint8))
    assert refusal(run_stage, files) == (
        f"{files['stack']}: 6 sections of 30 x 20 of labels, but {size} of images; {remedy}"
    )


def test_labels_of_a_part_of_the_images_are_refused_with_the_part(tmp_path: Path, run_stage) -> None:
    write_volume(tmp_path / "i.h5", "image", np.zeros((20, 30, 40), np.uint8), Place((4, 4, 40), (1, 0, 0)))
    with h5py.File(hdf5(tmp_path / "l.h5", np.ones((10, 12, 14), np.uint8)), "r+") as file:
        file["labels"].attrs["resolution"] = (40.0, 4.0, 4.0)  # as in CREMI, z, y, x in nm
        file["labels"].attrs["offset"] = (200.0, 32.0, 24.0)
    text = refusal(run_stage, {"stack": tmp_path / "l.h5", "images": tmp_path / "i.h5"})
    assert text.endswith(
        "by its offset, the labels are the part of the images that begins at voxel 5, 8, 5 (x, y, z): "
        "crop the images to it (in Python: images[5:15, 8:20, 5:19]), or fill up the labels with 0"
    )


def test_another_place_in_the_file_is_told(tmp_path: Path, run_stage) -> None:
    write_volume(tmp_path / "i.h5", "image", np.zeros((6, 20, 30), np.uint8), Place((4, 4, 40), (1, 0, 0)))
    write_volume(tmp_path / "l.h5", "labels", np.ones((6, 20, 30), np.uint8), Place((8, 8, 40), (5, 0, 0)))
    result = run_stage("import-labels", {"stack": tmp_path / "l.h5", "images": tmp_path / "i.h5"})
    assert said(result)[1:3] == [
        f"{tmp_path / 'l.h5'}: the file says that voxels are 8 x 8 x 40 nm, those of the images are 4 x 4 x 40 nm, "
        "which is used; check that labels and images have the same resolution",
        f"{tmp_path / 'l.h5'}: the file says that the labels begin at voxel 5, 0, 0 (x, y, z), but the images begin at "
        "1, 0, 0, which is used; check that they belong together",
    ]
    assert read_volume(result["volume"])[1] == Place((4, 4, 40), (1, 0, 0))


def test_sizes_are_compared_after_labels_were_turned(tmp_path: Path, run_stage) -> None:
    ids = cells(3, seed=4, side=80)[:, :64].astype(np.uint8)
    write_volume(tmp_path / "i.h5", "image", picture(ids), Place())
    (tmp_path / "l").mkdir()
    for z, section in enumerate(ids):  # orientation 6: to be shown turned by 90 degrees to the right
        turned = np.ascontiguousarray(np.rot90(section))
        tifffile.imwrite(tmp_path / "l" / f"{z}.tif", turned, extratags=[(274, 3, 1, 6, True)])
    result = run_stage("import-labels", {"stack": tmp_path / "l", "images": tmp_path / "i.h5"})
    np.testing.assert_array_equal(read_volume(result["volume"])[0], ids)


# Order


@pytest.mark.parametrize(("shift", "where"), [(1, "after"), (-1, "before")])
def test_outlines_a_section_off_are_refused(tmp_path: Path, run_stage, shift: int, where: str) -> None:
    rng = np.random.default_rng(8)
    ids = rng.integers(1, 200, (12, 8, 8)).repeat(8, 1).repeat(8, 2).astype(np.uint8)
    ids = np.stack([np.roll(section, rng.integers(0, 8, 2), (0, 1)) for section in ids])
    image = np.where([boundaries(section) for section in ids], 60, 150).astype(np.uint8)
    write_volume(tmp_path / "i.h5", "image", image[1:11], Place())
    stack = folder(tmp_path / "l", ids[1 + shift : 11 + shift])
    inputs = {"stack": stack, "images": tmp_path / "i.h5"}
    text = refusal(run_stage, inputs)
    assert text.startswith(
        f"{stack}: the labels are shifted by one section: their outlines fit the image section {where} theirs better "
        "than their own (contrast "
    )
    assert text.endswith("; give the same sections for both, or set check_order: false if the labels are right")
    run_stage("import-labels", inputs, check_order=False)


# Which way the labels lie


@pytest.mark.parametrize("membrane", [60, 240])  # dark, as in EM, or bright, as fluorescence
@pytest.mark.parametrize(
    ("how", "change"),
    [
        ("transposed (x and y swapped)", lambda ids: ids.swapaxes(1, 2)),
        ("mirrored left to right", lambda ids: ids[:, :, ::-1]),
        ("mirrored top to bottom", lambda ids: ids[:, ::-1]),
        ("turned by 90 degrees to the left", lambda ids: np.rot90(ids, -1, (1, 2))),
        ("put in the reverse order of sections", lambda ids: ids[::-1]),
        ("mirrored left to right and put in the reverse order of sections", lambda ids: ids[::-1, :, ::-1]),
        ("transposed (x and y swapped) and put in the reverse order of sections", lambda ids: ids[::-1].swapaxes(1, 2)),
    ],
)
def test_labels_that_lie_another_way_are_refused(
    run_stage, inputs: Importing, how: str, change: Callable[[np.ndarray], np.ndarray], membrane: int
) -> None:
    ids = cells(12, seed=3)
    files = inputs(picture(ids, membrane), change(ids))
    text = refusal(run_stage, files)
    assert text.startswith(
        f"{files['stack']}: the labels fit when {how}: the contrast at their outlines, or in their areas, is then "
    )
    assert text.endswith(
        " as they are; change them so (or the images, if these are wrong), "
        "or set check_order: false if the labels are right"
    )
    run_stage("import-labels", files, check_order=False)


@pytest.mark.parametrize(
    ("how", "axes"), [("x and z are swapped", (2, 1, 0)), ("y and z are swapped", (1, 0, 2)), ("x and z", (1, 2, 0))]
)
def test_swapped_axes_of_a_cube_are_refused(run_stage, inputs: Importing, how: str, axes: tuple[int, ...]) -> None:
    ids = cells(64, seed=3, step=1)
    files = inputs(picture(ids), ids.transpose(axes))
    assert f": the labels fit when {how}" in refusal(run_stage, files)


@pytest.mark.parametrize("sections", [1, 2, 5])
def test_thin_stacks_are_checked(run_stage, inputs: Importing, sections: int) -> None:
    ids = cells(sections, seed=5, side=96)
    run_stage("import-labels", inputs(picture(ids), ids))
    assert "the labels fit when mirrored top to bottom" in refusal(run_stage, inputs(picture(ids), ids[:, ::-1]))


def test_stacks_with_labels_in_few_sections_are_checked(run_stage, inputs: Importing) -> None:
    ids = cells(24, seed=5, side=96)
    image = picture(ids)
    for kept in (slice(10, 16), slice(20, 24)):
        few = np.zeros_like(ids)
        few[kept] = ids[kept]
        run_stage("import-labels", inputs(image, few))
        assert "the labels fit when mirrored left to right" in refusal(run_stage, inputs(image, few[:, :, ::-1]))


def test_few_sections_in_reverse_order_are_found(run_stage, inputs: Importing) -> None:
    ids = cells(7, seed=5, side=96, step=1.2)  # the sections next to the middle fit both ways
    assert "the labels fit when put in the reverse order of sections" in refusal(
        run_stage, inputs(picture(ids), ids[::-1])
    )
    run_stage("import-labels", inputs(picture(ids), ids))


def test_labels_of_another_stack_are_told(run_stage, inputs: Importing) -> None:
    result = run_stage("import-labels", inputs(picture(cells(8, seed=5)), cells(8, seed=6)))
    (text,) = [text for text in said(result) if "do not seem to lie on what the images show" in text]
    assert text.endswith(
        "standard deviations (0.2 to 1.5 where labels fit), and no better if they are mirrored or turned; "
        "compare labels and images in a viewer"
    )


def test_moved_labels_are_told(run_stage, inputs: Importing) -> None:
    ids = cells(8, seed=5, side=128)  # a crop at another place
    result = run_stage("import-labels", inputs(picture(ids)[:, :96, :96], ids[:, 12:108, 7:103]))
    (text,) = [text for text in said(result) if "seem to be moved against the images" in text]
    assert "if they are moved by 7 pixels to the right and 12 down, and " in text


def half_right(ids: np.ndarray) -> np.ndarray:
    return np.concatenate([ids[..., :32], ids[..., 31::-1]], axis=-1)


@pytest.mark.parametrize("kind", ["faint", "no membranes", "sparse", "symmetric", "alike", "empty image"])
def test_correct_labels_pass_without_a_word(run_stage, inputs: Importing, kind: str) -> None:
    ids = cells(6, seed=8)
    image = picture(ids, membrane=130 if kind == "faint" else 60)
    if kind == "no membranes":
        image = np.clip(90 + ids * 37 % 50 + np.random.default_rng(1).normal(0, 9, ids.shape), 0, 255).astype(np.uint8)
    elif kind == "sparse":
        ids = np.where(ids == ids[0, 32, 32], 1, 0)
    elif kind == "symmetric":
        ids = half_right(ids)
        image = picture(ids)
    elif kind == "alike":
        ids = np.broadcast_to(ids[0], ids.shape)
        image = picture(ids)
    elif kind == "empty image":
        image = np.zeros_like(image)
    result = run_stage("import-labels", inputs(image, ids))
    assert not [text for text in said(result) if "lie on" in text or "moved" in text]


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 8, 16, 70, 1000])
def test_the_outer_sections_lie_far_from_the_same_numbers_from_the_other_end(depth: int) -> None:
    numbers = outer_sections(depth)
    assert 1 <= len(numbers) <= 6
    assert numbers == sorted({depth - 1 - k for k in numbers})
    assert all(2 * abs(2 * k - (depth - 1)) >= depth - 1 for k in numbers)


@pytest.mark.real_data
def test_real_labels_that_lie_another_way(shared: Path, tmp_path: Path, run_stage) -> None:
    def read(what: str) -> np.ndarray:
        files = sorted((shared / "snemi3d" / what).iterdir())[:16]
        return np.stack([np.asarray(Image.open(file))[:256, :256] for file in files])

    ids = read("labels")
    image = run_stage("import-images", {"stack": folder(tmp_path / "i", read("images"))})["volume"]
    for name, how, changed in (
        ("t", "transposed (x and y swapped)", ids.swapaxes(1, 2)),
        ("u", "mirrored top to bottom", ids[:, ::-1]),
        ("r", "put in the reverse order of sections", ids[::-1]),
    ):
        stack = folder(tmp_path / name, changed)
        assert f": the labels fit when {how}: " in refusal(run_stage, {"stack": stack, "images": image})

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom

from floodrunner.segmentation.alignment import boundaries
from floodrunner.stages.storage.volumes import read_volume
from tests.stages.label_stacks import cells, folder, hdf5, refusal, said

MAP = "the labels seem to be a map of membranes, not an id for each object: "


def membranes(sections: int = 4) -> np.ndarray:
    """True on the outlines of cells that are the same in all sections: (z, y, x)."""
    ids = cells(1, seed=2, side=96)[0]
    return np.broadcast_to(boundaries(ids), (sections, 96, 96))


@pytest.mark.parametrize("cell", [255, 1])
def test_a_membrane_map_is_refused_without_relabelling(tmp_path: Path, run_stage, cell: int) -> None:
    maps = np.where(membranes(), 0, cell).astype(np.uint8)
    stack = folder(tmp_path / "l", maps)
    text = refusal(run_stage, {"stack": stack})
    share, pieces = 100 * np.mean(maps == 0), 58
    assert text.startswith(
        f"{stack}: {MAP}0 covers {share:.0f} %, {cell} covers {100 - share:.0f} %, and 0 lies between about "
    )
    assert " pieces in each section, as membranes do; set relabel: connected_components to give each connected " in text
    assert text.endswith(" %)")
    result = run_stage("import-labels", {"stack": stack}, relabel="connected_components")
    assert read_volume(result["volume"])[0].max() >= pieces


@pytest.mark.parametrize("value", [255, 1])
def test_a_map_in_which_membranes_have_the_id_is_refused(tmp_path: Path, run_stage, value: int) -> None:
    stack = hdf5(tmp_path / "l.h5", membranes().astype(np.uint8) * value)
    for relabel in ("none", "connected_components"):
        assert refusal(run_stage, {"stack": stack}, relabel=relabel).endswith(
            "invert them (in Fiji: Edit > Invert), so that membranes are 0, and set relabel: connected_components to "
            "give each connected piece its own id"
        )


def test_a_map_of_classes_is_refused(tmp_path: Path, run_stage) -> None:
    classes = np.where(membranes(), 1, 2).astype(np.uint8)
    classes[:, 10:14, 10:14] = 3  # a mitochondrion
    stack = folder(tmp_path / "l", classes)
    assert refusal(run_stage, {"stack": stack}).endswith(
        "set unlabelled: [1] and relabel: connected_components to give each connected piece its own id"
    )
    run_stage("import-labels", {"stack": stack}, unlabelled=[1], relabel="connected_components")


def test_few_ids_in_many_pieces_are_told(tmp_path: Path, run_stage) -> None:
    ids = np.zeros((2, 96, 96), np.uint8)
    ids[:, 2::8, 2::8] = ids[:, 3::8, 2::8] = 1
    ids[:, 40:60, 40:60] = 2
    told = said(run_stage("import-labels", {"stack": folder(tmp_path / "l", ids)}))
    assert told[-1].endswith(
        " pieces; these seem to be classes, not objects; "
        "set relabel: connected_components to give each piece its own id"
    )


def test_cells_that_run_together_are_told(tmp_path: Path, run_stage) -> None:
    ids = cells(12, seed=2, side=96, step=6)  # membranes move so far that cells touch those beside them
    maps = np.where([boundaries(section) for section in ids], 0, 255).astype(np.uint8)
    stack = hdf5(tmp_path / "l.h5", maps)
    told = said(run_stage("import-labels", {"stack": stack}, relabel="connected_components"))
    assert told[-1] == (
        "the cells of this map of membranes run together from section to section, so a piece is no object; "
        "give labels with one id for each object"
    )


def test_single_neurons_and_glia_pass(tmp_path: Path, run_stage) -> None:
    ids = cells(4, seed=2, side=96)
    one = np.where(ids == ids[0, 48, 48], 7, 0).astype(np.uint8)
    glia = np.zeros((4, 96, 96), np.uint8)
    glia[:, 44:52] = glia[:, :, 44:52] = 1  # it touches every side, and parts the rest in four
    for k, array in enumerate((one, glia)):
        assert said(run_stage("import-labels", {"stack": folder(tmp_path / str(k), array)}))[-1].startswith(
            "1 id in 1 connected piece; "
        )


def branching() -> np.ndarray:
    """True in the cells of a block in which these run together through gaps in the membranes: (z, y, x)."""
    _, y, x = np.mgrid[:8, 8:72, 8:72] % 16
    return np.asarray(((y >= 3) & (x >= 3)) | (y // 2 == 4) | (x // 2 == 4))


@pytest.mark.parametrize("value", [1, 255])
def test_an_id_of_all_cells_that_run_together_is_refused(tmp_path: Path, run_stage, value: int) -> None:
    stack = hdf5(tmp_path / "l.h5", branching().astype(np.uint8) * value)
    share = 100 * branching().mean()
    assert refusal(run_stage, {"stack": stack}) == (
        f"{stack}: the labels seem to be a map of membranes or of all cells, not an id for each object: 0 covers "
        f"{100 - share:.0f} %, {value} covers {share:.0f} %, and {value} touches all six sides, as no single object "
        "does; connected pieces are no objects either (of 2, the largest holds 99 %): give labels with one id for "
        "each object; if it is one object, set relabel: connected_components"
    )
    assert "run together" in said(run_stage("import-labels", {"stack": stack}, relabel="connected_components"))[-1]


def test_a_single_id_in_pieces_is_told_with_the_largest(tmp_path: Path, run_stage) -> None:
    ids = np.zeros((4, 40, 50), np.uint8)
    ids[:, 2:12, 3:13] = ids[:, 20:30, 3:33] = 9
    assert said(run_stage("import-labels", {"stack": folder(tmp_path / "l", ids)}))[-2:] == [
        "1 id in 2 connected pieces; 80.0 % of the voxels are background; no id touches all six sides",
        "the id is in 2 pieces (26 neighbours), of which the largest holds 75 %; set relabel: connected_components to "
        "give each piece its own id",
    ]
    ids[:, ::5, ::5] = 9
    assert (
        "; it seems to be a class, not an object; if it marks membranes, give labels with one id for each object; set "
        in said(run_stage("import-labels", {"stack": folder(tmp_path / "m", ids)}))[-1]
    )


@pytest.mark.real_data
def test_real_membranes_are_refused_and_single_neurites_pass(tmp_path: Path, run_stage, shared: Path) -> None:
    files = sorted((shared / "snemi3d" / "labels").iterdir())[::7]
    ids = np.stack([np.asarray(Image.open(file)) for file in files])
    for k, (maps, found) in enumerate(
        (
            (ids > 0, "0 lies between about "),
            (ids == 0, "1 lies between about "),
            (ids[:, :256, :256] > 0, "touches all six sides, as no single object does"),
        )
    ):
        assert found in refusal(run_stage, {"stack": hdf5(tmp_path / f"m{k}.h5", maps.astype(np.uint8))})
    values, counts = np.unique(ids[ids > 0], return_counts=True)
    for value in values[np.argsort(counts)[-3:]]:
        run_stage("import-labels", {"stack": hdf5(tmp_path / f"{value}.h5", (ids == value).astype(np.uint8))})


def jpeg(section: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(section.astype(np.uint8)).save(file, "JPEG")
    return np.asarray(Image.open(file))


@pytest.mark.parametrize(
    "change",
    [
        lambda ids: np.random.default_rng(0).normal(128, 40, ids.shape).clip(0, 255),  # an image
        lambda ids: gaussian_filter(np.where(boundaries(ids), 0, 255.0), 1.5),  # a probability map
        lambda ids: zoom(ids.astype(float), 2, order=1),  # scaled with interpolation
        lambda ids: zoom(ids.astype(float), 0.5, order=1),
        lambda ids: jpeg(ids * 4),
    ],
)
def test_grey_values_are_refused(tmp_path: Path, run_stage, change) -> None:
    stack = folder(tmp_path / "l", np.stack([change(ids) for ids in cells(2, seed=2)]).astype(np.uint8))
    text = refusal(run_stage, {"stack": stack})
    assert text.startswith(f"{stack}: the labels change from pixel to pixel like grey values: ")
    assert text.endswith(
        " % of the pixels on outlines differ from both neighbours (in labels under 5 %); they are an image or a "
        "probability map, or were scaled with interpolation or saved as JPEG before: give labels with one id per "
        "object, as they were drawn"
    )


def test_small_objects_points_and_outlines_pass(tmp_path: Path, run_stage) -> None:
    ids = cells(2, seed=2, side=96)
    points = np.zeros_like(ids)
    points[:, ::8, ::8] = np.arange(144).reshape(12, 12)  # a voxel for each synapse
    separated = np.where([boundaries(section) for section in ids], 0, ids)
    for k, array in enumerate((ids, ids[:, ::4, ::4], points, separated)):
        run_stage("import-labels", {"stack": folder(tmp_path / str(k), array.astype(np.uint8))})


def test_a_stack_with_labels_in_one_corner_passes(tmp_path: Path, run_stage) -> None:
    ids = np.zeros((9, 40, 50), np.uint8)
    ids[1, :5, :6] = np.arange(30).reshape(5, 6)
    told = said(run_stage("import-labels", {"stack": folder(tmp_path / "l", ids)}))
    assert told[-1].startswith("29 ids in 29 connected pieces; ")


def test_greys_saved_as_colours_are_told(tmp_path: Path, run_stage) -> None:
    ids = cells(2, seed=2).astype(np.uint8)
    result = run_stage("import-labels", {"stack": folder(tmp_path / "l", ids[..., None].repeat(3, -1))})
    assert "all colours are greys (R = G = B): each id is 65793 times the grey value" in said(result)
    np.testing.assert_array_equal(read_volume(result["volume"])[0], 65793 * ids.astype(int))

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from floodrunner.stages.storage.coordinates import read_coordinates
from floodrunner.stages.storage.volumes import read_volume
from tests.stages.label_stacks import folder, hdf5, refusal, said


def neurites() -> np.ndarray:
    """Six tubes in a volume of which 77 % is unlabelled: (8, 64, 80) uint8."""
    z, y, x = np.mgrid[:8, :64, :80]
    ids = np.zeros(z.shape, np.uint8)
    for k in range(6):
        ids[(y - 17 - 20 * (k // 3) - z // 2) ** 2 + (x - 14 - 25 * (k % 3)) ** 2 < 64] = k + 1
    return ids


def with_none(value: int, dtype: type) -> np.ndarray:
    ids = neurites()
    array = ids.astype(dtype)
    array[ids == 0] = value
    return array


@pytest.mark.parametrize(
    ("value", "dtype", "name"),
    [
        (2**64 - 1, np.uint64, "18446744073709551615 (2^64 - 1)"),  # background of clefts in CREMI
        (2**64 - 2, np.uint64, "18446744073709551614 (2^64 - 2)"),  # invalid in CREMI and Paintera
        (2**64 - 3, np.uint64, "18446744073709551613 (2^64 - 3)"),  # outside in Paintera
        (2**63 - 1, np.int64, "9223372036854775807 (2^63 - 1)"),
        (2**32 - 1, np.uint64, "4294967295 (2^32 - 1)"),
        (2**32 - 1, np.uint32, "4294967295 (2^32 - 1)"),
        (2**31 - 1, np.int32, "2147483647 (2^31 - 1)"),
        (-1, np.int64, "-1"),
        (-1, np.int32, "-1"),
        (-2, np.int16, "-2"),
        (-1, np.int8, "-1"),
    ],
)
def test_the_largest_ids_and_minus_one_mean_none(tmp_path: Path, run_stage, value: int, dtype: type, name: str) -> None:
    result = run_stage("import-labels", {"stack": hdf5(tmp_path / "l.h5", with_none(value, dtype))})
    volume, _ = read_volume(result["volume"])
    assert volume.dtype == np.uint32
    np.testing.assert_array_equal(volume, neurites())
    assert (
        f"id {name} means none: its {np.count_nonzero(neurites() == 0)} voxels (77.4 %) are taken as background"
        in said(result)
    )
    assert said(result)[-1] == (
        "6 ids in 6 connected pieces; 77.4 % of the voxels are background; no id touches all six sides"
    )


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint32])
def test_none_in_tiff_files(tmp_path: Path, run_stage, dtype: type) -> None:
    value = -1 if dtype != np.uint32 else 2**32 - 1
    file = tmp_path / "l.tif"
    tifffile.imwrite(file, with_none(value, dtype), photometric="minisblack")
    result = run_stage("import-labels", {"stack": file}, relabel="connected_components")
    volume, _ = read_volume(result["volume"])
    np.testing.assert_array_equal(volume > 0, neurites() > 0)
    assert f"its {np.count_nonzero(neurites() == 0)} voxels" in " ".join(said(result))


def test_two_ids_for_none_beside_large_ids(tmp_path: Path, run_stage) -> None:
    ids = neurites().astype(np.uint64) * 2**40
    ids[0, 0, :40], ids[0, 0, 40:] = 2**64 - 1, 2**64 - 2
    result = run_stage("import-labels", {"stack": hdf5(tmp_path / "l.h5", ids)})
    volume, _ = read_volume(result["volume"])
    assert volume.dtype == np.uint64
    np.testing.assert_array_equal(volume, neurites().astype(np.uint64) * 2**40)
    assert len([text for text in said(result) if "means none: its 40 voxels (0.1 %)" in text]) == 2


@pytest.mark.parametrize(("value", "dtype"), [(255, np.uint8), (65535, np.uint16), (7, np.uint8), (77, np.uint64)])
def test_an_id_that_surrounds_all_others_is_told_and_can_be_set_to_none(
    tmp_path: Path, run_stage, value: int, dtype: type
) -> None:
    stack = hdf5(tmp_path / "l.h5", with_none(value, dtype))
    told = f"id {value} covers 77 % and touches every side; if it means none, set unlabelled: [{value}]"
    result = run_stage("import-labels", {"stack": stack})
    assert said(result)[-2:] == [
        "7 ids in 7 connected pieces; 0.0 % of the voxels are background; 1 id touches all six sides",
        told,
    ]
    result = run_stage("import-labels", {"stack": stack}, unlabelled=[value, 99])
    np.testing.assert_array_equal(read_volume(result["volume"])[0], neurites())
    assert "unlabelled: no voxel has the id 99" in said(result)
    assert f"id {value} means none: its 31696 voxels (77.4 %) are taken as background" in said(result)
    assert told not in said(result)
    assert result.reported("metric")[1]["value"] == pytest.approx(np.mean(neurites() == 0))


@pytest.mark.parametrize(("value", "dtype", "bits"), [(255, np.uint8, 8), (65535, np.uint16, 16)])
def test_the_largest_value_far_above_the_others_is_told(
    tmp_path: Path, run_stage, value: int, dtype: type, bits: int
) -> None:
    ids = neurites().astype(dtype)
    ids[:, 0] = value
    result = run_stage("import-labels", {"stack": folder(tmp_path / "l", ids)})
    assert said(result)[-1] == (
        f"id {value} is the largest value of {bits} bits, the next is 6; it covers 1.6 %; "
        f"if it means none, set unlabelled: [{value}]"
    )


def test_colours_that_mean_none(tmp_path: Path, run_stage) -> None:
    ids = neurites()
    rgb = np.stack([np.zeros_like(ids), np.zeros_like(ids), ids], axis=-1)
    rgb[ids == 0] = 255
    stack = folder(tmp_path / "rgb", rgb)
    told = said(run_stage("import-labels", {"stack": stack}))
    assert told[-1] == "id 16777215 covers 77 % and touches every side; if it means none, set unlabelled: [16777215]"
    result = run_stage("import-labels", {"stack": stack}, unlabelled=[16777215])
    np.testing.assert_array_equal(read_volume(result["volume"])[0], ids)


@pytest.mark.parametrize("dtype", [np.int16, np.int64])
def test_other_negative_labels_are_refused(tmp_path: Path, run_stage, dtype: type) -> None:
    ids = neurites().astype(dtype)
    ids[4, 0, 0] = -7
    file = hdf5(tmp_path / "l.h5", ids)
    assert refusal(run_stage, {"stack": file}) == (
        f"{file} (section 4): holds the negative label -7; if it means none, set unlabelled: [-7]; if ids above "
        f"{np.iinfo(dtype).max} were saved as signed numbers, save them as unsigned ones"
    )
    result = run_stage("import-labels", {"stack": file}, unlabelled=[-7])
    np.testing.assert_array_equal(read_volume(result["volume"])[0], neurites())


def test_labels_that_all_mean_none_are_refused(tmp_path: Path, run_stage) -> None:
    file = hdf5(tmp_path / "l.h5", np.full((2, 3, 4), 2**32 - 1, np.uint32))
    assert refusal(run_stage, {"stack": file}) == (
        f"{file}: all 2 sections of 4 x 3 are background (label 0 or an id that means none); "
        "give sections with labelled objects"
    )


def test_coordinates_list_the_background_of_labels_that_call_it_otherwise(tmp_path: Path, run_stage) -> None:
    tables = []
    for k, array in enumerate((neurites(), with_none(2**64 - 1, np.uint64))):
        labels = run_stage("import-labels", {"stack": hdf5(tmp_path / f"{k}.h5", array)})["volume"]
        partitions = run_stage("ffn-partitions", {"labels": labels}, lom_radius_xyz=[3, 3, 1], min_size=10)["volume"]
        tables.append(
            read_coordinates(run_stage("ffn-coordinates", {"partitions": partitions}, margin_xyz=[4, 4, 1])["table"])
        )
    for table in tables:
        assert table.classes[0] == 0
        assert table.counts[0] == np.count_nonzero(neurites()[1:7, 4:60, 4:76] == 0)

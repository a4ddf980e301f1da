from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.ffn.coordinates import coordinates
from floodrunner.stages.ffn_coordinates import Params
from floodrunner.stages.storage import coordinates as tables
from floodrunner.stages.storage.coordinates import read_coordinates
from floodrunner.stages.storage.volumes import Place, write_volume


@pytest.fixture
def partitions() -> np.ndarray:
    return np.random.default_rng(0).choice([0, 1, 2, 255], (6, 8, 200)).astype(np.uint8)


@pytest.fixture
def path(tmp_path: Path, partitions: np.ndarray) -> Path:
    write_volume(tmp_path / "volume.h5", "partitions", partitions, Place())
    return tmp_path / "volume.h5"


@pytest.mark.parametrize("background", [False, True])
def test_writes_a_table_that_reads_back(run_stage, path: Path, partitions: np.ndarray, background: bool) -> None:
    result = run_stage("ffn-coordinates", {"partitions": path}, margin_xyz=[3, 2, 1], background=background)
    table, expected = read_coordinates(result["table"]), coordinates(partitions, (1, 2, 3), background)
    assert table.shape == expected.shape == (6, 8, 200)
    for field in ("classes", "starts", "indices"):
        read, made = getattr(table, field), getattr(expected, field)
        np.testing.assert_array_equal(read, made)
        assert read.dtype == made.dtype
    assert len(table.classes) == 2 + background
    (message,) = result.reported("message")
    assert message["text"].startswith(f"{len(table.indices):,} positions; in each partition: ")
    assert not (result["table"].parent / "tf_record_file").exists()


def test_writes_the_file_of_google_ffn_when_asked(run_stage, path: Path, partitions: np.ndarray) -> None:
    import tensorflow as tf

    result = run_stage(
        "ffn-coordinates", {"partitions": path}, margin_xyz=[3, 2, 1], tfrecord=True, volume_name="mine", seed=5
    )
    file = result["table"].parent / "tf_record_file"
    records = tf.data.TFRecordDataset(str(file), compression_type="GZIP")
    features = [tf.train.Example.FromString(record.numpy()).features.feature for record in records]
    centers = np.array([f["center"].int64_list.value for f in features])
    assert {f["label_volume_name"].bytes_list.value[0] for f in features} == {b"mine"}
    x, y, z = centers.T
    table = read_coordinates(result["table"])
    np.testing.assert_array_equal(np.bincount(partitions[z, y, x])[1:], [table.counts.max()] * 2)
    assert set(np.ravel_multi_index((z, y, x), partitions.shape)) == set(table.indices)
    (artifact,) = result.reported("artifact")
    assert artifact["path"] == "tf_record_file"
    assert artifact["title"] == f"{len(centers):,} training positions for google/ffn's train.py"


def test_refuses_a_margin_that_leaves_nothing(run_stage, path: Path) -> None:
    with pytest.raises(InputError) as error:
        run_stage("ffn-coordinates", {"partitions": path})
    assert str(error.value) == (
        f"{path}: no voxel of any partition is at least 24 x 24 x 24 voxels (x, y, z) away from the border of the "
        "volume of 200 x 8 x 6; "
        "lower margin_xyz (or lom_radius_xyz of ffn-partitions)"
    )


def test_refuses_positions_that_are_all_background(run_stage, tmp_path: Path) -> None:
    array = np.zeros((6, 8, 20), np.uint8)
    array[:, :, :3] = 4
    write_volume(tmp_path / "edge.h5", "partitions", array, Place())
    with pytest.raises(InputError) as error:
        run_stage("ffn-coordinates", {"partitions": tmp_path / "edge.h5"}, margin_xyz=[3, 1, 1])
    assert str(error.value) == (
        f"{tmp_path / 'edge.h5'}: all 336 positions that lie margin_xyz [3, 1, 1] inside the volume are background, "
        "and a network that sees no object learns none; lower margin_xyz, or label objects further inside"
    )


def test_a_table_of_several_pieces_and_chunks(run_stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_PIECE", 1)
    array = np.random.default_rng(1).choice([0, 1, 2, 3, 255], (20, 60, 70)).astype(np.uint8)
    write_volume(tmp_path / "large.h5", "partitions", array, Place())
    result = run_stage("ffn-coordinates", {"partitions": tmp_path / "large.h5"}, margin_xyz=[0, 1, 2])
    with h5py.File(result["table"]) as file:
        assert len(file["indices"]) > 2 * file["indices"].chunks[0]
    np.testing.assert_array_equal(
        read_coordinates(result["table"]).indices, coordinates(array, (2, 1, 0), background=True).indices
    )


def test_no_scratch_file_stays(run_stage, path: Path) -> None:
    result = run_stage("ffn-coordinates", {"partitions": path}, margin_xyz=[3, 2, 1], tfrecord=True)
    assert sorted(file.name for file in result["table"].parent.iterdir()) == ["table.h5", "tf_record_file"]
    last = result.reported("progress")[-1]
    assert (last["done"], last["unit"]) == (last["total"], "records")


def test_refuses_what_is_no_partitions(run_stage, tmp_path: Path) -> None:
    write_volume(tmp_path / "image.h5", "image", np.ones((3, 3, 3), np.float32), Place())
    with pytest.raises(InputError, match=r"image\.h5: holds float32, but partitions are uint8; connect the output of"):
        run_stage("ffn-coordinates", {"partitions": tmp_path / "image.h5"}, margin_xyz=[0, 0, 0])


@pytest.mark.parametrize("name", ["", "a:b", "a b", "a,b", "größe"])
def test_refuses_volume_names_that_train_py_cannot_take(name: str) -> None:
    with pytest.raises(ValidationError, match="volume_name must be ASCII, without colon, comma or space; got"):
        Params.parse({"volume_name": name})


def test_reading_says_what_is_wrong_with_a_table(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.h5: no such file"):
        read_coordinates(tmp_path / "none.h5")
    with pytest.raises(InputError, match="is not a table of positions; connect the output of ffn-coordinates"):
        read_coordinates(path)
    data = path.read_bytes()
    (tmp_path / "cut.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.h5: is truncated; make it again"):
        read_coordinates(tmp_path / "cut.h5")
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file["classes"] = "text"
    with pytest.raises(InputError, match="is not a table of positions"):
        read_coordinates(tmp_path / "text.h5")

"""HDF5 data in other files, data that is not there, and compressed data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.volumes import read_volume
from tests.stages.hdf5_files import TRUTH, arranged, axistags, read, refusal, remarks


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A virtual dataset of two files."""
    layout = h5py.VirtualLayout(TRUTH.shape, np.uint8)
    for number in (0, 1):
        with h5py.File(tmp_path / f"part{number}.h5", "w") as out:
            out["raw"] = TRUTH[2 * number : 2 * number + 2]
        layout[2 * number : 2 * number + 2] = h5py.VirtualSource(f"part{number}.h5", "raw", (2, 5, 6))
    with h5py.File(tmp_path / "whole.h5", "w") as out:
        out.create_virtual_dataset("raw", layout)
    return tmp_path / "whole.h5"


def test_a_virtual_dataset_is_read_if_its_sources_are_there(parts: Path) -> None:
    np.testing.assert_array_equal(read(parts), TRUTH)
    assert remarks(parts) == []


def test_missing_sources_are_refused_where_hdf5_reads_zeros(parts: Path) -> None:
    (parts.parent / "part1.h5").unlink()
    with h5py.File(parts) as out:
        assert not out["raw"][2:].any()  # what was read without a word
    assert refusal(parts) == (
        "the data of raw is in other files, and part1.h5 is missing; put it into the folder of whole.h5, or copy the "
        "data into one file (h5repack does)"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda out: out.__delitem__("raw"), "part1.h5: has no dataset raw, from which data is taken"),
        (lambda out: (out.__delitem__("raw"), out.create_group("raw")), "part1.h5: has no dataset raw"),
        (
            lambda out: (out.__delitem__("raw"), out.create_dataset("raw", data=TRUTH[:1])),
            "part1.h5: dataset raw has the shape (1, 5, 6), but 60 voxels are taken from it",
        ),
    ],
)
def test_sources_that_changed_are_refused(parts: Path, change: Callable[[h5py.File], Any], words: str) -> None:
    with h5py.File(parts.parent / "part1.h5", "r+") as out:
        change(out)
    assert words in refusal(parts)


def test_a_damaged_source_is_named(parts: Path) -> None:
    (parts.parent / "part0.h5").write_bytes(b"no")
    assert "part0.h5: is not a readable HDF5 file" in refusal(parts)


def test_a_source_of_which_only_a_part_is_taken_must_be_long_enough(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((2, 5, 6), np.uint8)
    with h5py.File(tmp_path / "part.h5", "w") as out:
        out["raw"] = TRUTH
    layout[:] = h5py.VirtualSource("part.h5", "raw", TRUTH.shape)[2:4]
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out.create_virtual_dataset("raw", layout)
    np.testing.assert_array_equal(read(tmp_path / "a.h5"), TRUTH[2:])
    with h5py.File(tmp_path / "part.h5", "w") as out:
        out["raw"] = TRUTH[:3]
    assert "has the shape (3, 5, 6), but voxels up to (3, 4, 5) are taken from it" in refusal(tmp_path / "a.h5")


def test_a_virtual_dataset_of_its_own_file_and_one_with_holes(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as out:
        out["some"] = TRUTH
        layout = h5py.VirtualLayout((8, 5, 6), np.uint8)
        layout[:4] = h5py.VirtualSource(out["some"])
        out.create_virtual_dataset("raw", layout)
    np.testing.assert_array_equal(read(f"{path}:raw"), np.concatenate([TRUTH, 0 * TRUTH]))
    said = "50.0 % of the virtual dataset raw have no source; they are read as 0"
    assert remarks(f"{path}:raw") == [said]


def test_a_virtual_dataset_of_itself_ends(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout(TRUTH.shape, np.uint8)
    layout[:] = h5py.VirtualSource("a.h5", "raw", TRUTH.shape)
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out.create_virtual_dataset("raw", layout)
    assert "virtual datasets refer to each other more than 8 times" in refusal(tmp_path / "a.h5")


def test_external_storage_is_read_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as out:
        out.create_dataset("raw", TRUTH.shape, np.uint8, external=[("1.bin", 0, 60), ("2.bin", 10, h5py.h5f.UNLIMITED)])
    assert "the data of raw is in other files, and 1.bin is missing" in refusal(path)
    (tmp_path / "1.bin").write_bytes(TRUTH[:2].tobytes())
    (tmp_path / "2.bin").write_bytes(bytes(10) + TRUTH[2:].tobytes())
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(read(path), TRUTH)
    (tmp_path / "2.bin").write_bytes(bytes(10) + TRUTH[2:3].tobytes())
    assert "2.bin with the data of raw has 40 bytes, 70 are needed; copy it again" in refusal(path)


def test_links_are_followed_and_those_to_nothing_are_told(parts: Path) -> None:
    path = parts.parent / "links.h5"
    with h5py.File(path, "w") as out:
        out["group/there"] = h5py.ExternalLink("whole.h5", "/raw")
        out["soft"] = h5py.SoftLink("/group/there")
        out["gone"] = h5py.ExternalLink("gone.h5", "/raw")
        out["other"] = h5py.ExternalLink("whole.h5", "/other")
        out["nothing"] = h5py.SoftLink("/nothing/here")
        out["ring"] = h5py.SoftLink("/ring")
    for name in (":group/there", ":soft", ""):
        np.testing.assert_array_equal(read(f"{path}{name}"), TRUTH)
    for name, target in (("gone", "/raw in gone.h5"), ("other", "/other in whole.h5"), ("nothing", "/nothing/here")):
        assert f"{name} is a link to {target}, where there is nothing" in refusal(f"{path}:{name}")
    assert "ring is a link to /ring" in refusal(f"{path}:ring")


def test_a_series_of_files_must_have_no_gap(tmp_path: Path) -> None:
    unlimited, stop = h5py.h5s.UNLIMITED, (h5py.h5s.UNLIMITED, 5, 6)
    extent, blocks = (h5py.h5s.create_simple((1, 5, 6), stop) for _ in range(2))
    blocks.select_hyperslab((0, 0, 0), (unlimited, 1, 1), (1, 5, 6), (1, 5, 6))
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_virtual(blocks, b"z%b.h5", b"raw", h5py.h5s.create_simple((1, 5, 6)))
    with h5py.File(tmp_path / "a.h5", "w") as out:
        h5py.h5d.create(out.id, b"raw", h5py.h5t.NATIVE_UINT8, extent, plan)
    for z in range(4):
        with h5py.File(tmp_path / f"z{z}.h5", "w") as out:
            out["raw"] = TRUTH[z : z + 1]
    np.testing.assert_array_equal(read(tmp_path / "a.h5"), TRUTH)
    (tmp_path / "z2.h5").unlink()
    assert "some or all of z%b.h5 (%b is 0, 1, 2 and so on) are missing" in refusal(tmp_path / "a.h5")


def test_stages_that_take_a_users_file_tell_what_is_unusual(
    file: Callable[..., Path], run_stage: Callable[..., Any]
) -> None:
    path = file(arranged("xyz"), axistags=axistags("xyz"))
    (told,) = [event["text"] for event in run_stage("statistics", {"volume": path}).reported("message")][:1]
    assert told.startswith(f"{path}: the axes of dataset raw are x, y, z (attribute axistags)")


@pytest.mark.parametrize("filter_", [hdf5plugin.Zstd(), hdf5plugin.Blosc(), hdf5plugin.Bitshuffle(), hdf5plugin.LZ4()])
def test_plug_in_filters_are_read(file: Callable[..., Path], filter_: Any) -> None:
    np.testing.assert_array_equal(read(file(TRUTH, options={"chunks": True, **filter_})), TRUTH)


@pytest.mark.parametrize("used", [True, False])
def test_a_filter_that_is_not_installed_is_named(tmp_path: Path, used: bool) -> None:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((2, 5, 6))
    plan.set_filter(32999, h5py.h5z.FLAG_OPTIONAL, ())
    with h5py.File(tmp_path / "a.h5", "w") as out:
        made = h5py.h5d.create(out.id, b"raw", h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple(TRUTH.shape), plan)
        for z in (0, 2):
            made.write_direct_chunk((z, 0, 0), TRUTH[z : z + 2].tobytes(), filter_mask=0 if used else 1)
    if used:
        text = refusal(tmp_path / "a.h5")
        assert text.startswith("dataset raw is compressed with filter 32999 (unknown), which is not installed here; ")
    else:  # it is optional, and the writer did not have it
        np.testing.assert_array_equal(read(tmp_path / "a.h5"), TRUTH)


def test_blocks_that_were_never_written_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as out:
        out.create_dataset("raw", TRUTH.shape, np.uint8, chunks=(1, 5, 6), fillvalue=7)[1] = 9
    assert remarks(path) == ["only 1 of the 4 blocks (chunks) of dataset raw were written; the others are read as 7"]
    assert read(path)[:, 0, 0].tolist() == [7, 9, 7, 7]


def test_a_shape_far_beyond_what_is_stored_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as out:
        out.create_dataset("raw", (10**6, 10**3, 10**3), np.uint8, chunks=(16, 128, 128))[0, 0, 0] = 1
    assert "is damaged or was never finished: only 1 of the 4,000,000 blocks" in refusal(path)
    with pytest.raises(InputError, match="never finished"):
        read_volume(path)


@pytest.mark.parametrize("chunks", [None, (1, 5, 6)])
def test_a_dataset_to_which_nothing_was_written_is_refused(tmp_path: Path, chunks: Any) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as out:
        out.create_dataset("raw", TRUTH.shape, np.uint8, chunks=chunks)
    assert refusal(tmp_path / "a.h5") == "dataset raw holds no data: nothing was ever written to it"

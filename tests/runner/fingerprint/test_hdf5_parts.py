"""The files that an HDF5 input takes data from, and that they count as part of the input."""

from __future__ import annotations

import builtins
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from floodrunner.runner.errors import UserError
from floodrunner.runner.fingerprint import content, hdf5_parts
from floodrunner.runner.fingerprint.content import Cache
from floodrunner.runner.fingerprint.hdf5_parts import parts

SHAPE = (2, 3, 4)


def plain(path: Path, value: int = 1) -> None:
    with h5py.File(path, "w") as file:
        file["raw"] = np.full(SHAPE, value, np.uint8)


def virtual(path: Path, *names: str) -> None:
    layout = h5py.VirtualLayout((2 * len(names), 3, 4), np.uint8)
    for number, name in enumerate(names):
        layout[2 * number : 2 * number + 2] = h5py.VirtualSource(name, "raw", SHAPE)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("group/raw", layout)


def of_series(path: Path, pattern: bytes) -> None:
    unlimited, stop = h5py.h5s.UNLIMITED, (h5py.h5s.UNLIMITED, *SHAPE[1:])
    whole, blocks = (h5py.h5s.create_simple(SHAPE, stop) for _ in range(2))
    blocks.select_hyperslab((0, 0, 0), (unlimited, 1, 1), SHAPE, SHAPE)
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_virtual(blocks, pattern, b"raw", h5py.h5s.create_simple(SHAPE))
    with h5py.File(path, "w") as file:
        h5py.h5d.create(file.id, b"raw", h5py.h5t.NATIVE_UINT8, whole, plan)


def names(path: Path, dataset: str | None = None) -> list[str]:
    return [str(part.relative_to(path.parent)) for part in parts(path, dataset)]


def test_a_file_of_its_own_has_no_parts(tmp_path: Path) -> None:
    plain(tmp_path / "a.h5")
    assert parts(tmp_path / "a.h5") == []


def test_sources_of_virtual_datasets(tmp_path: Path) -> None:
    plain(tmp_path / "1.h5")
    (tmp_path / "sub").mkdir()
    plain(tmp_path / "sub" / "2.h5")
    virtual(tmp_path / "a.h5", "1.h5", "sub/2.h5", "missing.h5", "1.h5")
    assert names(tmp_path / "a.h5") == ["1.h5", "sub/2.h5"]


def test_series_of_files(tmp_path: Path) -> None:
    of_series(tmp_path / "a.h5", b"p%b.h5")
    assert parts(tmp_path / "a.h5") == []
    for number in range(11):
        plain(tmp_path / f"p{number}.h5")
    assert names(tmp_path / "a.h5") == [f"p{number}.h5" for number in range(11)]


def test_external_storage_and_links_to_other_files(tmp_path: Path) -> None:
    plain(tmp_path / "linked.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["here"] = h5py.ExternalLink("linked.h5", "raw")
        file["gone"] = h5py.ExternalLink("gone.h5", "raw")
        file["soft"] = h5py.SoftLink("/here")
        file.create_dataset("raw", SHAPE, np.uint8, external=[("a.raw", 0, 24)])
    (tmp_path / "a.raw").write_bytes(bytes(24))
    assert sorted(names(tmp_path / "a.h5")) == ["a.raw", "linked.h5"]


def test_parts_of_parts_are_looked_for_beside_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    plain(tmp_path / "sub" / "1.h5")
    virtual(tmp_path / "sub" / "b.h5", "1.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = h5py.ExternalLink("sub/b.h5", "group/raw")
    assert names(tmp_path / "a.h5") == ["sub/b.h5", "sub/1.h5"]


def test_files_that_name_each_other_and_themselves_end(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        with h5py.File(tmp_path / f"{one}.h5", "w") as file:
            file["raw"] = h5py.ExternalLink(f"{other}.h5", "raw")
            file["self"] = h5py.ExternalLink(f"{one}.h5", "raw")
            file["loop"] = file["/"]
    assert names(tmp_path / "a.h5") == ["b.h5"]


@pytest.mark.parametrize("data", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_what_is_no_hdf5_has_no_parts(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.h5").write_bytes(data)
    assert parts(tmp_path / "a.h5") == []


def of(path: Path | str) -> str:
    return content.of_input(str(path), Cache(Path("/nowhere/hashes.json")))


def test_a_change_in_a_part_is_a_change_of_the_input(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    plain(folder / "1.h5")
    plain(folder / "2.h5", 2)
    virtual(folder / "a.h5", "1.h5", "2.h5")
    before = of(folder / "a.h5"), of(f"{folder}/a.h5:group/raw")
    assert len(set(before)) == 2
    shutil.copytree(folder, tmp_path / "copy")  # the location does not count
    assert (of(tmp_path / "copy" / "a.h5"), of(f"{tmp_path}/copy/a.h5:group/raw")) == before
    plain(folder / "2.h5", 3)
    assert of(folder / "a.h5") != before[0]
    (folder / "2.h5").unlink()
    assert of(folder / "a.h5") != before[0]


def test_a_part_that_appears_is_a_change(tmp_path: Path) -> None:
    virtual(tmp_path / "a.h5", "1.h5")
    before = of(tmp_path / "a.h5")
    plain(tmp_path / "1.h5")
    assert of(tmp_path / "a.h5") != before


def test_only_what_the_chosen_dataset_needs_is_a_part(tmp_path: Path) -> None:
    for name in "123456":
        plain(tmp_path / f"{name}.h5")
    virtual(tmp_path / "b.h5", "4.h5")
    with h5py.File(tmp_path / "b.h5", "r+") as file:
        file["other"] = h5py.ExternalLink("5.h5", "raw")
    virtual(tmp_path / "a.h5", "1.h5", "2.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["raw"] = np.zeros(SHAPE, np.uint8)
        file["system"] = h5py.ExternalLink("/etc/hostname", "raw")
        file["linked"] = h5py.ExternalLink("b.h5", "group/raw")
        file["inside"] = h5py.ExternalLink("b.h5", "group")
        file["soft"] = h5py.SoftLink("/near/soft")
        file.create_group("near")["soft"] = h5py.SoftLink("../group")
        file["near/beside"] = h5py.SoftLink("deep/x")
        file["near/deep/x"] = h5py.SoftLink("/linked")
        file["ring"] = h5py.SoftLink("/ring")
        layout = h5py.VirtualLayout(SHAPE, np.uint8)
        layout[:] = h5py.VirtualSource(".", "near/beside", SHAPE)
        file.create_virtual_dataset("own", layout)
    path = tmp_path / "a.h5"
    for dataset, expected in {
        "raw": [],
        "/group/raw": ["1.h5", "2.h5"],
        "group": ["1.h5", "2.h5"],
        "linked": ["b.h5", "4.h5"],
        "inside/raw": ["b.h5", "4.h5"],
        "near/beside": ["b.h5", "4.h5"],
        "own": ["b.h5", "4.h5"],
        "ring": [],
        "none/such": [],
        "raw/below": [],
    }.items():
        assert names(path, dataset) == expected, dataset
    everything = {str(part) for part in parts(path)}
    assert everything == {"/etc/hostname", *(str(tmp_path / f"{name}.h5") for name in ("1", "2", "4", "b"))}


def test_a_change_in_what_another_dataset_needs_is_no_change(tmp_path: Path) -> None:
    plain(tmp_path / "1.h5")
    virtual(tmp_path / "a.h5", "1.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["raw"] = [1]
    before = of(f"{tmp_path}/a.h5:raw"), of(f"{tmp_path}/a.h5:group/raw")
    plain(tmp_path / "1.h5", 2)
    after = of(f"{tmp_path}/a.h5:raw"), of(f"{tmp_path}/a.h5:group/raw")
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)


def test_an_odd_name_hides_no_other_part(tmp_path: Path) -> None:
    for name in "12":
        plain(tmp_path / f"{name}.h5")
    virtual(tmp_path / "a.h5", "1.h5", "2.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        space = h5py.h5s.create_simple((1,))
        plan.set_virtual(space, b"\xff.h5", b"raw", space)
        h5py.h5d.create(file.id, b"before", h5py.h5t.NATIVE_UINT8, space, plan)
        h5py.h5d.create(file.id, b"\xff\xfe", h5py.h5t.NATIVE_UINT8, space, plan)
    assert names(tmp_path / "a.h5") == ["1.h5", "2.h5"]


def test_percent_signs_mean_something_in_virtual_datasets_only(tmp_path: Path) -> None:
    for name in ("50%.h5", "50%%.h5", "s0.h5", "s%b.h5"):
        plain(tmp_path / name)
    (tmp_path / "%b.raw").write_bytes(bytes(24))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["one"] = h5py.ExternalLink("50%%.h5", "raw")
        file["two"] = h5py.ExternalLink("s%b.h5", "raw")
        file.create_dataset("three", SHAPE, np.uint8, external=[("%b.raw", 0, 24)])
    assert sorted(names(tmp_path / "a.h5")) == ["%b.raw", "50%%.h5", "s%b.h5"]


def test_more_than_can_be_looked_at_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "123":
        plain(tmp_path / f"{name}.h5")
    virtual(tmp_path / "a.h5", "1.h5", "2.h5", "3.h5")
    monkeypatch.setattr(hdf5_parts, "_MOST_FILES", 3)
    assert len(parts(tmp_path / "a.h5")) == 3
    monkeypatch.setattr(hdf5_parts, "_MOST_FILES", 2)
    with pytest.raises(UserError, match=r"a.h5: takes its data from more than 2 other files; copy it into one file"):
        parts(tmp_path / "a.h5")
    monkeypatch.setattr(hdf5_parts, "_MOST_OBJECTS", 3)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        for number in range(3):
            file[f"raw{number}"] = number
    with pytest.raises(UserError, match=r"b.h5: holds more than 3 groups and datasets; name the one you mean, as in"):
        parts(tmp_path / "b.h5")
    assert parts(tmp_path / "b.h5", "raw1") == []


def test_without_h5py_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(tmp_path / "a.h5")
    real = builtins.__import__

    def without(name: str, *others: object) -> object:
        if name == "h5py":
            raise ModuleNotFoundError("No module named 'h5py'")
        return real(name, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        UserError, match=r"a.h5: .* needs h5py, which does not load here \(No module named 'h5py'\); install again"
    ):
        parts(tmp_path / "a.h5")


def test_a_file_is_walked_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(tmp_path / "1.h5")
    virtual(tmp_path / "a.h5", "1.h5")
    assert names(tmp_path / "a.h5") == ["1.h5"]
    monkeypatch.setattr(h5py, "File", None)
    assert names(tmp_path / "a.h5") == ["1.h5"]
    monkeypatch.undo()
    virtual(tmp_path / "a.h5", "1.h5", "a-longer-name.h5")
    plain(tmp_path / "a-longer-name.h5")
    assert names(tmp_path / "a.h5") == ["1.h5", "a-longer-name.h5"]

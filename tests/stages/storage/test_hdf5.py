from __future__ import annotations

import errno
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from floodrunner.stages.storage.hdf5 import create_hdf5
from floodrunner.stages.storage.volumes import open_volume

RNG = np.random.default_rng(1)


def test_what_is_written_is_there(tmp_path: Path) -> None:
    array = RNG.integers(0, 256, (20, 300, 300), np.uint8)
    with create_hdf5(tmp_path / "a.h5") as file:
        dataset = file.create_dataset("raw", data=array, chunks=(4, 64, 64), compression=1)
        dataset[3] = 7
        assert (dataset[3] == 7).all()
    array[3] = 7
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["raw"], array)


def test_an_error_of_the_caller_is_the_callers(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), create_hdf5(tmp_path / "a.h5") as file:
        file["raw"] = 1 // 0


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), create_hdf5(tmp_path / "no" / "a.h5"):
        pass


FILL = """
import sys
from floodrunner.stages.storage.hdf5 import create_hdf5
from floodrunner.stages.storage.volumes import open_volume
import numpy as np
try:
    with create_hdf5(sys.argv[1]) as file:
        file.create_dataset("raw", data=np.random.default_rng(1).random(250_000))
        file.create_dataset("more", data=np.random.default_rng(1).random(100_000))
        np.testing.assert_array_equal(file["more"], 0)  # reads what could not be written
except OSError as error:
    print(error.errno, error.filename)
"""


def at_most(size: int) -> None:
    """Limits what this process may write to one file, which stands in for a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [0, 1000, 100_000, 2_100_000])
def test_a_full_disk_is_an_error_not_a_crash(tmp_path: Path, size: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILL, tmp_path / "a.h5"],
        preexec_fn=lambda: at_most(size),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{errno.EFBIG} {tmp_path / 'a.h5'}\n"


def test_a_stage_on_a_full_disk_tells_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for z in range(20):
        Image.fromarray(RNG.integers(0, 256, (200, 200), np.uint8)).save(tmp_path / "images" / f"{z}.png")
    folder = tmp_path / "step"
    folder.mkdir()
    out = folder / "volume.h5"
    job = {
        "step": "image",
        "stage": "import-images",
        "params": {},
        "inputs": {"stack": str(tmp_path / "images")},
        "outputs": {"volume": str(out)},
        "state": str(folder / "state"),
    }
    (folder / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [sys.executable, "-m", "floodrunner.stages", folder],
        preexec_fn=lambda: at_most(100_000),
        capture_output=True,
        text=True,
        check=False,
    )
    words = f"{out}: file too large; free some space and run again: finished steps are kept"
    assert (done.returncode, done.stderr) == (2, words + "\n")
    end = json.loads((folder / "events.jsonl").read_text().splitlines()[-1])
    assert (end["event"], end["status"], end["message"]) == ("end", "bad-input", words)


def test_several_datasets_with_their_data_in_other_files(tmp_path: Path) -> None:
    """HDF5 refuses to open such a dataset in another way while it is open."""
    image = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, where in (("beside", "raw.bin"), ("elsewhere", tmp_path / "whole.bin")):
            file.create_dataset(name, image.shape, np.uint8, external=[(where, 0, image.nbytes)])
        file["elsewhere"][...] = image
    (tmp_path / "raw.bin").write_bytes(image.tobytes())
    for name in ("beside", "elsewhere"):
        with open_volume(f"{tmp_path}/a.h5:{name}") as dataset:
            assert np.array_equal(dataset[...], image)

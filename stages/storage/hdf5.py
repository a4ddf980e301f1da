"""HDF5 files: writing them safely on a disk that may be full, and opening the files that a user names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import h5py

from contract.stage import InputError
from stages.storage.words import no_permission


class _QuietFile:
    """The raw file that h5py writes to. After a failed write, this class keeps the error and drops further writes.

    If a write fails, the HDF5 library cannot close its file and then crashes with a segmentation fault (h5py issue
    914). So the library is told that the write succeeded; `create_hdf5` raises the error once the file is closed.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None
        self.seek, self.tell, self.readinto, self.read = file.seek, file.tell, file.readinto, file.read  # type: ignore[attr-defined]

    def write(self, data: memoryview) -> int:
        try:
            done = 0
            while self.error is None and done < len(data):
                done += self._file.write(data[done:])
        except OSError as error:
            self.error = error
        return len(data)

    def truncate(self, size: int) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size

    def flush(self) -> None:
        pass  # the file is not buffered


@contextmanager
def create_hdf5(path: Path) -> Iterator[h5py.File]:
    """Creates an HDF5 file.

    Raises:
      OSError: if the file cannot be written, at the latest when it is closed; `errno` and `filename` are set.
    """
    with open(path, "w+b", buffering=0) as raw:
        under = _QuietFile(raw)
        try:
            with h5py.File(under, "w") as file:
                yield file
        except Exception:  # the library may also fail because of the dropped writes; the first error is the cause
            if under.error is None:
                raise
        if under.error is not None:
            raise OSError(under.error.errno, under.error.strerror, str(path)) from None


def open_hdf5(path: str | Path) -> h5py.File:
    """Opens an HDF5 file for reading.

    Raises:
      InputError: if the file is missing, this user may not read it, or it is not a readable HDF5 file.
    """
    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; name an HDF5 file") from None
    except PermissionError:
        raise no_permission(path) from None
    except OSError as error:
        reason = "is truncated" if "truncated" in str(error) else "is not a readable HDF5 file"
        raise InputError(f"{path}: {reason}; make it again, or copy it again from its source") from None

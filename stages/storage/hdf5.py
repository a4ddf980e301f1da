"""HDF5 files: writing them on disks that may be full, and opening what a user names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import h5py

from contract.stage import InputError


class _Forgetful:
    """The file under an HDF5 file. Once a write has failed it keeps the error and drops this and all later writes.

    The HDF5 library cannot close a file that it cannot write, and then takes the process down with a segmentation
    fault (h5py issue 914). So it is left to believe that all is well, until the file is closed.
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
        pass  # not buffered


@contextmanager
def create_hdf5(path: Path) -> Iterator[h5py.File]:
    """Makes an HDF5 file.

    Raises:
      OSError: if it cannot be written; with `errno` and `filename`, at the latest when it is closed.
    """
    with open(path, "w+b", buffering=0) as raw:
        under = _Forgetful(raw)
        try:
            with h5py.File(under, "w") as file:
                yield file
        except Exception:  # the library may stumble over what was dropped; that tells nothing new
            if under.error is None:
                raise
        if under.error is not None:
            raise OSError(under.error.errno, under.error.strerror, str(path)) from None


def open_hdf5(path: str | Path) -> h5py.File:
    """Opens an HDF5 file for reading.

    Raises:
      InputError: if it is no readable HDF5 file.
    """
    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; name an HDF5 file") from None
    except PermissionError:
        raise InputError(f"{path}: may not be read by this user; give it the right to read, or copy it") from None
    except OSError as error:
        reason = "is truncated" if "truncated" in str(error) else "is not a readable HDF5 file"
        raise InputError(f"{path}: {reason}; make it again, or copy it again from where it came") from None

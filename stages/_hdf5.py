"""Writing HDF5 files on disks that may be full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import h5py


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

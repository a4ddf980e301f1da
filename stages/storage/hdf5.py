"""HDF5 files: writing them safely on a disk that may be full, opening them for reading, and what h5py raises as words.

All HDF5 files are opened here, and all that is read from them is read inside `reading`, with `whole`, or with
`attribute`.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.hdf5_filters import check_filters
from floodrunner.stages.storage.words import no_permission, shown


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


_OF_H5PY = (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError, ArithmeticError, SystemError)
"""What h5py raises for files that are damaged: KeyError for a link, RuntimeError while it lists a group, and others."""

_MOST_BYTES_OF_AN_ATTRIBUTE = 2**20


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Opens an HDF5 file for reading. All HDF5 files are opened here; what is read from them is read in `reading`.

    Raises:
      InputError: if the file is missing, this user may not read it, another program writes it, or it is not a readable
        HDF5 file.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe could block for ever
            what = "a folder" if os.path.isdir(path) else "not a regular file"
            raise InputError(f"{path}: is {what}; name an HDF5 file")
        file = h5py.File(path, "r")
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file") from None
    except PermissionError:
        raise no_permission(path) from None
    except BlockingIOError:  # HDF5 locks a file that it writes
        raise InputError(f"{path}: is open in another program; close it there, and run again") from None
    except _OF_H5PY as error:
        if "already open for write" in str(error):
            raise InputError(
                f"{path}: is open for writing in another program, or that program ended without closing it; close it "
                "there, or mend it with: h5clear -s FILE"
            ) from None
        reason = "is truncated" if "truncated" in str(error) else "is not a readable HDF5 file"
        raise InputError(f"{path}: {reason}; make it again, or copy it again from its source") from None
    try:
        yield file
    finally:
        with reading(path):
            file.close()


@contextmanager
def reading(where: str | Path) -> Iterator[None]:
    """Turns what h5py raises inside the `with` into one InputError. Errors that do not come out of h5py pass.

    Args:
      where: the file, or the part of it that is read, for the message.
    """
    try:
        yield
    except _OF_H5PY as error:
        if not _out_of_h5py(error):
            raise
        raise InputError(
            f"{where}: cannot be read because the file is damaged (HDF5: {_reason(error)}); make it again, or copy it "
            "again from its source"
        ) from None


def whole(dataset: h5py.Dataset, where: str | Path) -> np.ndarray:
    """Reads a whole dataset of a file that a stage wrote: no part of it may be missing.

    Raises:
      InputError: if its data is damaged, incomplete, in other files, or larger than the memory of this machine.
    """
    with reading(where):
        check_memory(dataset, where)
        check_filters(dataset, where)
        if dataset.is_virtual or dataset.external is not None:
            raise InputError(
                f"{where}: takes the data of {dataset.name} from other files, which no step writes; make it again"
            )
        stored, chunks = stored_chunks(dataset)
        if stored < chunks:
            raise InputError(
                f"{where}: cannot be read because the file is damaged ({stored} of {chunks} chunks of {dataset.name} "
                "are in it); make it again, or copy it again from its source"
            )
        array: np.ndarray = dataset[...]
        return array


def check_memory(dataset: Any, where: str | Path) -> None:
    """Raises InputError if a dataset is larger than the memory of this machine, before memory is asked for."""
    needed = math.prod(dataset.shape or ()) * dataset.dtype.itemsize
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise InputError(
            f"{where}: dataset {dataset.name} has the shape {dataset.shape}, {needed / 2**30:,.0f} GB, more than the "
            f"{there / 2**30:,.0f} GB of memory of this machine; cut the part you need, or check the file"
        )


def stored_chunks(dataset: h5py.Dataset) -> tuple[int, int]:
    """Counts the chunks of a dataset that are in its file, and those that its shape has. HDF5 reads the others as a
    fill value, mostly 0. A dataset that is not divided into chunks counts as one.
    """
    if math.prod(dataset.shape or (1,)) == 0:
        return 0, 0
    if dataset.is_virtual or dataset.external is not None:
        return 1, 1
    if dataset.chunks is None:
        return int(dataset.id.get_storage_size() > 0), 1
    expected = math.prod(-(-n // chunk) for n, chunk in zip(dataset.shape, dataset.chunks, strict=True))
    return dataset.id.get_num_chunks(), expected


def attribute(item: h5py.Dataset | h5py.Group, name: str, where: str | Path) -> Any:
    """Reads an attribute; None if there is none, or if it is empty.

    Raises:
      InputError: if it is damaged, or of a type that NumPy does not have.
    """
    with reading(f"{where}: attribute {name} of {item.name}"):
        if name not in item.attrs:
            return None
        found = item.attrs.get_id(name)
        if math.prod(found.shape or ()) * found.dtype.itemsize > _MOST_BYTES_OF_AN_ATTRIBUTE:
            raise InputError(f"{where}: attribute {name} of {item.name} is too large, {found.shape}; remove it")
        value = item.attrs[name]
        return None if isinstance(value, h5py.Empty) else value


def _out_of_h5py(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).split(".")[0] == "h5py":
            return True
        trace = trace.tb_next
    return False


def _reason(error: Exception) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    return shown(text.splitlines()[0] if text else type(error).__name__)

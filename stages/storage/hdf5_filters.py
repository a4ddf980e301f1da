"""The filters that compress HDF5 datasets: those that HDF5 does not bring are loaded when a dataset needs them."""

from __future__ import annotations

from pathlib import Path

import h5py

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.words import shown

_FILTERS = {
    307: "bzip2",
    32000: "LZF",
    32001: "Blosc",
    32004: "LZ4",
    32008: "bitshuffle",
    32013: "ZFP",
    32015: "zstd",
    32017: "SZ",
    32024: "SZ3",
    32026: "Blosc2",
}
"""Number of a plug-in filter -> its name, from the HDF Group's list of registered filters."""


def check_filters(dataset: h5py.Dataset, where: str | Path) -> None:
    """Raises InputError if a dataset cannot be decompressed here; names the filter."""
    plan = dataset.id.get_create_plist()
    for number in range(plan.get_nfilters()):
        code, _, _, name = plan.get_filter(number)
        if h5py.h5z.filter_avail(code) or _was_left_out(dataset, number):
            continue
        import hdf5plugin  # noqa: F401 -- makes more filters available; only now, because it takes 0.1 s

        if not h5py.h5z.filter_avail(code):
            called = _FILTERS.get(code) or shown(name.decode("utf-8", "replace"), 40) or "unknown"
            raw = shown(str(dataset.name).strip("/"))
            raise InputError(
                f"{where}: dataset {raw} is compressed with filter {code} ({called}), which is not installed here; "
                "write it with gzip, for example with h5repack -f GZIP=1"
            )


def _was_left_out(dataset: h5py.Dataset, number: int) -> bool:
    """Whether a filter was not used for the first chunk, because it was optional and the writer did not have it."""
    if not dataset.id.get_num_chunks():
        return True
    return bool(dataset.id.get_chunk_info(0).filter_mask >> number & 1)

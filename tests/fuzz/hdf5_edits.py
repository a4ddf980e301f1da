"""Edits HDF5 files so that they stay well-formed: other types, shapes, names and links than a reader expects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

from tests.fuzz.damage import damaged

_NAMES: list[str | bytes] = [
    "..",
    "a" * 300,
    "caf\u00e9",
    "cafe\u0301",
    b"not utf-8 \xff\xfe",
    "\x1b[31mred",
    "a\nb",
    "1" * 5000,
]
_NAMES += [" ", "%s {0}", "CON", "a\\b", "\u202eabc", "0", "raw", "labels"]


def edited(path: Path, random: Random) -> None:
    """Changes a file: half of the time its bytes, otherwise an object in it by way of the HDF5 library."""
    before = path.read_bytes()
    if random.randrange(2):
        path.write_bytes(damaged(before, random))
        return
    try:
        with h5py.File(path, "r+") as file:
            for _ in range(random.choice((1, 1, 2))):
                random.choice((_other_data, _other_data, _other_data, _other_attribute, _other_name, _other_link))(
                    file, random
                )
    except (
        OSError,
        RuntimeError,
        LookupError,
        ValueError,
        TypeError,
        MemoryError,
    ):  # the first edit made the second impossible
        path.write_bytes(damaged(before, random))


def _objects(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visit(found.append)
    return found


def _other_data(file: h5py.File, random: Random) -> None:
    """Puts another dataset in the place of one, or of a group; its attributes stay."""
    name = random.choice(_objects(file) or ["raw"])
    old = file.get(name)
    shape = old.shape if isinstance(old, h5py.Dataset) else (2, 3, 4)
    kept = dict(old.attrs) if old is not None else {}
    if old is not None:
        del file[name]
    _dataset(file, name, shape or (), random)
    for key, value in kept.items():
        if name in file:
            file[name].attrs[key] = value


def _dataset(group: h5py.Group, name: str, shape: tuple[int, ...], random: Random) -> None:
    kinds: list[Callable[[], Any]] = [
        lambda: group.create_dataset(name, data=_values(shape, random)),
        lambda: group.create_dataset(name, data=_values(shape, random)),
        lambda: group.create_dataset(name, data=_values(_shape(shape, random), random)),
        lambda: group.create_dataset(name, data=_values(_shape(shape, random), random)),
        lambda: group.create_dataset(name, data=h5py.Empty("u1")),
        lambda: group.create_dataset(name, data=random.choice(_NAMES)),
        lambda: group.create_dataset(name, data=[str(n) for n in _NAMES[:1] * 3]),
        lambda: group.create_dataset(name, (3,), h5py.vlen_dtype(np.int32)),
        lambda: group.create_dataset(name, (3,), h5py.string_dtype()),
        lambda: group.create_dataset(name, (3,), h5py.ref_dtype),
        lambda: group.create_dataset(name, (2**21,) * 3, np.uint8, chunks=(64, 64, 64)),
        lambda: group.create_dataset(name, (2**40, 2, 2), np.uint8, chunks=(64, 2, 2)),
        lambda: group.create_dataset(name, (2**34,), np.int64, chunks=(1024,)),
        lambda: group.create_dataset(name, shape or (1,), np.uint8, external=[("missing.raw", 0, h5py.h5f.UNLIMITED)]),
        lambda: group.create_virtual_dataset(name, _virtual(shape or (1,))),
        lambda: _of_time(group, name),
        lambda: _no_filter(group, name),
        lambda: group.__setitem__(name, np.dtype("f4")),
        lambda: group.create_group(name),
    ]
    random.choice(kinds)()


def _virtual(shape: tuple[int, ...]) -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout(shape, np.uint8)
    layout[...] = h5py.VirtualSource("missing.h5", "raw", shape)
    return layout


def _of_time(group: h5py.Group, name: str) -> None:
    space = h5py.h5s.create_simple((3,))
    h5py.h5d.create(group.id, name.encode(), h5py.h5t.UNIX_D32LE, space)


def _no_filter(group: h5py.Group, name: str) -> None:
    """A dataset whose compression no library knows."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((4, 4, 4))
    properties.set_filter(31999, h5py.h5z.FLAG_OPTIONAL, (1, 2))
    space = h5py.h5s.create_simple((8, 8, 8))
    dataset = h5py.h5d.create(group.id, name.encode(), h5py.h5t.STD_U8LE, space, properties)
    dataset.write_direct_chunk((0, 0, 0), b"abc", 0)


def _values(shape: tuple[int, ...], random: Random) -> np.ndarray:
    """Values of an odd type, or odd values of a usual one."""
    numbers = np.random.default_rng(random.randrange(2**32)).integers(0, 5, shape)
    extreme = np.full(shape, random.choice((-1, 255, 2**31, 2**63 - 1, -(2**63), 0)))
    structure = np.dtype([("a", "u1"), ("b", "f4")])
    return random.choice(
        [
            lambda: numbers.astype(random.choice(["u1", "u2", ">u4", "u8", "i1", "i2", "i4", "i8"])),
            lambda: numbers.astype(random.choice(["f2", "f4", "f8", ">f8"])),
            lambda: np.full(shape, random.choice([np.nan, np.inf, -np.inf, 1e308, -1.5])),
            lambda: extreme,
            lambda: extreme.astype(np.uint64),
            lambda: numbers.astype(bool),
            lambda: numbers.astype(complex),
            lambda: numbers.astype("S5"),
            lambda: np.zeros(shape, structure),
            lambda: np.zeros(shape, "V7"),
        ]
    )()


def _shape(shape: tuple[int, ...], random: Random) -> tuple[int, ...]:
    return random.choice(
        [(), (0,), (1,), (3,), (0, *shape[1:]), (*shape, 1), (1, *shape), shape[::-1], shape[1:], (1,) * 12, (1, 1, 1)]
    )


def _other_attribute(file: h5py.File, random: Random) -> None:
    names = ["", *_objects(file)]
    item = file.get(random.choice(names) or "/")
    if item is None:
        return
    known = sorted(item.attrs) if all(isinstance(key, str) for key in item.attrs) else []
    wanted = ["voxel_size_xyz", "offset_xyz", "resolution", "offset", "element_size_um", "axistags", "DIMENSION_LABELS"]
    key = random.choice([*known, *known, *wanted])
    _odd_attribute(item, key, random)


def _odd_attribute(item: Any, key: str, random: Random) -> None:
    kinds: list[Callable[[], Any]] = [
        lambda: _values(random.choice([(), (1,), (3,), (3,), (3, 3), (0,)]), random),
        lambda: _values((3,), random),
        lambda: random.choice(_NAMES),
        lambda: h5py.Empty("f4"),
        lambda: item.ref,
        lambda: [1e-300, 1e300, 5.0],
        lambda: ["4", "4", "40"],
        lambda: '{"axes": ' + "[" * 5000,
        lambda: '{"axes": [{"key": 7}, 8, {"key": "z"}]}',
    ]
    try:
        item.attrs[key] = random.choice(kinds)()
    except (TypeError, ValueError, OSError):  # not every object takes every kind
        item.attrs[key] = -1


def _other_name(file: h5py.File, random: Random) -> None:
    names = _objects(file)
    if names:
        name, new = random.choice(names), random.choice(_NAMES)
        parent = file[name].parent if file.get(name) is not None else file
        if new not in parent:
            parent.move(name.rsplit("/", 1)[-1], new)


def _other_link(file: h5py.File, random: Random) -> None:
    names = _objects(file)
    name = random.choice(names or ["raw"])
    group = name.rsplit("/", 1)[0] if "/" in name else "/"
    links: list[Callable[[], Any]] = [
        lambda: h5py.SoftLink("/nowhere"),
        lambda: h5py.SoftLink(f"/{name}"),
        lambda: h5py.ExternalLink("missing.h5", "/raw"),
        lambda: h5py.ExternalLink("/dev/null", "/"),
        lambda: file[group],
    ]
    if random.randrange(2) and name in file:
        del file[name]
        file[name] = random.choice(links)()
    else:
        file[random.choice(["more", "zz", f"{group}/more"])] = random.choice(links)()

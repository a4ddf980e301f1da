"""A stack of sections of one size and one form, and how stages read it, whatever its format."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from floodrunner.contract.stage import Context, InputError
from floodrunner.stages.readers.forms import Form, Section
from floodrunner.stages.readers.name_numbers import section_numbers
from floodrunner.stages.storage.volumes import Place
from floodrunner.stages.storage.words import size, some

AHEAD_BYTES = 2**28
"""Largest number of bytes of pixels that are decoded ahead of the caller, or read at once from a chunked file."""

Read = Callable[[], np.ndarray]
T = TypeVar("T")


@dataclass(frozen=True)
class Stack:
    """Sections of one size and one form.

    Attributes:
      path: path of the stack as the user wrote it, for messages.
      shape: size of the stack, z, y, x.
      form: how pixels are stored.
      names: name of each section, for messages.
      files: file name of each section; None if not known. `section_numbers` takes the section numbers from them.
      voxel_size_xyz: voxel size in nm; None if the file does not give it.
      offset_xyz: offset from the corner of the whole stack, in voxels; not 0 only for an HDF5 volume that is a part.
      reads: function that returns an iterator over the sections in order; each item is a function that decodes one
        section.
      threads: number of sections that may be decoded at the same time.
      remarks: what the user should know about the files although they can be read; each one line for a message.
      pixel_size_xy: length of a pixel along x and y, nm, for those who need no more; None if the file does not give it.
    """

    path: str
    shape: tuple[int, int, int]
    form: Form
    names: tuple[str, ...]
    files: tuple[str, ...] | None
    voxel_size_xyz: tuple[float, float, float] | None
    offset_xyz: tuple[int, int, int]
    reads: Callable[[], Iterator[Read]]
    threads: int = 1
    remarks: tuple[str, ...] = ()
    pixel_size_xy: tuple[float, float] | None = None

    def __str__(self) -> str:
        z, y, x = self.shape
        ends = f" ({' to '.join(dict.fromkeys((self.files[0], self.files[-1])))})" if self.files else ""
        return f"{self.path}: {z} section{'s' if z > 1 else ''}{ends} of {size((y, x))}, {self.form}"

    def sections(self, convert: Callable[[np.ndarray, str], T]) -> Iterator[T]:
        """Decodes each section, passes it to `convert` with its name, and yields the results in order.

        Decoding and `convert` run in threads, a few sections ahead of the caller, so only a few sections are in memory.

        Raises:
          InputError: if a section is damaged; also any error that `convert` raises.
        """

        def work(read: Read, name: str) -> T:
            return convert(read(), name)

        _, y, x = self.shape
        threads = max(1, min(self.threads, AHEAD_BYTES // (y * x * self.form.samples * max(self.form.bits // 8, 1))))
        pool = ThreadPoolExecutor(threads)
        ahead: deque[Future[T]] = deque()
        try:
            for read, name in zip(self.reads(), self.names, strict=True):
                ahead.append(pool.submit(work, read, name))
                if len(ahead) > threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def uniform(path: str, heads: list[Section]) -> tuple[tuple[int, int, int], Form]:
    """Returns the shape of a stack and the form of its pixels.

    Raises:
      InputError: if sections differ in size or form; the message names the first that differs from the majority.
    """
    sizes = Counter((head.width, head.height) for head in heads)
    forms = Counter(head.form for head in heads)
    (width, height), of_size = max(sizes.items(), key=lambda item: (item[1], item[0]))
    form, of_form = forms.most_common(1)[0]
    for head in heads:
        if (head.width, head.height) != (width, height):
            odd, norm, right = f"{size((head.height, head.width))} pixels", size((height, width)), of_size
            remedy = "crop or pad the sections to one size"
            if all(_smaller_copy(other, width, height) for other in sizes if other != (width, height)):
                remedy = "it looks like a smaller copy, as programs make them for previews: move such files out"
        elif head.form != form:
            odd, norm, right = str(head.form), str(form), of_form
            remedy = "save all sections with the same bit depth and colours"
        else:
            continue
        others = len(heads) - right - 1
        also = f" ({others} more {'differ' if others > 1 else 'differs'})" if others else ""
        raise InputError(
            f"{path}: {head.name} is {odd}, but {right} of the {len(heads)} sections are {norm}{also}; "
            f"{remedy}, or remove those that differ"
        )
    return (len(heads), height, width), form


def _smaller_copy(other: tuple[int, int], width: int, height: int) -> bool:
    """Whether a size (x, y) is at most half of another one, in the same proportions."""
    return 2 * other[0] <= width and abs(other[0] * height / width - other[1]) <= 1


def gathered(heads: list[Section]) -> tuple[str, ...]:
    """Returns the remarks about sections, each once, with the names of the sections that it is about."""
    about: defaultdict[str, list[str]] = defaultdict(list)
    for head in heads:
        for remark in head.remarks:
            about[remark].append(head.name)
    return tuple(
        f"{names[0] if len(names) == 1 else f'{len(names)} of {len(heads)} files ({some(names)})'}: {remark}"
        for remark, names in about.items()
    )


def slabs(sections: Iterable[np.ndarray], depth: int) -> Iterator[np.ndarray]:
    """Joins sections (y, x) into slabs (z, y, x) of `depth` sections; the last slab may be thinner."""
    slab, filled = np.empty(0), 0
    for section in sections:
        if not filled:
            slab = np.empty((depth, *section.shape), section.dtype)
        slab[filled] = section
        filled += 1
        if filled == depth:
            yield slab
            filled = 0
    if filled:
        yield slab[:filled]


def place_of(stack: Stack, voxel_size_xyz: tuple[float, float, float] | None, context: Context) -> Place:
    """Returns the place of a stack.

    The voxel size is that of the parameters, or else that of the file. If the two differ by more than 1 %, or neither
    gives it, so that it is 1 x 1 x 1 nm, a message tells the user so; also what a file says, if nothing was set.
    """
    voxel_size = voxel_size_xyz or stack.voxel_size_xyz
    if voxel_size_xyz and stack.voxel_size_xyz and not np.allclose(voxel_size_xyz, stack.voxel_size_xyz, rtol=0.01):
        context.message(
            f"{stack.path}: the file says that its voxels are {_nm(stack.voxel_size_xyz)} (x, y, z), but "
            f"voxel_size_xyz is set to {_nm(voxel_size_xyz)}, which is used; to use the size of the file, leave "
            "voxel_size_xyz out"
        )
    elif stack.voxel_size_xyz and not voxel_size_xyz and not any("voxel size is" in said for said in stack.remarks):
        context.message(f"voxels are {_nm(stack.voxel_size_xyz)} (x, y, z), from the file")
    if voxel_size is None:
        voxel_size = (1.0, 1.0, 1.0)
        context.message("the voxel size is not known, so 1 x 1 x 1 nm is used; set voxel_size_xyz: [x, y, z] in nm")
    return Place(voxel_size, stack.offset_xyz)


def _nm(sizes: tuple[float, float, float]) -> str:
    return " x ".join(f"{length:g}" for length in sizes) + " nm"


def announce(stack: Stack, context: Context) -> None:
    """Tells the user what the stack is, what is unusual about it, and which numbers are missing in its file names."""
    context.message(str(stack))
    for remark in stack.remarks:
        context.message(remark)
    numbers = section_numbers(stack.files or ())
    if any(number != int(number) for number in numbers or ()):
        return  # nothing is missing between 0.5 and 1.25
    gaps = [(a, b) for a, b in itertools.pairwise(numbers or ()) if int(b) != int(a) + 1]
    if gaps:
        (a, b), others = gaps[0], len(gaps) - 1
        more = f", and {others} more gap{'s' if others > 1 else ''}" if others else ""
        context.message(
            f"{stack.path}: section numbers are missing: {b} follows {a}{more}; the sections are stacked without gaps"
        )


def counted(
    sections: Iterable[np.ndarray], number: int, passes: int, total: int, context: Context
) -> Iterator[np.ndarray]:
    """Yields the sections unchanged and reports progress, for pass `number` (from 0) of `passes` over the stack."""
    for done, section in enumerate(sections, number * total + 1):
        yield section
        context.progress(done, passes * total, "sections")

"""A stack of sections of one size and one form, whatever it is stored as, and what is read from it."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from contract.stage import Context, InputError
from stages.readers.forms import Form, Section
from stages.readers.names import section_numbers
from stages.storage.volumes import Place

AHEAD_BYTES = 2**28
"""Pixels that are decoded ahead of the caller, and read at once from a chunked file."""

Read = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Stack:
    """Sections of one size and one form.

    Attributes:
      path: as the user named it, for messages.
      shape: z, y, x.
      form: how pixels are stored.
      names: what to call each section in a message.
      files: the file name of each section, if known; what `section_numbers` reads.
      voxel_size_xyz: nm, where the file tells.
      offset_xyz: of an HDF5 volume that is a part of another.
      reads: gives, for each section in order, what decodes it.
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

    def __str__(self) -> str:
        z, y, x = self.shape
        ends = f" ({self.files[0]} to {self.files[-1]})" if self.files else ""
        return f"{self.path}: {z} section{'s' if z > 1 else ''}{ends} of {x} x {y}, {self.form}"

    def sections(self, convert: Callable[[np.ndarray, str], np.ndarray]) -> Iterator[np.ndarray]:
        """Each section, decoded and passed through `convert` (pixels, name), in order.

        Both run in threads, a few sections ahead of the caller: no more than that is ever in memory.

        Raises:
          InputError: if a section is damaged, or what `convert` raises.
        """

        def work(read: Read, name: str) -> np.ndarray:
            return convert(read(), name)

        _, y, x = self.shape
        threads = max(1, min(self.threads, AHEAD_BYTES // (y * x * self.form.samples * max(self.form.bits // 8, 1))))
        pool = ThreadPoolExecutor(threads)
        ahead: deque[Future[np.ndarray]] = deque()
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
    """What all sections have in common; the most frequent counts as right, and the first that differs is named."""
    sizes = Counter((head.width, head.height) for head in heads)
    forms = Counter(head.form for head in heads)
    (width, height), of_size = sizes.most_common(1)[0]
    form, of_form = forms.most_common(1)[0]
    for head in heads:
        if (head.width, head.height) != (width, height):
            odd, norm, right = f"{head.width} x {head.height} pixels", f"{width} x {height}", of_size
            remedy = "crop or pad the sections to one size"
        elif head.form != form:
            odd, norm, right = str(head.form), str(form), of_form
            remedy = "save all sections alike"
        else:
            continue
        others = len(heads) - right - 1
        also = f" ({others} more {'are' if others > 1 else 'is'} odd)" if others else ""
        raise InputError(
            f"{path}: {head.name} is {odd}, {right} of the {len(heads)} sections are {norm}{also}; "
            f"{remedy}, or leave out the odd ones"
        )
    return (len(heads), height, width), form


def slabs(sections: Iterable[np.ndarray], depth: int) -> Iterator[np.ndarray]:
    """Gathers sections (y, x) into slabs (z, y, x) of `depth`, the last maybe thinner, as HDF5 stores them."""
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
    """Where the stack lies: the voxel size asked for, else the one in the file, else 1 x 1 x 1, which it tells."""
    size = voxel_size_xyz or stack.voxel_size_xyz
    if size is None:
        size = (1.0, 1.0, 1.0)
        context.message("voxel size is not known, taken as 1 x 1 x 1 nm; set voxel_size_xyz: [x, y, z] in nm")
    return Place(size, stack.offset_xyz)


def announce(stack: Stack, context: Context) -> None:
    """Tells what the stack is, and where the numbers in the names leave some out."""
    context.message(str(stack))
    numbers = section_numbers(stack.files or ())
    gaps = [(a, b) for a, b in itertools.pairwise(numbers or ()) if b != a + 1]
    if gaps:
        (a, b), others = gaps[0], len(gaps) - 1
        more = f", and in {others} more place{'s' if others > 1 else ''}" if others else ""
        context.message(f"{stack.path}: numbers are left out, {b} follows {a}{more}; the sections are put side by side")


def counted(
    sections: Iterable[np.ndarray], number: int, passes: int, total: int, context: Context
) -> Iterator[np.ndarray]:
    """The sections as they are, reporting progress; `number` of `passes` over the stack, from 0."""
    for done, section in enumerate(sections, number * total + 1):
        yield section
        context.progress(done, passes * total, "sections")

"""Which mask belongs to which picture: by name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from contract.stage import InputError
from stages.readers.masks import Mask
from stages.readers.pictures import Source
from stages.storage.names import some

_MASK = r"cp_masks?|masks?|labels?|seg|segmentations?|gt|annotations?|instances?"
_PICTURE = r"images?|img"


def pair(
    pictures: Sequence[Source], masks: Sequence[Mask], picture_path: str, mask_path: str
) -> list[tuple[Source, Mask]]:
    """Pairs pictures and masks of one name; then, of those left, names that are alike but for a
    _mask behind or a mask_ before, and the like.

    Returns:
      All pairs, in the order of the pictures.

    Raises:
      InputError: if a picture or a mask has no partner, or more than one; names the first of them.
    """
    same_names = {mask.name: mask for mask in masks}
    found = {picture.name: same_names.pop(picture.name) for picture in pictures if picture.name in same_names}
    alike: defaultdict[str, list[Mask]] = defaultdict(list)
    for mask in same_names.values():
        alike[_bare(mask.name, _MASK)].append(mask)
    for picture in pictures:
        if picture.name in found:
            continue
        fitting = alike.pop(picture.name, []) or alike.pop(_bare(picture.name, _PICTURE), [])
        if len(fitting) > 1:
            raise InputError(
                f"{mask_path}: {some(mask.name for mask in fitting)} may all be the mask of {picture.name}; keep one"
            )
        if fitting:
            found[picture.name] = fitting[0]
    lonely = [picture.name for picture in pictures if picture.name not in found]
    left = [mask.name for rest in alike.values() for mask in rest]
    if not found:
        raise InputError(
            f"{mask_path}: no mask ({some(left)}) has the name of a picture in {picture_path} ({some(lonely)}); "
            "name masks like their pictures, or with _mask behind"
        )
    if lonely or left:
        missing = (
            f"no mask for {some(lonely)} ({len(lonely)} of {len(pictures)} pictures in {picture_path})"
            if lonely
            else ""
        )
        extra = f"no picture for {some(left)} ({len(left)} of {len(masks)} masks)" if left else ""
        what = " and ".join(filter(None, (missing, extra)))
        raise InputError(f"{mask_path}: {what}; add what is missing, or take out what is left over")
    return [(picture, found[picture.name]) for picture in pictures]


def _bare(name: str, words: str) -> str:
    """A name without the word behind or, where there is none behind, before it."""
    shorter = re.sub(rf"[ ._-]({words})$", "", name, flags=re.IGNORECASE)
    return shorter if shorter != name else re.sub(rf"^({words})[ ._-]", "", name, flags=re.IGNORECASE)

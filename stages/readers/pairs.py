"""Finds, by their names, the mask that belongs to each picture."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from contract.stage import InputError
from stages.readers.masks import Mask
from stages.readers.pictures import Source
from stages.storage.words import some

_MASK = r"cp_masks?|masks?|labels?|seg|segmentations?|gt|annotations?|instances?"
_PICTURE = r"images?|img"


def pair(
    pictures: Sequence[Source], masks: Sequence[Mask], picture_path: str, mask_path: str
) -> list[tuple[Source, Mask]]:
    """Pairs each picture with its mask.

    First, pictures and masks of the same name are pairs. Then, among the rest, names are compared again without a word
    at the end (`_mask`, `_labels`, ...) or at the beginning (`mask_`, `img_`, ...).

    Args:
      pictures, masks: all pictures and all masks; no two pictures and no two masks have the same name.
      picture_path, mask_path: where the pictures and the masks are, for messages.

    Returns:
      All pairs, in the order of the pictures.

    Raises:
      InputError: if a picture or a mask has no partner, or a picture has several; the message names the first ones.
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
                f"{mask_path}: {some(mask.name for mask in fitting)} may all be the mask of {picture.name}; keep only "
                "one of them"
            )
        if fitting:
            found[picture.name] = fitting[0]
    lonely = [picture.name for picture in pictures if picture.name not in found]
    left = [mask.name for rest in alike.values() for mask in rest]
    if not found:
        raise InputError(
            f"{mask_path}: no mask ({some(left)}) has the name of a picture in {picture_path} ({some(lonely)}); "
            "give each mask the name of its picture, with or without _mask at the end"
        )
    if lonely or left:
        missing = (
            f"no mask for {some(lonely)} ({len(lonely)} of {len(pictures)} pictures in {picture_path})"
            if lonely
            else ""
        )
        extra = f"no picture for {some(left)} ({len(left)} of {len(masks)} masks)" if left else ""
        what = " and ".join(filter(None, (missing, extra)))
        raise InputError(f"{mask_path}: {what}; add the missing files, or remove those without a partner")
    return [(picture, found[picture.name]) for picture in pictures]


def _bare(name: str, words: str) -> str:
    """Removes one of these words from the end of a name or, if none is there, from its beginning."""
    shorter = re.sub(rf"[ ._-]({words})$", "", name, flags=re.IGNORECASE)
    return shorter if shorter != name else re.sub(rf"^({words})[ ._-]", "", name, flags=re.IGNORECASE)

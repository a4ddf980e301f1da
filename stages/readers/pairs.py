"""Finds, by their names, the mask that belongs to each picture."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from floodrunner.contract.stage import InputError
from floodrunner.stages.readers.masks import Mask
from floodrunner.stages.readers.pictures import Source, name_key
from floodrunner.stages.storage.words import some

_MASK = (
    r"cp_masks?|masks?|labels?|label[ _-]?images?|lbl|seg|segmentations?|gt|annotations?|instances?"
    r"|simple segmentation|object identities"
)
_PICTURE = r"images?|img"
_CHANNEL = r"(?<=[ ._-])(ch?|w|channel[ _-]?)\d{1,2}(?=$|[ ._-])"

_MOST_CHANNELS = 6  # more numbers count something else


def pair(
    pictures: Sequence[Source], masks: Sequence[Mask], picture_path: str, mask_path: str
) -> list[tuple[Source, Mask]]:
    """Pairs each picture with its mask.

    First, pictures and masks of the same name are pairs. Then, among the rest, names are compared again without a word
    at the end (`_mask`, `_labels`, ...) or at the beginning (`mask_`, `img_`, ...). Names are compared without regard
    to upper case, to Unicode forms that look the same, and to `.ome` at the end.

    Args:
      pictures, masks: all pictures and all masks; no two pictures and no two masks have the same name.
      picture_path, mask_path: where the pictures and the masks are, for messages.

    Returns:
      All pairs, in the order of the pictures.

    Raises:
      InputError: if a picture or a mask has no partner, or a picture has several; the message names the first ones.
    """
    same_names = {name_key(mask.name): mask for mask in masks}
    found = {picture.name: same_names.pop(key) for picture in pictures if (key := name_key(picture.name)) in same_names}
    alike: defaultdict[str, list[Mask]] = defaultdict(list)
    for mask in same_names.values():
        alike[_bare(mask.name, _MASK)].append(mask)
    for picture in pictures:
        if picture.name in found:
            continue
        fitting = alike.pop(name_key(picture.name), []) or alike.pop(_bare(picture.name, _PICTURE), [])
        if len(fitting) > 1:
            raise InputError(
                f"{mask_path}: {some(mask.name for mask in fitting)} may all be the mask of {picture.name}; keep only "
                "one of them"
            )
        if fitting:
            found[picture.name] = fitting[0]
    lonely = [picture.name for picture in pictures if picture.name not in found]
    left = [mask.name for rest in alike.values() for mask in rest]
    if (lonely or left) and (channels := channels_of(pictures)):
        raise InputError(
            f"{mask_path}: masks and pictures do not match ({len(masks)} masks, {len(pictures)} pictures): in "
            f"{picture_path}, {channels}; give a folder with only the channel in which the cells were drawn"
        )
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


def channels_of(pictures: Sequence[Source]) -> str | None:
    """Returns a message that names pictures that differ only in the number of a channel (`_ch00`, `_w1`, `_C2`)."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for picture in pictures:
        bare, count = re.subn(_CHANNEL, "#", picture.name, flags=re.IGNORECASE)
        if count == 1:
            alike[name_key(bare)].append(picture.name)
    groups = [names for names in alike.values() if 1 < len(names) <= _MOST_CHANNELS]
    if not groups or 2 * sum(map(len, groups)) < len(pictures):
        return None
    more = f", and {len(groups) - 1} more such group{'s' if len(groups) > 2 else ''}" if len(groups) > 1 else ""
    return f"{some(groups[0])} differ only in the number of a channel{more}"


def _bare(name: str, words: str) -> str:
    """Returns the key without one of these words at the end or, if none is there, at the beginning."""
    key = name_key(name)
    shorter = re.sub(rf"[ ._-]+({words})$", "", key)
    return shorter if shorter != key else re.sub(rf"^({words})[ ._-]+", "", key)

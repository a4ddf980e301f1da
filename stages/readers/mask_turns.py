"""Checks whether masks lie on their pictures, or are mirrored, transposed or turned against them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from floodrunner.contract.stage import InputError
from floodrunner.segmentation.contrast import luminance
from floodrunner.segmentation.turns import Turn, find_turn, middle
from floodrunner.stages.storage.words import some

if TYPE_CHECKING:
    from floodrunner.stages.storage.image_sets import Picture

_SAMPLED = 16  # pictures; if one of them is found to be turned, all are looked at
_NOWHERE = 0.8  # share of the sampled pictures


def check_turns(pictures: Sequence[Picture], path: str) -> list[str]:
    """Checks whether masks lie on their pictures.

    Args:
      pictures: pictures with labels; those without cells are left out.
      path: path of the masks, for messages.

    Returns:
      Messages about what is odd, but not certain.

    Raises:
      InputError: if several masks, or the only one, fit their pictures only when they are turned; see `find_turn`.
    """
    filled = [picture for picture in pictures if picture.labels is not None and picture.labels.any()]
    step = -(-len(filled) // _SAMPLED)
    found = {picture.name: _turn(picture) for picture in filled[::step]}
    if any(turn is not None and turn.how for turn in found.values()):
        found |= {picture.name: _turn(picture) for picture in filled if picture.name not in found}
    turned = {name: turn for name, turn in found.items() if turn is not None and turn.how}
    if turned:
        how, count = Counter(turn.how for turn in turned.values()).most_common(1)[0]
        names = [name for name, turn in turned.items() if turn.how == how]
        there, here = (sum(getattr(turned[name], what) for name in names) / count for what in ("there", "here"))
        do_not_lie = "do not lie on their pictures" if count > 1 else "does not lie on its picture"
        text = (
            f"{path}: {count} of {len(found)} masks ({some(names)}) {do_not_lie}, but fit when {how} "
            f"(contrast {there:.2f} then, {here:.2f} as they are)"
        )
        if count > 1 or len(found) == 1:
            raise InputError(
                f"{text}; turn masks or pictures so that they match (programs differ in whether they apply the "
                "orientation that a camera stores), or set check_order: false if the masks are right"
            )
        return [f"{text}; check this mask"]
    nowhere = [name for name, turn in found.items() if turn is not None and turn.nowhere]
    if nowhere and len(nowhere) >= _NOWHERE * len(found):
        return [
            f"{path}: {len(nowhere)} of {len(found)} masks ({some(nowhere)}) do not follow what their pictures show, "
            "whichever way they are turned; check that masks and pictures belong together"
        ]
    return []


def _turn(picture: Picture) -> Turn | None:
    assert picture.labels is not None
    y, x = picture.labels.shape
    part = middle((y, x))
    image = picture.image[part]
    return find_turn([image if image.ndim == 2 else luminance(image)], [picture.labels[part]], square=y == x)

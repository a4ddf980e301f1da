from __future__ import annotations

from typing import Any, get_args

import pytest

from floodrunner.segmentation.unet.architectures import ARCHITECTURES
from floodrunner.segmentation.unet.augmentation import GREYS, WARPS, Ranges
from floodrunner.stages import unet_train


def test_by_default_there_are_validations_enough_to_stop_early() -> None:
    params = unet_train.Params()
    assert params.patience * params.validation_interval < 0.75 * params.max_steps


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"crop": 100}, "crop is 100, but a depth of 4 needs a multiple of 16; set it to 112"),
        ({"architecture": "blog", "crop": 128}, "crop is 128, but the blog's network takes 256 x 256; leave crop out"),
        ({"architecture": "blog", "depth": 5}, "depth is 5, but that of the blog's network is fixed; leave depth out"),
        ({"architecture": "blog", "width": 8}, "width is 8, but that of the blog's network is fixed; leave width out"),
        ({"architecture": "blog", "batch_size": 1}, "batch_size is 1, but the blog's .*; set batch_size to 2 or more"),
        (
            {"batch_size": 1, "depth": 7},
            "batch_size is 1, and a depth of 7 reduces a crop of 128 to one pixel.*; set batch_size to 2 or more",
        ),
        ({"squash": True}, "squash is for architecture: blog; the classic network takes pictures of any size"),
        ({"validation_fraction": 0.0}, "greater than 0"),
        ({"augment": {"noise": -0.1}}, "greater than or equal to 0"),
        ({"augment": {"blur": 1}}, "Extra inputs"),
        ({"max_minutes": 0.0}, "greater than 0"),
    ],
)
def test_settings_are_refused_before_anything_is_read(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        unet_train.Params.parse(params)


def test_all_architectures_may_be_chosen() -> None:
    assert list(get_args(unet_train.Params.model_fields["architecture"].annotation)) == list(ARCHITECTURES)
    for name in ARCHITECTURES:
        params = unet_train.Params.parse({"architecture": name}).resolved()
        assert None not in (params.depth, params.width, params.crop, params.squash, params.batch_size, params.loss)


def test_all_augmentations_have_a_range_and_the_same_defaults() -> None:
    assert unet_train.Augmentation().model_dump() == Ranges()._asdict()
    assert {*WARPS, *GREYS} == {*Ranges._fields} - {"flips", "warped"}

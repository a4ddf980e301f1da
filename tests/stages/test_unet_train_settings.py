from __future__ import annotations

from typing import Any

import pytest

from stages import unet_train


def test_by_default_there_are_looks_enough_to_stop_early() -> None:
    params = unet_train.Params()
    assert params.patience * params.validation_steps < 0.75 * params.max_steps


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"crop": 100}, "crop is 100, but a depth of 4 needs a multiple of 16; set it to 112"),
        ({"architecture": "blog", "crop": 128}, "crop is 128, but the blog's network takes 256 x 256; leave crop out"),
        ({"architecture": "blog", "depth": 5}, "depth is 5, but the blog's network has its own; leave depth out"),
        ({"architecture": "blog", "width": 8}, "width is 8, but the blog's network has its own; leave width out"),
        ({"architecture": "blog", "batch_size": 1}, "batch_size is 1, but the blog's .*; set it to 2 or more"),
        ({"batch_size": 1, "depth": 7}, "batch_size is 1, and of a crop of 128 a depth of 7 leaves one pixel"),
        ({"squash": True}, "squash is for architecture: blog; the classic network takes pictures of any size"),
        ({"validation_fraction": 0.0}, "greater than 0"),
        ({"max_minutes": 0.0}, "greater than 0"),
    ],
)
def test_settings_are_refused_before_anything_is_read(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        unet_train.Params.parse(params)

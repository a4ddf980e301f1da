"""What is said about parameters of the shipped stages that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from floodrunner.runner.errors import UserError
from floodrunner.runner.pipeline import plan, registry, spec
from floodrunner.runner.pipeline.options import Options

FFN = Path(__file__).resolve().parents[3] / "pipelines" / "ffn.yaml"


def refusal(setting: str) -> str:
    """What `--set SETTING` is refused with, without the setting."""
    # The plan tells all that is wrong, so the inputs must be there.
    inputs = [f"{name}={FFN}" for name in ("images", "labels")]
    with pytest.raises(UserError) as error:
        plan.make(spec.load(FFN), registry.scan(), Path("run"), Options(inputs=inputs, sets=[setting]))
    return str(error.value).removeprefix(f"--set {setting}: ")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("Auto", "fov_xyz: found 'Auto' (text); write 'auto' or a list"),
        ("33", "fov_xyz: found 33; write 'auto' or a list"),
        ("null", "fov_xyz: found nothing (null); write 'auto' or a list"),
        (
            "[auto, auto, 9]",
            "fov_xyz[0]: found 'auto' (text); write a whole number; 'auto' stands for the whole list",
        ),
        ("[33, 33]", "fov_xyz: found a list of 2; write a list of 3"),
        ("[33, 33, 3, 3]", "fov_xyz: found a list of 4; write a list of 3"),
        ("[33, 33, 16]", "fov_xyz[2]: 16 is even; a field of view needs a voxel at its centre: use an odd size"),
        ("[33, 33, x]", "fov_xyz[2]: found 'x' (text); write a whole number"),
    ],
)
def test_a_word_or_a_list(given: str, words: str) -> None:
    assert refusal(f"train.fov_xyz={given}") == words

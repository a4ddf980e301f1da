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


@pytest.mark.parametrize(
    "given", ["4,4,30", "4, 4, 30", "4x4x30", "4 x 4 x 30 nm", "4 4 30", "(4, 4, 30)", "4nm,4nm,30nm"]
)
def test_a_list_that_is_written_as_text_is_shown_as_a_list(given: str) -> None:
    assert refusal(f"image.voxel_size_xyz={given}") == (
        f"voxel_size_xyz: found '{given}' (text); write a list (here: [4, 4, 30])"
    )


def test_a_list_without_commas_is_shown_with_commas() -> None:
    assert refusal("image.voxel_size_xyz=[4 4 30]") == (
        "voxel_size_xyz: found a list of 1; put commas between its numbers (here: [4, 4, 30])"
    )


@pytest.mark.parametrize("given", ["4", "4x", "a,b,c", "0.004 0.004 0.03 µm", "4,4,x"])
def test_what_may_not_be_a_list_of_nm_is_not_shown_as_one(given: str) -> None:
    assert "here" not in refusal(f"image.voxel_size_xyz={given}")


@pytest.mark.parametrize(
    ("given", "meant"),
    [("1M", "1000000"), ("10k", "10000"), ("1.5k", "1500"), ("1,000", "1000"), ("1,000,000", "1000000")],
)
def test_a_number_in_short_is_shown_in_full(given: str, meant: str) -> None:
    words = f"max_steps: found '{given}' (text); write a whole number (here: {meant})"
    assert refusal(f"train.max_steps={given}") == words


def test_a_length_in_another_unit_is_not_taken_for_nm() -> None:
    assert refusal("filled.max_distance=1 µm") == "max_distance: found '1 µm' (text); write a number"
    assert refusal("filled.max_distance=40 nm") == "max_distance: found '40 nm' (text); write a number (here: 40)"


def test_parameters_that_do_not_fit_each_other_are_told_where_they_were_set() -> None:
    assert refusal("train.deltas_xyz=[0, 0, 0]").startswith("deltas_xyz are all 0: the field of view would never move")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("max_steps=10", "write --set STEP.PARAMETER=VALUE, such as --set train.max_steps=10"),
        ("tile=10", "write --set STEP.PARAMETER=VALUE, such as --set train.max_steps=1000 (steps: image, truth, "),
        ("train.params.max_steps=10", "leave params out: --set train.max_steps=10"),
        ("train.params.fov_xyz=[9, 9, 5]", "leave params out: --set 'train.fov_xyz=[9, 9, 5]'"),
        ("Train.max_steps=10", "there is no step 'Train'; did you mean 'train'?"),
        ("TRAIN.max_steps=10", "there is no step 'TRAIN'; did you mean 'train'?"),
    ],
)
def test_a_setting_of_no_parameter_is_told_with_what_to_write(given: str, words: str) -> None:
    assert refusal(given).startswith(words)


def test_spaces_around_the_equals_sign_do_no_harm(tmp_path: Path) -> None:
    inputs = [f"images = {FFN}", f"labels={FFN}"]
    planned = plan.make(spec.load(FFN), registry.scan(), tmp_path, Options(inputs=inputs, sets=["train.seed = 3"]))
    assert planned.inputs["images"] == str(FFN)
    assert next(step for step in planned.steps if step.id == "train").params["seed"] == 3


@pytest.mark.parametrize(("name", "what"), [("em.zarr", "a Zarr"), ("em.n5", "an N5"), ("em", None)])
def test_an_empty_store_is_called_what_it_is(tmp_path: Path, name: str, what: str | None) -> None:
    (tmp_path / name).mkdir()
    inputs = [f"images={tmp_path / name}", f"labels={FFN}"]
    words = f"is {what} store without data; save the data again" if what else "is empty; put the files there"
    with pytest.raises(UserError, match=words):
        plan.make(spec.load(FFN), registry.scan(), tmp_path / "run", Options(inputs=inputs))

"""`train`: what it asks the runner for, and what becomes of the user's data; the notebook's test trains for real."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import floodrunner
from floodrunner import InputError, training
from floodrunner.contract.codes import BAD_INPUT, FAILED
from floodrunner.runner.errors import Interrupted, StepFailed, UserError
from floodrunner.runner.execution.setting import Setting
from floodrunner.stages.storage.image_sets import read_set
from floodrunner.stages.storage.volumes import open_volume

IMAGE = np.random.default_rng(1).integers(0, 256, (70, 80, 90)).astype(np.uint8)
LABELS = (IMAGE > 100).astype(np.int32)
SIZE = (8.0, 8.0, 30.0)


class Asked:
    """Takes the place of the runner: keeps what it is asked for, and raises `error`, if there is one."""

    setting: Setting
    error: BaseException | None = None

    def __call__(self, setting: Setting) -> None:
        self.setting = setting
        if self.error is not None:
            raise self.error

    @property
    def steps(self) -> dict[str, Any]:
        return {step.id: step.params for step in self.setting.plan.steps}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found = Asked()
    monkeypatch.setattr(training.running, "run", found)
    monkeypatch.setattr(training, "load", lambda folder: folder)
    return found


def ffn(folder: Path, image: Any = IMAGE, labels: Any = LABELS, size: Any = SIZE, **more: Any) -> Any:
    return floodrunner.train(image, labels, folder, kind="ffn", voxel_size_xyz=size, **more)


def unet(folder: Path, images: Any = IMAGE[:4], labels: Any = LABELS[:4], **more: Any) -> Any:
    return floodrunner.train(images, labels, folder, kind="unet", **more)


def test_an_ffn_goes_through_the_training_steps_of_the_shipped_pipeline(asked: Asked, tmp_path: Path) -> None:
    settings = {"train.fov_xyz": (17, 17, np.int64(9)), "train.deltas_xyz": [4, 4, 2]}
    assert ffn(tmp_path / "run it", max_steps=50, settings=settings) == tmp_path / "run it/run/train/model"
    assert list(asked.steps) == ["image", "truth", "statistics", "partitions", "coordinates", "train"]
    trained = asked.steps["train"]
    assert (trained["max_steps"], trained["fov_xyz"], trained["depth"]) == (50, [17, 17, 9], 9)
    assert asked.steps["image"]["voxel_size_xyz"] == list(SIZE)
    plan = asked.setting.plan
    assert plan.workdir == tmp_path / "run it" / "run"
    assert asked.setting.engine_name == "local"
    for name, array in (("images", IMAGE), ("labels", LABELS)):
        with open_volume(plan.inputs[name]) as volume:
            np.testing.assert_array_equal(volume[...], array)
            assert volume.place.voxel_size_xyz == SIZE


def test_paths_are_used_as_they_are(asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    floodrunner.write("a.h5", IMAGE, SIZE)
    ffn(tmp_path / "run", "a.h5", LABELS, None)
    assert asked.setting.plan.inputs["images"] == str(tmp_path / "a.h5")
    assert asked.steps["image"]["voxel_size_xyz"] is None
    (tmp_path / "p").mkdir()
    with pytest.raises(
        InputError, match=r"^input images: the folder .*/p is empty; put the files there, or use images="
    ):
        unet(tmp_path / "unet", "p", Path("p"))
    floodrunner.write("p/1.png", IMAGE[0])
    unet(tmp_path / "unet", "p", Path("p"))
    assert list(asked.steps) == ["pairs", "train"]
    assert asked.setting.plan.inputs == {"images": str(tmp_path / "p"), "labels": str(tmp_path / "p")}


def test_pictures_become_a_set_that_is_trained_on_as_a_whole(asked: Asked, tmp_path: Path) -> None:
    unet(tmp_path, settings={"train.width": 8})
    assert list(asked.steps) == ["train"]
    assert (asked.steps["train"]["width"], asked.steps["train"]["max_steps"]) == (8, 8500)
    kept = read_set(asked.setting.plan.inputs["training"])
    assert len(kept) == 4
    np.testing.assert_array_equal(kept[3].image, IMAGE[3])
    np.testing.assert_array_equal(kept[3].labels, LABELS[3])  # type: ignore[arg-type]


@pytest.mark.parametrize("train", [ffn, unet])
def test_a_folder_belongs_to_its_data(train: Callable[..., Any], asked: Asked, tmp_path: Path) -> None:
    train(tmp_path)
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "data").iterdir()}
    train(tmp_path)  # the same data
    other = IMAGE[:4] if train is unet else IMAGE
    for images in (np.flip(other, 0), other.astype(np.uint16)):
        with pytest.raises(InputError, match="holds other data than this call gives; choose another folder"):
            train(tmp_path, images)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "data").iterdir()} == files


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f: ffn(f, size=None), "voxel_size_xyz: is not known; give it"),
        (lambda f: ffn(f, IMAGE[0]), r"images: is an array of shape \(80, 90\)"),
        (lambda f: floodrunner.train(IMAGE, LABELS, f, kind="vit"), "kind: found 'vit'; write 'ffn' or 'unet'"),  # type: ignore[call-overload]
        (lambda f: unet(f, labels=LABELS[:3]), "there are 4 images and 3 labels"),
        (lambda f: unet(f, labels=LABELS[:4] > 0), r"labels\[0\]: found bool \(80, 90\); write whole numbers"),
        (lambda f: unet(f, labels=-LABELS[:4]), r"labels\[0\]: ids from -1 to 0"),
        (lambda f: unet(f, images="p"), "both as paths, or both as lists"),
        (lambda f: unet(f, voxel_size_xyz=SIZE), "voxel_size_xyz: is for stacks"),
        (lambda f: unet(f, settings={"train.widht": 3}), "unknown parameter 'widht' of stage unet-train"),
        (lambda f: unet(f, settings={"trian.width": 3}), "there is no step 'trian'; did you mean 'train'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(call: Callable[[Path], Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words) as seen:
        call(tmp_path)
    assert "\n" not in str(seen.value)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (Interrupted(), KeyboardInterrupt, "the same call of train continues"),
        (StepFailed(FAILED, "step train: out of memory"), floodrunner.StageError, "step train: out of memory"),
        (
            StepFailed(BAD_INPUT, "step image: 16-bit grey; add x, or --set image.convert_16_bit=percentiles"),
            InputError,
            r'16-bit grey; add x, or settings=\{"image.convert_16_bit": "percentiles"\}$',
        ),
        (UserError("run: in use"), InputError, "run: in use"),
    ],
)
def test_ends_of_a_run_become_errors_of_python(
    error: BaseException, kind: type[BaseException], words: str, asked: Asked, tmp_path: Path
) -> None:
    asked.error = error
    with pytest.raises(kind, match=words):
        unet(tmp_path)


def test_only_the_main_thread_can_be_interrupted(asked: Asked, tmp_path: Path) -> None:
    raised: list[Exception] = []

    def work() -> None:
        try:
            unet(tmp_path)
        except InputError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert str(raised[0]).startswith("train: runs in the main thread only")

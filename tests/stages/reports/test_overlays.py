from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.stages.reports.overlays import greys_under, truth_beside
from floodrunner.stages.storage.volumes import Place, write_volume

SHAPE = (12, 20, 30)
NM = (4.0, 4.0, 30.0)
RAMP = np.linspace(0, 1, 12 * 20 * 30).reshape(SHAPE)


class Said(list[str]):
    def message(self, text: str) -> None:
        self.append(text)


def shown(folder: Path, image: np.ndarray) -> tuple[np.ndarray, list[str]]:
    write_volume(folder / "i.h5", "image", image, Place())
    said: Any = Said()
    with greys_under(str(folder / "i.h5"), SHAPE, Place(), "labels.h5", said) as part:
        return np.concatenate([part(slice(0, 5)), part(slice(5, 12))]), said


def test_8_bit_greys_are_shown_as_they_are(tmp_path: Path) -> None:
    image = (RAMP * 100 + 20).astype(np.uint8)
    greys, said = shown(tmp_path, image)
    np.testing.assert_array_equal(greys, image)
    assert not said


@pytest.mark.parametrize(
    ("image", "low", "high"),
    [
        ((RAMP * 4095).astype(np.uint16), 4, 4090),  # 12 of 16 bits, as many cameras give them
        ((RAMP * 60000).astype(np.uint16), 60, 59940),
        ((RAMP * 4000 - 2000).astype(np.int16), -1996, 1996),
        ((RAMP * 200 - 100).astype(np.int8), -99, 99),
        ((RAMP * 3e9).astype(np.uint32), 3e6, 2.997e9),
        (RAMP.astype(np.float32), 0.001, 0.999),
        (RAMP.astype(np.float16), 0.001, 0.999),
        (RAMP * 1e-9 - 5, -5, -5),
    ],
)
def test_other_greys_are_scaled_and_the_range_is_said(
    tmp_path: Path, image: np.ndarray, low: float, high: float
) -> None:
    greys, said = shown(tmp_path, image)
    assert greys.dtype == np.uint8
    expected = (RAMP - 0.001) / 0.998 * 255
    assert np.abs(greys - np.clip(expected, 0, 255)).max() <= 3
    (text,) = said
    assert text.startswith(f"{tmp_path / 'i.h5'}: the image is {image.dtype}; its values from ")
    assert text.endswith(" are shown from black to white (0.1th and 99.9th percentile of 8 sections)")
    given = [float(word) for word in text.split("values from ")[1].split(" are")[0].split(" to ")]
    np.testing.assert_allclose(given, [low, high], rtol=0.3, atol=abs(high - low) * 0.01 + 1e-8)


def test_true_and_false_are_white_and_black(tmp_path: Path) -> None:
    greys, said = shown(tmp_path, RAMP > 0.9)
    np.testing.assert_array_equal(greys, np.where(RAMP > 0.9, 255, 0))
    assert not said


def test_values_that_are_no_numbers_are_black_and_counted(tmp_path: Path) -> None:
    image = RAMP.astype(np.float32)
    image[:, :10] = np.nan
    image[:, 10, 0] = np.inf
    greys, (text,) = shown(tmp_path, image)
    assert (greys[:, :10] == 0).all()
    assert (greys[:, 10, 0] == 255).all()
    assert greys[11, 19, 29] == 255
    assert text.endswith("; 50.2 % of them are NaN or infinite, and shown black or white")
    with pytest.raises(InputError, match=r"i\.h5: all values are NaN or infinite; check the image"):
        shown(tmp_path, np.full(SHAPE, np.nan, np.float32))


def test_labels_of_another_resolution_are_refused_and_of_another_voxel_size_said(tmp_path: Path) -> None:
    """Labels at half the resolution fit into the image, but on a wrong part of it."""
    write_volume(tmp_path / "i.h5", "image", np.zeros((12, 40, 60), np.uint8), Place((4.0, 4.0, 30.0)))
    said: Any = Said()
    where = str(tmp_path / "i.h5")
    with (
        pytest.raises(InputError) as error,
        greys_under(where, SHAPE, Place((8.0, 8.0, 30.0)), "labels.h5", said),
    ):
        pass
    assert str(error.value) == (
        f"labels.h5: voxel_size_xyz is [8.0, 8.0, 30.0], but [4.0, 4.0, 30.0] in {where}; connect the image that the "
        "labels were made from, in their resolution"
    )
    with greys_under(where, (12, 40, 60), Place((4.0, 4.0, 29.0)), "labels.h5", said):
        assert "the same number of voxels" in said.pop()
    with greys_under(where, SHAPE, Place(), "labels.h5", said):  # the labels' own size is not known
        assert not said


def test_truth_beside_a_box_is_that_of_the_box(tmp_path: Path) -> None:
    truth = np.arange(12 * 20 * 30, dtype=np.uint32).reshape(SHAPE)
    write_volume(tmp_path / "t.h5", "labels", truth, Place(NM, (100, 200, 300)))
    said: Any = Said()
    place = Place(NM, (107, 205, 302))
    with truth_beside(str(tmp_path / "t.h5"), (9, 10, 20), place, "result.h5", said) as part:
        np.testing.assert_array_equal(part(slice(1, 3)), truth[3:5, 5:15, 7:27])
        np.testing.assert_array_equal(part(slice(1, 3), slice(2, 4)), truth[3:5, 7:9, 7:27])
    with (
        pytest.raises(InputError) as error,
        truth_beside(str(tmp_path / "t.h5"), SHAPE, place, "result.h5", said),
    ):
        pass
    assert str(error.value) == (
        "result.h5: its box, 30 x 20 x 12 voxels at 107 x 205 x 302 (x, y, z), is not inside the box of the truth, "
        "30 x 20 x 12 voxels at 100 x 200 x 300 (x, y, z); connect labels of the same sections"
    )


def test_truth_of_another_resolution_is_refused(tmp_path: Path) -> None:
    """Labels at half the resolution fit into the truth, but on a wrong part of it."""
    write_volume(tmp_path / "t.h5", "labels", np.ones((12, 40, 60), np.uint8), Place(NM))
    where, said = str(tmp_path / "t.h5"), Said()
    with (
        pytest.raises(InputError) as error,
        truth_beside(where, SHAPE, Place((8.0, 8.0, 30.0)), "result.h5", said),  # type: ignore[arg-type]
    ):
        pass
    assert str(error.value) == (
        f"result.h5: voxel_size_xyz is [8.0, 8.0, 30.0], but [4.0, 4.0, 30.0] in {where}; connect labels of the same "
        "sections, in their resolution"
    )


def test_rows_of_the_image_are_those_of_the_labels(tmp_path: Path) -> None:
    image = (RAMP * 255).astype(np.uint8)
    write_volume(tmp_path / "i.h5", "image", image, Place(NM, (0, 0, 0)))
    said: Any = Said()
    with greys_under(str(tmp_path / "i.h5"), (5, 10, 20), Place(NM, (3, 4, 5)), "labels.h5", said) as part:
        np.testing.assert_array_equal(part(slice(1, 3), slice(2, 4)), image[6:8, 6:8, 3:23])

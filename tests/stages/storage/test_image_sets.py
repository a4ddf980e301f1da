from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from floodrunner.contract.stage import InputError
from floodrunner.stages.storage.image_sets import Picture, is_set, read_set, write_set
from floodrunner.stages.storage.volumes import Place, write_volume

RNG = np.random.default_rng(1)


def picture(name: str, dtype: type = np.uint8, shape: tuple[int, ...] = (5, 7), parts: int = 2) -> Picture:
    image = (RNG.random(shape) * 200).astype(dtype)
    labels = RNG.integers(0, 9, shape[:2]).astype(np.int32)
    probability = RNG.random(shape[:2]).astype(np.float32)
    return Picture(name, image, *(labels, probability)[:parts])


def test_what_is_written_is_read_in_the_order_of_numbers(tmp_path: Path) -> None:
    pictures = [
        picture("cell 10", np.uint16, (3, 4, 3)),
        picture("Cell 9", np.float32, parts=1),
        picture("zellkern größer.v2", shape=(300, 200), parts=0),
        picture("cell 2", shape=(1, 1)),
    ]
    write_set(tmp_path / "set.h5", iter(pictures))
    assert is_set(tmp_path / "set.h5")
    read = read_set(str(tmp_path / "set.h5"))
    assert [each.name for each in read] == ["cell 2", "Cell 9", "cell 10", "zellkern größer.v2"]
    for each in read:
        (expected,) = (p for p in pictures if p.name == each.name)
        for key in ("image", "labels", "probability"):
            ours, theirs = getattr(each, key), getattr(expected, key)
            assert (ours is None) == (theirs is None)
            if ours is not None:
                assert ours.dtype == theirs.dtype
                np.testing.assert_array_equal(ours, theirs)


def test_labels_are_stored_as_int32_and_probabilities_as_float32(tmp_path: Path) -> None:
    labels, probability = RNG.integers(0, 300, (5, 7)).astype(np.uint16), RNG.random((5, 7))
    write_set(tmp_path / "set.h5", [Picture("a", np.zeros((5, 7), np.uint8), labels, probability)])
    (read,) = read_set(tmp_path / "set.h5")
    assert read.labels is not None
    assert read.probability is not None
    assert (read.labels.dtype, read.probability.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(read.labels, labels)


def test_pixel_sizes_are_kept_and_sets_without_them_are_read(tmp_path: Path) -> None:
    pictures = [Picture("a", np.zeros((5, 7), np.uint8), pixel_size_xy=(500.0, 250.0)), picture("b")]
    write_set(tmp_path / "set.h5", pictures)
    assert [each.pixel_size_xy for each in read_set(tmp_path / "set.h5")] == [(500.0, 250.0), None]


@pytest.mark.parametrize("size", [(1.0,), (1.0, -2.0), (np.nan, 1.0), (0, 1), "0.5 um"])
def test_a_pixel_size_that_cannot_be_is_refused(tmp_path: Path, size: object) -> None:
    write_set(tmp_path / "set.h5", [picture("a")])
    with h5py.File(tmp_path / "set.h5", "a") as file:
        file["a"].attrs["pixel_size_xy"] = size
    with pytest.raises(
        InputError, match=r"set\.h5: picture a: its attribute pixel_size_xy is .*: correct or remove it"
    ):
        read_set(tmp_path / "set.h5")


def test_a_volume_is_no_set(tmp_path: Path) -> None:
    file = tmp_path / "volume.h5"
    write_volume(file, "image", np.zeros((2, 3, 4), np.uint8), Place())
    assert not is_set(file)
    with pytest.raises(InputError) as caught:
        read_set(file)
    assert str(caught.value) == (
        f"{file}: is not a set of pictures (it holds raw); connect the output of import-pairs, phantom-cells or "
        "unet-predict"
    )


def test_an_empty_file_is_no_set(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    assert not is_set(tmp_path / "empty.h5")
    with pytest.raises(InputError, match=r"empty\.h5: is not a set of pictures \(it holds nothing\)"):
        read_set(tmp_path / "empty.h5")


def test_files_that_cannot_be_opened_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path / "set.h5", [picture("a", shape=(400, 400))])
    whole = (tmp_path / "set.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.h5").write_text("no")
    for name, words in (("no", "no such file"), ("cut", "is truncated"), ("text", "is not a readable HDF5 file")):
        with pytest.raises(InputError, match=rf"{name}\.h5: {words}"):
            read_set(tmp_path / f"{name}.h5")


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    write_set(tmp_path / "set.h5", [picture("a", shape=(400, 400)), picture("b")])
    with h5py.File(tmp_path / "set.h5") as file:
        chunk = file["a/image"].id.get_chunk_info(0)
    with open(tmp_path / "set.h5", "r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\0" * chunk.size)
    with pytest.raises(
        InputError, match=r"set\.h5: picture a: cannot be read because the file is damaged \(HDF5: .*\); make it again"
    ):
        read_set(tmp_path / "set.h5")


@pytest.mark.parametrize(
    ("key", "array", "words"),
    [
        ("image", np.zeros((2, 3, 4, 5), np.uint8), r"the image of a is uint8 \(2, 3, 4, 5\); a picture is"),
        ("image", np.zeros((5, 7), np.int64), r"the image of a is int64 \(5, 7\)"),
        ("labels", np.zeros((5, 8), np.int32), r"the labels of a are int32 \(5, 8\), but its image is \(5, 7\)"),
        ("labels", np.zeros((5, 7), np.float32), r"the labels of a are float32 \(5, 7\)"),
        ("probability", np.zeros((5, 7), np.int32), r"the probability of a are int32 \(5, 7\)"),
        (
            "labels",
            np.arange(-3, 32, dtype=np.int32).reshape(5, 7),
            "the labels of a range from -3 to 31; labels are",
        ),
        ("labels", np.full((5, 7), 2**31, np.uint32), "the labels of a range from 2147483648 to 2147483648; labels"),
    ],
)
def test_what_no_picture_can_be_is_refused(tmp_path: Path, key: str, array: np.ndarray, words: str) -> None:
    write_set(tmp_path / "set.h5", [picture("a", shape=(5, 7))])
    with h5py.File(tmp_path / "set.h5", "r+") as file:
        del file["a"][key]
        file["a"][key] = array
    with pytest.raises(InputError, match=words):
        read_set(tmp_path / "set.h5")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (b"..", "would be a folder, so no file can be named after it: '..'; rename the picture, and import it again"),
        (b"a\xff", "is not UTF-8, so no file can be named after it: 'a�'"),
        (b"a\x1b[31m", "holds characters that cannot be shown, so no file can be named after it: 'a?[31m'"),
        (b"a\nb", "holds characters that cannot be shown, so no file can be named after it: 'a?b'"),
        (b"1" * 5000, "has more than 247 bytes, so no file can be named after it: '1111"),
        ("ü".encode() * 124, "has more than 247 bytes"),
    ],
)
def test_names_that_no_file_can_have_are_refused(tmp_path: Path, name: bytes, words: str) -> None:
    path = tmp_path / "set.h5"
    with h5py.File(path, "w") as file:
        group = h5py.Group(h5py.h5g.create(file.id, name))
        group["image"] = np.zeros((5, 7), np.uint8)
    with pytest.raises(InputError) as caught:
        read_set(path)
    assert str(caught.value).startswith(f"{path}: the name of a picture {words}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../up", "..", "x" * 248])
def test_such_names_are_not_written_either(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="the name of a picture"):
        write_set(tmp_path / "set.h5", [picture(name)])


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_pictures_that_are_neither_grey_nor_rgb_are_refused(tmp_path: Path, channels: int) -> None:
    write_set(tmp_path / "set.h5", [picture("cell", shape=(5, 7, channels))])
    with pytest.raises(InputError) as error:
        read_set(tmp_path / "set.h5")
    assert str(error.value) == (
        f"{tmp_path / 'set.h5'}: the image of cell has {channels} channels; a picture is grey or RGB: keep the "
        "channels that show the cells, and make the set again"
    )


def test_a_single_channel_is_grey(tmp_path: Path) -> None:
    one = picture("cell", shape=(5, 7, 1))
    write_set(tmp_path / "set.h5", [one])
    (read,) = read_set(tmp_path / "set.h5")
    np.testing.assert_array_equal(read.image, one.image[..., 0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pictures_with_values_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    """One of them in a channel would make its percentiles, and all that is found, meaningless."""
    odd = picture("cell", np.float32)
    odd.image[2, 3] = value
    write_set(tmp_path / "set.h5", [odd])
    with pytest.raises(InputError, match=r"set\.h5: the image of cell contains NaN or infinite values; make the set"):
        read_set(tmp_path / "set.h5")

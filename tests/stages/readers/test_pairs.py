"""Which mask belongs to which picture, by their names."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from floodrunner.stages.storage.image_sets import read_set
from tests.stages.pairs import all_of, cells, image, refusal, said, save

RunStage = Callable[..., Any]
SHAPE = (40, 50)


def folders(root: Path, pictures: list[str], masks: list[str]) -> dict[str, Path]:
    """The masks of different pictures hold different ids."""
    for name in pictures:
        save(root / "images" / name, image(SHAPE))
    for number, name in enumerate(masks, 1):
        save(root / "labels" / name, cells(SHAPE) * number)
    return {"images": root / "images", "labels": root / "labels"}


def in_form(form: Any, names: list[str]) -> list[str]:
    return [unicodedata.normalize(form, name) for name in names]


@pytest.mark.parametrize(("one", "other"), [("NFD", "NFC"), ("NFC", "NFD")])
@pytest.mark.parametrize("words", ["{}", "{}_mask", "Maske {}", "labels-{}"])
def test_names_that_look_the_same_are_the_same(
    run_stage: RunStage, tmp_path: Path, one: str, other: str, words: str
) -> None:
    names = ["Käfer-0", "Zelle_é_1", "한글"]
    words = words.replace("Maske", "mask")
    pictures, masks = ([f"{name}.png" for name in each] for each in (names, map(words.format, names)))
    inputs = folders(tmp_path, in_form(one, pictures), in_form(other, masks))
    found = all_of(run_stage("import-pairs", inputs))
    assert [found[name].labels.max() for name in in_form(one, names)] == [4, 8, 12]  # type: ignore[union-attr]


def test_scores_compare_names_that_look_the_same(run_stage: RunStage, tmp_path: Path) -> None:
    from floodrunner.stages.storage.image_sets import Picture, write_set

    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "Käfer")  # type: ignore[arg-type]
        write_set(tmp_path / f"{form}.h5", [Picture(name, image(SHAPE), cells(SHAPE))])
    run_stage("evaluate-pictures", {"segmentation": tmp_path / "NFC.h5", "labels": tmp_path / "NFD.h5"})


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("{} x.PNG", "{} x_Mask.TIF"), ("a.b.{}.tif", "a.b.{}_cp_masks.png"), ("{}.ome.tif", "{}.png"),
        ("{}.ome.tif", "{}_labels.ome.tif"), ("IMG_{}.JPG", "img_{}.png"), ("{}.tif", "Label {}.tif"),
        ("{}.tif", "{}_Simple Segmentation.tif"), ("{}.tif", "{}__seg.tif"), ("{}.tiff", "{}_label_image.tif"),
    ],
)  # fmt: skip
def test_names_as_programs_write_them(run_stage: RunStage, tmp_path: Path, picture: str, mask: str) -> None:
    if "JPG" in picture or "PNG" in picture or "TIF" in mask:
        lower = folders(tmp_path / "lower", *([w.lower().format(n) for n in "123"] for w in (picture, mask)))
        for what, words in (("images", picture), ("labels", mask)):
            (tmp_path / what).mkdir()
            for number in "123":
                (lower[what] / words.lower().format(number)).rename(tmp_path / what / words.format(number))
        inputs = {"images": tmp_path / "images", "labels": tmp_path / "labels"}
    else:
        inputs = folders(tmp_path, *([w.format(n) for n in "123"] for w in (picture, mask)))
    found = all_of(run_stage("import-pairs", inputs))
    assert sorted(each.labels.max() for each in found.values()) == [4, 8, 12]  # type: ignore[union-attr]
    for name, each in found.items():
        assert each.labels is not None
        number = next(n for n in name if n in "123")
        assert each.labels.max() == 4 * int(number)


def test_two_files_whose_names_look_the_same(run_stage: RunStage, tmp_path: Path) -> None:
    inputs = folders(tmp_path, in_form("NFC", ["ä.png", "b.png"]) + in_form("NFD", ["ä.tif"]), ["ä.png", "b.png"])
    assert "have the same name; rename or remove one of them" in refusal(run_stage, inputs)


@pytest.mark.parametrize(
    "channel", ["{}_ch0{}.tif", "{}_w{}.tif", "{}-C{}.tif", "{}_ch{}_max.tif", "{}.channel {}.tif"]
)
@pytest.mark.parametrize("mask", ["{}.png", "{}_mask.png"])
def test_channels_in_files_of_their_own_are_named(run_stage: RunStage, tmp_path: Path, channel: str, mask: str) -> None:
    pictures = [channel.format(name, number) for name in "abc" for number in (1, 2)]
    inputs = folders(tmp_path, pictures, [mask.format(name) for name in "abc"])
    assert refusal(run_stage, inputs) == (
        f"{inputs['labels']}: masks and pictures do not match (3 masks, 6 pictures): in {inputs['images']}, "
        f"{pictures[0][:-4]}, {pictures[1][:-4]} differ only in the number of a channel, and 2 more such groups; give "
        "a folder with only the channel in which the cells were drawn"
    )


def test_masks_of_one_channel_only(run_stage: RunStage, tmp_path: Path) -> None:
    pictures = [f"{name}_ch0{number}.tif" for name in "abc" for number in (0, 1)]
    inputs = folders(tmp_path, pictures, [f"{name}_ch00_mask.tif" for name in "abc"])
    assert "a_ch00, a_ch01 differ only in the number of a channel" in refusal(run_stage, inputs)
    for name in "abc":
        save(tmp_path / "labels" / f"{name}_ch01_mask.tif", cells(SHAPE))
    assert len(all_of(run_stage("import-pairs", inputs))) == 6  # each channel has its masks


@pytest.mark.parametrize("words", ["well_c{}.png", "img{}.png", "w{}.png"])
def test_other_numbers_are_no_channels(run_stage: RunStage, tmp_path: Path, words: str) -> None:
    inputs = folders(tmp_path, [words.format(n) for n in range(8)], [words.format(n) for n in range(7)])
    assert "channel" not in refusal(run_stage, inputs)


def test_remarks_about_pictures_are_told(run_stage: RunStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from floodrunner.stages.readers import files

    real = files.head

    def odd(file: Path) -> Any:
        what = "holds a thumbnail" if file.parent.name == "images" and file.stem < "c" else "is odd"
        return real(file)._replace(remarks=(what,) if file.stem != "d" else ())

    monkeypatch.setattr(files, "head", odd)
    inputs = folders(tmp_path, [f"{name}.png" for name in "abcd"], [f"{name}.png" for name in "abcd"])
    result = run_stage("import-pairs", inputs)
    assert said(result)[:3] == [
        "2 of 4 files (a.png, b.png): holds a thumbnail", "c.png: is odd", "3 of 4 files (a.png, b.png, c.png): is odd"
    ]  # fmt: skip
    assert len(read_set(result["training"])) == 3

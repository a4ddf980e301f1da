"""Few mounts in the place of many: pure, no file is touched."""

from __future__ import annotations

from pathlib import Path

from floodrunner.runner.engines.docker.joining import joined


def same(*names: str) -> dict[Path, Path]:
    return {Path(name): Path(name) for name in names}


def anything(inside: Path, outside: Path) -> bool:
    return True


def test_few_stay_as_they_are() -> None:
    few = same("/d/a", "/d/b", "/e/c")
    assert joined(few, 3, anything) == few
    assert joined({}, 3, anything) == {}


def test_the_folder_with_the_most_is_joined_first_and_no_more_than_needed() -> None:
    day = [f"/data/day/{n}.png" for n in range(50)]
    assert joined(same(*day, "/me/x/a", "/me/x/b"), 10, anything) == same("/data/day", "/me/x/a", "/me/x/b")


def test_a_folder_of_one_is_not_opened_for_nothing() -> None:
    """Each file is in a folder of its own: the step does not see all of that folder before there is need."""
    files = [f"/{disk}/day{n}/a.png" for disk in ("dA", "dB") for n in range(60)]
    assert joined(same(*files), 100, anything).keys() == {Path("/dA"), *(Path(f"/dB/day{n}/a.png") for n in range(60))}
    assert joined(same(*files), 2, anything) == same("/dA", "/dB")


def test_a_folder_that_may_not_be_mounted_is_left_and_so_is_all_above() -> None:
    files = same(*(f"/home/me/day{n}/a.png" for n in range(5)), "/disk/1", "/disk/2")
    found = joined(files, 3, lambda inside, outside: inside == Path("/disk"))
    assert found.keys() == {*(Path(f"/home/me/day{n}/a.png") for n in range(5)), Path("/disk")}


def test_a_folder_that_has_another_name_on_this_machine() -> None:
    paths = {Path(f"/named/far/{n}"): Path(f"/real/far/{n}") for n in range(3)}
    assert joined(paths, 1, anything) == {Path("/named/far"): Path("/real/far")}


def test_what_does_not_lie_in_one_folder_on_this_machine_is_not_joined() -> None:
    """The files would not be where the container looks for them."""
    paths = {Path("/o/a"): Path("/r/a"), Path("/o/b"): Path("/s/b"), Path("/o/deep/c"): Path("/c")}
    assert joined(paths, 1, anything) == paths


def test_a_folder_takes_in_what_is_in_it() -> None:
    assert joined(same("/whole", "/whole/on", "/x"), 2, anything) == same("/whole", "/x")
    apart = {Path("/whole"): Path("/whole"), Path("/whole/on"): Path("/elsewhere"), Path("/x"): Path("/x")}
    assert joined(apart, 2, anything) == apart

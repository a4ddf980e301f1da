"""Windows paths and Windows line ends, under WSL and outside: a fake `wslpath` and a fake answer to "is this WSL?"."""

# ruff: noqa: E501  (a message a line)
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from floodrunner.runner import cli, machine, wsl
from floodrunner.runner.errors import UserError
from floodrunner.runner.pipeline import plan, registry, spec
from floodrunner.runner.pipeline.options import Options

REPOSITORY = Path(__file__).resolve().parents[2]

WSLPATH = """\
#!/usr/bin/env bash
# Drives are mounted in {root}, as `root =` of wsl.conf may say. Like older ones it does not know wsl.localhost.
[[ $# == 2 && $1 == -u ]] || exit 64
case $2 in
  [A-Za-z]:[\\\\/]*) drive=${{2:0:1}}; path="{root}/${{drive,,}}${{2:2}}" ;;
  '\\\\wsl$\\'*) path="/${{2#*\\\\*\\\\*\\\\*\\\\}}" ;;
  *) echo "wslpath: $2: Invalid argument" >&2; exit 1 ;;
esac
echo "${{path//\\\\//}}"
"""

PIPELINE = """\
name: demo
inputs:
  images: {path: PATH, help: sections}
steps:
  image: {stage: import-images, in: {stack: inputs.images}}
"""


@pytest.fixture
def windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """WSL, with drives where only `wslpath` finds them; the folder of drive C. We are in an empty folder."""
    program = tmp_path / "bin" / "wslpath"
    program.parent.mkdir()
    program.write_text(WSLPATH.format(root=tmp_path / "drives"))
    program.chmod(0o755)
    for folder in ("drives/c/data/images", "work"):
        (tmp_path / folder).mkdir(parents=True)
    Image.new("L", (16, 16), 100).save(tmp_path / "drives/c/data/images/a.png")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(machine, "is_wsl", lambda: True)
    monkeypatch.setenv("WSL_DISTRO_NAME", "Debian")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "drives/c"


@pytest.fixture
def without_wslpath(windows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def make(text: str, *inputs: str) -> plan.Plan:
    Path("p.yaml").write_text(text, encoding="utf-8")
    return plan.make(spec.load(Path("p.yaml")), registry.scan(), Path("runs/demo"), Options(inputs))


def refused(text: str, *inputs: str) -> str:
    with pytest.raises(UserError) as error:
        make(text, *inputs)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("path", [r"C:\data\images", "C:/data/images", r"c:\data/images", "C:\\data\\images\\"])
def test_a_windows_path_under_wsl(windows: Path, path: str) -> None:
    images = str(windows / "data/images")
    assert make(PIPELINE, f"images={path}").inputs == {"images": images}
    for written in (path, f"'{path}'", '"' + path.replace("\\", "\\\\") + '"'):
        assert make(PIPELINE.replace("PATH", written)).inputs == {"images": images}


def test_a_path_of_the_distribution_as_windows_names_it(windows: Path, tmp_path: Path) -> None:
    there = str(windows / "data/images")
    as_windows = there.replace("/", "\\")
    for share in (r"\\wsl$\Debian", r"\\wsl.localhost\Debian", r"\\WSL.localhost\debian"):
        assert make(PIPELINE, f"images={share}{as_windows}").inputs == {"images": there}
        assert make(PIPELINE.replace("PATH", share + as_windows)).inputs == {"images": there}
    assert make(PIPELINE, f"images=//wsl.localhost/Debian{there}").inputs == {"images": there}


@pytest.mark.usefixtures("without_wslpath")
def test_without_wslpath_drives_are_where_they_usually_are() -> None:
    assert wsl.here(r"D:\my data\images") == "/mnt/d/my data/images"
    assert wsl.here("d:/x") == "/mnt/d/x"
    assert wsl.here("C:\\") == "/mnt/c/"
    assert wsl.here(r"\\wsl$\Debian\home\u") == "/home/u"
    assert wsl.here(r"\\wsl.localhost\Debian") == "/"
    assert (
        refused(PIPELINE, r"images=Q:\none")
        == r"--input images=Q:\none (sections): Q:\none does not exist (looked for /mnt/q/none); say where it is with --input images=PATH"
    )


def test_what_is_no_windows_path_stays_as_it_is(windows: Path) -> None:
    assert wsl.here("/mnt/c/data") == "/mnt/c/data"
    assert wsl.here("~/images") == "~/images"
    assert wsl.here("images") == "images"
    Path(r"odd\name").touch()
    Path("c:odd").touch()
    assert wsl.here(r"odd\name") == r"odd\name"
    assert wsl.here("c:odd") == "c:odd"


def test_a_relative_path_with_backslashes(windows: Path) -> None:
    Path("data/images").mkdir(parents=True)
    Path("data/images/a").touch()
    assert make(PIPELINE.replace("PATH", r"data\images")).inputs == {"images": str(Path("data/images").absolute())}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "C:dataimages",
            r"C:dataimages looks like a Windows path whose backslashes the shell has removed; write it in single quotes ('C:\data\images'), or with slashes (C:/data/images)",
        ),
        (
            r"\wsl.localhostDebianhome",
            r"\wsl.localhostDebianhome looks like a Windows path whose backslashes the shell has removed",
        ),
        (
            r"\\nas\em\images",
            r"\\nas\em\images is a Windows network folder; mount it (sudo mkdir -p /mnt/em && sudo mount -t drvfs '\\nas\em' /mnt/em) and use that path",
        ),
        (
            r"\\wsl.localhost\Ubuntu\home\u",
            r"\\wsl.localhost\Ubuntu\home\u is in the WSL distribution Ubuntu, but this is Debian; run Floodrunner there",
        ),
        (
            r"C:\data\none",
            r"C:\data\none does not exist (looked for {windows}/data/none); say where it is with --input images=PATH",
        ),
    ],
)
def test_what_cannot_be_found_is_named_as_written(windows: Path, path: str, message: str) -> None:
    message = message.replace("{windows}", str(windows))
    assert refused(PIPELINE, f"images={path}").startswith(f"--input images={path} (sections): {message}")
    assert refused(PIPELINE.replace("PATH", f"'{path}'")).startswith(f"p.yaml:3: input images (sections): {message}")


@pytest.mark.parametrize("under_wsl", [True, False])
@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            r'"C:\data"',
            "is not YAML: found unknown escape character 'd'; write the text in single quotes: backslashes are plain there",
        ),
        (
            r'"C:\Users"',
            "is not YAML: expected escape sequence of 8 hexadecimal numbers, but found 's'; write the text in single quotes",
        ),
        (
            r'"C:\temp"',
            r"input images (sections): 'C:\temp' does not exist; in double quotes YAML reads \t as one character: write the path in single quotes, or with slashes",
        ),
        (
            r'"C:\Papers"',
            r"does not exist; in double quotes YAML reads \P as one character: write the path in single quotes",
        ),
        (
            r'"C:\0"',
            r"does not exist; in double quotes YAML reads \0 as one character: write the path in single quotes",
        ),
        (
            r'"C:\temp\"',
            r"is not YAML: found unexpected end of stream; close the quotes that open here; \" does not end them",
        ),
    ],
)
def test_backslashes_in_double_quotes(
    windows: Path, monkeypatch: pytest.MonkeyPatch, under_wsl: bool, written: str, message: str
) -> None:
    monkeypatch.setattr(machine, "is_wsl", lambda: under_wsl)
    text = refused(PIPELINE.replace("PATH", written))
    assert text.startswith("p.yaml:3: ")
    assert message in text


def test_outside_of_wsl_a_windows_path_is_said_to_be_one(windows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "is_wsl", lambda: False)
    text = refused(PIPELINE, r"images=C:\data\images")
    assert text.startswith(r"--input images=C:\data\images (sections): C:\data\images does not exist (seen from the ")
    assert text.endswith("; this is a Windows path; under WSL write /mnt/c/data/images")
    assert wsl.here(r"a\b") == r"a\b"


@pytest.mark.parametrize("separator", ["@", ":"])
@pytest.mark.parametrize(
    "file", ["my data/image.hdf5", "./my data/image.hdf5", "{c}/my data/image.hdf5", r"C:\my data\image.hdf5", "~/my data/image.hdf5", r"\\wsl$\Debian{c}\my data\image.hdf5"]
)  # fmt: skip
def test_a_dataset_behind_any_path(
    windows: Path, monkeypatch: pytest.MonkeyPatch, run_stage: Callable[..., dict[str, Path]], file: str, separator: str
) -> None:
    """As far as the stage, which reads it."""
    volume = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    (windows / "my data").mkdir()
    with h5py.File(windows / "my data" / "image.hdf5", "w") as written:
        written["other"], written["vol/raw"] = volume[:1], volume
    monkeypatch.setenv("HOME", str(windows))
    monkeypatch.chdir(windows)
    drive = str(windows).replace("/", "\\") if file.startswith("\\") else str(windows)
    path = f"{file.format(c=drive)}{separator}vol/raw"
    for inputs in (
        make(PIPELINE, f"images={path}").inputs,
        make(PIPELINE.replace("PATH", f"'{path}'")).inputs,
        make(PIPELINE.replace("PATH", path)).inputs,
    ):
        assert inputs == {"images": f"{windows}/my data/image.hdf5:vol/raw"}
    with h5py.File(run_stage("import-images", {"stack": inputs["images"]})["volume"]) as read:
        np.testing.assert_array_equal(read["raw"], volume)


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["floodrunner", *arguments])
    code = cli.reported(lambda: cli.cli.main(prog_name="floodrunner", standalone_mode=False))
    out, err = capsys.readouterr()
    return code, out + err


def test_run_folder_and_pipeline_by_their_windows_paths(
    windows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (windows / "p.yaml").write_text(PIPELINE.replace("PATH", r"C:\data\images"))
    given = ("plan", r"C:\p.yaml", "--engine", "local", "--workdir", r"C:\runs\demo")
    code, text = said(capsys, monkeypatch, *given)
    assert (code, text.splitlines()[0]) == (0, f"demo in {windows}/runs/demo, engine local (chosen by --engine)")
    assert said(capsys, monkeypatch, "status", r"C:\data") == (
        2,
        f"floodrunner: {windows}/data: is not a run folder; name a run folder, such as runs/<pipeline name>\n",
    )
    code, text = said(capsys, monkeypatch, "plan", r"C:\p.yaml", "--workdir", "C:runs")
    assert code == 2
    assert text.startswith("floodrunner: --workdir: C:runs looks like a Windows path whose backslashes the shell has")
    assert os.listdir() == []


def test_outside_of_wsl_no_folder_is_called_like_a_drive(
    windows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "is_wsl", lambda: False)
    Path("p.yaml").write_text(PIPELINE.replace("PATH", str(windows / "data/images")))
    code, text = said(capsys, monkeypatch, "plan", "p.yaml", "--workdir", r"C:\runs")
    assert (code, text) == (
        2,
        "floodrunner: --workdir: C:\\runs is a Windows path, and this is not WSL; name a folder of this system\n",
    )
    assert wsl.folder("~/runs") == Path.home() / "runs"


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
def test_a_pipeline_file_with_windows_line_ends(
    windows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], start: bytes
) -> None:
    text = PIPELINE.replace("PATH", r"C:\data\images").replace(
        "{stack: inputs.images}}", "{stack: inputs.images}}\n# end"
    )
    Path("p.yaml").write_bytes(start + text.replace("\n", "\r\n").encode())
    code, planned = said(capsys, monkeypatch, "plan", "p.yaml", "--engine", "local")
    assert (code, planned.splitlines()[:2]) == (
        0,
        ["demo in runs/demo, engine local (chosen by --engine)", "  image  run      never run"],
    )
    wrong = text.replace("import-images", "import-imagos")
    Path("p.yaml").write_bytes(start + wrong.replace("\n", "\r\n").encode())
    code, answer = said(capsys, monkeypatch, "plan", "p.yaml")
    assert code == 2
    assert answer.startswith(
        "floodrunner: p.yaml:5: step image: unknown stage 'import-imagos'; did you mean 'import-images'?"
    )


def test_what_windows_checks_out_keeps_its_line_ends(tmp_path: Path) -> None:
    """By git itself, set as on Windows: a script with CRLF does not start, a stage with CRLF is not the image's."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    names = [".ci/run", "Makefile", "a.sh", "Dockerfile.cpu", "Dockerfile.gpu", ".dockerignore", "requirements/cpu.txt", "stages/fill.py", "p.yaml", "pyproject.toml"]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"a\nb\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\n")
    shutil.copy(REPOSITORY / ".gitattributes", tmp_path)

    def git(*arguments: str) -> None:
        settings = [
            "-c",
            "core.autocrlf=true",
            "-c",
            "core.eol=crlf",
            "-c",
            "user.name=u",
            "-c",
            "user.email=u@example.org",
        ]
        subprocess.run(["git", *settings, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    git("add", "--all")
    git("commit", "-m", "a checkout")
    for name in [*names, "picture.png"]:
        (tmp_path / name).unlink()
    git("checkout", "--", ".")
    assert {(tmp_path / name).read_bytes() for name in names} == {b"a\nb\n"}
    assert (tmp_path / "picture.png").read_bytes() == b"\x89PNG\r\n\x1a\n\x00\n"

"""requirements/install.py, which make uses: what a person sees of pip, and what is removed before."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).resolve().parents[1] / "requirements" / "install.py"


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, with a pip that says what the test writes to `said`, and ends with the code in `code`."""
    spec = importlib.util.spec_from_file_location("install", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "said").write_text("")
    (tmp_path / "code").write_text("0")
    (tmp_path / "pip.py").write_text(
        "import sys\nfrom pathlib import Path\nhere = Path(__file__).parent\n"
        "with open(here / 'calls', 'a') as file:\n    print(*sys.argv[1:], file=file)\n"
        "print((here / 'said').read_text(), end='')\nsys.exit(int((here / 'code').read_text()))\n"
    )
    monkeypatch.setattr(module, "PIP", (sys.executable, str(tmp_path / "pip.py")))
    monkeypatch.chdir(tmp_path)
    return module


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Collecting keras==3.15.1 (from -r requirements/cpu.txt (line 7))", ""),
        ("  Downloading keras-3.15.1-py3-none-any.whl.metadata (7.5 kB)", ""),
        ("  Downloading keras-3.15.1-py3-none-any.whl (1.2 MB)", "  keras-3.15.1 (1.2 MB)"),
        ("Downloading https://x.org/a/h5py-3.14.0-cp311-cp311-linux_x86_64.whl (4.5 MB)", "  h5py-3.14.0 (4.5 MB)"),
        ("Using cached jaxlib-0.10.0-cp311-cp311-manylinux_2_27_x86_64.whl (88.1 MB)", "  jaxlib-0.10.0 (88.1 MB)"),
        ("Processing /w/absl_py-2.5.1-py3-none-any.whl (from -r x (line 1))", "  absl_py-2.5.1"),
        ("Installing collected packages: a, b, c", "installing 3 packages; this takes a minute or two"),
        ("WARNING: Location 'x' is ignored", ""),
    ],
)  # fmt: skip
def test_a_line_for_each_package(install: ModuleType, line: str, shown: str) -> None:
    assert install.shown(f"{line}\n") == shown


def test_pips_last_words_are_shown_if_it_fails(
    install: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("said").write_text("Collecting keras\nERROR: No matching distribution found for keras\n")
    Path("code").write_text("7")
    assert install.main(["cpu.txt"]) == 7
    assert capsys.readouterr().err.endswith("ERROR: No matching distribution found for keras\n")
    Path("code").write_text("0")
    assert install.main(["cpu.txt"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("lock", "there", "gone"),
    [
        ("runner", {"tensorflow-cpu", "jax-cuda12-plugin"}, set()),
        ("gpu", {"tensorflow-cpu", "numpy"}, {"tensorflow-cpu", "tensorflow"}),
        ("gpu", {"tensorflow", "jax"}, set()),
        ("gpu-jax", {"tensorflow-cpu"}, set()),
        ("gpu-jax", {"tensorflow"}, {"tensorflow-cpu", "tensorflow"}),
        ("cpu", {"tensorflow-cpu", "jax-cuda12-plugin"}, {"jax-cuda12-plugin"}),
        ("dev", {"tensorflow", "jax-cuda12-pjrt"}, {"tensorflow", "tensorflow-cpu", "jax-cuda12-pjrt"}),
    ],
)
def test_what_steps_would_use_instead_is_removed(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, lock: str, there: set[str], gone: set[str]
) -> None:
    if "tensorflow-cpu" not in install.OF_CPU:
        pytest.skip("TensorFlow has one package for CPU and GPU on this kind of machine")
    monkeypatch.setattr(install.metadata, "distributions", lambda name: [name] * (name in there))
    assert install.main([f"requirements/{lock}.txt"]) == 0
    *removal, installation = Path("calls").read_text().splitlines()
    assert installation.endswith(f" --require-hashes -r requirements/{lock}.txt")
    assert {word for line in removal for word in line.split() if not word.startswith("-")} - {"uninstall"} == gone


def test_it_is_a_script() -> None:
    done = subprocess.run([sys.executable, str(FILE), "none.txt"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "none.txt" in done.stderr


@pytest.mark.parametrize("extra", ["cpu", "gpu", "gpu-jax"])
def test_make_offline_packs_what_an_extra_needs(install: ModuleType, extra: str) -> None:
    tried = subprocess.run(
        ["make", "--dry-run", "offline", f"EXTRA={extra}"],
        cwd=FILE.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    folder, locks = f"dist/floodrunner-offline-{extra}", f"requirements/runner.txt requirements/{extra}.txt"
    assert f"requirements/install.py --download {folder} {locks}\n" in tried.stdout
    assert f"cp dist/floodrunner-*.whl {folder}\n" in tried.stdout
    assert f"'floodrunner[{extra}]'" in tried.stdout
    assert install.main(["--download", folder, *locks.split()]) == 0
    (call,) = Path("calls").read_text().splitlines()
    assert call.startswith(f"download --dest {folder} --only-binary :all: --progress-bar off --require-hashes -r ")

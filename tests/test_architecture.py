"""Imports go one way. Read from the whole syntax tree (a `try:` or a function hides nothing), and seen at run time."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    *("numpy", "scipy", "h5py", "keras", "tensorflow", "jax", "jaxlib", "skimage", "tensorboard"),
    *("PIL", "imageio", "tifffile", "imagecodecs"),
}
H5PY_ALLOWED = {"runner/fingerprint/hdf5_parts.py"}
"""Where the runner opens HDF5 files, inside functions, only for inputs that are such files."""
PACKAGES = ("contract", "floodrunner", "runner", "stages", "segmentation")
"""Folders of the repository. All but `floodrunner` itself are imported by names below `floodrunner`."""
TENSORFLOW_ALLOWED = {"segmentation/backend.py", "segmentation/ffn/checkpoint.py"}
"""The seam, and what only TensorFlow reads."""


def modules(package: str) -> list[Path]:
    found = sorted(Path(folder) / name for folder, _, names in os.walk(ROOT / package) for name in names)
    found = [file for file in found if file.suffix == ".py"]  # not those that links in `floodrunner/` lead to
    assert found, f"no modules in {package}: this test would check nothing"
    return found


def name_of(file: Path) -> str:
    return ".".join((*package_of(file), file.stem)).removesuffix(".__init__")


def package_of(file: Path) -> tuple[str, ...]:
    """`stages/readers/tiff.py` -> floodrunner, stages, readers."""
    parts = file.relative_to(ROOT).parent.parts
    return parts if parts[0] == "floodrunner" else ("floodrunner", *parts)


def imported(file: Path, tree: ast.AST) -> Iterator[str]:
    """Dotted names that a syntax tree imports, relative ones resolved; also `import_module("...")` of plain text."""
    package = package_of(file)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def all_imports(file: Path) -> set[str]:
    return set(imported(file, ast.parse(file.read_text(encoding="utf-8"))))


STAGES = [file for file in modules("stages") if file.parent.name == "stages" and not file.name.startswith("_")]
SURVEYS = [file for file in modules("stages") if file.parent.name == "survey"]
HELPERS = [file for file in modules("stages") if file.parent.name != "stages" and file not in SURVEYS]


def header_imports(file: Path) -> set[str]:
    """Imports that happen when the module is imported: all but those inside functions and `if TYPE_CHECKING`."""

    class WithoutFunctions(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if ast.unparse(node.test).endswith("TYPE_CHECKING") else self.generic_visit(node)

    tree = WithoutFunctions().visit(ast.parse(file.read_text(encoding="utf-8")))
    return set(imported(file, tree))


def tops(names: set[str]) -> set[str]:
    """`floodrunner.stages.fill` counts as `stages`, `numpy.linalg` as `numpy`."""
    return {name.removeprefix("floodrunner.").split(".")[0] for name in names}


def loaded(statement: str, *names: str) -> set[str]:
    """Which of `names` are in sys.modules after a statement, in a fresh process."""
    code = f"import sys\n{statement}\nprint(*[name for name in {names!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return set(answer.stdout.split())


@pytest.mark.parametrize("file", modules("runner"), ids=name_of)
def test_runner_imports_no_numerics_and_no_stages(file: Path) -> None:
    in_functions = {"h5py"} if file.relative_to(ROOT).as_posix() in H5PY_ALLOWED else set()
    assert not tops(all_imports(file)) & (HEAVY | {"segmentation", "stages"}) - in_functions
    assert not tops(header_imports(file)) & HEAVY


@pytest.mark.parametrize("file", modules("contract"), ids=name_of)
def test_contract_is_light_and_imports_nothing_of_ours(file: Path) -> None:
    assert tops(all_imports(file)) <= {"contract", "pydantic"} | set(sys.stdlib_module_names)


def test_all_names_are_below_floodrunner() -> None:
    """A second name for a module would make a second copy of it, with classes of its own."""
    files = [file for folder in (*PACKAGES, "benchmarks", "tests") for file in modules(folder)]
    names = {(file, name) for file in files for name in all_imports(file)}
    assert not [each for each in names if each[1].split(".")[0] in set(PACKAGES) - {"floodrunner"}]
    code = "import sys; sys.path.insert(0, '.'); import stages.fill"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.stderr.splitlines()[-1] == "ImportError: import floodrunner.stages in place of stages"


@pytest.mark.parametrize("name", sorted(set(PACKAGES) - {"floodrunner"} | {"pipelines"}))
def test_a_checkout_has_all_packages_below_floodrunner(name: str) -> None:
    assert (ROOT / "floodrunner" / name).resolve() == ROOT / name


def test_the_package_itself_is_light() -> None:
    everything = "numpy", "pydantic", "click", "floodrunner.runner", "floodrunner.version"
    assert loaded("import floodrunner; floodrunner.__version__", *everything) == {"floodrunner.version"}


@pytest.mark.parametrize("file", [*modules("stages"), *modules("segmentation")], ids=name_of)
def test_nothing_imports_the_runner(file: Path) -> None:
    assert "runner" not in tops(all_imports(file))


@pytest.mark.parametrize("file", modules("segmentation"), ids=name_of)
def test_numerics_know_no_stages_and_one_seam_to_the_backend(file: Path) -> None:
    names = all_imports(file)
    assert not tops(names) & {"stages", "contract"}
    if file.relative_to(ROOT).as_posix() not in TENSORFLOW_ALLOWED:
        assert not tops(names) & {"tensorflow", "jax"}


@pytest.mark.parametrize("file", HELPERS, ids=name_of)
def test_helpers_import_no_stage(file: Path) -> None:
    """Stages call helpers. Were it also the other way round, nobody could read either on its own."""
    assert not {name_of(stage) for stage in STAGES} & names_and_parents(file)


def test_plug_ins_stand_alone_in_their_folder() -> None:
    assert {file.name for file in (ROOT / "stages").glob("_*.py")} == {
        *("__init__.py", "__main__.py", "_gpu.py", "_speed.py", "_survey.py")
    }


@pytest.mark.parametrize("file", STAGES, ids=name_of)
def test_header_of_a_stage_is_light(file: Path) -> None:
    light = {"pydantic", "annotated_types"} | set(sys.stdlib_module_names)
    names = header_imports(file)
    assert names, "a stage imports at least the contract"
    assert tops(names) - light == {"contract"}


def test_runner_loads_without_numerics() -> None:
    everything = "; ".join(f"import {name_of(file)}" for file in modules("runner"))
    seen = loaded(everything, *HEAVY, "floodrunner.segmentation", "pydantic")
    assert seen == {"pydantic"}  # and the check can see something


def test_reading_all_headers_loads_no_numerics() -> None:
    statement = """
from floodrunner.runner.pipeline import registry
known = registry.scan()
assert known.files
for name in known.files: known.get(name)
"""
    stages = "floodrunner.stages"
    assert loaded(statement, *HEAVY, "floodrunner.segmentation", stages) == {stages}


def test_checking_parameters_loads_no_numerics() -> None:
    statement = (
        "from floodrunner.stages import ffn_train, unet_train; unet_train.Params.parse({}); ffn_train.Params.parse({})"
    )
    numerics = "floodrunner.segmentation"
    assert loaded(statement, *HEAVY, numerics) == {numerics}  # the checks of U-Net architectures


def test_help_loads_nothing_but_click() -> None:
    statement = """
import contextlib, io
sys.argv = ["floodrunner", "--help"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    from floodrunner.runner.cli import main
    main()
"""
    assert loaded(statement, *HEAVY, "rich", "pydantic", "yaml", "psutil", "floodrunner.stages", "click") == {"click"}


def test_numerics_load_without_stages_and_runner() -> None:
    # Those that need Keras or scikit-image take seconds to load: for them the syntax trees are read, which is enough.
    slow, files = {"keras", "skimage"}, modules("segmentation")
    while found := {name_of(file) for file in files if slow & names_and_parents(file)} - slow:
        slow |= found
    names = [name for file in files if (name := name_of(file)) not in slow]
    assert len(names) > 10
    statement = f"import importlib; [importlib.import_module(name) for name in {names!r}]"
    ours = [f"floodrunner.{package}" for package in ("stages", "runner", "segmentation")]
    assert loaded(statement, *ours) == {"floodrunner.segmentation"}


def names_and_parents(file: Path) -> set[str]:
    parts = [name.split(".") for name in all_imports(file)]
    return {".".join(each[:n]) for each in parts for n in range(1, len(each) + 1)}


@pytest.mark.parametrize("file", [f for package in PACKAGES for f in modules(package)], ids=name_of)
def test_nothing_is_unpickled(file: Path) -> None:
    """A pickle runs what it holds: no file of a user's may be one."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert not tops(set(imported(file, tree))) & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            may = [word.value for word in node.keywords if word.arg == "allow_pickle"]
            assert all(isinstance(value, ast.Constant) and value.value is False for value in may)
            if ast.unparse(node.func) in ("np.load", "numpy.load", "np.lib.format.read_array"):
                assert may, f"{file.name}:{node.lineno}: say allow_pickle=False"


def test_no_import_is_hidden_from_this_test() -> None:
    source = """
try:
    import numpy
except ImportError:
    pass
def f():
    from . import x
    import_module("scipy.ndimage")
"""
    file = ROOT / "stages" / "fill.py"
    assert set(imported(file, ast.parse(source))) == {"numpy", "floodrunner.stages.x", "scipy.ndimage"}

"""`docs/architecture.md` against the tree: its map, who may import whom, and every path it names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.test_architecture import PACKAGES, ROOT, all_imports, modules, name_of

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FILES = [file for package in PACKAGES for file in modules(package)]
MODULES = {name_of(file): file for file in FILES}


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def first_sentence(package: Path) -> str:
    document = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))
    assert document, package
    return " ".join(document.split("\n\n")[0].split())


LAYERS = [
    tuple(column.split() for column in line.split("|"))
    for line in section("Who may import whom").split("```")[1].strip().splitlines()
]


def place_of(file: Path) -> tuple[int, int | None, str]:
    """Line, column (None: open to both) and entry of the list that a file belongs to: the entry that is most exact."""
    path = file.relative_to(ROOT)
    found = [
        (len(Path(entry).parts), entry == str(path), line, None if len(columns) == 1 else column, entry)
        for line, columns in enumerate(LAYERS)
        for column, entries in enumerate(columns)
        for entry in entries
        if path.match(entry) or path.is_relative_to(entry)
    ]
    assert found, f"{path} has no line in 'Who may import whom'"
    return max(found)[2:]


def ours(file: Path) -> set[Path]:
    """Our files that a file imports: `from a.b import c` is `a/b/c.py` where that is a file, else `a/b.py`."""
    found = set()
    for name in all_imports(file):
        parts = name.split(".")
        candidates = (MODULES.get(".".join(parts[:n])) for n in range(len(parts), 0, -1))
        found.update([module for module in candidates if module][:1])
    return found - {file}


def test_the_map_lists_every_folder_in_its_own_words() -> None:
    folders = {file.parent for file in FILES}
    assert {folder for folder in folders if not (folder / "__init__.py").exists()} == set()
    expected = {f"`{folder.relative_to(ROOT)}/`": first_sentence(folder) for folder in folders}
    listed = dict(rows(section("The map")))
    assert listed == expected
    assert len(listed) == len(rows(section("The map"))), "a folder is listed twice"


@pytest.mark.parametrize("package", sorted({file.parent for file in FILES}), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_folder_says_what_does_not_belong_there(package: Path) -> None:
    document = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert len(document.split("\n\n")) >= 2, "one sentence on what belongs there, a paragraph on what does not"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_go_down(file: Path) -> None:
    line, column, entry = place_of(file)
    for target in ours(file):
        to_line, to_column, to_entry = place_of(target)
        if to_entry == entry and not entry.endswith("*.py"):
            continue
        assert to_line > line, (
            f"{name_of(file)} ({entry}) imports {name_of(target)} ({to_entry}), which is not below it"
        )
        assert column is None or to_column in (None, column), (
            f"{name_of(file)} imports {name_of(target)} of the other column"
        )


def test_the_check_of_imports_can_fail() -> None:
    assert place_of(ROOT / "stages" / "fill.py")[0] < place_of(ROOT / "stages" / "storage" / "volumes.py")[0]
    assert place_of(ROOT / "runner" / "cli.py")[0] < place_of(ROOT / "runner" / "errors.py")[0]
    assert any(ours(file) for file in FILES)
    assert len({place_of(file)[2] for file in FILES}) == sum(len(entries) for line in LAYERS for entries in line)


def test_every_path_it_names_is_there() -> None:
    named = set(re.findall(r"`([a-z_.]+/[\w./]*)`", PAGE)) - {"partial/"}  # in a step's folder
    assert len(named) > 20
    assert {path for path in named if not (ROOT / path).exists()} == set()
    beside = set(re.findall(r"`(\w+\.py)`", PAGE))  # named after their folder in the same sentence
    assert {name for name in beside if not any(file.name == name for file in (*FILES, *ROOT.glob("*.py")))} == set()


def test_directories_of_the_repository_are_named() -> None:
    top = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))}
    generated = {"runs", "data", "dist", "build"}
    named = set(re.findall(r"`([a-z]+)/", PAGE))
    assert top - generated - {"docs"} - named == set()

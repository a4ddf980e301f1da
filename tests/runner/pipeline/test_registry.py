"""A stage whose header is wrong is refused, with the file and what to write."""

# ruff: noqa: E501  (a refusal a line)
from __future__ import annotations

from pathlib import Path

import pytest

from floodrunner.runner.errors import UserError
from floodrunner.runner.pipeline import registry

HEADER = '"""Do."""\nfrom floodrunner.contract.stage import StageParams\nINPUTS = {}\nOUTPUTS = {"a": "metrics"}\n'
PARAMS = "class Params(StageParams):\n    pass\n"
RUN = "def run(params, context):\n    pass\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def", "stages/broken.py:1: its header is wrong: SyntaxError: "),
        (
            "import no_such_module",
            "its header is wrong: ModuleNotFoundError: No module named 'no_such_module'; correct the header",
        ),
        ("X = 1", "stages/broken.py: has no docstring; write one whose first line says what the stage does"),
        ('"""Do."""', "stages/broken.py: has no dictionary INPUTS; write INPUTS = {port: kind}"),
        (HEADER.replace("metrics", "metrcs") + PARAMS + RUN, "unknown kind of port 'metrcs'; did you mean 'metrics'?"),
        (
            HEADER.replace('"metrics"', '"stack"') + PARAMS + RUN,
            "output 'a' is of kind 'stack', which only users provide",
        ),
        (HEADER.replace('"a"', '"A b"') + PARAMS + RUN, "a port cannot be named 'A b'; use lower-case letters"),
        (
            HEADER.replace('"a": "metrics"', '"state": "ffn-model"') + PARAMS + RUN,
            "an output of kind 'ffn-model' cannot be named 'state': state is a name that the runner uses; rename the output",
        ),
        (
            HEADER.replace('"a"', '"job"') + PARAMS + RUN,
            "an output of kind 'metrics' cannot be named 'job': job.json is a name that the runner uses; rename the output",
        ),
        (
            HEADER.replace('"a"', '"step"') + PARAMS + RUN,
            "cannot be named 'step': step.json is a name that the runner uses; rename the output",
        ),
        (
            HEADER.replace('{"a": "metrics"}', "{}") + PARAMS + RUN,
            "OUTPUTS is empty; a stage writes at least one output",
        ),
        (HEADER + RUN, "has no class Params(StageParams); write one, empty if there are no parameters"),
        (HEADER + PARAMS, "has no function run(params, context); write one"),
    ],
)
def test_broken_headers(tmp_path: Path, source: str, message: str) -> None:
    folder = tmp_path / "broken-code" / "stages"
    folder.mkdir(parents=True)
    (folder / "broken.py").write_text(source)
    (folder / "fine.py").write_text(HEADER + PARAMS + RUN)
    known = registry.scan(folder)
    assert known.get("fine").summary == "Do."  # one broken stage is no trouble to the others
    with pytest.raises(UserError) as error:
        known.get("broken")
    assert message in str(error.value)


def test_a_long_word_is_not_repeated_whole() -> None:
    with pytest.raises(UserError) as caught:
        registry.scan().get("{" * 1000)
    assert str(caught.value).startswith(f"unknown stage '{'{' * 56} ...'; ")

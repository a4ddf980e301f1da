"""google/ffn's requests for inference, made into pipelines."""

# ruff: noqa: E501  (a message a line)
from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from floodrunner.runner import cli
from floodrunner.runner.pipeline import plan, registry, spec

REQUEST = r"""# as in the slides
image {
  hdf5: "image.h5@raw"
}
image_mean: 131
image_stddev: 62
checkpoint_interval: 1800
seed_policy: "PolicyPeaks"
model_checkpoint_path: "checkpoint/model.ckpt-7000000"
model_name: "convstack_3d.ConvStack3DFFNModel"
model_args: "{\"depth\": 9, \"fov_size\": [33, 33, 17], \"deltas\": [8, 8, 4]}"
segmentation_output_dir: "inference_results"
inference_options {
  init_activation: 0.95
  pad_value: 0.05
  move_threshold: 0.9
  min_boundary_dist { x: 1 y: 2 z: 3}
  segment_threshold: 0.6
  min_segment_size: 1000
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with what the request names."""
    (tmp_path / "image.h5").write_bytes(b"x")
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "model.ckpt-7000000.index").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def import_ffn(request: str, *options: str) -> tuple[int, str]:
    Path("inference.pbtxt").write_text(request, encoding="utf-8")
    result = CliRunner().invoke(cli.cli, ["import-ffn", "inference.pbtxt", *options], standalone_mode=False)
    return (2, str(result.exception)) if result.exception else (0, result.output)


def planned(path: str = "inference.yaml") -> plan.Plan:
    return plan.make(spec.load(Path(path)), registry.scan(), Path("runs/inference"))


def test_the_pipeline_is_one_that_runs_and_asks_for_the_same(folder: Path) -> None:
    assert import_ffn(REQUEST) == (
        0,
        "ignored, because the result does not depend on them: checkpoint_interval, segmentation_output_dir\n"
        "inference.yaml is written. Next: floodrunner run inference.yaml\n",
    )
    made = planned()
    assert made.inputs == {"image": f"{folder / 'image.h5'}:raw", "checkpoint": str(folder / "checkpoint")}
    model, segment, png = made.steps
    assert (model.stage.name, segment.stage.name, png.stage.name) == ("ffn-import", "ffn-infer", "export-stack")
    assert model.params == {
        "name": "model.ckpt-7000000",
        "depth": 9,
        "fov_xyz": [33, 33, 17],
        "deltas_xyz": [8, 8, 4],
    }
    assert segment.params == {
        "mode": "exact",
        "reflect_border": False,
        "box_xyz": None,
        "image_mean": 131,
        "image_stddev": 62,
        "init_activation": 0.95,
        "pad_value": 0.05,
        "move_threshold": 0.9,
        "segment_threshold": 0.6,
        "min_boundary_dist_xyz": [1, 2, 3],
        "min_segment_size": 1000,
        "disco_seed_threshold": 0,
    }


def test_the_box_of_run_inference() -> None:
    assert import_ffn(REQUEST, "--bounding-box", "start { x:0 y:8 z:2 } size { x:96 y:64 z:48 }")[0] == 0
    assert planned().steps[1].params["box_xyz"] == {"start": [0, 8, 2], "size": [96, 64, 48]}


def test_a_request_as_long_as_they_get() -> None:
    """What asks for nothing else than the default is no reason to refuse."""
    request = REQUEST.replace("  min_segment_size: 1000", "  min_segment_size: 0  disco_seed_threshold: 0.005")
    request += """
    batch_size: 4; concurrent_requests: 8,
    movement_policy_name: "movement.FaceMaxMovementPolicy"
    movement_policy_args: '{}'
    alignment_options < type: NO_ALIGNMENT save_raw: false >
    """
    code, told = import_ffn(request)
    assert code == 0
    assert "batch_size, checkpoint_interval, concurrent_requests, segmentation_output_dir" in told
    assert planned().steps[1].params["disco_seed_threshold"] == 0.005
    assert planned().steps[1].params["min_segment_size"] == 1  # none is smaller


def test_paths_are_written_as_yaml_reads_them(folder: Path) -> None:
    path = 'data "new"/größe 😀'
    (folder / path).mkdir(parents=True)
    (folder / path / "i.h5").write_bytes(b"x")
    (folder / path / "m-1.index").write_bytes(b"x")
    escaped = path.replace('"', '\\"')
    request = REQUEST.replace("image.h5@raw", f"{escaped}/i.h5:a/b").replace(
        "checkpoint/model.ckpt-7000000", f"{escaped}/m-1"
    )
    assert import_ffn(request, "--output", "other.yaml")[1].endswith(
        "other.yaml is written. Next: floodrunner run other.yaml\n"
    )
    made = planned("other.yaml")
    assert made.inputs == {"image": f"{folder / path}/i.h5:a/b", "checkpoint": str(folder / path)}
    assert made.steps[0].params["name"] == "m-1"


def test_a_windows_path_keeps_its_folder() -> None:
    request = REQUEST.replace("checkpoint/model.ckpt-7000000", r"D:\\ffn\\model.ckpt-5")
    assert import_ffn(request)[0] == 0
    assert r'{path: "D:\\ffn",' in Path("inference.yaml").read_text()
    assert "name: model.ckpt-5" in Path("inference.yaml").read_text()


def test_a_checkpoint_in_this_folder() -> None:
    assert import_ffn(REQUEST.replace("checkpoint/model", "model"))[0] == 0
    assert '{path: ".",' in Path("inference.yaml").read_text()


def test_what_is_there_is_not_written_over() -> None:
    assert import_ffn(REQUEST)[0] == 0
    before = Path("inference.yaml").read_text()
    assert import_ffn(REQUEST.replace("131", "132")) == (
        2,
        "inference.yaml: exists already; remove it, or name another file with --output",
    )
    assert Path("inference.yaml").read_text() == before


def test_a_name_that_no_pipeline_may_have() -> None:
    Path("_my request.v2.pbtxt").write_text(REQUEST)
    assert CliRunner().invoke(cli.cli, ["import-ffn", "_my request.v2.pbtxt"]).exit_code == 0
    assert planned("my-request.v2.yaml").name == "my-request.v2"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("image_mean: 131", "image_mean: 131\nmasks { invert: true }", r"inference.pbtxt:6: masks: asks for masks of voxels that must not be segmented, which is not supported; ignoring this field would change the result"),
        ("image_mean: 131", "image_mean: 131\nshift_mask_threshold: 3", "inference.pbtxt:6: shift_mask_threshold: asks for shift masks, which is not supported; ignoring this field would change the result"),
        ("image_mean: 131", 'image_mean: 131\ninit_segmentation { hdf5: "s.h5:s" }', "inference.pbtxt:6: init_segmentation: asks for continuing another segmentation, which is not supported; ignoring this field would change the result"),
        ("image_mean: 131", "image_mean: 131\nalignment_options { type: UNKNOWN_ALIGNMENT }", "inference.pbtxt:6: alignment_options: only NO_ALIGNMENT is supported, like in google/ffn"),
        ("image_mean: 131", "imagemean: 131", "inference.pbtxt:5: google/ffn's InferenceRequest has no field 'imagemean'; did you mean 'image_mean'?"),
        ("pad_value: 0.05", "padvalue: 0.05", "inference.pbtxt:15: google/ffn's InferenceOptions has no field 'padvalue'; did you mean 'pad_value'?"),
        ("image_mean: 131", "image_mean: many", "inference.pbtxt:5: 'image_mean: many': Couldn't parse float: many; write the request in google/ffn's text format"),
        ("image_mean: 131", "", "inference.pbtxt:6: image_mean and image_stddev are needed; write both"),
        ("image_stddev: 62", "image_stddev: 0", "inference.pbtxt:6: image_stddev: found 0.0; write a number greater than 0.0"),
        ("PolicyPeaks", "PolicyGrid3d", "inference.pbtxt:8: seed_policy: found 'PolicyGrid3d'; only PolicyPeaks is supported"),
        ("image_mean: 131", "image_mean: 131\nseed_policy_args: '{\"step\": 8}'", "inference.pbtxt:6: seed_policy_args: is not supported; ignoring this field would change the result"),
        ("convstack_3d.ConvStack3DFFNModel", "my.Model", "inference.pbtxt:10: model_name: found 'my.Model'; only ConvStack3DFFNModel is supported"),
        (r"\"deltas\"", r"\"delta\"", "inference.pbtxt:11: model_args: 'delta' is not supported; did you mean 'deltas'?"),
        (r", \"deltas\": [8, 8, 4]", "", "inference.pbtxt:11: model_args: deltas is missing, and the checkpoint does not contain it; write it as a list [x, y, z]"),
        (r"[8, 8, 4]}", "[8, 8, 4]", "inference.pbtxt:11: model_args: is not JSON (Expecting ',' delimiter: line 1 column 59 (char 58)); write depth, fov_size and deltas like google/ffn"),
        ("  init_activation: 0.95\n", "", "inference.pbtxt:13: inference_options: init_activation is missing, and google/ffn would use 0; write its value"),
        ("  init_activation: 0.95\n", "  init_activation: 0.95\n  consistency_threshold: 0.1\n", "inference.pbtxt:15: consistency_threshold: is not supported; remove it"),
        ('hdf5: "image.h5@raw"', 'volinfo: "v"', 'inference.pbtxt:2: image: write image { hdf5: "file.h5:dataset" }'),
        ('model_checkpoint_path: "checkpoint/model.ckpt-7000000"', "", "inference.pbtxt:1: model_checkpoint_path: does not name a file; write the path of a checkpoint, such as models/model.ckpt-7000"),
        ("image.h5@raw", "image:raw", "inference.pbtxt:2: image: found 'image:raw'; write image { hdf5: \"file.h5:dataset\" }"),
        ('hdf5: "image.h5@raw"', 'hdf5: "image.h5@raw" decorator_specs: "[]"', "inference.pbtxt:3: decorator_specs: is not supported; ignoring this field would change the result"),
        ("checkpoint/model.ckpt-7000000", "checkpoint/", "inference.pbtxt:9: model_checkpoint_path: does not name a file; write the path of a checkpoint, such as models/model.ckpt-7000"),
        ("checkpoint/model.ckpt-7000000", r"C:\temp\model", r"inference.pbtxt:9: model_checkpoint_path: found 'C:\temp\\model'; a backslash in quotes begins an escape: write two backslashes, or slashes"),
        ("image.h5@raw", r"C:\Users\me\image.h5:raw", "inference.pbtxt:3: a backslash in quotes begins an escape; write two backslashes, or slashes"),
        ("image_mean: 131", "image_mean: nan", "inference.pbtxt:5: image_mean: found nan; write a finite number"),
        ("33, 33, 17", "33, 32, 17", "inference.pbtxt:11: model_args: 32 is even; a field of view needs a voxel at its centre: use an odd size"),
        (r"\"depth\": 9", r"\"depth\": \"9\"", "inference.pbtxt:11: model_args: found '9' (text); write a whole number (here: 9)"),
        ("x: 1 y: 2", "x: -1 y: 2", "inference.pbtxt:17: min_boundary_dist: found -1; write a number of at least 0"),
        ("init_activation: 0.95", "init_activation: 0.85", "inference.pbtxt:14: init_activation 0.85 is below move_threshold 0.9, so no object would grow; raise init_activation, or lower move_threshold"),
        ("inference_results\"", "masks\"\nmasks { invert: true }", "inference.pbtxt:13: masks: asks for masks of voxels that must not be segmented, which is not supported; ignoring this field would change the result"),
    ],
)  # fmt: skip
def test_what_would_give_another_result_is_refused(old: str, new: str, message: str) -> None:
    assert REQUEST.count(old) == 1
    assert import_ffn(REQUEST.replace(old, new)) == (2, message)
    assert not Path("inference.yaml").exists()


def test_each_box_of_a_request_has_a_run_folder_of_its_own() -> None:
    for name in ("a", "b"):
        import_ffn(REQUEST, "--output", f"box {name}.yaml", "--bounding-box", "size { x: 64 y: 64 z: 64 }")
        assert planned(f"box {name}.yaml").name == f"box-{name}"


def test_the_next_command_can_be_pasted() -> None:
    assert import_ffn(REQUEST, "--output", "my run.yaml")[1].endswith("Next: floodrunner run 'my run.yaml'\n")


def test_what_editors_put_before_a_text_is_no_trouble() -> None:
    assert import_ffn("\ufeff" + REQUEST)[0] == 0


def test_a_checkpoint_with_a_quote_in_its_name(folder: Path) -> None:
    assert import_ffn(REQUEST.replace("model.ckpt-7000000", r"a\"b-1"))[0] == 0
    assert planned().steps[0].params["name"] == 'a"b-1'


def test_a_request_whose_name_is_no_unicode(folder: Path) -> None:
    name = os.fsdecode(b"inf\xe9rence.pbtxt")
    Path(name).write_text(REQUEST)
    result = CliRunner().invoke(cli.cli, ["import-ffn", name], standalone_mode=False)
    assert result.exception is None
    assert planned("inf-rence.yaml").name == "inf-rence"


def test_a_folder_that_is_not_there() -> None:
    assert import_ffn(REQUEST, "--output", "none/x.yaml") == (
        2,
        "none/x.yaml: cannot be written: no such file or directory; name another file with --output",
    )


def test_a_box_that_is_none() -> None:
    assert import_ffn(REQUEST, "--bounding-box", "start { x:0 y:0 z:0 }") == (
        2,
        "--bounding-box: found start [0, 0, 0], size [0, 0, 0]; write 'start { x:0 y:0 z:0 } size { x:512 y:512 z:70 }'",
    )
    code, told = import_ffn(REQUEST, "--bounding-box", "start { x:0 y:0 z:0")
    assert code == 2
    assert re.match(r"--bounding-box:1: Expected", told)


def test_a_file_that_is_no_request() -> None:
    Path("x.pbtxt").write_bytes(b"\xff\xfe\x00")
    for name, words in (("x.pbtxt", "it is not UTF-8 text"), ("none.pbtxt", "no such file or directory")):
        result = CliRunner().invoke(cli.cli, ["import-ffn", name], standalone_mode=False)
        assert (
            str(result.exception) == f"{name}: cannot be read: {words}; give a request for google/ffn (a .pbtxt file)"
        )

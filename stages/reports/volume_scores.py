"""Scores a segmented volume: writes `metrics.json` and `worst.csv`, prints a table, and says what is wrong."""

from __future__ import annotations

import json
import math

import numpy as np

from floodrunner.contract.ports import split_dataset
from floodrunner.contract.stage import Context, InputError
from floodrunner.segmentation.scores import rand_and_vi
from floodrunner.segmentation.scores.mistakes import mistakes
from floodrunner.segmentation.scores.rand_and_vi import Score
from floodrunner.stages.reports import volume_words
from floodrunner.stages.reports.worst_objects import Worst, worst, write_worst
from floodrunner.stages.storage.image_sets import is_set
from floodrunner.stages.storage.labels import open_labels, slabs
from floodrunner.stages.storage.volumes import Place
from floodrunner.stages.storage.words import box, size

_LARGE = 0.5
"""Share of all voxels from which on an id may be the background."""

_SHOWN, _LEAST = 3, 0.01
"""The closing lines name so many mistakes, each with at least this share of the error; `worst.csv` has more."""

_TITLES = {"unsegmented_as_background": "unsegmented = background", "unsegmented_ignored": "unsegmented ignored"}


def score_volumes(context: Context, what: volume_words.What) -> None:
    """Writes `metrics.json` and `worst.csv`, prints the scores as a table, and says in sentences what they mean.

    The truth is cropped to the box of the segmentation. Voxels where the truth is 0 do not count. There are two scores:
    in the first, voxels where the segmentation is 0 count as one more segment, "background"; the second ignores them.

    Raises:
      InputError: if a file is not a volume of labels, the box is not inside the truth, or no voxel of the truth in the
        box is labelled.
    """
    segmentation_path, truth_path = context.inputs["segmentation"], context.inputs["labels"]
    for path in (segmentation_path, truth_path):
        file, dataset = split_dataset(path)
        if dataset is None and is_set(file):
            raise InputError(f"{path}: is a set of pictures, not a volume; connect a volume, or use evaluate-pictures")
    with (
        open_labels(segmentation_path, context) as (segmentation, place),
        open_labels(truth_path, context) as (truth, truth_place),
    ):
        shape = segmentation.shape
        start = tuple(a - b for a, b in zip(place.offset, truth_place.offset, strict=True))
        if any(a < 0 or a + n > m for a, n, m in zip(start, shape, truth.shape, strict=True)):
            raise InputError(
                f"{segmentation_path}: its box, {box(shape, place.offset)}, is not inside the box of the truth, "
                f"{box(truth.shape, truth_place.offset)} ({truth_path}); connect labels of the same sections"
            )
        _say_where(segmentation_path, place, shape, truth_path, truth_place, truth.shape, context)
        inside = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))

        def read(z: slice) -> tuple[np.ndarray, np.ndarray]:
            true = truth.read(slice(z.start + start[0], z.stop + start[0]), inside[1], inside[2])
            return segmentation.read(z), true

        parts = []
        for z in slabs(shape):
            parts.append((z, rand_and_vi.overlaps(*read(z))))
            context.progress(z.stop, shape[0], "sections")
        table = rand_and_vi.combine([overlaps for _, overlaps in parts])
        labelled = table.truth != 0
        if not labelled.any():
            raise InputError(
                f"{truth_path}: no voxel is labelled in the box of the segmentation, {box(shape, place.offset)}; "
                "segment a box that has ground truth, or remove this step"
            )
        found = mistakes(table)
        rows = worst(found.ranked, parts, read, place.offset)
    _say_large(segmentation_path, table.segment, table.voxels, context)
    _say_large(truth_path, table.truth, table.voxels, context)
    scores = {
        "unsegmented_as_background": rand_and_vi.score(table, ignore_unsegmented=False),
        "unsegmented_ignored": rand_and_vi.score(table, ignore_unsegmented=True),
    }
    counts = {
        "objects": rand_and_vi.objects(table.segment),
        "truth_objects": rand_and_vi.objects(table.truth),
        "truth_voxels": int(table.voxels[labelled].sum()),
        "truth_voxels_unsegmented": int(table.voxels[labelled & (table.segment == 0)].sum()),
    }
    report = {name: score._asdict() for name, score in scores.items()} | counts
    context.outputs["metrics"].write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(_table(scores, counts))
    both, ignored = scores["unsegmented_as_background"], scores["unsegmented_ignored"]
    unsegmented = counts["truth_voxels_unsegmented"] / counts["truth_voxels"]
    context.metric("adapted_rand_error", both.adapted_rand_error)
    context.metric("unsegmented", round(unsegmented, 4))
    context.metric("objects", counts["objects"])
    context.metric("truth_objects", counts["truth_objects"])
    total = sum(found.bits.values())
    table_file = context.output_folder / "worst.csv"
    write_worst(table_file, rows, total)
    if not counts["objects"]:
        context.conclude(volume_words.nothing(counts["truth_objects"], what))
        return
    if unsegmented == 1:
        context.conclude(
            f"No voxel with ground truth is segmented (objects found: {counts['objects']}), so the scores mean "
            "nothing; check that both are of the same part of the tissue"
        )
        return
    truths = counts["truth_objects"]
    share = counts["truth_voxels"] / math.prod(shape)
    for sentence in volume_words.verdict(found, both, ignored, truths, unsegmented, share, what):
        context.conclude(sentence)
    shown = _shown(rows, total)
    if shown:
        count = f"The worst {len(shown)} of {len(rows)}" if len(shown) < len(rows) else "The worst"
        context.conclude(f"{count}, with their share of the variation of information:")
    for row in shown:
        context.conclude(volume_words.place(row.mistake, total, row.xyz, what))
    if f"{both.adapted_rand_error:.4f}" != f"{ignored.adapted_rand_error:.4f}":
        context.conclude(volume_words.difference(both, ignored))
    outside = counts["objects"] - rand_and_vi.objects(table.segment[labelled])
    context.conclude(volume_words.limits(truths, shape, place.offset, share, outside, what))
    if rows:
        context.artifact(table_file, "where objects are merged, split or missing, the worst first")


def _shown(rows: list[Worst], total: float) -> list[Worst]:
    """The worst mistakes, and the largest object that is missing, whatever it costs.

    Args:
      rows: the dearest first.
      total: what all mistakes cost, bits.
    """
    shown = [row for row in rows if row.mistake.bits > _LEAST * total][:_SHOWN]
    missing = [row for row in rows if row.mistake.kind == "unsegmented"]
    if missing and not any(row in missing for row in shown):
        shown.append(max(missing, key=lambda row: row.mistake.voxels))
    return shown


def _say_where(
    path: str,
    place: Place,
    shape: tuple[int, ...],
    truth_path: str,
    truth_place: Place,
    truth_shape: tuple[int, ...],
    context: Context,
) -> None:
    """Says with which part of the truth a smaller segmentation is compared, and if the voxel sizes differ."""
    sizes, unknown = (place.voxel_size_xyz, truth_place.voxel_size_xyz), Place().voxel_size_xyz
    if sizes[0] != sizes[1] and unknown not in sizes:
        ours, theirs = map(list, sizes)
        context.message(
            f"voxel_size_xyz is {ours} in {path}, but {theirs} in {truth_path}; they are compared voxel by voxel, so "
            "check that both have the same resolution"
        )
    if shape != truth_shape:
        start = [a - b for a, b in zip(place.offset, truth_place.offset, strict=True)]
        context.message(
            f"the segmentation, {size(shape)} voxels, is compared with the part of the truth, {size(truth_shape)}, "
            f"that begins at {size(start)} (x, y, z): offset_xyz is {list(place.offset_xyz)} in the segmentation and "
            f"{list(truth_place.offset_xyz)} in the truth"
        )


def _say_large(path: str, ids: np.ndarray, voxels: np.ndarray, context: Context) -> None:
    """Says if an id may be a background that is not 0: a large one, or the largest of 8 or 16 bits, far above others.

    Args:
      ids, voxels: columns of the table of overlaps.
    """
    every, counts = np.unique(ids), rand_and_vi.marginal(ids, voxels)
    every, counts = every[every != 0], counts[every != 0]
    if len(every) < 2:
        return
    at = int(np.argmax(counts))
    top = int(np.iinfo(ids.dtype).max)
    if ids.dtype.itemsize <= 2 and every[-1] == top and 2 * int(every[-2]) < top:
        at = len(every) - 1
    elif counts[at] < _LARGE * voxels.sum():
        return
    context.message(
        f"{path}: id {every[at]} covers {100 * counts[at] / voxels.sum():.1f} % of all voxels; if it means none, "
        f"import the labels with import-labels and unlabelled: [{every[at]}], or it counts as an object"
    )


def _table(scores: dict[str, Score], counts: dict[str, int]) -> str:
    rows = [
        ("adapted Rand error", "adapted_rand_error", "0 is perfect, 1 is worst"),
        ("precision", "precision", "low if objects are merged"),
        ("recall", "recall", "low if objects are split"),
        ("variation of information, split", "vi_split", "bits, 0 is perfect"),
        ("variation of information, merge", "vi_merge", "bits, 0 is perfect"),
    ]
    lines = [" " * 33 + "".join(f"{_TITLES[name]:>26}" for name in scores)]
    for title, field, note in rows:
        values = (getattr(score, field) for score in scores.values())
        lines.append(f"{title:<33}" + "".join(f"{'-' if v is None else f'{v:.4f}':>26}" for v in values) + f"   {note}")
    share = counts["truth_voxels_unsegmented"] / counts["truth_voxels"]
    lines.append(
        f"{counts['objects']} objects, {counts['truth_objects']} in the truth; "
        f"{100 * share:.1f} % of {counts['truth_voxels']:,} voxels with ground truth are unsegmented"
    )
    return "\n".join(lines)

"""Score a segmentation against ground truth: of volumes, or of sets of pictures."""

from __future__ import annotations

from contract.ports import split_dataset
from contract.stage import Context, InputError, StageParams

INPUTS = {"segmentation": "labels|image-set", "labels": "labels|image-set"}
OUTPUTS = {"metrics": "json"}


class Params(StageParams):
    """None. In volumes the truth is cut to the box of the segmentation, and voxels where it is 0 are left out; in sets
    each picture of the segmentation is scored against the one of its name, by V_rand and V_info only where cells cover
    0.6 and more of the truth, as in maps of membranes."""


def run(params: Params, context: Context) -> None:
    segmentation_path, truth_path = context.inputs["segmentation"], context.inputs["labels"]
    of_pictures = _is_set(segmentation_path)
    if of_pictures != _is_set(truth_path):
        first, second = ("a set of pictures", "a volume") if of_pictures else ("a volume", "a set of pictures")
        raise InputError(
            f"{segmentation_path}: is {first}, but {truth_path} is {second}; "
            "score pictures against pictures, and volumes against volumes"
        )
    if of_pictures:
        from stages.reports.picture_scores import score_sets

        score_sets(context)
    else:
        from stages.reports.volume_scores import score_volumes

        score_volumes(context)


def _is_set(path: str) -> bool:
    from stages.storage.image_sets import is_set

    file, dataset = split_dataset(path)
    return dataset is None and is_set(file)

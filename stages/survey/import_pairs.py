"""Checks for `import-pairs` whether each picture has a mask of its size."""

from __future__ import annotations

from floodrunner.stages.import_pairs import Params, pairs_of
from floodrunner.stages.readers.masks import Mask, check_mask_size, open_masks
from floodrunner.stages.readers.pictures import Source, open_pictures
from floodrunner.stages.survey.costs import PYTHON, reading
from floodrunner.stages.survey.heads import Head, Pictures
from floodrunner.stages.survey.look import Look
from floodrunner.stages.survey.pictures import in_words


def survey(params: Params, look: Look) -> dict[str, Head]:
    path, mask_path = look.paths["images"], look.paths["labels"]
    pictures: list[Source] = []
    masks: list[Mask] = []
    with look.checks(), open_pictures(path) as found:
        pictures += found
    with look.checks(), open_masks(mask_path) as held:
        masks += held
    if not pictures or not masks:
        return {}
    heads = [picture.head() for picture in pictures]
    with look.checks():
        for picture, mask in pairs_of(pictures, masks, path, mask_path, params, look.context):
            for file in mask.files:
                head, of_mask = picture.head(), file.head()
                with look.checks():
                    check_mask_size(file, (of_mask.height, of_mask.width), picture, (head.height, head.width))
    sizes = tuple((head.height, head.width) for head in heads)
    look.context.message(in_words(path, heads))
    channels = 3 if heads[0].form.samples > 2 and params.convert_rgb == "keep" else 1
    itemsize = heads[0].form.bits // 8
    test = min(max(1, round(params.test_fraction * len(sizes))), max(len(sizes) - 2, 0))
    training = Pictures(sizes[test:], channels, itemsize)
    pixels = sum(y * x for y, x in sizes)
    memory = 1.4 * PYTHON + pixels * (2 * channels * itemsize + 12)
    look.needs(memory, pixels * channels * itemsize, reading(pixels, "import-pairs", 2e6, "pixels"), "fewer pictures")
    return {"training": training, "test": Pictures(sizes[:test], channels, itemsize)}

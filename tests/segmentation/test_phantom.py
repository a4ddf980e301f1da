"""The phantom: what is promised of picture and truth, and its geometry against brute force and quadrature."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from floodrunner.segmentation.phantom import phantom
from floodrunner.segmentation.phantom.cells import partition
from floodrunner.segmentation.phantom.neurites import grow
from floodrunner.segmentation.phantom.noise import SmoothNoise
from floodrunner.segmentation.phantom.picture import MEMBRANE, membranes

pytestmark = pytest.mark.xdist_group("phantom")  # one worker makes the volumes that these tests share

SPACING = (30.0, 8.0, 8.0)
DEFAULT = (24, 144, 144)
SMALL = (10, 80, 96)
NOISE = 12.0
DEEP = 5  # voxels from the nearest background in the section: no membrane is there


@pytest.fixture(scope="module")
def default() -> tuple[np.ndarray, np.ndarray]:
    return phantom(DEFAULT, SPACING)


@pytest.fixture(scope="module")
def clean() -> tuple[np.ndarray, np.ndarray]:
    """Nothing but membranes and cytoplasm."""
    return phantom(SMALL, SPACING, noise=0, jitter=0, clutter=0)


def deep(labels: np.ndarray) -> np.ndarray:
    """Voxels well inside a neurite, as seen in their section."""
    mask = np.stack([ndimage.distance_transform_edt(section > 0) > DEEP for section in labels])
    assert mask.mean() > 0.2
    return mask


def test_types_and_shapes(default: tuple[np.ndarray, np.ndarray]) -> None:
    image, labels = default
    assert image.shape == labels.shape == DEFAULT
    assert image.dtype == np.uint8
    assert labels.dtype == np.uint32


def test_neurites_are_many_and_fill_the_block(default: tuple[np.ndarray, np.ndarray]) -> None:
    _, labels = default
    ids = np.unique(labels)
    assert ids.tolist() == list(range(len(ids)))
    assert 25 <= ids[-1] <= 70
    assert 0.1 < (labels == 0).mean() < 0.25  # SNEMI3D's truth: 0.2
    sizes = np.sort(np.bincount(labels.ravel())[1:])
    assert sizes[-1] > 4 * np.median(sizes)  # dendrites beside axons
    assert sizes[-1] < 0.2 * labels.size


def test_most_neurites_run_through(default: tuple[np.ndarray, np.ndarray]) -> None:
    _, labels = default
    faces = [
        sum((s.start == 0) + (s.stop == n) for s, n in zip(box, labels.shape, strict=True))
        for box in ndimage.find_objects(labels)
    ]
    assert np.mean(np.array(faces) >= 2) > 0.7


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_id_is_one_piece(seed: int) -> None:
    _, labels = phantom(SMALL, SPACING, seed, jitter=16)
    for id_, box in enumerate(ndimage.find_objects(labels), start=1):
        assert ndimage.label(labels[box] == id_)[1] == 1  # scipy's default structure: faces only
    assert labels.max() >= 5


def test_neighbours_in_a_section_are_kept_apart(default: tuple[np.ndarray, np.ndarray]) -> None:
    _, labels = default
    for a, b in ((labels[:, 1:], labels[:, :-1]), (labels[:, :, 1:], labels[:, :, :-1])):
        both = (a > 0) & (b > 0)
        assert both.any()
        assert (a[both] == b[both]).all()


def test_membranes_are_darker_than_what_they_enclose(default: tuple[np.ndarray, np.ndarray]) -> None:
    image, labels = default
    assert image[deep(labels)].mean() - image[labels == 0].mean() > 50


def test_without_clutter_every_dark_line_is_a_membrane(clean: tuple[np.ndarray, np.ndarray]) -> None:
    image, labels = clean
    assert (image[deep(labels)] < 90).mean() < 1e-3
    assert (image[labels == 0] < 90).mean() > 0.5


def test_clutter_adds_dark_things_inside_and_leaves_the_truth_alone(clean: tuple[np.ndarray, np.ndarray]) -> None:
    image, labels = phantom(SMALL, SPACING, noise=0, jitter=0, clutter=1)
    assert (image[deep(labels)] < 90).mean() > 0.02
    assert np.array_equal(labels, clean[1])


def test_same_in_another_process_with_other_threads() -> None:
    image, labels = phantom(SMALL, SPACING, 7)
    expected = hashlib.sha256(image.tobytes() + labels.tobytes()).hexdigest()
    code = (
        "import hashlib; from floodrunner.segmentation.phantom import phantom\n"
        f"image, labels = phantom({SMALL}, {SPACING}, 7)\n"
        "print(hashlib.sha256(image.tobytes() + labels.tobytes()).hexdigest())"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "5"}
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True)
    assert found.stdout.strip() == expected, found.stderr


def test_another_seed_is_another_volume() -> None:
    one, two = phantom(SMALL, SPACING, 1), phantom(SMALL, SPACING, 2)
    both = (one[1] > 0) & (two[1] > 0)
    background = (one[1] == 0).mean()
    assert both.any()
    # Independent membranes coincide as often as chance has it.
    assert ((one[1] == 0) & (two[1] == 0)).mean() == pytest.approx(background**2, rel=0.5)
    assert abs(np.corrcoef(one[0].ravel(), two[0].ravel())[0, 1]) < 0.25


def test_noise_is_as_strong_as_asked_and_nothing_else_changes() -> None:
    silent, noisy = phantom(SMALL, SPACING, noise=0), phantom(SMALL, SPACING, noise=NOISE)
    assert np.array_equal(silent[1], noisy[1])
    unclipped = (silent[0] > 60) & (silent[0] < 195)
    assert unclipped.mean() > 0.3
    difference = noisy[0][unclipped].astype(float) - silent[0][unclipped]
    assert difference.std() == pytest.approx(NOISE, rel=0.05)
    assert abs(difference.mean()) < 0.5


def shift_of(section: np.ndarray, reference: np.ndarray) -> tuple[int, int]:
    """The shift (y, x) at which a section of labels fits the reference best; labels' numbers may differ."""

    def mismatch(y: int, x: int) -> float:
        inner = np.roll(section == 0, (y, x), (0, 1))[8:-8, 8:-8]
        return float((inner != (reference == 0)[8:-8, 8:-8]).mean())

    return min(((y, x) for y in range(-7, 8) for x in range(-7, 8)), key=lambda s: mismatch(*s))


def test_jitter_moves_sections_by_what_it_says_and_truth_with_them() -> None:
    shape, jitter = (24, 80, 96), 16.0
    still, moved = (phantom(shape, SPACING, noise=0, jitter=j, clutter=0) for j in (0, jitter))
    shifts = np.array([shift_of(a, b) for a, b in zip(moved[1], still[1], strict=True)])
    # 48 draws: their standard deviation is good to a tenth. Draws beyond the search range are rare (3.5 sigma).
    assert (shifts * SPACING[1]).std() == pytest.approx(jitter, rel=0.3)
    contrast = [image[deep(labels)].mean() - image[labels == 0].mean() for image, labels in (still, moved)]
    assert contrast[1] == pytest.approx(contrast[0], rel=0.03)


def test_without_jitter_sections_follow_on_each_other(clean: tuple[np.ndarray, np.ndarray]) -> None:
    jittered = phantom(SMALL, SPACING, noise=0, jitter=16, clutter=0)[1]

    def change(labels: np.ndarray) -> float:
        return float(((labels[1:] == 0) != (labels[:-1] == 0)).mean())

    assert change(clean[1]) < 0.85 * change(jittered)


def test_one_section_alone() -> None:
    image, labels = phantom((1, 96, 96), SPACING)
    assert image.shape == (1, 96, 96)
    assert labels.max() > 3


def test_voxels_of_other_sizes() -> None:
    _, labels = phantom((20, 120, 120), (20.0, 4.0, 5.0))
    assert 0.08 < (labels == 0).mean() < 0.25


@pytest.mark.parametrize(
    ("shape", "spacing", "settings", "words"),
    [
        (
            (0, 96, 96),
            SPACING,
            {},
            "size is 96 x 96 x 0, voxel size 8 x 8 x 30 nm (x, y, z); all these numbers must be",
        ),
        ((9, 96, 96), (30, 8, -1), {}, "voxel size -1 x 8 x 30 nm"),
        ((9, 96, 96), (30, 8, float("nan")), {}, "all these numbers must be positive"),
        ((9, 20, 96), SPACING, {}, "a section of 768 x 160 nm (x, y) has room for only one or two neurites of"),
        ((9, 96, 96), (30, 40, 8), {}, "too large to show neurites of diameter 210 nm; make x and y at most 26.25"),
        ((9, 96, 96), (200, 8, 8), {}, "z at most 105"),
        ((9, 96, 96), SPACING, {"jitter": 80.0}, "make the jitter at most 52.5"),
        ((9, 96, 96), SPACING, {"noise": -1.0}, "none of them may be negative"),
        ((9, 96, 96), SPACING, {"clutter": float("inf")}, "finite"),
        ((9, 96, 96), SPACING, {"diameter": 0.0}, "diameter is 0.0 nm; it must be positive"),
        ((9, 96, 96), SPACING, {"seed": -3}, "seed -3"),
    ],
)
def test_refuses(shape: tuple[int, int, int], spacing: tuple[float, float, float], settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=r"must|make") as error:
        phantom(shape, spacing, **settings)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_cells_against_brute_force() -> None:
    rng = np.random.default_rng(0)
    points, radii = rng.uniform(0, 400, (40, 3)), rng.uniform(20, 90, 40)
    neurite = np.repeat(np.arange(1, 9), 5)
    spacing = np.array([20.0, 10.0, 10.0])
    where = np.stack(
        np.meshgrid(*(np.arange(n) * s for n, s in zip((30, 24, 26), spacing, strict=True)), indexing="ij")
    )
    where = np.moveaxis(where, 0, -1).astype(np.float32)
    block = partition(where, points, radii, neurite, spacing)
    power = ((where[..., None, :] - points) ** 2).sum(axis=-1) - radii**2
    assert np.array_equal(block.owner, power.argmin(axis=-1))  # 30 sections: more than one slab
    assert np.array_equal(block.name, neurite[block.owner])
    assert (neurite[block.rival] != block.name).all()


def test_depth_and_tilt_of_a_plane() -> None:
    """Two spheres alone: their wall is the plane where both powers are equal."""
    points, radii = np.array([[100.0, 0, 0], [400.0, 300, 0]]), np.array([60.0, 100.0])
    spacing = np.array([30.0, 10.0, 10.0])
    axes = [np.arange(n) * s for n, s in zip((16, 30, 4), spacing, strict=True)]
    where = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).astype(np.float32)
    block = partition(where, points, radii, np.array([1, 2]), spacing)
    normal = (points[1] - points[0]) / np.linalg.norm(points[1] - points[0])
    distance = np.linalg.norm(points[1] - points[0])
    on_plane = points[0] + normal * (distance**2 + radii[0] ** 2 - radii[1] ** 2) / (2 * distance)
    assert np.allclose(block.depth, np.abs((where - on_plane) @ normal), atol=1e-2)
    assert np.allclose(block.tilt, abs(normal[0]))
    assert set(np.unique(block.name)) == {1, 2}


def test_one_neurite_alone_is_no_phantom() -> None:
    where = np.zeros((2, 3, 3, 3), np.float32)
    with pytest.raises(ValueError, match="one neurite fills the whole block; make the block larger"):
        partition(where, np.ones((2, 3)), np.ones(2), np.array([1, 1]), np.ones(3))


@pytest.mark.parametrize("tilt", [0.05, 0.5, 1.0])
def test_membranes_are_the_mean_over_the_section(tilt: float) -> None:
    thickness, half_cleft = 30.0, 6.0
    depth = np.linspace(0, 40, 41, dtype=np.float32)
    heights = np.linspace(-thickness / 2, thickness / 2, 4001)
    signed = depth[:, None] + tilt * heights
    profile = sum(np.exp(-0.5 * ((signed - side) / MEMBRANE) ** 2) for side in (-half_cleft, half_cleft))
    expected = np.minimum(profile.mean(axis=1), 1)
    assert np.allclose(membranes(depth, np.full_like(depth, tilt), half_cleft, thickness), expected, atol=2e-3)


def test_noise_field_is_standard_and_moves_with_the_section() -> None:
    extent = np.array([300.0, 4000.0, 4000.0])
    field = SmoothNoise(extent, 50.0, np.random.default_rng(3))
    y, x = np.arange(0, 4000, 10.0), np.arange(0, 4000, 8.0)
    section = field.section(120.0, y, x)
    assert abs(section.mean()) < 0.1
    assert section.std() == pytest.approx(1, abs=0.1)
    assert np.allclose(field.section(120.0, y + 30, x + 16)[:-3, :-2], section[3:, 2:], atol=1e-3)
    # neighbours half a length apart are alike, five lengths apart are not
    near, far = (np.corrcoef(section[:, n:].ravel(), section[:, :-n].ravel())[0, 1] for n in (3, 32))
    assert near > 0.9
    assert abs(far) < 0.1


def test_tubes_do_not_run_through_each_other() -> None:
    extent = np.array([1000.0, 1000.0, 1000.0])
    paths = grow(extent, 210.0, np.random.default_rng(4))
    points, radii = np.concatenate([p.points for p in paths]), np.concatenate([p.radii for p in paths])
    neurite = np.repeat([p.neurite for p in paths], [len(p.points) for p in paths])
    inside = ((points > 0) & (points < extent)).all(axis=1)
    assert inside.sum() > 300
    power = ((points[inside][:, None] - points) ** 2).sum(axis=-1) - radii**2
    assert (neurite[power.argmin(axis=1)] == neurite[inside]).mean() > 0.98

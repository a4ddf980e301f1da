"""What stages need, as far as several of them need the same: memory of libraries, and work whose speed is alike.

Formulas of memory and disk are fitted to measurements on SNEMI3D (512 x 512 x 70) and on the quick starts, and agree
with them within a factor of 1.5. Rough speeds are those of two processor cores.
"""

from __future__ import annotations

from floodrunner.contract.survey import Work

PYTHON = 68e6
"""Bytes of a stage that has loaded NumPy and h5py."""

NETWORK = 750e6
"""Bytes of a stage that has loaded Keras with TensorFlow, and compiled a network."""

SLAB = 16
"""Sections that stages mostly hold in memory at once: as many as a chunk of a volume is deep."""


def reading(voxels: float, speed: str, rough: float, unit: str = "voxels") -> Work:
    """The work of a stage that goes through all voxels or pixels, always at about the same speed."""
    return Work(least=voxels, most=voxels, unit=unit, speed=speed, rough=rough)

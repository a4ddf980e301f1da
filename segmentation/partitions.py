"""How much of each voxel's surroundings belongs to the same object: the measure that balances FFN training."""

OUTSIDE = 255
"""The class of voxels around which the box does not fit in the volume."""

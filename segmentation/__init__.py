"""The numerics: arrays in, arrays out. Axis order is z, y, x throughout; names that end in `_xyz` say otherwise."""

"""What users bring: sections, TIFF, HDF5, pictures, masks, and what their names mean.

What stages hand each other is in `storage/`.
"""

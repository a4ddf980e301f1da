"""Reads what users bring: sections, TIFF and HDF5 stacks, pictures and masks. `files` also writes image files.

Files that stages pass to each other are in `storage/`.
"""

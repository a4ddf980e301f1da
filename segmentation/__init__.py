"""The numerics: arrays in, arrays out.

No paths, no files, no settings objects: these belong in `stages/`. The axes of arrays are z, y, x; names that end in
`_xyz` hold x, y, z.
"""

if __name__ == "segmentation":  # found beside `floodrunner`: a second copy of each module would be loaded
    raise ImportError("import floodrunner.segmentation in place of segmentation")

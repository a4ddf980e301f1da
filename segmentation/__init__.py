"""The numerics: arrays in, arrays out.

No paths, no files, no settings objects: these belong in `stages/`. The axes of arrays are z, y, x; names that end in
`_xyz` hold x, y, z.
"""

"""The numerics: arrays in, arrays out.

No paths, no files, no settings objects: these belong in `stages/`. Arrays are z, y, x; names that end in `_xyz` are
x, y, z.
"""

"""How a segmentation compares with the truth: arrays in, numbers out.

Tables and files are made in `stages/reports/`.
"""

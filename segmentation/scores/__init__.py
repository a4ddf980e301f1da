"""Scores of a segmentation against ground truth: arrays in, numbers out.

Tables and files are made in `stages/reports/`.
"""

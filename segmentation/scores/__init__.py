"""Scores that compare a segmentation with the truth: arrays in, numbers out.

Tables and files about scores are made in `stages/reports/`.
"""

"""Loops that continue from a saved state: training, inference, prediction.

Their mathematics is in `segmentation/`.
"""

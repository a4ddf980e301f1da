"""Makes tables and pictures about a result.

The scores in them are computed in `segmentation/scores/`.
"""

"""Tables and pictures about a result. The scores themselves are computed in `segmentation/scores/`."""

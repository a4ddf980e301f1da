"""Loops that go on from a saved state: trainings, inference, prediction. Their mathematics is in `segmentation/`."""

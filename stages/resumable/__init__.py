"""Long loops that save their state and continue from it: training, inference, prediction. Numerics: `segmentation/`."""

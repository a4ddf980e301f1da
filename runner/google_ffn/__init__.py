"""Takes over requests written for google/ffn. Its checkpoints are read by the stage `ffn-import`."""

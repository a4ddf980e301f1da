"""One thin module per stage: read, call the numerics, write."""

"""Converts requests that were written for google/ffn. The stage `ffn-import` reads its checkpoints."""

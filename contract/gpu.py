"""Which NVIDIA GPUs need JAX. The runner, the images and the stages all use this rule."""

from __future__ import annotations

JAX_FROM = (12, 0)
"""Compute capability of RTX 50 cards. TensorFlow 2.21 has no code for these or later GPUs."""


def needs_jax(capability: tuple[int, ...]) -> bool:
    """Whether a GPU of this compute capability, such as (8, 9), computes with JAX only."""
    return capability >= JAX_FROM

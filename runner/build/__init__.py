"""Builds the images that the docker engine runs steps in.

Finding and choosing an image is in `runner/engines/docker/images.py`.
"""

"""Builds the images in which the docker engine runs steps.

The code that finds and chooses an image is in `runner/engines/docker/images.py`.
"""

"""Builds the images that the docker engine runs steps in.

Finding and choosing an image is in `engines/docker/images.py`.
"""

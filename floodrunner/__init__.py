"""From a stack of microscope images to a segmentation, with one command.

The only name that is installed: the folders of the repository's top level are below it, here as links, in a wheel as
folders. Importing it loads nothing else.
"""

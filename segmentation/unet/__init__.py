"""U-Nets (Ronneberger et al., MICCAI 2015) that find cells in pictures.

Arrays are y, x, with channels last. Code that other networks could use as well belongs one folder up.
"""

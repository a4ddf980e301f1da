"""Pillow, set up to read micrographs: `from floodrunner.stages.readers.pillow import Image`.

Its limits are for pictures from the web; an EM section may be 20,000 x 20,000, and our readers check the heads. Its
warnings are about what stands beside the pixels, such as Exif data and previews.
"""

from __future__ import annotations

import warnings

from PIL import Image, PngImagePlugin

__all__ = ["Image"]

Image.MAX_IMAGE_PIXELS = None
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY
warnings.filterwarnings("ignore", module=r"PIL\.")

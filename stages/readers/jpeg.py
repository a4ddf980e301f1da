"""Reads JPEG pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from contract.stage import InputError
from stages.readers import forms
from stages.readers.forms import Form, Section

JPEG = (".jpg", ".jpeg")
"""Suffixes of files whose pixels are not quite what was saved."""

_MODES = {"L": 1, "RGB": 3}


def jpeg_section(file: Path) -> Section:
    try:
        with Image.open(file, formats=("JPEG",)) as image:
            mode, (width, height) = image.mode, image.size
    except PermissionError:
        raise forms.no_permission(file) from None
    except Exception:  # of a damaged file Pillow raises almost anything
        what = "is not a JPEG file, whatever its name says" if file.stat().st_size else "is empty"
        raise InputError(f"{file}: {what}; copy it again from where it came") from None
    if mode not in _MODES:
        raise InputError(f"{file}: is a JPEG file of colours {mode}; save it as grey or RGB, better as PNG")
    return Section(file.name, height, width, Form(8, _MODES[mode]))


def jpeg_pixels(file: Path) -> np.ndarray:
    try:
        with Image.open(file, formats=("JPEG",)) as image:
            return np.asarray(image)
    except MemoryError:
        raise
    except Exception as error:
        raise forms.damaged(file) from error

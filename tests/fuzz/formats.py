"""All formats that are fuzzed."""

from __future__ import annotations

from tests.fuzz import handed_on, networks, sections, texts

FORMATS = {each.name: each for part in (sections, handed_on, networks, texts) for each in part.FORMATS}

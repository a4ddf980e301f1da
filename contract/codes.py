"""Exit codes. A stage and the command line use the same ones."""

from __future__ import annotations

DONE, FAILED, BAD_INPUT, BUG, INTERRUPTED = 0, 1, 2, 3, 130

STATUS = {
    DONE: "done",
    FAILED: "failed",
    BAD_INPUT: "bad-input",
    BUG: "bug",
    INTERRUPTED: "interrupted",
}
"""Exit code -> the `status` in the stage's closing `end` event."""

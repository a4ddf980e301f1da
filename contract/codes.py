"""Exit codes of a stage and of the command line."""

from __future__ import annotations

DONE, FAILED, BAD_INPUT, BUG, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes of a stage and of the command line alike."""

STATUS = {
    DONE: "done",
    FAILED: "failed",
    BAD_INPUT: "bad-input",
    BUG: "bug",
    INTERRUPTED: "interrupted",
}
"""The `status` of the closing `end` event, by exit code."""

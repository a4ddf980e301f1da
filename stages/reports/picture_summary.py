"""Writes the scores of a set of pictures as lines of text."""

from __future__ import annotations

from typing import Any

MEMBRANES = 0.6
"""The truth counts as a map of membranes if cells cover at least this share of all pixels. Cells cover 0.73 to 0.81 of
the ISBI 2012 sections; in the nuclei of the Data Science Bowl 2018, 0.13 on average and 0.38 at most."""


def summary(report: dict[str, Any], covered: float | None) -> str:
    """Writes the scores as lines of text.

    Args:
      report: what `picture_scores` writes to `metrics.json`.
      covered: share of all pixels that cells cover in the truth; None if it is that of maps of membranes.
    """
    rows: list[tuple[str, float | None, str]] = [
        ("Dice", report["dice"], "1 is perfect; for the mask of all cells"),
        ("... pooled", report["dice_pooled"], "the same over all pixels of all pictures, with those without cells"),
        ("intersection over union", report["iou"], "1 is perfect; for the mask of all cells"),
        (
            "average precision, IoU above 0.5",
            (report["average_precision"] or {}).get("0.50"),
            "TP / (TP + FP + FN) of cells",
        ),
        ("mean for IoU 0.5 to 0.95", report["mean_average_precision"], "stricter: outlines must match"),
        ("count error", report["count_error"], "relative error of the number of cells; 0 is perfect"),
        ("... pooled", report["count_error_pooled"], "the same over all cells of all pictures together"),
    ]
    for name, title in (("v_rand", "V_rand"), ("v_info", "V_info")):
        if report[name] is not None:
            threshold = report[f"{name}_threshold"]
            rows.append((title, report[name], f"ISBI 2012; probability above {threshold}, borders thinned"))
    lines = [f"{title:<33}{'-' if value is None else f'{value:.4f}':>10}   {note}" for title, value, note in rows]
    if covered is not None:
        lines.append(
            f"no V_rand and V_info: they are for maps of membranes, where cells cover at least "
            f"{100 * MEMBRANES:.0f} %; here cells cover {100 * covered:.0f} %"
        )
    elif report["v_rand"] is None:
        lines.append("no V_rand and V_info: no probability was predicted")
    if without := report["pictures_without_truth_cells"]:
        found = report["cells_in_pictures_without"]
        lines.append(
            f"{without} picture{'s' if without > 1 else ''} without cells in the truth; {found} cells found there"
        )
    pictures = f"{report['pictures']} picture{'s' if report['pictures'] > 1 else ''}"
    lines.append(f"{pictures}; {report['cells']} cells, {report['truth_cells']} in the truth")
    return "\n".join(lines)

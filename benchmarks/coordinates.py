"""Training positions for 70 sections: our table, our TFRecord file, and google/ffn's method, on the same partitions."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _measure import labels, measure, publish

from floodrunner.segmentation.ffn.coordinates import balanced, classes_of, positions
from floodrunner.segmentation.ffn.partitions import partition
from floodrunner.segmentation.ffn.tfrecord import gzipped_records
from floodrunner.stages.storage.coordinates import open_indices, write_coordinates

MARGIN = (24, 24, 24)
WRITTEN = 200_000
"""Records that google/ffn's method writes here. Writing all takes minutes, so its time is scaled up to all records."""


def table(partitions: np.ndarray) -> int:
    with tempfile.TemporaryDirectory() as folder:
        classes = classes_of(partitions, MARGIN, background=True)
        write_coordinates(Path(folder) / "table.h5", classes, positions(partitions, MARGIN, classes))
        return int(classes.starts[-1])


def tfrecord(partitions: np.ndarray) -> int:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file:
        path = Path(folder) / "table.h5"
        classes = classes_of(partitions, MARGIN, background=True)
        write_coordinates(path, classes, positions(partitions, MARGIN, classes))
        with open_indices(path) as read:
            order = balanced(classes, read, np.random.default_rng(0), tempfile.TemporaryFile)
            for piece in gzipped_records(order, classes.shape, "validation1"):
                file.write(piece)
    return len(classes.classes) * int(classes.counts.max())


def google_ffn_list(partitions: np.ndarray) -> np.ndarray:
    """Half of build_coordinates.py: Python lists of (volume, index) for each class, resampled and shuffled."""
    inner = partitions[tuple(slice(m, -m) for m in MARGIN)]
    positions = defaultdict(list)
    for value in np.unique(inner):
        if value != 255:
            positions[value].extend([(0, index) for index in np.flatnonzero(inner == value)])
    largest = max(map(len, positions.values()))
    order = np.concatenate([np.resize(np.random.permutation(v), (largest, 2)) for v in positions.values()])
    np.random.shuffle(order)
    return order


def google_ffn_write(order: np.ndarray, shape: tuple[int, int, int]) -> float:
    """Its other half: writes each record as a tf.train.Example with TensorFlow. Returns CPU seconds per record."""
    import tensorflow as tf

    start = time.process_time()
    with (
        tempfile.TemporaryDirectory() as folder,
        tf.io.TFRecordWriter(f"{folder}/tf_record_file", options="GZIP") as writer,
    ):
        for _, index in order:
            z, y, x = np.unravel_index(index, shape)
            center = tf.train.Int64List(value=[MARGIN[2] + x, MARGIN[1] + y, MARGIN[0] + z])
            name = tf.train.BytesList(value=[b"validation1"])
            feature = {
                "center": tf.train.Feature(int64_list=center),
                "label_volume_name": tf.train.Feature(bytes_list=name),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return (time.process_time() - start) / len(order)


def main() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    volume, data = labels()
    partitions = partition(volume, (24, 24, 24), (0.025, 0.05, 0.075, *(i / 10 for i in range(1, 10))))
    lists = measure(google_ffn_list, partitions)
    order = lists["result"]
    inner = tuple(n - 2 * m for n, m in zip(volume.shape, MARGIN, strict=True))
    written = measure(google_ffn_write, order[:WRITTEN], inner)
    theirs = {
        "result": len(order),
        "seconds": None,
        "cpu_seconds": lists["cpu_seconds"] + written["result"] * len(order),
        "peak_mb": max(lists["peak_mb"], written["peak_mb"]),
    }
    runs = {
        "floodrunner, table": measure(table, partitions),
        "floodrunner, TFRecord": measure(tfrecord, partitions),
        f"google/ffn's method, TFRecord ({WRITTEN:,} records written, scaled)": theirs,
    }
    ours = runs["floodrunner, TFRecord"]
    rows = [
        {
            "coordinates": name,
            "records": run["result"],
            "seconds": run["seconds"],
            "CPU seconds": run["cpu_seconds"],
            "peak MB": run["peak_mb"],
            "times the CPU": run["cpu_seconds"] / ours["cpu_seconds"],
        }
        for name, run in runs.items()
    ]
    publish("coordinates", data, rows)


if __name__ == "__main__":
    main()

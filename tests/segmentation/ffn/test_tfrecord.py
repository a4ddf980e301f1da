from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from floodrunner.segmentation.ffn import tfrecord


def read_as_google_ffn(path: Path) -> tuple[np.ndarray, set[bytes]]:
    """TensorFlow's reader checks each checksum; the shapes are those that train.py asks for."""
    features = {
        "center": tf.io.FixedLenFeature([1, 3], tf.int64),
        "label_volume_name": tf.io.FixedLenFeature([1], tf.string),
    }
    dataset = tf.data.TFRecordDataset(str(path), compression_type="GZIP")
    examples = [tf.io.parse_single_example(record, features) for record in dataset]
    centers = np.concatenate([example["center"].numpy() for example in examples])
    return centers, {example["label_volume_name"].numpy()[0] for example in examples}


@pytest.mark.parametrize("shape", [(5, 100, 128), (70, 200, 129), (3, 5, 20000)])
def test_tensorflow_reads_back_what_was_written(
    shape: tuple[int, int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tfrecord, "_ROWS", 64)  # several pieces
    size = int(np.prod(shape))
    indices = np.append(np.random.default_rng(0).integers(0, size, 498), [0, size - 1]).astype(np.uint32)
    path = tmp_path / "tf_record_file"
    path.write_bytes(b"".join(tfrecord.gzipped_records(np.split(indices, [3, 3, 200]), shape, "validation1")))
    centers, names = read_as_google_ffn(path)
    expected = [np.unravel_index(int(i), shape)[::-1] for i in indices]
    np.testing.assert_array_equal(centers, expected)
    assert names == {b"validation1"}


def test_a_record_is_a_message_as_protocol_buffers_reads_it() -> None:
    (row,) = tfrecord.records(np.array([[7, 0, 300]]), (8, 1, 301), "x" * 200)
    message = row.tobytes()[12:-4]
    example = tf.train.Example.FromString(message)
    assert list(example.features.feature["center"].int64_list.value) == [300, 0, 7]
    assert example.features.feature["label_volume_name"].bytes_list.value[0] == b"x" * 200
    assert set(example.features.feature) == {"center", "label_volume_name"}


def test_where_no_number_needs_padding_the_bytes_are_tensorflows_own(tmp_path: Path) -> None:
    example = tf.train.Example(
        features=tf.train.Features(
            feature={
                "center": tf.train.Feature(int64_list=tf.train.Int64List(value=[3, 2, 1])),
                "label_volume_name": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"v"])),
            }
        )
    )
    with tf.io.TFRecordWriter(str(tmp_path / "one")) as writer:
        writer.write(example.SerializeToString(deterministic=True))
    assert tfrecord.records(np.array([[1, 2, 3]]), (9, 9, 9), "v").tobytes() == (tmp_path / "one").read_bytes()


def test_the_pieces_are_one_gzip_member(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfrecord, "_ROWS", 10)
    indices = np.arange(95)
    data = b"".join(tfrecord.gzipped_records([indices], (1, 1, 95), "v"))
    centers = np.stack(np.unravel_index(indices, (1, 1, 95)), axis=-1)
    assert gzip.decompress(data) == tfrecord.records(centers, (1, 1, 95), "v").tobytes()
    assert data.count(b"\x1f\x8b\x08") == 1


def test_crc32c_of_the_standard() -> None:
    check = np.frombuffer(b"123456789", np.uint8)
    zeros = np.zeros(32, np.uint8)  # RFC 3720, B.4
    assert tfrecord.crc32c(check[None]).tolist() == [0xE3069283]
    assert tfrecord.crc32c(np.stack([zeros, zeros + 0xFF])).tolist() == [0x8A9136AA, 0x62A8AB43]

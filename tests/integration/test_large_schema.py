"""A model's size is no matter of the server's memory."""

from __future__ import annotations

from bench import large_schema


def test_a_gibibyte_is_registered_made_and_warm_started_in_little_memory(tmp_path):
    cost = large_schema.measure(tmp_path, gibibytes=1)
    assert cost.model_bytes == 1 << 30
    assert set(cost.peak_bytes) == {"register", "save fresh", "warm start"}
    assert max(cost.peak_bytes.values()) <= large_schema.MOST_BYTES, cost.peak_bytes

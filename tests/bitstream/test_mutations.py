"""Damaged streams are refused or their losses flagged; `stream_mutations.py` by itself tries any number of them."""

import stream_mutations


def test_damaged_streams():
    results = stream_mutations.run(count=500, seed=1)
    print(dict(results))
    assert results.total() == 500
    assert min(results[kind] for kind in ("refused", "flagged", "forged", "unharmed")) > 0

"""The name of features by their content."""

from __future__ import annotations

import hashlib

import torch

from wsreid.retrieval.features import FeatureTable

TILE = 2**24  # bytes read at once; the hash does not depend on it


def feature_hash(table: FeatureTable) -> str:
    """Hashes type, shape and numbers, as they are stored: a float32 copy of float16 features has another hash.

    Args:
        table: N rows, read once, slice by slice.

    Returns:
        40 hexadecimal digits (BLAKE2b).
    """
    kind = str(table.slice(0, 1).dtype).removeprefix("torch.")
    digest = hashlib.blake2b(f"{kind} {table.rows} {table.width}\n".encode(), digest_size=20)
    step = max(1, TILE // (8 * table.width))
    for start in range(0, table.rows, step):
        part = table.slice(start, min(start + step, table.rows)).cpu().contiguous()  # (n, D)
        digest.update(part.view(torch.uint8).numpy().data)  # bytes in the machine's order
    return digest.hexdigest()

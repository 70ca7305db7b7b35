# Copyright (c) costa_mm authors. All rights reserved.
"""Helpers below everything else."""
from .files import atomic_path, write_bytes, write_json, write_text
from .tensors import host_index, inverse_order

__all__ = [
    'atomic_path', 'host_index', 'inverse_order', 'write_bytes', 'write_json',
    'write_text'
]

# Copyright (c) costa_mm authors. All rights reserved.
"""Helpers below everything else."""
from .files import atomic_path, write_bytes, write_json, write_text

__all__ = ['atomic_path', 'write_bytes', 'write_json', 'write_text']

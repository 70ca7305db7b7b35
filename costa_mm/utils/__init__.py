# Copyright (c) costa_mm authors. All rights reserved.
"""Helpers that know nothing of videos or models."""
from .files import atomic_path, write_bytes, write_json, write_text

__all__ = ['atomic_path', 'write_bytes', 'write_json', 'write_text']

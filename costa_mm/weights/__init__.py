# Copyright (c) costa_mm authors. All rights reserved.
"""Pretrained and published weights, and how they become weights of ours.

:mod:`.zoo` knows models by name, :mod:`.sources` addresses, :mod:`.cache`
and :mod:`.transfer` bring files to this machine, :mod:`.layouts` recognises
how published code names its tensors, :mod:`.reading` gives a checkpoint of
ours, and :mod:`.parts` composes initial weights.
"""
from .cache import (WeightsUnavailableError, cache_folder, cached_path, fetch,
                    unavailable, verify)
from .layouts import LAYOUTS, Layout, recognise, register_layout
from .parts import PARTS, load_initial_weights, read_part
from .reading import load_file, read_published
from .resolve import SCHEME, find_source, load_by_name, resolve_weights
from .sources import WeightSource, is_address
from .zoo import (ZooEntry, find_model, list_models, models_with_weights,
                  notice_of, training_data, zoo_root)

__all__ = [
    'LAYOUTS', 'Layout', 'PARTS', 'SCHEME', 'WeightSource',
    'WeightsUnavailableError', 'ZooEntry', 'cache_folder', 'cached_path',
    'fetch', 'find_model', 'find_source', 'is_address', 'list_models',
    'load_by_name', 'load_file', 'load_initial_weights', 'models_with_weights',
    'notice_of', 'read_part', 'read_published', 'recognise', 'register_layout',
    'resolve_weights', 'training_data', 'unavailable', 'verify', 'zoo_root'
]

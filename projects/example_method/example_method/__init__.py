# Copyright (c) costa_mm authors. All rights reserved.
"""A method, a dataset, a protocol and a text encoder outside of costa_mm.

Importing this package registers them; a config does so by
``custom_imports = dict(imports=['example_method'])``.
"""
# first, so that parts of mmdet can be imported beside mmcv-lite as well
import costa_mm.models  # noqa: F401
from .connections import GatedConnection
from .datasets import FilmDataset
from .heads import FrameTokenHead
from .losses import BoxSpreadLoss
from .protocols import EveryThirdFrame
from .text_encoders import WordGRUEncoder

__all__ = [
    'BoxSpreadLoss', 'EveryThirdFrame', 'FilmDataset', 'FrameTokenHead',
    'GatedConnection', 'WordGRUEncoder'
]

# Copyright (c) costa_mm authors. All rights reserved.
"""Named groups of parameters, each with its own schedule."""
from .group_constructor import GroupOptimWrapperConstructor
from .groupwise_lr import GroupwiseLR, lr_factor

__all__ = ['GroupOptimWrapperConstructor', 'GroupwiseLR', 'lr_factor']

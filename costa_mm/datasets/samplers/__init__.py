# Copyright (c) costa_mm authors. All rights reserved.
"""Samplers that know their epoch and their offset."""
from .epoch_sampler import EpochSampler

__all__ = ['EpochSampler']

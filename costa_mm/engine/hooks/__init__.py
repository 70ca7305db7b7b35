# Copyright (c) costa_mm authors. All rights reserved.
"""Hooks."""
from .checkpoint_hook import AtomicCheckpointHook
from .ema_hook import STVGEMAHook
from .nonfinite_hook import NonFiniteLossError, NonFiniteLossHook
from .runtime_info_hook import STVGRuntimeInfoHook
from .signal_hook import INTERRUPTED_EXIT_CODE, SaveOnSignalHook
from .visualization_hook import TubeVisualizationHook

__all__ = [
    'AtomicCheckpointHook', 'INTERRUPTED_EXIT_CODE', 'NonFiniteLossError',
    'NonFiniteLossHook', 'STVGEMAHook', 'STVGRuntimeInfoHook',
    'SaveOnSignalHook', 'TubeVisualizationHook'
]

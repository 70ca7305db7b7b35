# Copyright (c) costa_mm authors. All rights reserved.
"""Training that never loses work: runner, loops, hooks, mixed precision."""
from costa_mm.late_imports import quick_imports

with quick_imports():
    from .averaging import TrainableEMA
    from .checkpoint_io import (build_trained, latest_checkpoint, load_weights,
                                read_checkpoint)
    from .hooks import (INTERRUPTED_EXIT_CODE, AtomicCheckpointHook,
                        NonFiniteLossError, NonFiniteLossHook,
                        SaveOnSignalHook, STVGEMAHook, STVGRuntimeInfoHook,
                        TubeVisualizationHook)
    from .loops import ResumableEpochTrainLoop, ResumableIterTrainLoop
    from .optim_wrappers import STVGAmpOptimWrapper
    from .runner import STVGRunner
    from .schedulers import GroupOptimWrapperConstructor, GroupwiseLR

__all__ = [
    'AtomicCheckpointHook', 'GroupOptimWrapperConstructor', 'GroupwiseLR',
    'INTERRUPTED_EXIT_CODE', 'NonFiniteLossError',
    'NonFiniteLossHook', 'ResumableEpochTrainLoop', 'ResumableIterTrainLoop',
    'STVGAmpOptimWrapper', 'STVGEMAHook', 'STVGRunner', 'STVGRuntimeInfoHook',
    'SaveOnSignalHook', 'TrainableEMA', 'TubeVisualizationHook',
    'build_trained', 'latest_checkpoint', 'load_weights', 'read_checkpoint'
]

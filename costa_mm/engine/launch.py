# Copyright (c) costa_mm authors. All rights reserved.
"""Launchers, process groups and what a device can do."""
import torch
from torch import distributed as torch_dist

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
# seconds after which a collective that a dead rank never joins is an error
DEFAULT_TIMEOUT = 1800


def close_process_group() -> None:
    """Leave the process group, if there is one."""
    if torch_dist.is_available() and torch_dist.is_initialized():
        torch_dist.destroy_process_group()


def autocast_dtype() -> torch.dtype:
    """bfloat16, or float16 on CUDA devices without bfloat16."""
    if torch.cuda.is_available() and not _computes_bfloat16():
        return torch.float16
    return torch.bfloat16


def _computes_bfloat16() -> bool:
    """Whether the CUDA device does, and does not only emulate it."""
    try:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    except TypeError:  # torch before 2.4 does not count emulation
        return torch.cuda.is_bf16_supported()

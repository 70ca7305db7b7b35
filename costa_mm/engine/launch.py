# Copyright (c) costa_mm authors. All rights reserved.
"""Process groups on machines without CUDA."""
import datetime
import os
import subprocess
from typing import Dict, Tuple

import torch
from torch import distributed as torch_dist

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
# seconds after which a collective that a dead rank never joins is an error
DEFAULT_TIMEOUT = 1800

# launcher -> variables that hold (rank, world size, local rank)
_VARIABLES: Dict[str, Tuple[str, str, str]] = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE',
            'OMPI_COMM_WORLD_LOCAL_RANK'),
}


def _export_ranks(launcher: str) -> None:
    """Give torch the variables it reads, whatever the launcher calls them.

    Raises:
        KeyError: If the launcher's variables are not set.
    """
    names = _VARIABLES[launcher]
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise KeyError(
            f'launcher {launcher!r} needs the environment variables '
            f'{", ".join(missing)}: start with tools/dist_train.sh (torchrun) '
            'or tools/slurm_train.sh (srun)')
    values = [os.environ[name] for name in names]
    os.environ.update(
        RANK=values[0], WORLD_SIZE=values[1], LOCAL_RANK=values[2])


def _slurm_master() -> str:
    """First host of the job's node list."""
    nodes = os.environ.get('SLURM_NODELIST', '127.0.0.1')
    try:
        return subprocess.run(['scontrol', 'show', 'hostname', nodes],
                              check=True,
                              capture_output=True,
                              text=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return nodes


def init_cpu_process_group(launcher: str,
                           timeout: float = DEFAULT_TIMEOUT) -> None:
    """Initialise a gloo process group before the Runner is built.

    MMEngine's ``init_dist`` calls ``torch.cuda.set_device``, which fails on a
    machine without CUDA.

    Args:
        launcher (str): 'pytorch', 'slurm' or 'mpi'.
        timeout (float): Seconds that a collective waits for a rank.

    Raises:
        ValueError: If the launcher is unknown.
        KeyError: If the launcher's environment variables are not set.
    """
    if launcher not in _VARIABLES:
        raise ValueError(f'launcher {launcher!r} is none of '
                         f'{tuple(_VARIABLES)}')
    _export_ranks(launcher)
    if launcher == 'slurm':
        os.environ.setdefault('MASTER_ADDR', _slurm_master())
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    os.environ.setdefault('MASTER_PORT', '29500')
    torch_dist.init_process_group(
        backend='gloo', timeout=datetime.timedelta(seconds=timeout))


def close_process_group() -> None:
    """Leave the process group, if there is one."""
    if torch_dist.is_available() and torch_dist.is_initialized():
        torch_dist.destroy_process_group()


def autocast_dtype() -> torch.dtype:
    """bfloat16, or float16 on CUDA devices without bfloat16."""
    if torch.cuda.is_available() and not torch.cuda.is_bf16_supported():
        return torch.float16
    return torch.bfloat16

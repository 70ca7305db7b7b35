# Copyright (c) costa_mm authors. All rights reserved.
"""What all performance tools share: clock, memory, processes and tables."""
import os
import platform
import re
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Callable, Tuple

import torch
from torch.utils.benchmark import Timer

ALLOCATOR = ('MALLOC_MMAP_MAX_', 'MALLOC_TRIM_THRESHOLD_', 'MALLOC_ARENA_MAX',
             'LD_PRELOAD', 'PYTORCH_CUDA_ALLOC_CONF', 'PYTORCH_ALLOC_CONF')
#: Instructions that matter for 16 bits.
FEATURES = ('avx2', 'avx512f', 'avx512_bf16', 'amx_bf16')


def describe(device: str) -> dict:
    """Processor, threads, versions and allocator settings."""
    path = Path('/proc/cpuinfo')
    cpu = path.read_text(encoding='utf-8') if path.exists() else ''
    name = re.search(r'^model name\s*: (.*)', cpu, re.M)
    out = dict(
        device=device,
        cpu=name.group(1) if name else platform.processor(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        cpu_features=[f for f in FEATURES if re.search(rf'\b{f}\b', cpu)],
        torch=torch.__version__,
        allocator={k: os.environ[k] for k in ALLOCATOR if k in os.environ})
    if device.startswith('cuda'):
        properties = torch.cuda.get_device_properties(device)
        out.update(
            gpu=properties.name,
            gpu_memory_gib=properties.total_memory / 2**30,
            cuda=torch.version.cuda,
            cudnn=torch.backends.cudnn.version())
    return out


def set_precision(precision: str) -> None:
    """Allow TF32 in 'tf32', and only there."""
    allowed = precision == 'tf32'
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def matmul_rate(device: str, precision: str, seconds: float = 1.) -> float:
    """Floating point operations per second of large matrix products.

    The best of several products in 'fp32', 'tf32' or 'bf16', which are
    repeated for at least so many seconds.
    """
    set_precision(precision)
    dtype = torch.bfloat16 if precision == 'bf16' else torch.float32
    size = 8192 if device.startswith('cuda') else 1024
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in 'ab')
    timer = Timer('a @ b', globals=dict(a=a, b=b),
                  num_threads=torch.get_num_threads())
    times = timer.blocked_autorange(min_run_time=seconds).times
    return 2 * size**3 / min(times)


def timed(run: Callable, device: str) -> Tuple[Any, float]:
    """What a call returns, and its seconds until the device is done."""
    wait = torch.cuda.synchronize if device.startswith('cuda') else int
    wait()
    began = time.perf_counter()
    out = run()
    wait()
    return out, time.perf_counter() - began


def peak_bytes(device: str) -> int:
    """Peak memory: allocated on the GPU, or of this process on the CPU."""
    if device.startswith('cuda'):
        return torch.cuda.max_memory_allocated(device)
    status = Path('/proc/self/status').read_text(encoding='ascii')
    return int(re.search(r'VmHWM:\s*(\d+)', status).group(1)) * 1024


def run_alone(function: Callable, *args: Any) -> Any:
    """Call a function in a process of its own, whose end frees everything."""
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(function, *args).result()


class Table:
    """A Markdown table that lines up in a terminal.

    The head is printed now, a line when :meth:`row` knows it.

    Args:
        **widths (int): Characters of each column.
    """

    def __init__(self, **widths: int) -> None:
        self.widths = list(widths.values())
        self.row(*(title.replace('_', ' ') for title in widths))
        print(f"|{'|'.join('-' * (w + 2) for w in self.widths)}|")

    def row(self, *cells: Any) -> None:
        """Print a line; numbers to the right, '-' where cells lack."""
        cells += ('-', ) * (len(self.widths) - len(cells))
        padded = [
            str(c).rjust(w) if i and str(c)[:1].isdigit() else str(c).ljust(w)
            for i, (c, w) in enumerate(zip(cells, self.widths))
        ]
        print(f"| {' | '.join(padded)} |", flush=True)

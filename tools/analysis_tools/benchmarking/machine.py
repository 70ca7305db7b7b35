# Copyright (c) costa_mm authors. All rights reserved.
"""What a figure was measured on."""
import os
import platform
import time

import torch

ALLOCATOR = ('MALLOC_MMAP_MAX_', 'MALLOC_TRIM_THRESHOLD_', 'MALLOC_ARENA_MAX',
             'LD_PRELOAD', 'PYTORCH_CUDA_ALLOC_CONF', 'PYTORCH_ALLOC_CONF')


def describe(device: str) -> dict:
    """Processor, threads, versions and allocator settings."""
    out = dict(
        device=device,
        cpu=cpu_name(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        cpu_features=cpu_features(),
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


def cpu_name() -> str:
    """Name of the processor."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as f:
            for line in f:
                if line.startswith('model name'):
                    return line.split(':', 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cpu_features() -> list:
    """Which of the instructions that matter for 16 bits there are."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as f:
            flags = next((line for line in f if line.startswith('flags')), '')
    except OSError:
        return []
    wanted = ('avx2', 'avx512f', 'avx512_bf16', 'amx_bf16')
    return [name for name in wanted if name in flags.split()]


def matmul_rate(device: str, precision: str, seconds: float = 1.) -> float:
    """Floating point operations per second of large matrix products.

    Args:
        device (str): 'cpu', 'cuda', ...
        precision (str): 'fp32', 'tf32' or 'bf16'.
        seconds (float): How long to measure at least.

    Returns:
        float: The best of several products.
    """
    set_precision(precision)
    dtype = torch.bfloat16 if precision == 'bf16' else torch.float32
    size = 8192 if device.startswith('cuda') else 1024
    a = torch.randn(size, size, device=device).to(dtype)
    b = torch.randn(size, size, device=device).to(dtype)
    best, began = float('inf'), time.perf_counter()
    for i in range(1000):
        start = time.perf_counter()
        a @ b
        synchronize(device)
        if i >= 3:  # warm
            best = min(best, time.perf_counter() - start)
            if time.perf_counter() - began > seconds:
                break
    return 2 * size**3 / best


def set_precision(precision: str) -> None:
    """Allow TF32 in 'tf32', and only there."""
    allowed = precision == 'tf32'
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def synchronize(device: str) -> None:
    """Wait for the device."""
    if device.startswith('cuda'):
        torch.cuda.synchronize(device)


def peak_bytes(device: str) -> int:
    """Peak memory: allocated on the GPU, or of this process on the CPU."""
    if device.startswith('cuda'):
        return torch.cuda.max_memory_allocated(device)
    with open('/proc/self/status', encoding='ascii') as f:
        line = next(row for row in f if row.startswith('VmHWM'))
    return int(line.split()[1]) * 1024

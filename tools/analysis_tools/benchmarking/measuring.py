# Copyright (c) costa_mm authors. All rights reserved.
"""Times, parts, operations and memory."""
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Callable, Dict, Iterator, List, Tuple

import numpy as np
import torch
from torch import nn

from .live_memory import LiveMemory, state_of
from .machine import peak_bytes, synchronize
from .subjects import Spec, Subject, make_subject

PARTS = ('data_preprocessor', 'backbone', 'backbone.spatial',
         'backbone.connections', 'text_encoder', 'neck', 'head')


def timed(run: Callable, device: str) -> float:
    """Seconds of one call."""
    synchronize(device)
    began = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - began


def interleaved(runs: Dict[str, Callable], rounds: int,
                device: str) -> Dict[str, List[float]]:
    """Seconds of every call in every round, in turn.

    A machine that is busy for a while slows all of them alike.
    """
    out: Dict[str, List[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            out[name].append(timed(run, device))
    return out


@contextmanager
def part_times(subject: Subject, device: str) -> Iterator[Dict[str, float]]:
    """Seconds of a subject's parts, summed over their calls.

    Yields:
        dict[str, float]: Filled while the block runs. A part that contains
        another, such as 'backbone', includes its time.
    """
    seconds: Dict[str, float] = {}
    began: Dict[str, float] = {}
    handles, undo = [], []

    def watch(name: str, module: nn.Module) -> None:
        def before(*args) -> None:
            synchronize(device)
            began[name] = time.perf_counter()

        def after(*args) -> None:
            synchronize(device)
            seconds[name] = seconds.get(
                name, 0.) + time.perf_counter() - began[name]

        handles.append(module.register_forward_pre_hook(before))
        handles.append(module.register_forward_hook(after))

    modules = dict(subject.model.named_modules())
    for name in PARTS:
        if isinstance(modules.get(name), nn.ModuleList):
            for child in modules[name]:
                watch(name, child)
        elif name in modules:
            watch(name, modules[name])
    for owner, name in subject.hooks:
        undo.append((owner, name))
        setattr(owner, name, _watched(getattr(owner, name), name, seconds,
                                      device))
    try:
        yield seconds
    finally:
        for handle in handles:
            handle.remove()
        for owner, name in undo:
            delattr(owner, name)


def _watched(method: Callable, name: str, seconds: Dict[str, float],
             device: str) -> Callable:
    def call(*args, **kwargs):
        synchronize(device)
        start = time.perf_counter()
        out = method(*args, **kwargs)
        synchronize(device)
        seconds[name] = seconds.get(name, 0.) + time.perf_counter() - start
        return out

    return call


def count(subject: Subject) -> Dict[str, int]:
    """Operations of a first run, and live bytes of a second one.

    They are apart because the counter of operations keeps what checkpointed
    blocks compute again.

    Returns:
        dict[str, int]: 'flops', 2 per multiply-add of convolutions and matrix
        products, and 'live_bytes', the most that tensors took at once, the
        model's own included.
    """
    from torch.utils.flop_counter import FlopCounterMode
    with FlopCounterMode(display=False) as counter:
        subject.run()
    with LiveMemory(state_of(*subject.owners)) as memory:
        subject.run()
    return dict(flops=counter.get_total_flops(), live_bytes=memory.peak)


def timed_with_parts(subject: Subject, rounds: int,
                     device: str) -> Tuple[List[float], Dict[str, float]]:
    """Seconds of every round, and mean seconds of the parts.

    On a GPU parts are told by waiting for it, which costs time: they get a
    round of their own.
    """
    if device.startswith('cuda'):
        times = [timed(subject.run, device) for _ in range(rounds)]
        rounds = 1
        with part_times(subject, device) as parts:
            subject.run()
    else:
        with part_times(subject, device) as parts:
            times = [timed(subject.run, device) for _ in range(rounds)]
    return times, {name: total / rounds for name, total in parts.items()}


def measure(spec: Spec, rounds: int, threads: int) -> dict:
    """Everything about one subject; meant for a process of its own.

    Returns:
        dict: 'seconds' (median), 'rounds', 'parts', 'peak_bytes' and, unless
        compiled code hides them, 'flops' and 'live_bytes'; or 'error'.
    """
    torch.set_num_threads(threads)
    try:
        subject = make_subject(spec)
        counted = dict(flops=None, live_bytes=None)
        if 'compile' in spec.options:
            subject.run()
            subject.run()
        else:
            counted = count(subject)
        if spec.device.startswith('cuda'):
            torch.cuda.reset_peak_memory_stats(spec.device)
        times, parts = timed_with_parts(subject, rounds, spec.device)
        peak = peak_bytes(spec.device)
    except (torch.OutOfMemoryError, MemoryError) as e:
        return dict(error=f'out of memory: {str(e)[:200]}')
    return dict(
        seconds=float(np.median(times)),
        rounds=times,
        parts=parts,
        peak_bytes=peak,
        **counted)


def measure_alone(spec: Spec, rounds: int, threads: int) -> dict:
    """:func:`measure` in a process of its own, whose end frees everything."""
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        try:
            return pool.submit(measure, spec, rounds, threads).result()
        except BrokenProcessPool:
            return dict(error='killed, most likely out of memory')


def compare(specs: List[Spec], rounds: int) -> dict:
    """Interleaved times of several subjects.

    Subjects of one config get the weights of its first one.  The first run
    of each, whose outputs are compared, warms it up.

    Returns:
        dict: 'seconds' and 'rounds' by mode, 'ratio' of the medians to the
        first subject, and 'difference', the largest difference of outputs to
        the first subject as a part of its largest output; empty in training,
        where each draws its own dropout.
    """
    first = specs[0]
    subjects, weights = {}, {}
    for spec in specs:
        subject = make_subject(spec)
        state = weights.setdefault(spec.config, subject.model.state_dict())
        subject.model.load_state_dict(state)
        subjects[spec.config + ' ' + spec.mode] = subject
    outputs = {name: s.run() for name, s in subjects.items()}
    times = interleaved({n: s.run for n, s in subjects.items()}, rounds,
                        first.device)
    medians = {name: float(np.median(t)) for name, t in times.items()}
    reference = outputs[first.config + ' ' + first.mode]
    base = medians[first.config + ' ' + first.mode]
    scale = float(reference.abs().max())
    if first.task == 'train':
        outputs = {}
    return dict(
        seconds=medians,
        rounds=times,
        ratio={name: value / base for name, value in medians.items()},
        difference={
            name: float((out - reference).abs().max()) / scale
            for name, out in outputs.items() if out.shape == reference.shape
        })

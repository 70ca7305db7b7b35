# Copyright (c) costa_mm authors. All rights reserved.
"""Times, parts, operations and memory."""
import weakref
from collections import defaultdict
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from costa_mm.models.layers import attention
from costa_mm.registry import MODELS
from .machine import peak_bytes, run_alone, timed
from .subjects import (Spec, Subject, autocast, make_batch, read_config,
                       state_of)

PARTS = ('data_preprocessor', 'backbone', 'backbone.spatial',
         'backbone.connections', 'text_encoder', 'neck', 'head')


class LiveMemory(TorchDispatchMode):
    """Follows every storage that an operation makes, until it is freed.

    It counts what ``torch.cuda.max_memory_allocated`` counts, on any device,
    without rounding and without what a kernel uses inside.  The resident
    memory of a process also holds what its allocator keeps for later.

    Args:
        tensors (Any): What is there at the beginning, nested as it may be.

    Attributes:
        live (int): Bytes at present.
        peak (int): Most bytes at once.
    """

    def __init__(self, tensors: Any) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._seen = set()
        self._follow(tensors)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self._follow(out)
        return out

    def _follow(self, tree: Any) -> None:
        for tensor in tree_leaves(tree):
            if not isinstance(tensor, Tensor) or tensor.is_meta:
                continue
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            if key not in self._seen:
                self._seen.add(key)
                self.live += size
                self.peak = max(self.peak, self.live)
                weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.live -= size


def count(run: Callable, state: Callable) -> Dict[str, int]:
    """Operations of a first run, and live bytes of a second one.

    They are apart because the counter of operations keeps what checkpointed
    blocks compute again.

    Args:
        run (Callable): Does something.
        state (Callable): Gives the tensors that are there between runs.

    Returns:
        dict[str, int]: 'flops', 2 per multiply-add of convolutions and matrix
        products, 'live_bytes', the most that tensors took at once, the state
        included, and 'state_bytes', what they take after the run.
    """
    with FlopCounterMode(display=False) as counter:
        run()
    with LiveMemory(state()) as memory:
        run()
    return dict(flops=counter.get_total_flops(), live_bytes=memory.peak,
                state_bytes=memory.live)


def _all_keys(key_mask: Optional[Tensor]) -> Optional[Tensor]:
    """A mask without numbers cannot be asked if anything is padded."""
    return None if key_mask is None else ~key_mask[:, None, None, :]


def count_training(spec: Spec) -> Dict[str, int]:
    """:func:`count` a training step on the CPU that is not computed.

    Tensors without numbers go through the model (PyTorch's
    ``FakeTensorMode``), so a step at a size that this machine could never run
    is counted in seconds.  Maps lie channels first, which takes the same
    memory; norms of gradients are not made, so clipping is left out.
    """
    cfg = read_config(spec)
    cfg.model.backbone.channels_last = False
    options = {**cfg.optim_wrapper.optimizer}
    options.pop('fused', None)  # the states are the same
    with FakeTensorMode(allow_non_fake_inputs=True), \
            mock.patch.object(attention, '_valid_keys', _all_keys):
        model = MODELS.build(cfg.model).train()
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = getattr(torch.optim, options.pop('type'))(trained,
                                                              **options)
        data = model.data_preprocessor(make_batch(spec), True)
        averages = [p.detach().clone() for p in trained]  # as TrainableEMA

        def step() -> None:
            with autocast(spec):
                losses = model(**data, mode='loss')
            sum(v for k, v in losses.items() if 'loss' in k).backward()
            optimizer.step()
            optimizer.zero_grad()
            for average, param in zip(averages, trained):
                average.lerp_(param.detach(), 0.5)

        return count(
            step, lambda: [*state_of(model), optimizer.state, averages])


@contextmanager
def part_times(subject: Subject, device: str) -> Iterator[Dict[str, float]]:
    """Seconds of a subject's parts, summed over their calls.

    Yields:
        dict[str, float]: Filled while the block runs. A part that contains
        another, such as 'backbone', includes its time.
    """
    seconds: Dict[str, float] = defaultdict(float)

    def watched(method: Callable, name: str) -> Callable:

        def call(*args, **kwargs):
            out, spent = timed(lambda: method(*args, **kwargs), device)
            seconds[name] += spent
            return out

        return call

    modules = dict(subject.model.named_modules())
    watch = [(name, owner, name) for name, owner in subject.parts.items()]
    for name in PARTS:
        part = modules.get(name)
        parts = part if isinstance(part, nn.ModuleList) else [part]
        # the grounder takes the two steps of a text encoder one by one
        watch += [(name, m, 'encode' if hasattr(m, 'encode') else 'forward')
                  for m in parts if m is not None]
    with ExitStack() as stack:
        for name, owner, method in watch:
            call = watched(getattr(owner, method), name)
            stack.enter_context(mock.patch.object(owner, method, call))
        yield seconds


def measure(spec: Spec, rounds: int, threads: int) -> dict:
    """Everything about one subject; meant for a process of its own.

    Parts are told by waiting for the device, which costs time on a GPU: they
    get a round of their own.  A compiled model has none: watched, all of it
    would be compiled again.

    Returns:
        dict: 'seconds' (median), 'rounds', 'parts', 'peak_bytes' and, unless
        compiled code hides them, what :func:`count` gives; or 'error'.
    """
    torch.set_num_threads(threads)
    try:
        subject = Subject(spec)
        counted = dict(flops=None, live_bytes=None)
        if 'compile' in spec.options:
            subject.run()
            subject.run()
        else:
            counted = count(subject.run, subject.state)
        if spec.device.startswith('cuda'):
            torch.cuda.reset_peak_memory_stats(spec.device)
        times = [timed(subject.run, spec.device)[1] for _ in range(rounds)]
        peak = peak_bytes(spec.device)
        parts = {}
        if 'compile' not in spec.options:
            with part_times(subject, spec.device) as parts:
                subject.run()
    except (torch.OutOfMemoryError, MemoryError) as e:
        return dict(error=f'out of memory: {str(e)[:200]}')
    return dict(seconds=float(np.median(times)), rounds=times,
                parts=dict(parts), peak_bytes=peak, **counted)


def measure_alone(spec: Spec, rounds: int, threads: int) -> dict:
    """:func:`measure` in a process of its own."""
    try:
        return run_alone(measure, spec, rounds, threads)
    except BrokenProcessPool:
        return dict(error='killed, most likely out of memory')


def compare(specs: List[Spec], rounds: int) -> dict:
    """Times of several subjects, measured in turn in every round.

    A machine that is busy for a while slows all of them alike.  Subjects of
    one config get the weights of its first one.  The first run of each, whose
    outputs are compared, warms it up.

    Returns:
        dict: 'seconds' and 'rounds' by mode, 'ratio' of the medians to the
        first subject, and 'difference', the largest difference of outputs to
        the first subject as a part of its largest output; empty in training,
        where each draws its own dropout.
    """
    runs, weights = {}, {}
    for spec in specs:
        subject = Subject(spec)
        state = weights.setdefault(spec.config, subject.model.state_dict())
        subject.model.load_state_dict(state)
        runs[f'{spec.config} {spec.mode}'] = subject.run
    outputs = {name: run() for name, run in runs.items()}
    times: Dict[str, List[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(timed(run, specs[0].device)[1])
    medians = {name: float(np.median(t)) for name, t in times.items()}
    base, reference = (
        next(iter(found.values())) for found in (medians, outputs))
    if specs[0].task == 'train':
        outputs = {}
    return dict(
        seconds=medians,
        rounds=times,
        ratio={name: value / base for name, value in medians.items()},
        difference={
            name: float((out - reference).abs().max() / reference.abs().max())
            for name, out in outputs.items() if out.shape == reference.shape
        })

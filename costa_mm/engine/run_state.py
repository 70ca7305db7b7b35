# Copyright (c) costa_mm authors. All rights reserved.
"""What a process holds besides weights, optimizer and schedulers."""
import os.path as osp
import random
from contextlib import contextmanager
from typing import Dict, Iterator, Optional

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from .checkpoint_io import read_checkpoint


def capture_random_state() -> dict:
    """State of every random generator of this process.

    Plain numbers and tensors only, so it can be read with
    ``weights_only=True``.
    """
    version, words, gauss = random.getstate()
    name, keys, pos, has_gauss, cached = np.random.get_state()
    state = dict(
        python=dict(
            version=version, words=torch.tensor(words), gauss=gauss),
        numpy=dict(
            name=str(name),
            keys=torch.from_numpy(keys.astype(np.int64)),
            pos=int(pos),
            has_gauss=int(has_gauss),
            cached=float(cached)),
        torch=torch.get_rng_state())
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: dict) -> None:
    """Put the generators back; the inverse of :func:`capture_random_state`."""
    python, numpy = state['python'], state['numpy']
    random.setstate((python['version'], tuple(python['words'].tolist()),
                     python['gauss']))
    np.random.set_state(
        (numpy['name'], numpy['keys'].cpu().numpy().astype(np.uint32),
         numpy['pos'], numpy['has_gauss'], numpy['cached']))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def preserved_random_state() -> Iterator[dict]:
    """Whatever is drawn inside leaves no trace outside."""
    state = capture_random_state()
    try:
        yield state
    finally:
        restore_random_state(state)


def unwrapped(model: nn.Module) -> nn.Module:
    """The model itself, so that names do not depend on the launcher."""
    return model.module if is_model_wrapper(model) else model


def capture_gradients(model: nn.Module) -> Dict[str, Tensor]:
    """Gradients gathered so far in an unfinished accumulation."""
    return {
        name: p.grad.detach().cpu()
        for name, p in unwrapped(model).named_parameters()
        if p.grad is not None
    }


def restore_gradients(model: nn.Module, gradients: Dict[str, Tensor]) -> None:
    """Put gradients of an unfinished accumulation back."""
    parameters = dict(unwrapped(model).named_parameters())
    for name, grad in gradients.items():
        parameter = parameters[name]
        parameter.grad = grad.to(parameter.device).clone()


def longest_window(runner) -> Optional[int]:
    """Iterations that the log looks back at most; None if at all of them."""
    processor = runner.log_processor
    longest = processor.window_size
    for cfg in processor.custom_cfg:
        if cfg.get('method_name') == 'current':
            continue
        window = cfg.get('window_size', 'global')
        if window == 'global':
            return None
        if window == 'epoch':
            window = len(runner.train_dataloader)
        longest = max(longest, window)
    return longest


def forget_old_scalars(runner) -> None:
    """Drop logged values that no line of the log looks back at any more.

    The message hub keeps a million values of every scalar and saves them, so
    that checkpoints, and the copy of the history that each update makes,
    grow with every iteration (mmengine 0.10.7).  A validation looks back at
    all of its own batches, so this is for the moments between iterations,
    not a bound of the buffers.
    """
    length = longest_window(runner)
    if length is None:
        return
    for buffer in runner.message_hub.log_scalars.values():
        values, counts = (x[-length:].copy() for x in buffer.data)
        buffer._log_history, buffer._count_history = values, counts


def capture_rank_state(runner) -> dict:
    """State of this process: random generators, unfinished gradients."""
    held = getattr(runner.train_loop, 'held_random_state', None)
    state = dict(random=capture_random_state() if held is None else held)
    wrapper = runner.optim_wrapper
    count = getattr(wrapper, '_accumulative_counts', 1)
    if count > 1 and wrapper.inner_count % count:
        state['gradients'] = capture_gradients(runner.model)
    return state


def restore_rank_state(runner, ranks: list, folder: str) -> None:
    """Give this process its own state back.

    With another number of processes than before nothing can be exact; the
    generators then stay as the loop has seeded them, and a warning says so.

    Args:
        runner (Runner): The runner.
        ranks (list[dict]): State of every process, from its checkpoint.
        folder (str): Folder of the checkpoint.
    """
    if len(ranks) != runner.world_size:
        print_log(
            f'the run was interrupted with {len(ranks)} processes and goes '
            f'on with {runner.world_size}: it is resumed, but not exactly',
            'current', 30)
        return
    state = ranks[runner.rank]
    restore_random_state(state['random'])
    gradients: Optional[dict] = state.get('gradients')
    if 'gradient_file' in state:
        gradients = read_checkpoint(osp.join(folder, state['gradient_file']))
    if gradients is not None:
        restore_gradients(runner.model, gradients)
        runner.logger.info('the gradients of the unfinished accumulation are '
                           'restored; nothing is lost')

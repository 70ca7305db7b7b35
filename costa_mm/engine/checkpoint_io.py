# Copyright (c) costa_mm authors. All rights reserved.
"""Checkpoint files: written whole or not at all, read without pickle code."""
import os
import os.path as osp
import pickle
import re
from collections import OrderedDict
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import torch
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader, find_latest_checkpoint
from torch import nn

from costa_mm.weights import is_address, read_published, resolve_weights

TMP_SUFFIX = '.writing'


def _sync_folder(path: str) -> None:
    """Make a rename in the folder of ``path`` durable."""
    folder = os.open(osp.dirname(osp.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_atomically(path: str, write: Callable[[Any], None]) -> None:
    """Write a file so that a reader sees the old one or the whole new one.

    Temporary file in the same folder, fsync, rename, fsync of the folder.

    Args:
        path (str): The file.
        write (Callable): Gets the open binary file.

    Raises:
        OSError: If it cannot be written; a file that stood there before is
            untouched and nothing else is left behind.
    """
    tmp = path + TMP_SUFFIX
    try:
        with open(tmp, 'wb') as f:
            write(f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(tmp, path)
    except BaseException as e:
        if osp.exists(tmp):
            os.remove(tmp)
        if isinstance(e, RuntimeError) and isinstance(e.__context__, OSError):
            # torch's zip writer hides "No space left on device"
            raise e.__context__ from e
        raise
    _sync_folder(path)


def save_checkpoint_file(checkpoint: dict, path: str) -> None:
    """Write a checkpoint atomically, without a copy of it in memory."""
    write_atomically(path, lambda f: torch.save(checkpoint, f))


def save_text_file(text: str, path: str) -> None:
    """Write a small text file atomically."""
    write_atomically(path, lambda f: f.write(text.encode()))


def remove_leftovers(folder: str) -> None:
    """Remove temporary files of a run that was killed while it saved."""
    for name in os.listdir(folder):
        if name.endswith(TMP_SUFFIX):
            os.remove(osp.join(folder, name))


def latest_checkpoint(work_dir: str) -> Optional[str]:
    """The checkpoint that ``--resume`` takes, None for a fresh start.

    Args:
        work_dir (str): Folder of the run, which may have been moved.
    """
    if not osp.isfile(osp.join(work_dir, 'last_checkpoint')):
        return None
    path = find_latest_checkpoint(work_dir)
    if path and not osp.isfile(path):
        path = osp.join(work_dir, osp.basename(path))
    return path or None


def read_checkpoint(path: str,
                    map_location: Union[str, Callable, None] = 'cpu') -> dict:
    """Read a checkpoint with ``weights_only=True``.

    Args:
        path (str): A file, also of the layout of a published method; the
            name of a model or an address (see
            :func:`costa_mm.weights.resolve_weights`), or an address that
            MMEngine knows (torchvision://, ...).
        map_location (str or Callable): As in ``torch.load``.

    Returns:
        dict: The checkpoint.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or holds classes that are not allowed.
    """
    if re.match(r'\w+://', path) and not is_address(path):
        return CheckpointLoader.load_checkpoint(path, map_location)
    local = resolve_weights(path)
    published = read_published(local)
    if published is not None:
        return published
    try:
        checkpoint = torch.load(
            local, map_location=map_location, weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as e:
        reason = str(e).split('\n')[0]
        raise ValueError(
            f'{path} cannot be read as a checkpoint ({reason}); it is '
            'damaged, not a torch file, or holds Python classes that '
            'weights_only=True refuses') from e
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path} holds a {type(checkpoint).__name__}, '
                         'not a checkpoint')
    return checkpoint


def _state_dict(checkpoint: dict,
                revise_keys: Sequence[Tuple[str, str]]) -> 'OrderedDict':
    state = checkpoint.get('state_dict', checkpoint)
    for pattern, replacement in revise_keys:
        state = OrderedDict(
            (re.sub(pattern, replacement, k), v) for k, v in state.items())
    return state


def compare_weights(model: nn.Module, state: dict) -> Dict[str, List[str]]:
    """Names that model and state dict do not share.

    What the model leaves out of its own state dict (a frozen text encoder)
    is not expected in a file either.

    Returns:
        dict[str, list[str]]: 'missing' in the state, 'unexpected' in the
        state, 'reshaped' in both but of different shape.
    """
    own = model.state_dict()
    return dict(
        missing=[
            k for k in own
            if k not in state and not k.endswith('num_batches_tracked')
        ],
        unexpected=[k for k in state if k not in own],
        reshaped=[
            k for k in own if k in state and own[k].shape != state[k].shape
        ])


def _describe(diff: Dict[str, List[str]], total: int) -> str:
    parts = [
        f'{len(names)} {what} (e.g. {names[0]})'
        for what, names in diff.items() if names
    ]
    return f'of {total} tensors of the model: ' + ', '.join(parts)


def load_weights(model: nn.Module,
                 checkpoint: dict,
                 path: str,
                 *,
                 whole: bool,
                 revise_keys: Sequence[Tuple[str, str]] = ()) -> None:
    """Load a checkpoint's weights into a model.

    Args:
        model (nn.Module): The model, not wrapped.
        checkpoint (dict): Checkpoint, or a bare state dict.
        path (str): Where it comes from, for messages.
        whole (bool): Every tensor of the model must be in the file.
            Otherwise it will do if half of the model's tensors are, or if
            half of the file's fit, and the rest is reported.
        revise_keys (Sequence): (pattern, replacement) pairs for names.

    Raises:
        ValueError: If the file is of another model.
    """
    state = _state_dict(checkpoint, revise_keys)
    diff = compare_weights(model, state)
    total = len(model.state_dict())
    lacking = len(diff['missing']) + len(diff['reshaped'])
    foreign = len(diff['unexpected']) > 0.05 * max(len(state), 1)
    fitting = len(state) - len(diff['unexpected']) - len(diff['reshaped'])
    if (whole and (lacking or foreign)) \
            or 2 * fitting < min(total, len(state)) or not fitting:
        raise ValueError(
            f'{path} is a checkpoint of another model than '
            f'{type(model).__name__} of this config: '
            f'{_describe(diff, total)}; give the config it was trained with')
    if any(diff.values()):
        print_log(f'{path}, {_describe(diff, total)}', 'current', 30)
    reshaped = set(diff['reshaped'])
    model.load_state_dict(
        OrderedDict((k, v) for k, v in state.items() if k not in reshaped),
        strict=False)

# Copyright (c) costa_mm authors. All rights reserved.
"""Checkpoint files: written whole or not at all, read without pickle code."""
import os.path as osp
import re
from types import MappingProxyType
from typing import (Callable, Dict, List, Mapping, Optional, Sequence, Tuple,
                    Union)

import torch
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader, find_latest_checkpoint
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.utils.building import weights_follow
from costa_mm.utils.files import atomic_path, check_name
from costa_mm.weights import (find_source, is_address, load_file,
                              read_published, resolve_weights)

# where a file may hold its weights; those of a run of ours first, then
# averaged ones, which evaluation and releases of others use
WEIGHT_KEYS = ('state_dict', 'model_ema', 'model')
# what parallel training and compilation put in front of names
WRAPPERS = re.compile(r'^(?:module\.|_orig_mod\.)+|(?<=\.)_orig_mod\.')


def save_checkpoint_file(checkpoint: dict, path: str) -> None:
    """Write a checkpoint atomically, without a copy of it in memory.

    Raises:
        OSError: If it cannot be written; a file that stood there before is
            untouched and nothing else is left behind.
    """
    try:
        with atomic_path(path, durable=True) as part, open(part, 'wb') as f:
            torch.save(checkpoint, f)
    except RuntimeError as e:
        if isinstance(e.__context__, OSError):
            # torch's zip writer hides "No space left on device"
            raise e.__context__ from e
        raise


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


def check_checkpoint(path: str) -> None:
    """Make sure that weights are there, or can be fetched.

    Args:
        path (str): As for :func:`read_checkpoint`; nothing is read.

    Raises:
        FileNotFoundError: If there is no such file.
        IsADirectoryError: If it is a folder.
        ValueError: If no file can have this name.
    """
    check_name(path)
    local = osp.expanduser(path)
    if osp.isdir(local):
        last = latest_checkpoint(local)
        raise IsADirectoryError(f'{path} is a folder, not a checkpoint' +
                                (f'; the last one in it is {last}'
                                 if last else ''))
    if not _is_mmengines(path):
        find_source(path)


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
    check_checkpoint(path)
    if _is_mmengines(path):
        return CheckpointLoader.load_checkpoint(path, map_location)
    local = resolve_weights(path)
    return read_published(local) or load_file(local, map_location)


def _is_mmengines(path: str) -> bool:
    """Whether a path is an address that only MMEngine knows."""
    return bool(re.match(r'\w+://', path)) and not is_address(path)


def weights_of(checkpoint: dict) -> Dict[str, Tensor]:
    """The weights of a checkpoint, under the names of the bare model.

    Args:
        checkpoint (dict): A checkpoint of ours or of others: the weights lie
            at 'state_dict', 'model_ema' or 'model', or it is nothing but
            weights.

    Returns:
        dict[str, Tensor]: By name, without the ``module.`` of parallel
        training and the ``_orig_mod.`` of ``torch.compile``.
    """
    # 'model_ema' is None where training ran without averages
    found = [k for k in WEIGHT_KEYS if isinstance(checkpoint.get(k), dict)]
    state = checkpoint[found[0]] if found else checkpoint
    return {
        WRAPPERS.sub('', k): v
        for k, v in state.items() if isinstance(v, Tensor)
    }


def check_finite(weights: Mapping[str, Tensor],
                 path: str,
                 allowed: Mapping[str, Tensor] = MappingProxyType({})) -> None:
    """Refuse weights that are NaN or infinite.

    Args:
        weights (Mapping[str, Tensor]): By name.
        path (str): Where they come from, for the message.
        allowed (Mapping[str, Tensor]): Tensors of a fresh model; what is not
            finite there (a mask of -inf) need not be here.

    Raises:
        ValueError: With the number of such tensors and examples.
    """
    bad = [
        name for name, value in weights.items()
        if value.is_floating_point() and not _finite(value)
        and (name not in allowed or _finite(allowed[name]))
    ]
    if bad:
        raise ValueError(
            f'{path}: {len(bad)} of {len(weights)} tensors hold NaN or '
            f'infinity ({", ".join(bad[:3])}{", ..." if bad[3:] else ""}): '
            'the run that wrote it had diverged; take an earlier checkpoint')


def _finite(value: Tensor) -> bool:
    return bool(torch.isfinite(value).all())


def compare_weights(model: nn.Module, state: dict) -> Dict[str, List[str]]:
    """Names that model and state dict do not share.

    What the model leaves out of its own state dict (a frozen text encoder)
    may be in a file or not.

    Returns:
        dict[str, list[str]]: 'missing' in the state, 'unexpected' in the
        state, 'reshaped' in both but of different shape.
    """
    own = model.state_dict()
    known = _with_left_out(model, own)
    return dict(
        missing=[
            k for k in own
            if k not in state and not k.endswith('num_batches_tracked')
        ],
        unexpected=[k for k in state if k not in known],
        reshaped=[
            k for k, v in known.items()
            if k in state and v.shape != state[k].shape
        ])


def _with_left_out(model: nn.Module,
                   own: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """The state dict and the parameters that the model leaves out of it."""
    known = dict(own)
    for name, value in model.named_parameters(remove_duplicate=False):
        known.setdefault(name, value.detach())
    return known


def _describe(diff: Dict[str, List[str]], total: int) -> str:
    parts = [
        f'{len(names)} {what} (e.g. {names[0]})'
        for what, names in diff.items() if names
    ]
    return f'of {total} tensors of the model: ' + ', '.join(parts)


def build_trained(cfg: dict, checkpoint: dict, path: str) -> nn.Module:
    """Build a model and load a checkpoint that holds all of its weights.

    Weights that the checkpoint brings are not read from anywhere else.

    Args:
        cfg (dict): Config of the model.
        checkpoint (dict): Checkpoint, or a bare state dict.
        path (str): Where it comes from, for messages.

    Returns:
        nn.Module: On the CPU, in training mode.

    Raises:
        ValueError: If the file is of another model, or not finite.
    """
    with weights_follow():
        model = MODELS.build(cfg)
    load_weights(model, checkpoint, path, whole=True)
    return model


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
        ValueError: If the file is of another model, or not finite.
    """
    state = weights_of(checkpoint)
    for pattern, replacement in revise_keys:
        state = {re.sub(pattern, replacement, k): v for k, v in state.items()}
    own = model.state_dict()
    known = _with_left_out(model, own)
    check_finite({k: v for k, v in state.items() if k in known}, path, known)
    diff = compare_weights(model, state)
    total = len(own)
    lacking = len(diff['missing']) + len(diff['reshaped'])
    strange = len(diff['unexpected']) > 0.05 * max(len(state), 1)
    fitting = len(state) - len(diff['unexpected']) - len(diff['reshaped'])
    if (whole and (lacking or strange)) \
            or 2 * fitting < min(total, len(state)) or not fitting:
        raise ValueError(
            f'{path} is a checkpoint of another model than '
            f'{type(model).__name__} of this config: '
            f'{_describe(diff, total)}; give the config it was trained with')
    if any(diff.values()):
        print_log(f'{path}, {_describe(diff, total)}', 'current', 30)
    reshaped = set(diff['reshaped'])
    model.load_state_dict(
        {k: v for k, v in state.items() if k not in reshaped}, strict=False)

# Copyright (c) costa_mm authors. All rights reserved.
"""Files of weights, ours and published ones, read without pickle code."""
import os
import pickletools
import re
import zipfile
from typing import Callable, Dict, List, Optional, Union

import torch
from mmengine.logging import print_log

from costa_mm.utils.files import atomic_path
from .cache import cache_folder, locked
from .layouts import LAYOUTS, Layout, recognise
from .published_checkpoints import convert_checkpoint, pick_weights

Location = Union[str, Callable, None]


def load_file(path: str,
              map_location: Location = 'cpu',
              mmap: bool = False) -> dict:
    """Read a file of ``torch.save``: tensors and plain values only.

    Args:
        path (str): The file.
        map_location (str or Callable): As in ``torch.load``.
        mmap (bool): Leave the tensors in the file until they are used.

    Raises:
        ValueError: If it is damaged, or holds classes that are not allowed.
    """
    try:
        checkpoint = torch.load(
            path,
            map_location=map_location,
            weights_only=True,
            mmap=mmap and zipfile.is_zipfile(path))
    except Exception as e:  # bytes that are no pickle may raise anything
        raise ValueError(f'{path} cannot be read as a checkpoint: '
                         f'{_why(path, e)}') from e
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path} holds a {type(checkpoint).__name__}, '
                         'not a checkpoint')
    return checkpoint


def _why(path: str, error: Exception) -> str:
    """What is wrong with a file that torch does not read."""
    if not os.path.getsize(path):
        return 'it is empty'
    with open(path, 'rb') as f:
        if f.read(12) == b'version http':
            return 'it is a pointer of Git LFS, not the file: git lfs pull'
    names = re.findall(r'GLOBAL ([\w.]+)', str(error)) or [
        n for n in _pickled_names(path) if not n.startswith(
            ('torch.', 'collections.', 'numpy.'))
    ]
    if names:
        return (f'it holds {names[0]}, which may not be loaded, since a file '
                'could run code by it; save it again with tensors, numbers '
                'and text only')
    reason = str(error).split('WeightsUnpickler error:')[-1].strip()
    reason = reason.splitlines()[0] if reason else type(error).__name__
    return f'it is damaged or not a torch file ({reason})'


def _pickled_names(path: str) -> List[str]:
    """Classes and functions in a plain pickle; nothing of it is run."""
    names: List[str] = []
    texts: List[str] = []
    try:
        with open(path, 'rb') as f:
            for code, argument, _ in pickletools.genops(f):
                if code.name == 'GLOBAL':
                    names.append(argument.replace(' ', '.'))
                elif code.name == 'STACK_GLOBAL':
                    names.append('.'.join(texts[-2:]))
                elif isinstance(argument, str):
                    texts.append(argument)
    except ValueError:  # it is no pickle
        pass
    return names


def read_published(path: str) -> Optional[dict]:
    """A published file as a checkpoint of ours.

    In the cache the conversion is kept beside it and read the next time.

    Args:
        path (str): Local file.

    Returns:
        dict or None: With 'state_dict' and 'meta', which says what it was
        converted from; None for a file of no published layout.

    Raises:
        ValueError: If it holds no whole model of ours, or is not what its
            names promise.
    """
    converted = find_converted(path)
    if converted is not None:
        return load_file(converted)
    cached = os.path.dirname(os.path.abspath(path)) == cache_folder()
    try:
        checkpoint = load_file(path, mmap=True)
    except ValueError as e:
        if not cached:  # to be told by who reads files of ours
            return None
        raise ValueError(f'{e}; remove it to have it fetched again') from e
    layout = layout_of(checkpoint)
    if layout is None:
        return None
    if not layout.whole:
        raise ValueError(
            f'{path} has the layout {layout.name!r}, of which a model of ours '
            "takes parts only: name it in the config's load_from, as "
            f"dict(weights='{path}', layout=...), see "
            'configs/costa_hcstvg.py')
    out = convert_checkpoint(checkpoint, layout.rules).checkpoint
    out['meta'].update(layout=layout.name, file=os.path.basename(path))
    if cached:
        _keep(out, path, layout)
    return out


def layout_of(checkpoint: dict) -> Optional[Layout]:
    """The published layout of a checkpoint, None for one of ours."""
    if 'state_dict' in checkpoint and 'meta' in checkpoint:
        return None  # written by MMEngine, or converted
    _, state = pick_weights(checkpoint)
    return recognise(state) if isinstance(state, dict) else None


def converted_path(path: str, layout: Layout) -> str:
    """Where the conversion of a published file is kept: beside it."""
    return f'{os.path.splitext(path)[0]}.{layout.name}-{layout.digest}.pth'


def find_converted(path: str) -> Optional[str]:
    """The conversion of a published file that is not older than the file."""
    for layout in LAYOUTS.values():
        found = converted_path(path, layout)
        if os.path.isfile(found) and (
                not os.path.isfile(path)
                or os.path.getmtime(found) >= os.path.getmtime(path)):
            return found
    return None


def _keep(checkpoint: Dict, path: str, layout: Layout) -> None:
    """Write the conversion; a cache that cannot be written is no error."""
    try:
        with locked(path):
            if find_converted(path) is None:
                with atomic_path(converted_path(path, layout)) as part:
                    torch.save(checkpoint, part)
    except (OSError, RuntimeError) as e:  # torch hides "no space left"
        print_log(
            f'the conversion of {path} is not kept ({e}); it is made anew '
            'every time', 'current', 30)

# Copyright (c) costa_mm authors. All rights reserved.
"""Make of a training checkpoint a file to hand out.

    python tools/model_converters/publish_model.py best.pth costa_tiny.pth

writes ``costa_tiny-1a2b3c4d.pth``: the weights that validation saw (the
averaged ones, where there are averages), the config and little else.  The
eight digits begin the SHA-256 of the file, as torch.hub checks it.
"""
import argparse
import hashlib
import io
import os
import re
import sys
from collections import OrderedDict

import torch
from mmengine.config import Config

from costa_mm.cli.running import run_main
from costa_mm.engine.checkpoint_io import read_checkpoint
from costa_mm.utils.files import write_bytes

META = ('cfg', 'dataset_meta', 'epoch', 'iter', 'mmengine_version')
# Settings that tell of the machine of the training, not of the model.
PRIVATE = dict(work_dir=None, load_from=None, resume=False)


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description='Make of a training checkpoint a file to hand out')
    parser.add_argument('in_file', help='checkpoint of a training run')
    parser.add_argument(
        'out_file', help='file to write; the hash is put before its suffix')
    parser.add_argument(
        '--save-keys',
        nargs='+',
        default=['meta', 'state_dict'],
        help='keys to keep (default: meta state_dict)')
    return parser.parse_args()


def publishable(checkpoint: dict, path: str, keys: list) -> dict:
    """The part of a checkpoint to hand out.

    Args:
        checkpoint (dict): What a training run saved.
        path (str): Its file, for messages.
        keys (list[str]): Keys to keep.

    Returns:
        dict: A new dict; every tensor has a storage of its own, on the CPU.

    Raises:
        ValueError: If there are no weights, or one is not finite.
    """
    absent = [key for key in keys if key not in checkpoint]
    if absent or 'state_dict' not in keys:
        raise ValueError(f'{path} has no {absent or ["state_dict"]} among '
                         f'{sorted(checkpoint)}')
    bad = [name for name, value in checkpoint['state_dict'].items()
           if value.is_floating_point() and not value.isfinite().all()]
    if bad:
        raise ValueError(f'{path}: {len(bad)} tensors are not finite, the '
                         f'first is {bad[0]}; take an earlier checkpoint')
    out = {key: checkpoint[key] for key in keys}
    out['state_dict'] = OrderedDict(
        (name, value.detach().cpu().clone(
            memory_format=torch.contiguous_format))
        for name, value in checkpoint['state_dict'].items())
    if 'meta' in out:
        out['meta'] = _clean_meta(out['meta'])
    return out


def _clean_meta(meta: dict) -> dict:
    meta = {key: meta[key] for key in META if key in meta}
    if meta.get('cfg'):
        cfg = Config.fromstring(meta['cfg'], file_format='.py')
        cfg.merge_from_dict({k: v for k, v in PRIVATE.items() if k in cfg})
        meta['cfg'] = cfg.pretty_text
    return meta


def write(checkpoint: dict, path: str) -> str:
    """Write a checkpoint under a name that holds its hash.

    Returns:
        str: The path written.
    """
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    data = buffer.getvalue()
    digits = hashlib.sha256(data).hexdigest()[:8]
    path = f'{re.sub(r"[.]pth$", "", path)}-{digits}.pth'
    write_bytes(data, path)
    return path


def main() -> None:
    """Read, clean, write, read back."""
    args = parse_args()
    checkpoint = read_checkpoint(args.in_file)
    path = write(
        publishable(checkpoint, args.in_file, args.save_keys), args.out_file)
    state = read_checkpoint(path)['state_dict']
    left_out = sorted(set(checkpoint) - set(args.save_keys))
    print(f'{path}: {len(state)} tensors, '
          f'{sum(v.numel() for v in state.values()):,} numbers, '
          f'{os.path.getsize(path) / 1e6:.2f} MB')
    if left_out:
        print(f'left out: {", ".join(left_out)}')


if __name__ == '__main__':
    sys.exit(run_main(main))

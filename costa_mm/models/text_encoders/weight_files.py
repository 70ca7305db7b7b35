# Copyright (c) costa_mm authors. All rights reserved.
"""Whether the files of a Hugging Face folder are whole."""
import json
import os
import zipfile
from fnmatch import fnmatch
from typing import List

_POINTER = b'version https://git-lfs'


def check_files(folder: str) -> None:
    """Refuse files that are not, or not wholly, there.

    Args:
        folder (str): Folder of a model; anything else passes.

    Raises:
        OSError: If files are Git-LFS pointers, or weights end too early.
    """
    if not os.path.isdir(folder):
        return
    pointers = [
        name for name in sorted(os.listdir(folder))
        if _begins_with(os.path.join(folder, name), _POINTER)
    ]
    if pointers:
        raise OSError(
            f'{", ".join(pointers)} in {folder} are not the files but Git-LFS '
            'pointers to them: run `git lfs pull` there, or download them')
    for path in weight_files(folder):
        if path.endswith('.bin'):
            _check_pickle(path)
        else:
            _check_safetensors(path)


def weight_files(folder: str) -> List[str]:
    """The files that transformers reads weights from."""
    names = sorted(os.listdir(folder))
    found = [n for n in names if fnmatch(n, 'model*.safetensors')] or [
        n for n in names if fnmatch(n, 'pytorch_model*.bin')]
    return [os.path.join(folder, name) for name in found]


def file_of(tensor: str, folder: str) -> str:
    """The file that holds a tensor, as far as it can be told by its name."""
    files = weight_files(folder) if os.path.isdir(folder) else []
    if len(files) == 1:
        return files[0]
    for index in ('model.safetensors.index.json',
                  'pytorch_model.bin.index.json'):
        path = os.path.join(folder, index)
        if os.path.isfile(path):
            with open(path, encoding='utf-8') as f:
                names = json.load(f)['weight_map']
            for key, name in names.items():
                if f'.{key}'.endswith(f'.{tensor}'):
                    return os.path.join(folder, name)
    return folder


def _begins_with(path: str, start: bytes) -> bool:
    if not os.path.isfile(path):
        return False
    with open(path, 'rb') as f:
        return f.read(len(start)) == start


def _check_safetensors(path: str) -> None:
    """The header of a safetensors file says where its last tensor ends."""
    size = os.path.getsize(path)
    with open(path, 'rb') as f:
        length = int.from_bytes(f.read(8), 'little')
        header = f.read(length) if 8 + length <= size else b''
    try:
        tensors = json.loads(header)
        ends = [t['data_offsets'][1] for k, t in tensors.items()
                if k != '__metadata__']
        wanted = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise OSError(_damaged(path, size, 'its header is unreadable')) \
            from None
    if size != wanted:
        raise OSError(_damaged(path, size, f'its header promises {wanted}'))


def _check_pickle(path: str) -> None:
    """A file of torch.save is a zip archive or, of old, a pickle."""
    if not zipfile.is_zipfile(path) and not _begins_with(path, b'\x80'):
        raise OSError(_damaged(path, os.path.getsize(path),
                               'it is no file of torch.save'))


def _damaged(path: str, size: int, why: str) -> str:
    return (f'{path} is damaged or half a download: it has {size} bytes, and '
            f'{why}; download it again')

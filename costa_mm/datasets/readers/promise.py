# Copyright (c) costa_mm authors. All rights reserved.
"""How long a file would be if it were whole, as its header says."""
import os
from typing import BinaryIO, Callable, Optional, Tuple

#: Boxes of MP4 and QuickTime files that hold pictures or their index.
_BOXES = (b'ftyp', b'moov', b'moof', b'mdat', b'mfra', b'sidx', b'styp',
          b'free', b'skip', b'wide', b'uuid')
_ASF = bytes.fromhex('3026b2758e66cf11a6d900aa0062ce6c')
_ASF_FILE = bytes.fromhex('a1dcab8c47a9cf118ee400c00c205365')
_EBML, _SEGMENT = b'\x1a\x45\xdf\xa3', b'\x18\x53\x80\x67'


def missing_bytes(path: str) -> int:
    """Bytes that the header of a video promises and the file lacks.

    Args:
        path (str): An MP4, QuickTime, Matroska, WebM, AVI, ASF or GIF file;
            others promise nothing.

    Returns:
        int: 0 for a whole file.
    """
    size = os.path.getsize(path)
    with open(path, 'rb') as f:
        magic = f.read(16)
        f.seek(0)
        promised = next((of(f, size) for starts, of in _PROMISES
                         if starts(magic)), None)
    return max((promised or 0) - size, 0)


def _of_boxes(f: BinaryIO, size: int) -> int:
    at = 0
    while at + 8 <= size:
        f.seek(at)
        head = f.read(16)
        length, kind = int.from_bytes(head[:4], 'big'), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:], 'big')
        if kind not in _BOXES or length < 8:  # 0: to the end of the file
            break
        at += length
    return at


def _of_riff(f: BinaryIO, size: int) -> int:
    length = int.from_bytes(f.read(8)[4:], 'little')
    # written at the end of a recording, or never
    return 0 if length in (0, 2**32 - 1) else 8 + length


def _element(f: BinaryIO) -> Tuple[bytes, Optional[int]]:
    """Id and size of an EBML element with an id of four bytes."""
    name, first = f.read(4), f.read(1)
    if not first or not first[0]:
        return name, None
    more = 8 - first[0].bit_length()
    value = int.from_bytes(first + f.read(more), 'big')
    unknown = (1 << 7 * (more + 1)) - 1
    value &= unknown
    return name, None if value == unknown else value


def _of_matroska(f: BinaryIO, size: int) -> int:
    _, length = _element(f)
    f.seek(length or 0, os.SEEK_CUR)
    name, length = _element(f)
    if name != _SEGMENT or length is None:
        return 0
    return f.tell() + length


def _of_asf(f: BinaryIO, size: int) -> int:
    at = 30
    while at + 24 <= size:
        f.seek(at)
        name, length = f.read(16), int.from_bytes(f.read(8), 'little')
        if name == _ASF_FILE:
            f.seek(16, os.SEEK_CUR)
            promised = f.read(8)
            f.seek(at + 88)
            live = f.read(1) in (b'', b'\1', b'\3')
            return 0 if live else int.from_bytes(promised, 'little')
        if length < 24:
            break
        at += length
    return 0


def _of_gif(f: BinaryIO, size: int) -> int:
    f.seek(max(size - 16, 0))
    return size + (b';' not in f.read())


_PROMISES: Tuple[Tuple[Callable, Callable], ...] = (
    (lambda magic: magic[4:8] in _BOXES, _of_boxes),
    (lambda magic: magic[:4] == b'RIFF', _of_riff),
    (lambda magic: magic[:4] == _EBML, _of_matroska),
    (lambda magic: magic == _ASF, _of_asf),
    (lambda magic: magic[:4] == b'GIF8', _of_gif),
)

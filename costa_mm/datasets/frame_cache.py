# Copyright (c) costa_mm authors. All rights reserved.
"""Sampled frames of a video, small, as JPEG in one file per video.

Layout of a file: 8 bytes of magic, the length of the header (4 bytes, little
endian), the header (JSON), the pictures one after the other.  Frames keep the
numbers that they have in the source video.
"""
import json
import os
import zlib
from typing import List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from costa_mm.utils import atomic_path
from costa_mm.utils.files import video_hash

MAGIC = b'COSTAFC3'


class CacheHeader(NamedTuple):
    """What a cache file says of itself.

    Attributes:
        source (str): File name of the video.
        source_size (int): Its size in bytes.
        source_hash (str): See :func:`costa_mm.utils.files.video_hash`.
        ori_shape (tuple[int, int]): Height and width of the source frames.
        shape (tuple[int, int]): Height and width of the stored frames.
        quality (int): Of the JPEG pictures, 1 to 100.
        frame_ids (list[int]): Stored source frames, increasing.
        missing (list[int]): Frames that were asked for as well and that the
            video does not have.
        ends (list[int]): Byte behind each picture, from the first picture.
        psnr (list[float]): Mean and smallest PSNR of the stored frames
            against the resized ones, in dB.
        checksum (int): CRC-32 of all pictures.
    """
    source: str
    source_size: int
    source_hash: str
    ori_shape: Tuple[int, int]
    shape: Tuple[int, int]
    quality: int
    frame_ids: List[int]
    missing: List[int]
    ends: List[int]
    psnr: List[float]
    checksum: int


def cache_path(root: str, video_path: str) -> str:
    """Where the frames of a video lie.

    The name holds a hash of the video, so a cache is not used for another
    version of it, nor for a video of the same name in another folder.

    Args:
        root (str): Folder of the cache.
        video_path (str): The video, wherever it lies.
    """
    stem = os.path.splitext(os.path.basename(video_path))[0]
    return os.path.join(root, f'{stem}_{video_hash(video_path)[:12]}.frames')


class Picture(NamedTuple):
    """A frame as it is stored.

    Attributes:
        data (bytes): JPEG.
        shape (tuple[int, int]): Height and width.
        psnr (float): Of what is read back, in dB, at most 100.
    """
    data: bytes
    shape: Tuple[int, int]
    psnr: float


def encode_frame(frame: np.ndarray, quality: int) -> Picture:
    """Encode a frame and measure what is lost.

    Args:
        frame (np.ndarray): RGB, (H, W, 3), uint8.
        quality (int): Of the JPEG picture, 1 to 100.

    Raises:
        ValueError: If it cannot be encoded.
    """
    done, data = cv2.imencode('.jpg', frame[..., ::-1],
                              [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f'a frame of {frame.shape} cannot be encoded')
    data = data.tobytes()
    return Picture(data, frame.shape[:2],
                   min(cv2.PSNR(_decode(data), frame), 100.))


def write_cache(root: str, video_path: str, frame_ids: Sequence[int],
                pictures: Sequence[Picture], ori_shape: Tuple[int, int],
                quality: int, missing: Sequence[int] = ()) -> CacheHeader:
    """Store frames, check them, and only then give the file its name.

    Args:
        root (str): Folder of the cache.
        video_path (str): The video.
        frame_ids (Sequence[int]): Source frames, increasing, (T, ).
        pictures (Sequence[Picture]): The resized frames, T.
        ori_shape (tuple[int, int]): Height and width of the source frames.
        quality (int): Of the JPEG pictures, 1 to 100.
        missing (Sequence[int]): Frames asked for that the video lacks.

    Returns:
        CacheHeader: With the PSNR that was measured.

    Raises:
        ValueError: If frames and numbers differ in number, or the file read
            back is not what was written.
    """
    if len(frame_ids) != len(pictures):
        raise ValueError(f'{len(frame_ids)} numbers, {len(pictures)} frames')
    data = [picture.data for picture in pictures]
    psnr = [picture.psnr for picture in pictures]
    header = CacheHeader(
        os.path.basename(video_path), os.path.getsize(video_path),
        video_hash(video_path), tuple(ori_shape), pictures[0].shape, quality,
        [int(i) for i in frame_ids], [int(i) for i in missing],
        np.cumsum([len(d) for d in data]).tolist(),
        [round(float(np.mean(psnr)), 2),
         round(float(np.min(psnr)), 2)], zlib.crc32(b''.join(data)))
    text = json.dumps(header._asdict()).encode()
    with atomic_path(cache_path(root, video_path), durable=True) as part:
        with open(part, 'wb') as f:
            f.write(MAGIC + len(text).to_bytes(4, 'little') + text)
            f.writelines(data)
        if not is_whole(part):
            raise ValueError(f'{part} is not read back as it was written')
    return header


def is_whole(path: str) -> bool:
    """Whether every byte of a cache file is the one that was written."""
    try:
        header, start = read_header(path)
    except (OSError, ValueError):
        return False
    with open(path, 'rb') as f:
        f.seek(start)
        pictures = f.read()
    return (header.ends[-1:] == [len(pictures)]
            and zlib.crc32(pictures) == header.checksum)


def read_header(path: str) -> Tuple[CacheHeader, int]:
    """Header of a cache file and the byte where the pictures start.

    Raises:
        ValueError: If the file is not a whole cache file.
    """
    with open(path, 'rb') as f:
        try:
            start = f.read(12)
            if len(start) != 12 or start[:8] != MAGIC:
                raise ValueError('wrong first bytes')
            size = int.from_bytes(start[8:], 'little')
            header = CacheHeader(**json.loads(f.read(size)))
        except (ValueError, TypeError) as e:
            raise ValueError(f'{path} is no frame cache ({e}): delete it and '
                             'run cache_videos.py again') from e
    return header, 12 + size


def read_cache(path: str,
               frame_ids: np.ndarray) -> Tuple[np.ndarray, np.ndarray,
                                               CacheHeader]:
    """The stored frames nearest to the wanted ones.

    Args:
        path (str): The cache file.
        frame_ids (np.ndarray): Wanted source frames, increasing, (T, ).

    Returns:
        tuple[np.ndarray, np.ndarray, CacheHeader]: RGB frames,
        (T', H, W, 3), their numbers, (T', ), increasing, and the header.
        T' < T where two wanted frames have the same nearest one.

    Raises:
        ValueError: If the file is broken.
    """
    header, start = read_header(path)
    stored = np.array(header.frame_ids, dtype=np.int64)
    picks = np.unique(nearest(stored, frame_ids))
    out = np.empty((len(picks), *header.shape, 3), dtype=np.uint8)
    with open(path, 'rb') as f:
        for i, pick in enumerate(picks):
            begin = header.ends[pick - 1] if pick else 0
            f.seek(start + begin)
            image = _decode(f.read(header.ends[pick] - begin))
            if image is None or image.shape != out.shape[1:]:
                raise ValueError(f'{path} is broken at frame {stored[pick]}: '
                                 'delete it and run cache_videos.py again')
            out[i] = image
    return out, stored[picks], header


def nearest(stored: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Positions in ``stored`` of the values nearest to ``wanted``, (T, )."""
    right = np.minimum(np.searchsorted(stored, wanted), len(stored) - 1)
    left = np.maximum(right - 1, 0)
    closer = wanted - stored[left] <= stored[right] - wanted
    return np.where(closer, left, right)


def is_current(path: str, frame_ids: Sequence[int],
               shape: Optional[Tuple[int, int]], quality: int) -> bool:
    """Whether a whole cache file with these settings is there already.

    Args:
        path (str): The cache file (see :func:`cache_path`).
        frame_ids (Sequence[int]): Frames wanted.
        shape (tuple[int, int], optional): Height and width wanted.
        quality (int): JPEG quality wanted.
    """
    if not is_whole(path):
        return False
    header, _ = read_header(path)
    return (sorted(header.frame_ids + header.missing) ==
            [int(i) for i in frame_ids] and header.quality == quality
            and (shape is None or tuple(header.shape) == tuple(shape)))


def _decode(data: bytes) -> Optional[np.ndarray]:
    array = np.frombuffer(data, dtype=np.uint8)
    image = cv2.imdecode(array, cv2.IMREAD_COLOR) if len(array) else None
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

# Copyright (c) costa_mm authors. All rights reserved.
"""Sampled frames of a video, small, as JPEG in one file per video.

Layout of a file: 8 bytes of magic, the length of the header (4 bytes, little
endian), the header (JSON), the pictures one after the other.  Frames keep the
numbers that they have in the source video.
"""
import hashlib
import json
import os
from typing import List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

MAGIC = b'COSTAFC1'
HEAD_BYTES = 65536


class CacheHeader(NamedTuple):
    """What a cache file says of itself.

    Attributes:
        source (str): File name of the video.
        source_size (int): Its size in bytes.
        source_hash (str): SHA-1 of its first 64 kB.
        ori_shape (tuple[int, int]): Height and width of the source frames.
        shape (tuple[int, int]): Height and width of the stored frames.
        quality (int): Of the JPEG pictures, 1 to 100.
        frame_ids (list[int]): Stored source frames, increasing.
        ends (list[int]): Byte behind each picture, from the first picture.
        psnr (list[float]): Mean and smallest PSNR of the stored frames
            against the resized ones, in dB.
    """
    source: str
    source_size: int
    source_hash: str
    ori_shape: Tuple[int, int]
    shape: Tuple[int, int]
    quality: int
    frame_ids: List[int]
    ends: List[int]
    psnr: List[float]


def cache_path(root: str, video_path: str) -> str:
    """Where the frames of a video lie.

    The name holds the size of the video in bytes, so a cache is not used for
    another version of a video.

    Args:
        root (str): Folder of the cache.
        video_path (str): The video, wherever it lies.
    """
    stem = os.path.splitext(os.path.basename(video_path))[0]
    return os.path.join(root,
                        f'{stem}_{os.path.getsize(video_path)}.frames')


def write_cache(root: str, video_path: str, frame_ids: Sequence[int],
                frames: np.ndarray, ori_shape: Tuple[int, int],
                quality: int) -> CacheHeader:
    """Store frames, check them, and only then give the file its name.

    Args:
        root (str): Folder of the cache.
        video_path (str): The video.
        frame_ids (Sequence[int]): Source frames, increasing, (T, ).
        frames (np.ndarray): Resized RGB frames, (T, H, W, 3), uint8.
        ori_shape (tuple[int, int]): Height and width of the source frames.
        quality (int): Of the JPEG pictures, 1 to 100.

    Returns:
        CacheHeader: With the PSNR that was measured.

    Raises:
        ValueError: If frames and numbers differ in number, or the pictures
            read back are not the ones written.
    """
    if len(frame_ids) != len(frames):
        raise ValueError(f'{len(frame_ids)} numbers, {len(frames)} frames')
    pictures, psnr = [], []
    for frame in frames:
        done, data = cv2.imencode('.jpg', frame[..., ::-1],
                                  [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not done:
            raise ValueError(f'a frame of {video_path} cannot be encoded')
        pictures.append(data.tobytes())
        psnr.append(_psnr(_decode(pictures[-1]), frame))
    header = CacheHeader(
        os.path.basename(video_path), os.path.getsize(video_path),
        _head_hash(video_path), tuple(ori_shape), frames.shape[1:3], quality,
        [int(i) for i in frame_ids],
        np.cumsum([len(p) for p in pictures]).tolist(),
        [round(float(np.mean(psnr)), 2),
         round(float(np.min(psnr)), 2)])
    path = cache_path(root, video_path)
    os.makedirs(root, exist_ok=True)
    partial = f'{path}.{os.getpid()}.part'
    text = json.dumps(header._asdict()).encode()
    with open(partial, 'wb') as f:
        f.write(MAGIC + len(text).to_bytes(4, 'little') + text)
        f.writelines(pictures)
        f.flush()
        os.fsync(f.fileno())
    os.replace(partial, path)
    return header


def read_header(path: str) -> Tuple[CacheHeader, int]:
    """Header of a cache file and the byte where the pictures start.

    Raises:
        ValueError: If the file is not a whole cache file.
    """
    with open(path, 'rb') as f:
        return _read_header(f, path)


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
    with open(path, 'rb') as f:
        header, start = _read_header(f, path)
        stored = np.array(header.frame_ids, dtype=np.int64)
        picks = np.unique(nearest(stored, frame_ids))
        out = np.empty((len(picks), ) + tuple(header.shape) + (3, ),
                       dtype=np.uint8)
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
    right = np.clip(np.searchsorted(stored, wanted), 1, max(
        len(stored) - 1, 1))
    right = np.minimum(right, len(stored) - 1)
    left = np.maximum(right - 1, 0)
    closer = wanted - stored[left] <= stored[right] - wanted
    return np.where(closer, left, right)


def is_current(path: str, video_path: str, frame_ids: Sequence[int],
               shape: Optional[Tuple[int, int]], quality: int) -> bool:
    """Whether a whole cache file with these settings is there already.

    Args:
        path (str): The cache file.
        video_path (str): Its video.
        frame_ids (Sequence[int]): Frames wanted.
        shape (tuple[int, int], optional): Height and width wanted.
        quality (int): JPEG quality wanted.
    """
    if not os.path.isfile(path):
        return False
    try:
        header, start = read_header(path)
    except ValueError:
        return False
    return (os.path.getsize(path) == start + header.ends[-1]
            and header.source_hash == _head_hash(video_path)
            and header.frame_ids == [int(i) for i in frame_ids]
            and header.quality == quality
            and (shape is None or tuple(header.shape) == tuple(shape)))


def _read_header(f, path: str) -> Tuple[CacheHeader, int]:
    try:
        start = f.read(12)
        if len(start) != 12 or start[:8] != MAGIC:
            raise ValueError('wrong first bytes')
        size = int.from_bytes(start[8:], 'little')
        header = CacheHeader(**json.loads(f.read(size)))
    except (ValueError, TypeError) as e:
        raise ValueError(f'{path} is no frame cache ({e}): delete it and run '
                         'cache_videos.py again') from e
    return header, 12 + size


def _decode(data: bytes) -> Optional[np.ndarray]:
    flag = getattr(cv2, 'IMREAD_COLOR_RGB', None)
    array = np.frombuffer(data, dtype=np.uint8)
    if not len(array):
        return None
    if flag is not None:  # OpenCV >= 4.11 decodes to RGB itself
        return cv2.imdecode(array, flag)
    image = cv2.imdecode(array, cv2.IMREAD_COLOR)
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, at most 100."""
    error = np.mean((one.astype(np.float32) - other)**2)
    return 100.0 if error < 1e-5 else float(10 * np.log10(255**2 / error))


def _head_hash(path: str) -> str:
    with open(path, 'rb') as f:
        return hashlib.sha1(f.read(HEAD_BYTES)).hexdigest()

# Copyright (c) costa_mm authors. All rights reserved.
"""Reading with PyAV: an index of the frames, and jumps between them."""
from typing import List, NamedTuple, Optional

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from costa_mm.compat import pixel_conversion_options
from costa_mm.registry import TRANSFORMS
from .base import (BaseVideoReader, BehindEndError, VideoInfo, VideoReadError,
                   unreadable)

av.logging.set_level(None)  # errors reach the user as exceptions


class FrameIndex(NamedTuple):
    """What the packets of a stream say of its frames.

    Attributes:
        pts (np.ndarray, optional): Time stamps in presentation order, (N, ),
            int64; None where the container has none for some frame, and
            frames can only be counted.
        key_pts (np.ndarray): Time stamps of key frames, increasing.
        leading (bool): Whether a frame that is shown before a key frame is
            stored after it (open groups of pictures).
        hidden (bool): Whether some packets are cut away by an edit list.
        count (int): Number of shown frames that the packets promise.
    """
    pts: Optional[np.ndarray]
    key_pts: np.ndarray
    leading: bool
    hidden: bool
    count: int

    @property
    def plain(self) -> bool:
        """Whether frame i is simply packet i in order of time stamps, and
        every group of pictures stands on its own."""
        return self.pts is not None and not self.leading and not self.hidden


def upright(image: np.ndarray, rotation: int) -> np.ndarray:
    """Turn a picture as its rotation flag demands.

    Args:
        image (np.ndarray): (H, W, 3).
        rotation (int): Degrees, counterclockwise, a multiple of 90.

    Returns:
        np.ndarray: (H', W', 3).
    """
    turns = round(rotation / 90) % 4
    return np.rot90(image, turns) if turns else image


def nal_prefix(context: 'av.CodecContext') -> int:
    """Bytes of the length before each unit of an H.264 packet.

    Returns:
        int: 0 for other codecs and for streams with start codes.
    """
    extra = context.extradata or b''
    if context.name != 'h264' or len(extra) < 5 or extra[0] != 1:
        return 0
    return (extra[4] & 3) + 1


def is_disposable(packet: bytes, prefix: int) -> bool:
    """Whether no other picture refers to the picture of an H.264 packet.

    Its slices then all have ``nal_ref_idc`` 0 (ITU-T H.264, 7.4.1).  FFmpeg
    could skip such frames itself (``skip_frame``), but then it also passes
    over broken packets without an error.

    Args:
        packet (bytes): Units with a length before each.
        prefix (int): Bytes of that length.

    Returns:
        bool: False too if the packet is broken.
    """
    at, slices = 0, 0
    while at + prefix < len(packet):
        size = int.from_bytes(packet[at:at + prefix], 'big')
        unit = packet[at + prefix]
        if 1 <= unit & 31 <= 5:
            if unit >> 5 & 3:
                return False
            slices += 1
        at += prefix + size
    return slices > 0 and at == len(packet)


class Clip:
    """The frames asked for, each put in its places as it is decoded.

    Args:
        path (str): The video, for messages.
        ids (np.ndarray): Frames asked for, in any order, (T, ).
    """

    def __init__(self, path: str, ids: np.ndarray) -> None:
        self.path = path
        self.ids = ids
        #: (T, H, W, 3), uint8, once a frame has come
        self.images: Optional[np.ndarray] = None

    def put(self, number: int, image: np.ndarray) -> None:
        """Take a frame over.

        Args:
            number (int): Its number in the video.
            image (np.ndarray): (H, W, 3), uint8.

        Raises:
            VideoReadError: If it is of another size than those before.
        """
        if self.images is None:
            self.images = np.empty((len(self.ids), ) + image.shape, np.uint8)
        if image.shape != self.images.shape[1:]:
            raise unreadable(self.path, 'the frame size changes')
        for place in np.flatnonzero(self.ids == number):
            self.images[place] = image


class PyAVVideo:
    """An open video; use it as a context manager.

    Args:
        path (str): The file.
        num_threads (int): Threads that decode and convert; 0 lets FFmpeg
            choose.

    Raises:
        VideoReadError: If the file is not a video.
    """

    def __init__(self, path: str, num_threads: int = 1) -> None:
        self.path = path
        self.num_threads = num_threads
        self._reformatter = VideoReformatter()
        self._conversion = pixel_conversion_options(num_threads)
        self._index: Optional[FrameIndex] = None
        self.container = None
        self._open()

    def _open(self) -> None:
        self.close()
        try:
            # the file name is a path, never an FFmpeg option or a protocol
            self.container = av.open(f'file:{self.path}')
            self.stream = self.container.streams.video[0]
        except (av.FFmpegError, IndexError, ValueError) as e:
            self.close()
            raise unreadable(self.path, e) from None
        self.stream.codec_context.thread_count = self.num_threads
        if self.num_threads != 1:  # slices alone rarely give any work
            self.stream.thread_type = 'FRAME'

    def __enter__(self) -> 'PyAVVideo':
        return self

    def __exit__(self, *args) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self.container is not None:
            self.container.close()
            self.container = None

    def index(self) -> FrameIndex:
        """List the packets, without decoding.

        Raises:
            VideoReadError: If the file is broken.
        """
        if self._index is not None:
            return self._index
        pts: List[Optional[int]] = []
        keys, highest, leading, hidden = [], None, False, False
        try:
            for packet in self.container.demux(self.stream):
                if not packet.size:
                    continue
                if packet.is_discard:
                    hidden = True
                else:
                    pts.append(packet.pts)
                if packet.pts is None:
                    continue
                if packet.is_keyframe:
                    keys.append(packet.pts)
                    highest = packet.pts
                elif highest is not None and packet.pts < highest:
                    leading = True
        except av.FFmpegError as e:
            raise unreadable(self.path, e) from None
        known = None not in pts and len(set(pts)) == len(pts)
        if not pts:
            raise unreadable(self.path, 'no frame in the video stream')
        self._index = FrameIndex(
            np.sort(np.array(pts, dtype=np.int64)) if known else None,
            np.sort(np.array(keys, dtype=np.int64)), leading, hidden,
            len(pts))
        return self._index

    def info(self) -> VideoInfo:
        """Size, length and rate."""
        index = self.index()
        self._open()
        first = next(self._decode(), None)
        if first is None:
            raise unreadable(self.path, 'no frame can be decoded')
        height, width = self._to_rgb(first).shape[:2]
        return VideoInfo(index.count, self._rate(index), width, height)

    def _rate(self, index: FrameIndex) -> float:
        """Average frame rate.

        Containers are wrong about variable rates; their own figure, which is
        the exact fraction, is used where it agrees with the time stamps.
        """
        stated = self.stream.average_rate or self.stream.guessed_rate
        if index.pts is not None and index.count > 1:
            seconds = float(index.pts[-1] - index.pts[0])
            seconds *= float(self.stream.time_base)
            measured = (index.count - 1) / seconds
            if not stated or abs(float(stated) / measured - 1) > 0.02:
                return measured
        if not stated:
            raise unreadable(self.path, 'the frame rate is unknown')
        return float(stated)

    def tail_is_whole(self, index: FrameIndex) -> bool:
        """Whether every frame behind the last key frame can be decoded.

        Args:
            index (FrameIndex): Of this video, with time stamps.
        """
        self._open()
        if not len(index.key_pts):
            return False
        key = index.key_pts[-1]
        promised = int((index.pts >= key).sum())
        try:
            if len(index.key_pts) > 1:
                self.container.seek(int(key), stream=self.stream)
            found = sum(
                f.pts is not None and f.pts >= key for f in self._decode())
        except (av.FFmpegError, VideoReadError):
            return False
        return found == promised

    def frames(self, ids: np.ndarray) -> np.ndarray:
        """Decode frames (see :meth:`BaseVideoReader.read`)."""
        index = self.index()
        if ids.max() >= index.count:
            raise BehindEndError(self.path, int(ids.max()), index.count)
        wanted = np.unique(ids)
        clip = Clip(self.path, ids)
        found = False
        if index.pts is not None:
            self._open()
            found = self._by_time(index, wanted, clip)
        if not found:  # no or unreliable time stamps
            self._open()
            self._by_counting(wanted, clip)
        return clip.images

    def _by_time(self, index: FrameIndex, wanted: np.ndarray,
                 clip: 'Clip') -> bool:
        """Frames by time stamp, jumping over whole groups of pictures.

        Returns:
            bool: False if a frame is not found where the packets promise it.
        """
        frame_of = {int(index.pts[i]): int(i) for i in wanted}
        keys = index.key_pts
        at = np.searchsorted(keys, index.pts[wanted], side='right') - 1
        for n, key in enumerate(np.unique(at)):
            group = {int(index.pts[i]) for i in wanted[at == key]}
            if key > 0:
                try:
                    self.container.seek(int(keys[key]), stream=self.stream)
                except av.FFmpegError:
                    return False
            elif n > 0:
                return False
            for frame in self._decode(group):
                if frame.pts is None:
                    return False
                if frame.pts in group:
                    clip.put(frame_of[frame.pts], self._to_rgb(frame))
                    group.discard(frame.pts)
                if not group:
                    break
                if frame.pts > max(group):
                    return False
            if group:
                return False
        return True

    def _by_counting(self, wanted: np.ndarray, clip: 'Clip') -> None:
        """Frames by number, decoding everything before them."""
        numbers = {int(i) for i in wanted}
        last, count = max(numbers), 0
        for count, frame in enumerate(self._decode(), 1):
            if count - 1 in numbers:
                clip.put(count - 1, self._to_rgb(frame))
            if count > last:
                return
        raise BehindEndError(self.path, int(wanted.max()), count)

    def _decode(self, wanted: Optional[set] = None):
        """Decoded frames from here on.

        Frames that no other frame refers to are not decoded unless they are
        wanted; that changes no pixel of the others.

        Args:
            wanted (set[int], optional): Time stamps that must come; None
                decodes everything.
        """
        context = self.stream.codec_context
        prefix = nal_prefix(context) if wanted is not None else 0
        try:
            for packet in self.container.demux(self.stream):
                if (prefix and packet.size and packet.pts not in wanted
                        and is_disposable(bytes(packet), prefix)):
                    continue
                yield from packet.decode()
            return
        except av.FFmpegError as e:
            error = e
        try:  # what was decoded before the broken packet and waits its turn
            yield from context.decode(None)
        except av.FFmpegError:
            pass
        # what comes behind it would be painted over by concealment
        raise unreadable(self.path, error)

    def _to_rgb(self, frame: 'av.VideoFrame') -> np.ndarray:
        image = self._reformatter.reformat(
            frame, format='rgb24', **self._conversion).to_ndarray()
        return upright(image, int(frame.rotation))


@TRANSFORMS.register_module()
class PyAVReader(BaseVideoReader):
    """Reads videos with PyAV (FFmpeg): the default.

    The packets are listed once to know the time stamp of every frame; then
    the decoder jumps to the key frame before each wanted frame, leaves out
    H.264 pictures that neither are wanted nor referred to by another one,
    and stops after the last wanted frame.  Only wanted frames become RGB.

    Args:
        num_threads (int): Decoding threads; 0 lets FFmpeg choose.
    """

    def __init__(self, *, num_threads: int = 1) -> None:
        self.num_threads = num_threads

    def _probe(self, path: str) -> VideoInfo:
        with PyAVVideo(path, self.num_threads) as video:
            return video.info()

    def _read(self, path: str, ids: np.ndarray) -> np.ndarray:
        with PyAVVideo(path, self.num_threads) as video:
            return video.frames(ids)

# Copyright (c) costa_mm authors. All rights reserved.
"""A video opened with PyAV: an index of its frames, and jumps between them."""
import os
import zlib
from functools import lru_cache
from itertools import islice
from typing import Iterator, List, Optional, Set, Tuple

import av
import numpy as np
from av.video.frame import PictureType

from .base import BehindEndError, Clip, VideoInfo, VideoReadError, unreadable
from .display import Screen, shown_stream
from .frame_index import (FrameIndex, Packets, Timeline, index_from_frames,
                          index_from_packets, timeline)
from .h264 import is_disposable, nal_prefix
from .promise import missing_bytes

av.logging.set_level(None)  # errors reach the user as exceptions

#: Larger pictures are mistakes of the file; 8K has half as many pixels.
MAX_PIXELS = 2**26
#: A container may list so many frames more than it holds.
TAIL_TOLERANCE = 3


@lru_cache(maxsize=64)
def _remembered(path: str, size: int, mtime: int, partial: bool) -> list:
    """Place for the index of a file, so that it is made once."""
    return []


class BrokenPromise(Exception):
    """Another picture came than the index promises."""


class PyAVVideo:
    """An open video; use it as a context manager.

    Args:
        path (str): The file.
        num_threads (int): Threads that decode and convert; 0 lets FFmpeg
            choose.
        accept_truncated (bool): Take what is there of a file whose header
            promises more.

    Raises:
        VideoReadError: If the file is not a video, or not a whole one.
    """

    def __init__(self, path: str, num_threads: int = 1,
                 accept_truncated: bool = False) -> None:
        self.path = path
        self.num_threads = num_threads
        self.accept_truncated = accept_truncated
        self.container = None
        stat = os.stat(path)
        self._index: List[FrameIndex] = _remembered(
            path, stat.st_size, stat.st_mtime_ns, accept_truncated)
        self.truncated = missing_bytes(path)
        if self.truncated and not accept_truncated:
            raise unreadable(
                path, f'its header promises {self.truncated} bytes more: the '
                'download or recording broke off; a reader with '
                'accept_truncated=True takes what is there')
        self._open()

    def _open(self) -> None:
        """Open the file, or go back to its start."""
        self.close()
        try:
            # the file name is a path, never an FFmpeg option or a protocol
            self.container = av.open(f'file:{self.path}')
            self.stream = shown_stream(self.container)
        except (av.FFmpegError, IndexError, ValueError) as e:
            self.close()
            raise unreadable(self.path, e) from None
        context = self.stream.codec_context
        if context is None:
            raise unreadable(self.path, 'no decoder for its video')
        if context.width * context.height > MAX_PIXELS:
            raise unreadable(self.path, f'a picture of {context.width} x '
                             f'{context.height} pixels')
        context.thread_count = self.num_threads
        if self.num_threads != 1:  # slices alone rarely give any work
            self.stream.thread_type = 'FRAME'
        self.screen = Screen(self.stream, self.num_threads)
        self._begun = False

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
        """Its pictures: from the packets where they tell all, else decoded.

        Raises:
            VideoReadError: If the file is broken.
        """
        if not self._index:
            packets = self._packets()
            context = self.stream.codec_context
            if not self.truncated and packets.tell_all(
                    self.container.format.name, context.name,
                    context.has_b_frames):
                self._index.append(index_from_packets(packets))
            else:
                self._index.append(self._decoded_index(packets, True))
        return self._index[0]

    def _distrust(self) -> FrameIndex:
        """The index after the packets have turned out to be wrong."""
        self._index[:] = [self._decoded_index(self._packets(), False)]
        return self._index[0]

    def _decoded_index(self, packets: Packets, trusted: bool) -> FrameIndex:
        pts, sums, error = [], {}, None
        try:
            for frame in self.decode_all():
                pts.append(frame.pts)
                if frame.key_frame and trusted:
                    sums[frame.pts] = self._checksum(frame)
        except VideoReadError as e:
            error = str(e)
        if not pts:
            raise unreadable(self.path, error or 'no frame can be decoded')
        return index_from_frames(packets, self.container.format.name, pts,
                                 sums, error, trusted, self.truncated > 0)

    def _packets(self) -> Packets:
        """List the packets, without decoding."""
        packets = Packets([], [], [], [])
        self._rewind()
        for packet in self._demux():
            if packet.size:
                packets.pts.append(packet.pts)
                packets.dts.append(packet.dts)
                packets.keys.append(packet.is_keyframe)
                packets.hidden.append(packet.is_discard)
        if not packets.pts:
            raise unreadable(self.path, 'no frame in the video stream')
        return packets

    def info(self) -> VideoInfo:
        """Size, length and rate."""
        height, width = self.frames(np.zeros(1, np.int64)).shape[1:3]
        index = self.index()
        if index.error and not self.truncated and index.lost > TAIL_TOLERANCE:
            raise unreadable(
                self.path, f'{index.lost} frames after frame '
                f'{len(index.pts) - 1} do not decode: {index.error}')
        return VideoInfo(len(index.pts), self.timeline().rate, width, height)

    def timeline(self) -> Timeline:
        """When its frames are shown."""
        found = timeline(self.index(), self.stream.time_base,
                         (self.stream.average_rate, self.stream.guessed_rate,
                          self.stream.base_rate))
        if found is None:
            raise unreadable(self.path, 'the frame rate is unknown')
        return found

    def frames(self, ids: np.ndarray) -> np.ndarray:
        """Decode frames (see :meth:`BaseVideoReader.read`)."""
        clip = Clip(self.path, ids)
        self.fill(clip)
        return clip.images

    def fill(self, clip: Clip) -> None:
        """Decode the frames that a clip asks for."""
        ids = clip.ids
        index = self._checked_index(ids)
        if index.seekable and not self._by_jumping(index, np.unique(ids),
                                                   clip):
            self._distrust()
            index = self._checked_index(ids)
        if not index.seekable:
            self._by_counting(set(ids.tolist()), clip)

    def frames_from(self, first: int) -> Iterator[np.ndarray]:
        """Frames in order from one on, each decoded once."""
        if first:
            index = self._checked_index(np.array([first]))
            try:
                if index.seekable:
                    self._rewind()
                    key = int(index.group_of(first))
                    for number, frame in self._promised(index, key):
                        if number == first:
                            first += 1
                            yield self.screen.show(frame)
                    if first == len(index.pts):
                        return
            except (BrokenPromise, av.FFmpegError):
                self._distrust()
        for frame in islice(self.decode_all(), first, None):
            yield self.screen.show(frame)

    def _checked_index(self, ids: np.ndarray) -> FrameIndex:
        index, last = self.index(), int(ids.max())
        if last < len(index.pts):
            return index
        if index.error and last < len(index.pts) + index.lost:
            raise unreadable(self.path, index.error)
        raise BehindEndError(self.path, last, len(index.pts))

    def _by_jumping(self, index: FrameIndex, wanted: np.ndarray,
                    clip: Clip) -> bool:
        """Frames by time stamp, jumping over whole groups of pictures.

        Returns:
            bool: False if other pictures come than the index promises.
        """
        groups = index.group_of(wanted)
        self._rewind()
        try:
            for key in np.unique(groups):
                numbers = wanted[groups == key]
                missing = {int(index.pts[i]): int(i) for i in numbers}
                for number, frame in self._promised(index, key, missing):
                    if missing.pop(frame.pts, None) is not None:
                        clip.put(number, self.screen.show(frame))
                    if not missing:
                        break
                else:
                    return False
        except (BrokenPromise, av.FFmpegError):  # no seeking in such a file
            return False
        return True

    def _promised(
            self, index: FrameIndex, key: int, wanted: Optional[dict] = None
    ) -> Iterator[Tuple[int, 'av.VideoFrame']]:
        """Frames and their numbers, from a key frame on.

        Args:
            index (:obj:`FrameIndex`): What has to come.
            key (int): Number of the key frame; 0 stays where the file is.
            wanted (dict, optional): See :meth:`_decode`.

        Raises:
            BrokenPromise: If another picture comes than the index promises.
        """
        if key > 0:
            self._seek(index, key)
        sought, skipped, at = key > 0, set(), None if key > 0 else 0
        for frame in self._decode(wanted, skipped, sought):
            if at is None:
                at = int(np.searchsorted(index.pts, self._start))
            if sought and frame.pts is not None and frame.pts < self._start:
                continue  # shown before the key frame, refers to others
            while at < len(index.pts) and index.pts[at] in skipped:
                at += 1
            if at == len(index.pts) or frame.pts != index.pts[at] or (
                    sought and frame.pts == self._start
                    and not self._is_start(index, frame)):
                raise BrokenPromise
            yield at, frame
            at += 1

    def _seek(self, index: FrameIndex, key: int) -> None:
        # MPEG's streams are searched for decoding times
        times = index.key_dts if 'mpeg' in self.container.format.name else \
            index.key_pts
        self.container.seek(int(times[key]), stream=self.stream)

    def _is_start(self, index: FrameIndex, frame: 'av.VideoFrame') -> bool:
        """Whether a key frame needs no other, and is the one it should be.

        Time stamps alone do not prove it: in MPEG's program streams they
        belong to the next picture after a jump.
        """
        if frame.pict_type != PictureType.I:
            return False
        return (index.key_sums is None
                or index.key_sums.get(frame.pts) == self._checksum(frame))

    def _by_counting(self, numbers: Set[int], clip: Clip) -> None:
        """Frames by number, decoding everything before them."""
        last, count = max(numbers), 0
        for count, frame in enumerate(self.decode_all(), 1):
            if count - 1 in numbers:
                clip.put(count - 1, self.screen.show(frame))
            if count > last:
                return
        raise BehindEndError(self.path, last, count)

    def decode_all(self) -> Iterator['av.VideoFrame']:
        """All frames, from the first one that can be decoded."""
        self._rewind()
        return self._decode()

    def _rewind(self) -> None:
        if self._begun:
            self._open()

    def _demux(self) -> Iterator['av.Packet']:
        """Packets of the stream from here on."""
        self._begun = True
        try:
            for packet in self.container.demux(self.stream):
                if not (self.truncated and packet.is_corrupt):
                    yield packet
        except (av.FFmpegError, IndexError) as e:  # of a stream that is new
            if not self.truncated:
                raise unreadable(self.path, e) from None

    def _decode(self, wanted: Optional[dict] = None,
                skipped: Optional[Set[int]] = None,
                sought: bool = False) -> Iterator['av.VideoFrame']:
        """Decoded frames from here on.

        Frames that no other frame refers to are not decoded unless they are
        wanted; that changes no pixel of the others.

        Args:
            wanted (dict, optional): Time stamps that must come; None decodes
                everything.
            skipped (set[int], optional): Takes the time stamps of frames
                that are not decoded.
            sought (bool): Whether the file was sought: decoding then starts
                at the next key frame; its time stamp is ``self._start``.
        """
        context = self.stream.codec_context
        prefix = nal_prefix(context) if wanted is not None else 0
        waiting, begun, error = sought, sought, None
        for packet in self._demux():
            if waiting and packet.size:
                if not packet.is_keyframe:
                    continue
                waiting, self._start = False, packet.pts
            if (prefix and packet.size and packet.pts not in wanted
                    and is_disposable(bytes(packet), prefix)):
                skipped.add(packet.pts)
                continue
            try:
                for frame in packet.decode():
                    begun = True
                    yield frame
            except av.FFmpegError as e:
                if begun:  # what comes behind is painted over it
                    error = e
                    break
        if error is None:
            return
        try:  # what was decoded before the broken packet and waits its turn
            yield from context.decode(None)
        except av.FFmpegError:
            pass
        raise unreadable(self.path, error)

    def _checksum(self, frame: 'av.VideoFrame') -> int:
        return zlib.crc32(np.ascontiguousarray(self.screen.show(frame)))

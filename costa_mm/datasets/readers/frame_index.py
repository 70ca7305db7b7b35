# Copyright (c) costa_mm authors. All rights reserved.
"""Which pictures a video has, when they are shown, where to start decoding."""
from fractions import Fraction
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence

import numpy as np

#: Containers that store the presentation time of every packet.
_WITH_TIMES = ('mov,mp4,m4a,3gp,3g2,mj2', 'matroska,webm', 'flv')
#: Codecs of which such containers hold exactly one shown picture per packet.
_PICTURE_PER_PACKET = ('h264', 'hevc', 'av1', 'libdav1d', 'libaom-av1',
                       'vp9', 'libvpx-vp9', 'mjpeg', 'prores', 'ffv1')
#: Containers that are cut and joined as they are, with the clocks they have.
_BROADCAST = ('mpegts', 'mpeg')
#: In these a longer step (seconds) is a clock that starts anew.
MAX_STEP = 10


class Packets(NamedTuple):
    """What the packets of a stream say, in order of storage.

    Attributes:
        pts (list[int, optional]): Presentation times.
        dts (list[int, optional]): Decoding times.
        keys (list[bool]): Whether decoding can start there.
        hidden (list[bool]): Whether an edit list cuts the picture away.
    """
    pts: List[Optional[int]]
    dts: List[Optional[int]]
    keys: List[bool]
    hidden: List[bool]

    def tell_all(self, container: str, codec: str, delays: bool) -> bool:
        """Whether they tell every picture's place, without decoding.

        They do where the container stores a presentation time for every
        picture, and nothing is shown that cannot be decoded.  Where decoding
        and presentation have the same order although the codec may reorder,
        the container (AVI and what was made from it) may have no presentation
        times at all.

        Args:
            container (str): FFmpeg's name of the format.
            codec (str): FFmpeg's name of the decoder.
            delays (bool): Whether the decoder may reorder pictures.
        """
        if (container not in _WITH_TIMES or codec not in _PICTURE_PER_PACKET
                or None in self.pts or not self.keys or not self.keys[0]):
            return False
        dts = np.array([d for d in self.dts if d is not None])
        reordered = (np.diff(self.pts) < 0).any()
        return (len(set(self.pts)) == len(self.pts)
                and bool((np.diff(dts) > 0).all())
                and min(self.pts) == self.pts[0]
                and bool(reordered or not delays))


class FrameIndex(NamedTuple):
    """The pictures of a video in the order in which they are shown.

    Attributes:
        pts (np.ndarray): Their time stamps, (N, ), int64; increasing where
            ``seekable``, and just numbers where not ``timed``.
        key_pts (np.ndarray): Time stamps of key frames, increasing, (K, ).
        key_dts (np.ndarray): Their decoding times, (K, ).
        seekable (bool): Whether a picture can be found by its time stamp;
            if not, everything before it is decoded and counted.
        key_sums (dict[int, int], optional): Checksum of the picture at each
            time stamp where decoding may start; None where packets alone
            tell which one it is.
        timed (bool): Whether the container has time stamps.
        restarts (bool): Whether the clock may start anew or jump within the
            file.
        plain (bool): Whether frame i is packet i in order of time stamps and
            every group of pictures stands on its own.
        error (str, optional): Why decoding stopped after the last picture.
        lost (int): Packets after it.
    """
    pts: np.ndarray
    key_pts: np.ndarray
    key_dts: np.ndarray
    seekable: bool
    key_sums: Optional[Dict[int, int]] = None
    timed: bool = True
    restarts: bool = False
    plain: bool = False
    error: Optional[str] = None
    lost: int = 0

    def group_of(self, numbers: np.ndarray) -> np.ndarray:
        """Number of the key frame from which each picture is decoded."""
        return np.searchsorted(
            self.key_pts, self.pts[numbers], side='right') - 1


def _keys(packets: Packets) -> np.ndarray:
    """Presentation and decoding times of key frames, (2, K), by time."""
    keys = [(p, p if d is None else d)
            for p, d, key in zip(packets.pts, packets.dts, packets.keys)
            if key and p is not None]
    return np.array(sorted(keys), dtype=np.int64).reshape(-1, 2).T


def index_from_packets(packets: Packets) -> FrameIndex:
    """Index of a video whose packets tell all."""
    pts = np.array(packets.pts, dtype=np.int64)
    hidden = np.array(packets.hidden)
    newest_key = np.maximum.accumulate(
        np.where(packets.keys, pts, pts.min()))
    return FrameIndex(
        np.sort(pts[~hidden]), *_keys(packets), seekable=True,
        plain=not hidden.any() and bool((pts >= newest_key).all()))


def index_from_frames(packets: Packets, container: str,
                      pts: Sequence[Optional[int]], key_sums: Dict[int, int],
                      error: Optional[str], trusted: bool,
                      truncated: bool) -> FrameIndex:
    """Index of a video that was decoded from its start to its end.

    Args:
        packets (Packets): Of the video.
        container (str): FFmpeg's name of the format.
        pts (Sequence[int, optional]): Time stamps of the decoded pictures.
        key_sums (dict[int, int]): Checksums of the key frames among them.
        error (str, optional): Why decoding stopped early.
        trusted (bool): Whether to jump by time stamps where they fit; False
            after they have failed.
        truncated (bool): Whether the last packet may be half a one.  What
            is shown later than it was to be decoded is left out then: a
            picture before it may be missing.
    """
    if truncated and None not in (*pts, *packets.dts[-2:]):
        whole = packets.dts[-2:][0]
        pts = [p for p in pts if p <= whole] or pts[:1]
    known = None not in pts
    times = np.array(pts if known else range(len(pts)), dtype=np.int64)
    seekable = (trusted and known and bool((np.diff(times) > 0).all())
                and set(pts) <= set(packets.pts))
    dts = np.array([d for d in packets.dts if d is not None])
    lost = len(packets.pts) - sum(packets.hidden) - len(pts)
    return FrameIndex(
        times, *_keys(packets), seekable=seekable, key_sums=key_sums,
        timed=known,
        restarts=container in _BROADCAST or bool((np.diff(dts) < 0).any()),
        error=error, lost=max(lost, 0))


class Timeline(NamedTuple):
    """When the pictures of a video are shown.

    Attributes:
        rate (float): Nominal frame rate.
        seconds (np.ndarray): After the first picture, (N + 1, ), the last one
            being the end of the last picture.
    """
    rate: float
    seconds: np.ndarray


def timeline(index: FrameIndex, unit: Fraction,
             stated: Iterable[Optional[float]]) -> Optional[Timeline]:
    """When the pictures of a video are shown.

    Args:
        index (FrameIndex): Of the video.
        unit (Fraction): Seconds of one unit of the time stamps.
        stated (Iterable[float, optional]): Frame rates that the container
            states.

    Returns:
        Timeline or None: None where nothing is known of the rate.
    """
    parts = _clock_parts(index, MAX_STEP / unit) if index.timed else []
    step = typical_step(parts)
    rate = nominal_rate(step and step * float(unit), stated)
    if rate is None:
        return None
    if not parts:
        return Timeline(rate, np.arange(len(index.pts) + 1) / rate)
    seconds, start = [], 0.0
    for part in parts:
        ticks = (part - part[0]) * unit.numerator
        seconds.append(ticks / unit.denominator + start)
        start = seconds[-1][-1] + 1 / rate
    return Timeline(rate, np.concatenate([*seconds, [start]]))


def _clock_parts(index: FrameIndex, longest: float) -> List[np.ndarray]:
    """Increasing time stamps, in pieces that go by one clock; a step over
    more units than ``longest`` is a new clock as well."""
    if not index.restarts:
        return [np.sort(index.pts)]
    steps = np.diff(index.pts)
    return np.split(index.pts,
                    np.flatnonzero((steps < 0) | (steps > longest)) + 1)


def typical_step(parts: Sequence[np.ndarray]) -> Optional[float]:
    """The usual distance of two pictures, in units of the time stamps.

    The median, and where time stamps are rounded the mean of the steps that
    differ from it by rounding.

    Args:
        parts (Sequence[np.ndarray]): Increasing time stamps, each (N_i, ).

    Returns:
        float or None: None where there are no two different ones.
    """
    steps = np.concatenate([np.zeros(0), *map(np.diff, parts)])
    steps = steps[steps > 0]
    if not len(steps):
        return None
    middle = np.sort(steps)[(len(steps) - 1) // 2]
    return float(steps[np.abs(steps - middle) <= 1].mean())


def nominal_rate(step: Optional[float],
                 stated: Iterable[Optional[float]]) -> Optional[float]:
    """Frame rate of a video.

    Args:
        step (float, optional): Usual seconds between two pictures.
        stated (Iterable[float, optional]): Rates that the container states:
            exact fractions, but wrong where the rate varies.

    Returns:
        float or None: The stated rate nearest to the measured one if they
        agree to 1 %, else the measured one; None where nothing is known.
    """
    rates = [float(rate) for rate in stated if rate]
    if step is None:
        return rates[0] if rates else None
    best = min(rates, key=lambda rate: abs(rate * step - 1), default=0.)
    return best if abs(best * step - 1) <= 0.01 else 1 / step

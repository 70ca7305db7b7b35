# Copyright (c) costa_mm authors. All rights reserved.
"""The sound of a video in the videos that are made of it."""
import heapq
import logging
import os
from fractions import Fraction
from typing import Callable, Iterable, Iterator, Optional, Tuple, Union

import av
import numpy as np
from mmengine.logging import print_log

from costa_mm.utils import atomic_path

#: What every browser plays inside MP4; the rest becomes AAC.
PLAYED = ('aac', 'mp3')
TICK = Fraction(1, 90000)  # of times that are not at an even rate, seconds
LEAD = 900  # ticks between packets that are decoded before the first is shown
AAC_RATES = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
Timed = Iterator[Tuple[float, av.Packet]]


def add_sound(path: Union[str, os.PathLike],
              source: Union[str, os.PathLike],
              start: float = 0.0,
              seconds: Optional[np.ndarray] = None) -> bool:
    """Give a silent video the sound and the pace of what it was made of.

    Pictures are not touched.  The file is replaced when the new one is
    complete; where the sound cannot be read it stays silent, with a warning.

    Args:
        path (str | os.PathLike): MP4 file that :func:`write_video` wrote.
        source (str | os.PathLike): The video with the sound.
        start (float): Where in the source the silent video begins, seconds
            after its first picture.
        seconds (np.ndarray, optional): When each picture is to be shown and
            when the last one ends, (N + 1, ), if not at an even rate.

    Returns:
        bool: Whether there is a sound.
    """
    path, source = os.fspath(path), os.fspath(source)
    try:
        with av.open(source) as sounding:
            sound = sounding.streams.best('audio')
            if sound is not None:
                origin = _first_picture(source) + start
                if start > 0:
                    sounding.seek(round(origin * av.time_base))
                _mux(path, seconds, lambda out, length: _sound(
                    sounding, sound, out, origin, length))
                return True
    except (av.FFmpegError, ValueError) as e:
        print_log(
            f'{path} stays silent: the sound of {source} cannot be read ({e})',
            'current', logging.WARNING)
    if seconds is not None:
        _mux(path, seconds, lambda out, length: iter(()))
    return False


def _first_picture(source: str) -> float:
    """When the first picture is shown, on the container's clock."""
    with av.open(source) as container:
        for frame in container.decode(video=0):
            return frame.time or 0.0
    raise ValueError('it shows no picture')


def _mux(path: str, seconds: Optional[np.ndarray],
         add: Callable[['av.container.OutputContainer', float], Timed]
         ) -> None:
    """Write the file anew with what ``add`` gives, in the order of time."""
    with atomic_path(path) as part, av.open(path) as silent, av.open(
            part, 'w', format='mp4',
            options=dict(movflags='+faststart')) as out:
        pictures = silent.streams.video[0]
        track = out.add_stream_from_template(pictures)
        length = float(silent.duration) / av.time_base
        if seconds is not None:
            length = float(seconds[-1])
        sound = add(out, length)
        packets = _moved(silent.demux(pictures), track)
        if seconds is not None:
            track.time_base = TICK
            packets = _at_times(packets, _stamps(path), seconds)
        shown = ((float(packet.dts * packet.time_base), packet)
                 for packet in packets)
        for _, packet in heapq.merge(shown, sound, key=lambda x: x[0]):
            out.mux(packet)


def _moved(packets: Iterable[av.Packet], track) -> Iterator[av.Packet]:
    """Packets of another container; the empty one at its end is left out."""
    for packet in packets:
        if packet.dts is not None:
            packet.stream = track
            yield packet


def _stamps(path: str) -> np.ndarray:
    """Presentation times of a video's packets, increasing, (N, ), int64."""
    with av.open(path) as container:
        return np.sort([packet.pts for packet in container.demux(video=0)
                        if packet.pts is not None])


def _at_times(packets: Iterable[av.Packet], stamps: np.ndarray,
              seconds: np.ndarray) -> Iterator[av.Packet]:
    """Packets of an even video, their pictures shown at other times.

    Packet ``j`` of the file is to be decoded when picture ``j - delay`` is
    shown, as before: so no picture is shown before it is decoded.
    """
    count = len(stamps)
    ticks = np.rint(seconds[:count + 1] * TICK.denominator).astype(np.int64)
    even = np.arange(len(ticks))
    ticks = np.maximum.accumulate(ticks - even) + even  # never two at once
    delay = first = None
    for number, packet in enumerate(packets):
        if delay is None:
            lead = packet.pts - packet.dts + stamps[0]
            delay = int((stamps <= lead).sum()) - 1
            first = -delay * LEAD
        decoded = number - delay
        packet.time_base = TICK
        packet.pts = int(ticks[np.searchsorted(stamps, packet.pts)])
        packet.dts = int(ticks[decoded]) if decoded >= 0 else decoded * LEAD
        # MP4 counts by decoding times: only the last one's length is stored
        packet.duration = 0 if number < count - 1 else int(
            ticks[-1] - (packet.dts - first))
        yield packet


def _sound(sounding: 'av.container.InputContainer', sound: 'av.AudioStream',
           out: 'av.container.OutputContainer', begin: float,
           length: float) -> Timed:
    """A new stream's packets, from ``begin`` on in the source."""
    if sound.codec_context.name in PLAYED:
        return _copied(sounding, sound, out.add_stream_from_template(sound),
                       begin, length)
    return _encoded(sounding, sound, _add_aac(out, sound), begin, length)


def _copied(sounding, sound, track, begin: float, length: float) -> Timed:
    """The packets between ``begin`` and ``begin + length`` as they are."""
    shift = round(begin / sound.time_base)
    for packet in _moved(sounding.demux(sound), track):
        seconds = float(packet.pts * sound.time_base) - begin
        if seconds >= length:
            return
        if seconds >= 0:
            packet.pts = packet.dts = packet.pts - shift
            yield seconds, packet


def _add_aac(out, sound):
    """A stream for a sound that browsers do not play as it is."""
    rate = sound.codec_context.sample_rate
    track = out.add_stream('aac', rate=rate if rate in AAC_RATES else 48000)
    track.layout = 'mono' if sound.codec_context.channels == 1 else 'stereo'
    return track


def _encoded(sounding, sound, track, begin: float, length: float) -> Timed:
    """The same as AAC."""
    for frame in sounding.decode(sound):
        seconds = frame.time - begin
        if seconds >= length:
            break
        if seconds >= 0:
            frame.time_base = Fraction(1, frame.sample_rate)
            frame.pts = round(seconds * frame.sample_rate)
            yield from _timed(track.encode(frame))
    yield from _timed(track.encode(None))


def _timed(packets) -> Timed:
    for packet in packets:
        yield float(packet.pts * packet.time_base), packet

# Copyright (c) costa_mm authors. All rights reserved.
"""The sound of a video in the videos that are made of it."""
import heapq
import logging
import os
from fractions import Fraction
from typing import Iterator, Tuple, Union

import av
from mmengine.logging import print_log

from costa_mm.utils import atomic_path

#: What every browser plays inside MP4; the rest becomes AAC.
PLAYED = ('aac', 'mp3')
AAC_RATES = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
Timed = Iterator[Tuple[float, av.Packet]]


def add_sound(path: Union[str, os.PathLike],
              source: Union[str, os.PathLike],
              start: float = 0.0) -> bool:
    """Give a silent video the sound of the video that it was made of.

    Pictures are not touched.  The file is replaced when the new one is
    complete; where the sound cannot be read it stays as it is, with a
    warning.

    Args:
        path (str | os.PathLike): MP4 file that :func:`write_video` wrote.
        source (str | os.PathLike): The video with the sound.
        start (float): Where in the source the silent video begins, seconds
            after its first picture.

    Returns:
        bool: Whether there is a sound.
    """
    try:
        with av.open(os.fspath(source)) as sounding:
            sound = sounding.streams.best('audio')
            if sound is None:
                return False
            origin = _first_picture(os.fspath(source))
            if start > 0:
                sounding.seek(round((origin + start) * av.time_base))
            return _mux(os.fspath(path), sounding, sound, origin + start)
    except (av.FFmpegError, ValueError) as e:
        print_log(
            f'{path} stays silent: the sound of {source} cannot be read ({e})',
            'current', logging.WARNING)
        return False


def _first_picture(source: str) -> float:
    """When the first picture is shown, on the container's clock."""
    with av.open(source) as container:
        for frame in container.decode(video=0):
            return frame.time or 0.0
    raise ValueError('it shows no picture')


def _mux(path: str, sounding: 'av.container.InputContainer',
         sound: 'av.AudioStream', begin: float) -> bool:
    with atomic_path(path) as part, av.open(path) as silent, av.open(
            part, 'w', format='mp4',
            options=dict(movflags='+faststart')) as out:
        pictures = silent.streams.video[0]
        track = out.add_stream_from_template(pictures)
        length = float(silent.duration) / av.time_base
        if sound.codec_context.name in PLAYED:
            packets = _copied(sounding, sound,
                              out.add_stream_from_template(sound), begin,
                              length)
        else:
            packets = _encoded(sounding, sound, _add_aac(out, sound), begin,
                               length)
        shown = ((float(packet.dts * packet.time_base), packet)
                 for packet in _moved(silent.demux(pictures), track))
        for _, packet in heapq.merge(shown, packets, key=lambda x: x[0]):
            out.mux(packet)
    return True


def _moved(packets: Iterator[av.Packet], track) -> Iterator[av.Packet]:
    """Packets of another container; the empty one at its end is left out."""
    for packet in packets:
        if packet.dts is not None:
            packet.stream = track
            yield packet


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

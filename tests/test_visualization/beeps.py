# Copyright (c) costa_mm authors. All rights reserved.
"""Videos that beep at known times."""
from fractions import Fraction

import av
import numpy as np

RATE = 16000


def add_beep(path, codec, late=0.0, layout='mono', rate=RATE):
    """A video of two seconds, black at 10 per second, that beeps from 1.0 s
    to 1.5 s; pictures and sound begin ``late`` seconds on the clock."""
    with av.open(str(path), 'w') as out:
        video = out.add_stream('libx264', rate=10)
        video.width, video.height, video.pix_fmt = 64, 64, 'yuv420p'
        video.codec_context.time_base = Fraction(1, 10)
        audio = out.add_stream(codec, rate=rate)
        audio.layout = layout
        for i in range(20):
            frame = av.VideoFrame.from_ndarray(
                np.zeros((64, 64, 3), np.uint8), format='rgb24')
            frame.pts, frame.time_base = i + round(10 * late), Fraction(1, 10)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        times = np.arange(2 * rate) / rate
        wave = np.sin(880 * np.pi * times) * ((times >= 1) & (times < 1.5))
        wave = np.tile(np.int16(wave * 12000), (1, 1))
        for first in range(0, wave.shape[1], 1000):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(wave[:, first:first + 1000]),
                format='s16', layout='mono')
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = first + round(late * rate)
            out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
    return path


def loud_seconds(path):
    """First and last second at which a video is loud, and its codec."""
    with av.open(str(path)) as container:
        stream, = container.streams.audio
        loud = [
            frame.time + np.flatnonzero(
                np.abs(frame.to_ndarray()[0]) > 0.05) / frame.sample_rate
            for frame in container.decode(stream)
        ]
        loud = np.concatenate(loud)
        return loud.min(), loud.max(), stream.codec_context.name

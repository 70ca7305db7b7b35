# Copyright (c) costa_mm authors. All rights reserved.
"""Ground an event in a long video and in its own minute; compare the answers.

Long videos are made from the synthetic benchmark.  In the middle of the minute
asked for stands a test sample.  Around it either its scene rests, so that the
video is one long take (``--around rest``), or there are other shots, none of
which holds what the sentence asks for, with a cut between each two
(``--around shots``).  The whole video and that minute alone are grounded with
the same windows, each in a process of its own, whose peak memory is told.
"""
import argparse
import itertools
import json
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import chain, islice, repeat
from typing import Iterable, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from costa_mm.evaluation import span_iou
from costa_mm.synthetic import (ENCODING, Sample, Settings, draw_sample,
                                render_frames)
from costa_mm.synthetic.scene import find_matches
from costa_mm.visualization import write_video

MINUTE = 60


class LongVideo(NamedTuple):
    """A sequence of shots, one of which is asked for.

    Attributes:
        shots (list[Sample]): All shots, of equal length.  In every other
            place that holds the target as well, its scene rests.
        target (int): Which of them holds the event.
    """
    shots: List[Sample]
    target: int

    @property
    def span(self) -> Tuple[int, int]:
        """Frames of the event, end exclusive."""
        shot = self.shots[self.target]
        first = self.target * shot.settings.num_frames
        return first + shot.span[0], first + shot.span[1]

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Frames ``start`` to ``stop``, rendered as they are asked for."""
        length = self.shots[0].settings.num_frames
        first, last = start // length, -(-stop // length)
        event = list(render_frames(self.shots[self.target]))

        def shot(place: int) -> Iterable[np.ndarray]:
            if place == self.target:
                return event
            if self.shots[place] is self.shots[self.target]:
                return repeat(event[0 if place < self.target else -1], length)
            return render_frames(self.shots[place])

        rendered = chain.from_iterable(map(shot, range(first, last)))
        return islice(rendered, start - first * length, stop - first * length)


def parse_args(argv=None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='without one the weights are random: memory and time only')
    parser.add_argument('--minutes', type=float, default=10)
    parser.add_argument(
        '--event-minute', type=int, default=8, help='counted from 0')
    parser.add_argument('--number', type=int, default=4, help='of videos')
    parser.add_argument('--first', type=int, default=0, help='test sample')
    parser.add_argument('--level', default='easy')
    parser.add_argument(
        '--around',
        choices=('rest', 'shots'),
        default='rest',
        help='what surrounds the event: its scene at rest, or other shots')
    parser.add_argument('--seed', type=int, default=0, help='of the shots')
    parser.add_argument(
        '--fps', type=int, default=10, help='frame rate of the videos')
    parser.add_argument(
        '--rate', type=float, default=3.2, help='sampled frames per second')
    parser.add_argument(
        '--window', type=int, default=16, help='frames of a window')
    parser.add_argument('--overlap', type=int, default=8)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--json', help='write the figures here as well')
    args = parser.parse_args(argv)
    if not 0 <= args.event_minute < args.minutes:
        parser.error('--event-minute lies behind the end of the video')
    return args


def make_video(settings: Settings, index: int, minutes: float,
               event_minute: int, around: str = 'rest') -> LongVideo:
    """Choose the shots of a video.

    Args:
        settings (Settings): Of the shots.
        index (int): Test sample that is asked for.
        minutes (float): Length.
        event_minute (int): Minute of the event, from 0.
        around (str): 'rest' or 'shots'.

    Returns:
        LongVideo: The target's shot lies in the middle of its minute.
    """
    seconds = settings.num_frames / settings.fps
    count = int(np.ceil(minutes * MINUTE / seconds))
    target = draw_sample(settings, 'test', index)
    if around == 'rest':
        shots = [target] * count
    else:
        shots = other_shots(settings, index, count, target)
    middle = (event_minute + 0.5) * MINUTE - seconds / 2
    place = min(int(round(middle / seconds)), count - 1)
    shots[place] = target
    return LongVideo(shots, place)


def other_shots(settings: Settings, index: int, count: int,
                target: Sample) -> List[Sample]:
    """Shots of another split, without what the target's sentence asks for."""
    # another seed for each video, so that no two show the same
    others = replace(settings, seed=settings.seed + 1000 * (index + 1))
    drawn = (draw_sample(others, 'train', i) for i in itertools.count())
    fitting = (s for s in drawn if not find_matches(s.objects, target.query))
    return list(islice(fitting, count))


def ground(path: str, sentence: str, args: argparse.Namespace) -> dict:
    """Ground a sentence; run in a process of its own.

    Returns:
        dict: 'span' (frames), 'score', 'windows', 'seconds' and 'peak_mib'.
    """
    import torch

    from costa_mm.apis.long_video import VideoWindows, ground_video
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', 2)))
    model, transforms, reader = build(args)
    info = reader.probe(path)
    record = dict(
        sample_id='long', video_path=path, video_id='long', sentence=sentence,
        qtype=None, num_frames=info.num_frames, fps=info.fps,
        width=info.width, height=info.height,
        segment=(0, info.num_frames), gt_tube=None, factors=None)
    began = time.perf_counter()
    windows = VideoWindows(transforms, record, model.test_cfg)
    sample, = ground_video(model, windows, [('long', sentence)])
    return dict(
        span=list(map(int, sample.pred_tube.span)),
        score=float(sample.pred_score),
        windows=len(windows),
        seconds=time.perf_counter() - began,
        peak_mib=peak_mib(args.device))


def build(args: argparse.Namespace) -> tuple:
    """Model, test pipeline and its reader."""
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from costa_mm.datasets import LoadVideoFrames
    from costa_mm.engine import load_weights, read_checkpoint
    from costa_mm.registry import MODELS, TRANSFORMS
    cfg = Config.fromfile(args.config)
    init_default_scope(cfg.get('default_scope', 'costa_mm'))
    test_cfg = dict(cfg.model.get('test_cfg') or {})
    test_cfg['window'] = dict(
        num_frames=args.window, overlap=args.overlap, fps=args.rate)
    model = MODELS.build({**cfg.model, 'test_cfg': test_cfg})
    if args.checkpoint is None:
        model.init_weights()
    else:
        load_weights(model, read_checkpoint(args.checkpoint), args.checkpoint,
                     whole=True)
    transforms = [
        TRANSFORMS.build(t) for t in cfg.test_dataloader.dataset.pipeline
    ]
    reader = next(
        t.reader for t in transforms if isinstance(t, LoadVideoFrames))
    return model.to(args.device).eval(), transforms, reader


def peak_mib(device: str) -> float:
    """Peak memory of this process, on the GPU if the model is there."""
    if device.startswith('cuda'):
        import torch
        return torch.cuda.max_memory_allocated(device) / 2**20
    with open('/proc/self/status', encoding='ascii') as f:
        line = next(row for row in f if row.startswith('VmHWM'))
    return int(line.split()[1]) / 2**10


def check(video: LongVideo, folder: str, args: argparse.Namespace) -> dict:
    """Ground the whole video and the event's minute."""
    sentence = video.shots[video.target].sentence
    rate = args.fps * MINUTE
    whole = int(round(args.minutes * rate))
    start = args.event_minute * rate
    parts = dict(video=(0, whole), minute=(start, min(start + rate, whole)))
    row = dict(sentence=sentence, truth=list(video.span))
    spawn = multiprocessing.get_context('spawn')
    for name, (first, last) in parts.items():
        path = os.path.join(folder, f'{name}.mp4')
        write_video(path, video.frames(first, last), args.fps, crf=16,
                    **ENCODING)
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            found = pool.submit(ground, path, sentence, args).result()
        os.remove(path)
        span = tuple(first + i for i in found.pop('span'))
        row[name] = dict(found, span=list(span),
                         tiou=span_iou(span, video.span))
    row['difference'] = row['video']['tiou'] - row['minute']['tiou']
    row['memory'] = row['video']['peak_mib'] / row['minute']['peak_mib']
    return row


def main(argv: Optional[List[str]] = None) -> None:
    """Print one row per video, then the summary."""
    args = parse_args(argv)
    settings = Settings(level=args.level, seed=args.seed, fps=args.fps)
    rows = []
    print(f'{args.minutes:g} minutes, event in minute {args.event_minute}, '
          f'{args.rate:g} frames/s, windows of {args.window} frames that '
          f'overlap by {args.overlap}, around the event: {args.around}'
          f"{'' if args.checkpoint else '; RANDOM WEIGHTS'}")
    print(f"{'':3}{'tIoU video':>11}{'minute':>8}{'windows':>9}{'':>5}"
          f"{'seconds':>9}{'':>7}{'peak/MiB':>10}{'':>8}  sentence")
    with tempfile.TemporaryDirectory() as folder:
        for index in range(args.first, args.first + args.number):
            video = make_video(settings, index, args.minutes,
                               args.event_minute, args.around)
            row = check(video, folder, args)
            rows.append(row)
            a, b = row['video'], row['minute']
            print(f"{index:3}{a['tiou']:11.3f}{b['tiou']:8.3f}"
                  f"{a['windows']:9}{b['windows']:5}{a['seconds']:9.1f}"
                  f"{b['seconds']:7.1f}{a['peak_mib']:10.0f}"
                  f"{b['peak_mib']:8.0f}  {row['sentence']}", flush=True)
    summary = dict(
        tiou_video=float(np.mean([r['video']['tiou'] for r in rows])),
        tiou_minute=float(np.mean([r['minute']['tiou'] for r in rows])),
        within_005=sum(abs(r['difference']) <= 0.05 for r in rows),
        number=len(rows),
        memory_ratio=max(r['memory'] for r in rows))
    print('mean tIoU {tiou_video:.4f} in the video, {tiou_minute:.4f} in the '
          'minute; within 0.05 for {within_005} of {number}; peak memory '
          'at most {memory_ratio:.3f} times that of the minute'.format(
              **summary))
    if args.json:
        with open(args.json, 'w', encoding='utf-8') as f:
            json.dump(dict(vars(args), rows=rows, summary=summary), f,
                      indent=1)


if __name__ == '__main__':
    main()

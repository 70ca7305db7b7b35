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
import os
import sys
import tempfile
import time
from dataclasses import replace
from itertools import chain, islice, repeat
from typing import Iterable, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
from benchmarking.machine import Table, peak_bytes, run_alone

from costa_mm.cli.running import run_main
from costa_mm.engine.config import load_config
from costa_mm.evaluation import span_iou
from costa_mm.synthetic import (ENCODING, Sample, Settings, draw_sample,
                                render_frames)
from costa_mm.synthetic.scene import find_matches
from costa_mm.utils.files import write_json
from costa_mm.visualization import write_video

MINUTE = 60


class ShotSequence(NamedTuple):
    """A long video of shots, one of which is asked for.

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


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config file')
    add('checkpoint', nargs='?',
        help='without one the weights are random: memory and time only')
    add('--minutes', type=float, default=10)
    add('--event-minute', type=int, default=8, help='counted from 0')
    add('--number', type=int, default=4, help='of videos')
    add('--first', type=int, default=0, help='test sample')
    add('--level', default='easy')
    add('--around', choices=('rest', 'shots'), default='rest',
        help='what surrounds the event: its scene at rest, or other shots')
    add('--seed', type=int, default=0, help='of the shots')
    add('--fps', type=int, default=10, help='frame rate of the videos')
    add('--rate', type=float, default=3.2, help='sampled frames per second')
    add('--window', type=int, default=16, help='frames of a window')
    add('--overlap', type=int, default=8)
    add('--device', default='cpu')
    add('--json', help='write the figures here as well')
    args = parser.parse_args(argv)
    if not 0 <= args.event_minute < args.minutes:
        parser.error('--event-minute lies behind the end of the video')
    return args


def make_video(settings: Settings, index: int,
               args: argparse.Namespace) -> ShotSequence:
    """Choose the shots around a test sample, in the middle of its minute."""
    seconds = settings.num_frames / settings.fps
    count = int(np.ceil(args.minutes * MINUTE / seconds))
    target = draw_sample(settings, 'test', index)
    shots = [target] * count
    if args.around == 'shots':
        # of another split, and of another seed for each video, so that no
        # two show the same; without what the target's sentence asks for
        others = replace(settings, seed=settings.seed + 1000 * (index + 1))
        drawn = (draw_sample(others, 'train', i) for i in itertools.count())
        shots = list(islice((s for s in drawn if not find_matches(
            s.objects, target.query)), count))
    middle = (args.event_minute + 0.5) * MINUTE - seconds / 2
    place = min(int(round(middle / seconds)), count - 1)
    shots[place] = target
    return ShotSequence(shots, place)


def random_weights(config: str, path: str) -> str:
    """A checkpoint with the weights that a training would begin with."""
    import torch
    from mmengine.registry import init_default_scope

    import costa_mm.models  # noqa: F401  registers the models
    from costa_mm.registry import MODELS
    init_default_scope('costa_mm')
    model = MODELS.build(load_config(config).model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


def ground(path: str, sentence: str, args: argparse.Namespace) -> dict:
    """Ground a sentence; run in a process of its own.

    Returns:
        dict: 'span' (frames), 'score', 'windows', 'seconds' and 'peak_mib'.
    """
    import torch

    from costa_mm.apis import STVGInferencer
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', 2)))
    cfg = load_config(args.config)
    cfg.merge_from_dict({'model.test_cfg.window': dict(
        num_frames=args.window, overlap=args.overlap, fps=args.rate)})
    inferencer = STVGInferencer(cfg, args.checkpoint, args.device,
                                show_progress=False)
    windows = []
    inferencer.model.data_preprocessor.register_forward_hook(
        lambda *call: windows.append(1))
    began = time.perf_counter()
    sample, = inferencer(path, sentence,
                         return_datasamples=True)['predictions']
    return dict(
        span=list(map(int, sample.pred_tube.span)),
        score=float(sample.pred_score),
        windows=len(windows),
        seconds=time.perf_counter() - began,
        peak_mib=peak_bytes(args.device) / 2**20)


def check(video: ShotSequence, folder: str, args: argparse.Namespace) -> dict:
    """Ground the whole video and the event's minute."""
    sentence = video.shots[video.target].sentence
    rate = args.fps * MINUTE
    whole = int(round(args.minutes * rate))
    start = args.event_minute * rate
    parts = dict(video=(0, whole), minute=(start, min(start + rate, whole)))
    row = dict(sentence=sentence, truth=list(video.span))
    for name, (first, last) in parts.items():
        path = os.path.join(folder, f'{name}.mp4')
        write_video(path, video.frames(first, last), args.fps, crf=16,
                    **ENCODING)
        found = run_alone(ground, path, sentence, args)
        os.remove(path)
        span = tuple(first + i for i in found.pop('span'))
        row[name] = dict(found, span=list(span),
                         tiou=span_iou(span, video.span))
    row['difference'] = row['video']['tiou'] - row['minute']['tiou']
    row['memory'] = row['video']['peak_mib'] / row['minute']['peak_mib']
    return row


def summarize(rows: List[dict]) -> dict:
    """Means over the videos."""
    return dict(
        tiou_video=float(np.mean([r['video']['tiou'] for r in rows])),
        tiou_minute=float(np.mean([r['minute']['tiou'] for r in rows])),
        within_005=sum(abs(r['difference']) <= 0.05 for r in rows),
        number=len(rows),
        memory_ratio=max(r['memory'] for r in rows))


def main(argv: Optional[List[str]] = None) -> None:
    """Print one row per video, then the summary."""
    args = parse_args(argv)
    options, rows = dict(vars(args)), []
    settings = Settings(level=args.level, seed=args.seed, fps=args.fps)
    print(f'{args.minutes:g} minutes, event in minute {args.event_minute}, '
          f'{args.rate:g} frames/s, windows of {args.window} frames that '
          f'overlap by {args.overlap}, around the event: {args.around}'
          f"{'' if args.checkpoint else '; RANDOM WEIGHTS'}")
    table = Table(sample=6, part=6, tIoU=5, windows=7, seconds=7, peak_MiB=8,
                  sentence=32)
    with tempfile.TemporaryDirectory() as folder:
        args.checkpoint = args.checkpoint or random_weights(
            args.config, os.path.join(folder, 'random.pth'))
        for index in range(args.first, args.first + args.number):
            row = check(make_video(settings, index, args), folder, args)
            rows.append(row)
            for part in ('video', 'minute'):
                out = row[part]
                table.row(index, part, f"{out['tiou']:.3f}", out['windows'],
                          f"{out['seconds']:.1f}", f"{out['peak_mib']:.0f}",
                          row['sentence'])
    summary = summarize(rows)
    print('mean tIoU {tiou_video:.4f} in the video, {tiou_minute:.4f} in the '
          'minute; within 0.05 for {within_005} of {number}; peak memory '
          'at most {memory_ratio:.3f} times that of the minute'.format(
              **summary))
    if args.json:
        write_json(dict(options, rows=rows, summary=summary), args.json,
                   indent=1)


if __name__ == '__main__':
    sys.exit(run_main(main))

# Copyright (c) costa_mm authors. All rights reserved.
"""Boxes of a synthetic split as a detector would give them.

They are the generator's own tracks, jittered and with gaps, labelled by
shape; scores are drawn at random.  Results with them are results of ranking
alone, "object tracks given".  Writes ``detections.json`` (for
propose_tubes.py), ``list.jsonl`` and ``gt.json`` (for rank_proposals.py).
"""
import argparse
import json
import os
import sys
from dataclasses import fields
from typing import Optional, Sequence

import numpy as np

from costa_mm.cli.running import run_main
from costa_mm.structures import Tube, dump_tubes
from costa_mm.synthetic import Sample, Settings, draw_sample
from costa_mm.utils.files import write_json, write_text


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('data', help='folder of make_synthetic_stvg.py')
    parser.add_argument('--split', default='test')
    parser.add_argument('--num', type=int, help='videos (default: all)')
    parser.add_argument('--out-dir', default='tracks')
    parser.add_argument('--step', type=int, default=3,
                        help='source frames from one detection to the next')
    parser.add_argument('--jitter', type=float, default=0.05,
                        help='deviation of corners, parts of the side')
    parser.add_argument('--drop', type=float, default=0.1,
                        help='share of boxes that are missing')
    return parser.parse_args(argv)


def detect(sample: Sample, rng: np.random.Generator,
           args: argparse.Namespace) -> dict:
    """Boxes by frame."""
    settings = sample.settings
    scores = rng.uniform(0.5, 1., len(sample.objects))
    found = {}
    for t in range(0, settings.num_frames, args.step):
        rows = []
        for obj, track, score in zip(sample.objects, sample.tracks, scores):
            box = track[t] + args.jitter * (
                track[t, 2] - track[t, 0]) * rng.standard_normal(4)
            box = np.clip(box, 0, settings.size)
            if rng.random() >= args.drop and (box[2:] > box[:2]).all():
                rows.append([*box.round(2).tolist(), obj.look.shape,
                             round(float(score), 3)])
        found[str(t)] = rows
    return found


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write the three files."""
    args = parse_args(argv)
    with open(os.path.join(args.data, 'meta.json'), encoding='utf-8') as f:
        meta = json.load(f)
    settings = Settings(**{f.name: meta[f.name] for f in fields(Settings)})
    rng = np.random.default_rng(0)
    detections, lines, truth = {}, [], {}
    size = meta['sizes'][args.split]
    for i in range(size if args.num is None else min(args.num, size)):
        sample = draw_sample(settings, args.split, i)
        detections[sample.name] = detect(sample, rng, args)
        path = os.path.join(os.path.abspath(args.data), 'videos', args.split,
                            sample.name)
        lines.append(json.dumps(dict(video=path, sentence=sample.sentence)))
        truth[os.path.splitext(sample.name)[0]] = Tube(
            sample.span, np.arange(*sample.span),
            sample.tracks[sample.target, slice(*sample.span)],
            num_frames=settings.num_frames, fps=float(settings.fps))
    write_json(detections, os.path.join(args.out_dir, 'detections.json'))
    write_text('\n'.join(lines), os.path.join(args.out_dir, 'list.jsonl'))
    dump_tubes(truth, os.path.join(args.out_dir, 'gt.json'))


if __name__ == '__main__':
    sys.exit(run_main(main))

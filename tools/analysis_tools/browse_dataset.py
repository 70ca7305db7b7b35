# Copyright (c) costa_mm authors. All rights reserved.
"""Draw what a config's pipeline makes of its samples.

Each sample goes through the whole pipeline of the split; its sampled frames
are drawn with the true boxes (and predictions) as one contact sheet, and with
``--video`` as a video of the sampled frames.
"""
import argparse
import os
import re
import sys
from typing import Dict, List, Optional

import numpy as np
from mmengine.config import DictAction

from costa_mm.cli.running import run_main
from costa_mm.engine.config import load_config
from costa_mm.registry import DATASETS
from costa_mm.structures import EpochIndex, Tube, TubeDataSample, load_tubes
from costa_mm.utils.configs import first_dataset, iter_transforms
from costa_mm.visualization import (TubePainter, TubeTrack, contact_sheet,
                                    save_image, truth_track, write_video)


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('--out-dir', default='outputs/browse')
    parser.add_argument(
        '--split', default='train', choices=('train', 'val', 'test'))
    parser.add_argument('--number', type=int, default=8, help='of samples')
    parser.add_argument('--start', type=int, default=0, help='first sample')
    parser.add_argument(
        '--epoch', type=int, default=0, help='whose random draws to show')
    parser.add_argument('--predictions', help='tube file to draw as well')
    parser.add_argument('--video', action='store_true')
    parser.add_argument(
        '--max-tiles', type=int, default=16, help='frames on a sheet')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args()


def main() -> None:
    """Draw the samples."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    dataset_cfg = first_dataset(cfg, args.split)
    predictions = load_tubes(args.predictions) if args.predictions else {}
    if predictions:
        check_no_crop(dataset_cfg['pipeline'])
    dataset = DATASETS.build(dataset_cfg)
    stop = min(args.start + args.number, len(dataset))
    for i in range(args.start, stop):
        packed = dataset[EpochIndex(i, args.epoch)]
        sample = packed['data_samples']
        frames = packed['inputs'].permute(0, 2, 3, 1).numpy()
        name = re.sub(r'[^\w.-]+', '_', sample.sample_id)
        path = os.path.join(args.out_dir, f'{i:05d}_{name}')
        draw(path, frames, sample, predictions, args.max_tiles, args.video)
        print(f'{path}.png: {sample.sentence} {describe(sample)}')


def check_no_crop(pipeline: List[dict]) -> None:
    """Predictions are in pixels of the source; a crop would move them."""
    if any(t['type'].endswith('RandomSizeCrop')
           for t in iter_transforms(pipeline)):
        raise ValueError('--predictions needs a pipeline without '
                         'RandomSizeCrop: use --split test')


def describe(sample: TubeDataSample) -> str:
    """Facts of a sample after the pipeline, in one line."""
    facts = [f'{len(sample.frame_ids)} frames',
             f'{sample.img_shape[1]} x {sample.img_shape[0]}']
    if sample.get('flip'):
        facts.append('mirrored')
    if 'gt_span' in sample:
        first, last = sample.gt_span.tolist()
        facts.append(f'event in sampled frames {first} to {last}')
    if 'gt_box_mask' in sample:
        facts.append(f'{int(sample.gt_box_mask.sum())} boxes')
    return f"({', '.join(facts)})"


def tracks_of(sample: TubeDataSample,
              predictions: Dict[str, Tube]) -> List[TubeTrack]:
    """True and predicted tubes in pixels of the pipeline's frames."""
    tracks = []
    truth = truth_tube(sample)
    if truth is not None:
        tracks.append(truth_track(truth, sample.sentence))
    tube = predictions.get(sample.sample_id)
    if tube is not None:
        tracks.append(
            TubeTrack(
                moved(tube, sample), 'prediction',
                '' if tracks else sample.sentence))
    return tracks


def truth_tube(sample: TubeDataSample) -> Optional[Tube]:
    """The true tube as the model gets it."""
    if 'gt_span' not in sample:
        return None
    ids = np.asarray(sample.frame_ids)
    first, last = sample.gt_span.tolist()
    mask = sample.gt_box_mask.numpy()
    return Tube((int(ids[first]), int(ids[last]) + 1), ids[mask],
                sample.gt_boxes.numpy()[mask])


def moved(tube: Tube, sample: TubeDataSample) -> Tube:
    """A tube of the source video, scaled and mirrored as the frames are."""
    (height, width), (ori_h, ori_w) = sample.img_shape, sample.ori_shape
    boxes = tube.boxes * np.array([width / ori_w, height / ori_h] * 2)
    if sample.get('flip'):
        boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    return Tube(tube.span, tube.frame_ids, boxes)


def draw(path: str, frames: np.ndarray, sample: TubeDataSample,
         predictions: Dict[str, Tube], max_tiles: int, video: bool) -> None:
    """Write the sheet, and the video if asked for."""
    ids = np.asarray(sample.frame_ids)
    tracks = tracks_of(sample, predictions)
    picks = np.unique(
        np.linspace(0, len(ids) - 1, min(max_tiles, len(ids))).astype(int))
    sheet = contact_sheet([frames[i] for i in picks],
                          ids[picks].tolist(),
                          tracks,
                          num_frames=sample.num_frames,
                          fps=sample.fps)
    save_image(f'{path}.png', sheet)
    if video:
        painter = TubePainter(
            frame_shape=frames.shape[1:3],
            num_frames=sample.num_frames,
            tracks=tracks,
            fps=sample.fps)
        rate = sample.fps * len(ids) / max(int(ids[-1] - ids[0]), 1)
        write_video(f'{path}.mp4', painter.pictures(frames, ids),
                    max(rate, 1.0))


if __name__ == '__main__':
    sys.exit(run_main(main))

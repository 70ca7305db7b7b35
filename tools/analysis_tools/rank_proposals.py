# Copyright (c) costa_mm authors. All rights reserved.
"""What a sentence is worth in ranking proposed tubes.

Prints, for one set of proposals: the tube picked by the sentence, by another
video's sentence, by no sentence (any object, and a person), the best there
is, and a fixed box in the middle.
"""
import argparse
import sys
from typing import Dict, List, Optional, Sequence

import numpy as np

from costa_mm.apis import STVGInferencer
from costa_mm.apis.jobs import read_list
from costa_mm.apis.sources import VideoRequest
from costa_mm.cli.running import run_main
from costa_mm.engine.config import read_config
from costa_mm.evaluation import evaluate_tubes
from costa_mm.evaluation.report import means
from costa_mm.structures import Tube, load_proposals, load_tubes, proposal_path

Tubes = Dict[str, Tube]


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of ZeroShotTubeRanking')
    parser.add_argument('list', help='videos and sentences, see costa-mm '
                        'ground --list')
    parser.add_argument('gt', help='tube file with the truth; its ids are the '
                        'names of the videos')
    parser.add_argument('--proposals', default='proposals',
                        help='folder of propose_tubes.py')
    return parser.parse_args(argv)


def ground(inferencer: STVGInferencer, requests: List[VideoRequest],
           sentences: Sequence[str]) -> Tubes:
    """Tubes by the names of the videos."""
    found = inferencer.stream([r.path for r in requests],
                              [[s] for s in sentences])
    return {r.name: result.tube for r, result in zip(requests, found)}


def score(tubes: Tubes, truth: Tubes) -> Dict[str, float]:
    """Means over the samples; a missing box counts as none."""
    return means(evaluate_tubes(tubes, truth, missing_boxes='zero'), 'paper')


def best_proposals(requests: List[VideoRequest], truth: Tubes,
                   root: str) -> Tubes:
    """The proposal of every video that fits the truth best (m_vIoU)."""
    best = {}
    for request in requests:
        target = {request.name: truth[request.name]}
        candidates = list(_all_tubes(request, truth, root))
        values = [score({request.name: tube}, target)['m_vIoU']
                  for tube in candidates]
        best[request.name] = candidates[int(np.argmax(values))] if values \
            else Tube(None)
    return best


def _all_tubes(request: VideoRequest, truth: Tubes, root: str):
    known = truth[request.name]
    proposals = load_proposals(proposal_path(root, request.path))
    ids = np.arange(known.num_frames)
    for boxes, scores in zip(*proposals.at(ids)):
        there = np.flatnonzero(scores > 0)
        if len(there):
            span = int(there[0]), int(there[-1]) + 1
            yield Tube(span, ids[there], boxes[there], qtype=known.qtype,
                       num_frames=known.num_frames, fps=known.fps)


def middle_boxes(requests: List[VideoRequest], truth: Tubes,
                 root: str) -> Tubes:
    """The middle half of the frame, all the time."""
    out = {}
    for request in requests:
        known = truth[request.name]
        width, height = load_proposals(proposal_path(root, request.path)).size
        box = np.array([width, height, 3 * width, 3 * height]) / 4
        out[request.name] = Tube(
            (0, known.num_frames), np.arange(known.num_frames),
            np.tile(box, (known.num_frames, 1)), qtype=known.qtype,
            num_frames=known.num_frames, fps=known.fps)
    return out


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Print the table."""
    args = parse_args(argv)
    cfg = read_config(args.config)
    for step in cfg.test_dataloader.dataset.pipeline:
        if step['type'] == 'LoadTubeProposals':
            step['root'] = args.proposals
    requests, truth = read_list(args.list), load_tubes(args.gt)
    own = [request.sentences[0] for request in requests]
    by_words = STVGInferencer(cfg, device='cpu', show_progress=False)
    cfg.model.weights = dict.fromkeys(cfg.model.weights, 0.)
    cfg.model.weights['detector'] = 1.
    by_score = STVGInferencer(cfg, device='cpu', show_progress=False)
    rows = {
        'the sentence': ground(by_words, requests, own),
        "another video's sentence": ground(by_words, requests,
                                           own[1:] + own[:1]),
        '"a person"': ground(by_words, requests, ['a person'] * len(own)),
        'the highest score': ground(by_score, requests, own),
        'middle half of the frame': middle_boxes(requests, truth,
                                                 args.proposals),
        'best proposal': best_proposals(requests, truth, args.proposals),
    }
    print('| tube by | m_tIoU | m_vIoU | vIoU@0.5 | m_sIoU |\n'
          '|---|---:|---:|---:|---:|')
    for name, tubes in rows.items():
        m = score(tubes, truth)
        print(f"| {name} | {m['m_tIoU']:.3f} | {m['m_vIoU']:.3f} | "
              f"{m['vIoU@0.5']:.3f} | {m['m_sIoU']:.3f} |")


if __name__ == '__main__':
    sys.exit(run_main(main))

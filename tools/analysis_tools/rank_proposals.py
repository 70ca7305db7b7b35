# Copyright (c) costa_mm authors. All rights reserved.
"""What a sentence is worth in ranking proposed tubes.

Prints, for one set of proposals: the tube picked by the sentence, by other
videos' sentences, by no sentence (any object, and a person), the best there
is (with its own span and with the true one), and a fixed box in the middle.
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
    parser.add_argument('--shuffles', type=int, default=5,
                        help='how often sentences change places; the row is '
                        'the mean, with the least and the greatest')
    return parser.parse_args(argv)


def ground(inferencer: STVGInferencer, requests: List[VideoRequest],
           sentences: Sequence[str]) -> Tubes:
    """Tubes by the names of the videos."""
    found = inferencer.stream([r.place for r in requests],
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
    proposals = load_proposals(
        proposal_path(root, request.path), request.path)
    ids = np.arange(known.num_frames)
    for boxes, scores in zip(*proposals.at(ids)):
        there = np.flatnonzero(scores > 0)
        if len(there):
            span = int(there[0]), int(there[-1]) + 1
            yield Tube(span, ids[there], boxes[there], qtype=known.qtype,
                       num_frames=known.num_frames, fps=known.fps)


def at_true_spans(tubes: Tubes, truth: Tubes) -> Tubes:
    """The same boxes, given the time of the event."""
    return {
        name: tube if tube.span is None else Tube(
            truth[name].span, tube.frame_ids, tube.boxes, qtype=tube.qtype,
            num_frames=tube.num_frames, fps=tube.fps)
        for name, tube in tubes.items()
    }


def middle_boxes(requests: List[VideoRequest], truth: Tubes,
                 root: str) -> Tubes:
    """The middle half of the frame, all the time."""
    out = {}
    for request in requests:
        known = truth[request.name]
        width, height = load_proposals(
            proposal_path(root, request.path), request.path).size
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
    requests, known = read_list(args.list), load_tubes(args.gt)
    missing = [r.name for r in requests if r.name not in known]
    if missing:
        raise ValueError(f'{args.gt} has no truth for {missing[:3]}')
    truth = {r.name: known[r.name] for r in requests}
    own = [request.sentences[0] for request in requests]
    by_words = STVGInferencer(cfg, device='cpu', show_progress=False)
    cfg.model.weights = dict.fromkeys(cfg.model.weights, 0.)
    cfg.model.weights['detector'] = 1.
    by_score = STVGInferencer(cfg, device='cpu', show_progress=False)
    print('| tube by | m_tIoU | m_vIoU | vIoU@0.5 | m_sIoU |\n'
          '|---|---:|---:|---:|---:|')
    show('the sentence', [score(ground(by_words, requests, own), truth)])
    others = (own[k:] + own[:k] for k in range(1, args.shuffles + 1))
    show(f"other videos' sentences, {args.shuffles} times",
         [score(ground(by_words, requests, o), truth) for o in others])
    best = best_proposals(requests, truth, args.proposals)
    for name, tubes in {
            '"a person"': ground(by_words, requests, ['a person'] * len(own)),
            'any object, the highest score': ground(by_score, requests, own),
            'middle half of the frame': middle_boxes(requests, truth,
                                                     args.proposals),
            'best proposal': best,
            'best proposal in the true span': at_true_spans(best, truth),
    }.items():
        show(name, [score(tubes, truth)])


def show(name: str, scores: Sequence[Dict[str, float]]) -> None:
    """A row of means; of several draws, also the least and the greatest."""
    cells = []
    for metric in ('m_tIoU', 'm_vIoU', 'vIoU@0.5', 'm_sIoU'):
        values = [s[metric] for s in scores]
        cell = f'{np.mean(values):.3f}'
        if len(values) > 1:
            cell += f' ({min(values):.3f} to {max(values):.3f})'
        cells.append(cell)
    print(f'| {name} | ' + ' | '.join(cells) + ' |', flush=True)


if __name__ == '__main__':
    sys.exit(run_main(main))

# Copyright (c) costa_mm authors. All rights reserved.
"""Propose tubes for videos: boxes of a detector, linked over time.

Writes ``NAME.tubes.npz`` per video into --out-dir.  What is there is kept if
it is of the same video, detector, settings and words; files that do not say
what they are of are kept as well.
"""
import argparse
import json
import os
import sys
from dataclasses import replace
from functools import partial
from typing import Dict, List, Optional, Sequence

from costa_mm.apis.inputs import list_videos, name_requests
from costa_mm.apis.jobs import read_list
from costa_mm.apis.sources import VideoRequest
from costa_mm.cli.running import run_main
from costa_mm.proposals import TubeProposer
from costa_mm.structures import OtherVideoError, load_proposals, proposal_path
from costa_mm.utils.files import check_folder
from costa_mm.utils.parallel import run_parallel

# categories of COCO that no object has
COCO_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description='Propose tubes for videos: boxes of a detector, linked '
        'over time')
    parser.add_argument('videos', nargs='*', help='video files and folders')
    parser.add_argument('--list', metavar='JSONL', help='file with videos and '
                        'their sentences (see costa-mm ground), for detectors '
                        'that look for words')
    parser.add_argument('--out-dir', default='proposals')
    boxes = parser.add_mutually_exclusive_group(required=True)
    boxes.add_argument('--detections', metavar='JSON', help='boxes that are '
                       'found already: {VIDEO: {FRAME: [[x1, y1, x2, y2, '
                       'LABEL, SCORE], ...]}}')
    boxes.add_argument('--mmdet', nargs='+', metavar=('CONFIG', 'CHECKPOINT'),
                       help='a detector of mmdet')
    boxes.add_argument('--transformers', metavar='NAME', help='a detector of '
                       'transformers, by hub name or folder')
    parser.add_argument('--classes', nargs='+', default=['coco'],
                        help='names of the numbers in --detections; "coco": '
                        'number = category id of COCO - 1 (default)')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--score-thr', type=float, default=0.3)
    parser.add_argument('--fps', type=float, default=3.2,
                        help='frames per second that the detector sees')
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--max-tubes', type=int, default=20)
    parser.add_argument('--max-gap', type=int, default=1,
                        help='frames of the detector that a tube may skip')
    parser.add_argument('--workers', type=int, default=1, help='processes')
    parser.add_argument('--overwrite', action='store_true')
    args = parser.parse_args(argv)
    if bool(args.videos) == bool(args.list):
        parser.error('give videos, or --list FILE')
    return args


def coco_names() -> List[str]:
    """Names by category id - 1; those of gaps are empty."""
    from costa_mm.compat import import_mmdet_models
    import_mmdet_models()
    from mmdet.datasets import CocoDataset
    names = iter(CocoDataset.METAINFO['classes'])
    return ['' if i in COCO_GAPS else next(names) for i in range(1, 92)]


def detector_config(args: argparse.Namespace) -> dict:
    """What :class:`TubeProposer` takes for a detector."""
    if args.detections:
        classes = coco_names() if args.classes == ['coco'] else args.classes
        return dict(type='GivenDetections', path=args.detections,
                    classes=classes)
    common = dict(device=args.device, score_thr=args.score_thr)
    if args.mmdet:
        config, *checkpoint = args.mmdet
        return dict(type='MMDetFrameDetector', config=config,
                    checkpoint=checkpoint[0] if checkpoint else None, **common)
    return dict(type='TransformersFrameDetector',
                model_name=args.transformers, **common)


def merge(requests: Sequence[VideoRequest]) -> List[VideoRequest]:
    """Every video once, with all of its sentences.

    Raises:
        ValueError: If two videos would have one file of proposals.
    """
    videos: Dict[str, VideoRequest] = {}
    files: Dict[str, VideoRequest] = {}
    for request in requests:
        key = os.path.realpath(request.path)
        if key in videos:
            known = videos[key].sentences
            texts = tuple(dict.fromkeys((*known, *request.sentences)))
            videos[key] = replace(videos[key], sentences=texts)
            continue
        name = proposal_path('', request.path)
        if name in files:
            raise ValueError(
                f'{files[name].place} and {request.place} would both have '
                f'the file {name}: propose them in calls of their own, with '
                'an --out-dir each')
        videos[key] = files[name] = request
    return list(videos.values())


def reason_to_propose(request: VideoRequest, proposer: TubeProposer,
                      path: str) -> str:
    """Why a file is not what a call would write now; '' if it is."""
    try:
        found = load_proposals(path, request.path)
        if not found.recipe:
            return ''  # of another maker
        recipe = proposer.recipe(request.path, request.sentences)
        if found.recipe == recipe:
            return ''
        old, new = json.loads(found.recipe), json.loads(recipe)
        return 'it was made with other settings: ' + ', '.join(
            k for k in sorted(new) if old.get(k) != new[k])
    except OtherVideoError:
        return 'it was of another video'
    except (OSError, ValueError) as e:  # told again when it is proposed
        return str(e)


def propose(request: VideoRequest, proposer: TubeProposer,
            out_dir: str) -> str:
    """Write the proposals of one video; what was wrong, or ''."""
    try:
        proposals = proposer.propose(request.fetch(), request.sentences)
    except (OSError, ValueError) as e:
        return f'{request.place}: {e}'
    proposals.save(proposal_path(out_dir, request.path))
    return ''


def choose(requests: Sequence[VideoRequest], proposer: TubeProposer,
           args: argparse.Namespace) -> List[VideoRequest]:
    """Videos that need proposals; says which files are made anew, and why."""
    left = []
    for request in requests:
        path = proposal_path(args.out_dir, request.path)
        if os.path.exists(path) and not args.overwrite:
            reason = reason_to_propose(request, proposer, path)
            if not reason:
                continue
            print(f'{path} is made anew: {reason}')
        left.append(request)
    return left


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Propose.

    Returns:
        int: 1 if a video has got no proposals.
    """
    args = parse_args(argv)
    try:
        check_folder('--out-dir', args.out_dir)
        requests = read_list(args.list) if args.list else name_requests(
            (video, ()) for video in list_videos(args.videos))
        requests = merge(requests)
        proposer = TubeProposer(
            detector_config(args), fps=args.fps, batch_size=args.batch_size,
            max_tubes=args.max_tubes, max_gap=args.max_gap)
        proposer.prepare()  # mistakes come at once
    except (OSError, TypeError, ValueError) as e:
        print(f'{type(e).__name__}: {e}', file=sys.stderr)
        return 1
    left = choose(requests, proposer, args)
    wrong = [text for text in run_parallel(
        partial(propose, proposer=proposer, out_dir=args.out_dir), left,
        min(args.workers, max(len(left), 1)), 'videos') if text]
    for text in wrong:
        print(text, file=sys.stderr)
    total, made = len(requests), len(left) - len(wrong)
    print(f'{total - len(wrong)} of {total} videos have proposals, '
          f'{made} of them new: {args.out_dir}')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(run_main(main))

# Copyright (c) costa_mm authors. All rights reserved.
"""Ground a list of videos on a Ray cluster (pip install costa_mm[ray]).

    python demo/ray_data_demo.py videos.jsonl --model tubedetr_hcstvg
        --out-dir answers --num-workers 4 --num-gpus 1

A line of the list is {"video": PATH, "sentences": [TEXT, ...]};
every worker must see the videos under these paths.  The answers are files of
JSON lines, one line per sentence (see costa_mm.apis.GroundVideos).
"""
import argparse
import os
import sys
from typing import List

from costa_mm.apis import GroundVideos
from costa_mm.apis.jobs import read_list
from costa_mm.utils.files import check_folder


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('list', help='JSON lines, a video in each')
    parser.add_argument('--model', help='name of a model or config file')
    parser.add_argument('--weights', help='checkpoint')
    parser.add_argument('--out-dir', required=True,
                        help='folder for the answers')
    parser.add_argument('--num-workers', type=int, default=2,
                        help='models that work at a time (default: 2)')
    parser.add_argument('--num-gpus', type=float, default=0,
                        help='GPUs of a worker (default: 0)')
    parser.add_argument('--batch-size', type=int, default=8,
                        help='sentences of a batch of rows, and of the model')
    parser.add_argument('--pred-score-thr', type=float)
    parser.add_argument('--address', help="of a running cluster ('auto' finds "
                        'it); default: one of this machine is started')
    return parser.parse_args()


def read_rows(path: str) -> List[dict]:
    """A row per sentence; those of a video stand together."""
    return [
        dict(video=os.path.abspath(request.place) if os.path.exists(
            request.place) else request.place, sentence=sentence)
        for request in read_list(path) for sentence in request.sentences
    ]


def main() -> int:
    """Ground what the command line says."""
    args = parse_args()
    try:
        check_folder('--out-dir', args.out_dir)
        rows = read_rows(args.list)
    except (OSError, ValueError) as e:
        print(f'{type(e).__name__}: {e}', file=sys.stderr)
        return 1
    import ray
    ray.init(address=args.address)
    answers = ray.data.from_items(rows).map_batches(
        GroundVideos,
        fn_constructor_kwargs=dict(
            model=args.model,
            weights=args.weights,
            batch_size=args.batch_size,
            pred_score_thr=args.pred_score_thr),
        batch_size=args.batch_size,
        num_gpus=args.num_gpus,
        compute=ray.data.ActorPoolStrategy(size=args.num_workers))
    answers.write_json(os.path.abspath(args.out_dir))
    print(f'{len(rows)} sentences answered in {args.out_dir}')
    return 0


if __name__ == '__main__':
    sys.exit(main())

# Copyright (c) costa_mm authors. All rights reserved.
"""Score predictors that see neither video nor sentence."""
import argparse
import json
import os
import sys
from typing import Dict, Optional

from costa_mm.cli.running import run_main
from costa_mm.evaluation import (PROTOCOLS, evaluate_tubes, metric_lines,
                                 trivial_predictions)
from costa_mm.structures import Tube, dump_tubes, load_tubes
from costa_mm.utils import write_json


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Fit "whole video, best static box" and "mean span, mean '
        'box" on TRAIN_GT and score them on TEST_GT.')
    parser.add_argument('train_gt', help='tube file of the training split')
    parser.add_argument('test_gt', help='tube file of the test split')
    parser.add_argument(
        '--protocol', default='paper', choices=list(PROTOCOLS))
    parser.add_argument(
        '--train-sizes',
        help='JSON {sample_id: [width, height]}; needed, together with '
        '--test-sizes, if the videos are not all of one size')
    parser.add_argument('--test-sizes', help='the same for the test split')
    parser.add_argument(
        '--out-dir', help='folder for the predictions as tube files')
    parser.add_argument('--json', metavar='OUT', help='write the scores')
    return parser.parse_args()


def load_sizes(path: Optional[str]) -> Optional[dict]:
    """Read a file of frame sizes, if there is one."""
    if path is None:
        return None
    with open(path, encoding='utf-8') as f:
        return json.load(f)


def run(args: argparse.Namespace) -> Dict[str, Dict[str, float]]:
    """Fit, predict and score; metrics per predictor."""
    test = load_tubes(args.test_gt)
    predictions = trivial_predictions(
        load_tubes(args.train_gt), test, load_sizes(args.train_sizes),
        load_sizes(args.test_sizes))
    if args.out_dir:
        write(predictions, args.out_dir)
    return {
        name: metric_lines(
            evaluate_tubes(tubes, test, args.protocol), args.protocol)
        for name, tubes in predictions.items()
    }


def write(predictions: Dict[str, Dict[str, Tube]], folder: str) -> None:
    """Write one tube file per predictor."""
    for name, tubes in predictions.items():
        dump_tubes(tubes, os.path.join(folder, f'{name}.json'))


def main() -> None:
    """Run and print."""
    args = parse_args()
    scores = run(args)
    for name, values in scores.items():
        for metric, value in values.items():
            print(f'{name}/{metric}: {value:.6f}')
    if args.json:
        write_json(scores, args.json, indent=1)


if __name__ == '__main__':
    sys.exit(run_main(main))

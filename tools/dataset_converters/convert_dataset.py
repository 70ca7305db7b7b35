# Copyright (c) costa_mm authors. All rights reserved.
"""Write one file of the STVGDataset format for a split of any dataset class.

The class may be one of your own: it needs ``parse_data_info`` and no
converter of its own.  With --format the true tubes are written in a form of
other programs instead, such as cvat_video.
"""
import argparse
import os
import sys

from mmengine.config import DictAction
from mmengine.utils import import_modules_from_strings

from costa_mm.apis import write_annotations
from costa_mm.cli.running import run_main
from costa_mm.datasets.conversion import build_dataset, convert_annotations
from costa_mm.evaluation import RESULT_FORMATS


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('dataset_type', help='class, such as HCSTVGDataset')
    parser.add_argument('ann_file', help='annotation file of the split')
    parser.add_argument('videos', help='folder of the videos')
    parser.add_argument(
        '--out', required=True,
        help='.json or .json.gz; a folder for some of --format')
    parser.add_argument(
        '--format', metavar='NAME', choices=list(RESULT_FORMATS.module_dict),
        help=f'one of {", ".join(RESULT_FORMATS.module_dict)}')
    parser.add_argument(
        '--options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='arguments of the class, such as clip_seconds=20.0 or '
        'data_prefix.vidor=FOLDER')
    parser.add_argument(
        '--custom-imports',
        nargs='+',
        default=[],
        metavar='MODULE',
        help='modules that register your classes')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def main() -> None:
    """Convert what the command line says."""
    args = parse_args()
    import_modules_from_strings(args.custom_imports)
    if args.format:
        dataset = build_dataset(args.dataset_type, args.ann_file, args.videos,
                                **args.options)
        count = write_annotations(dataset, args.out, args.format)
        print(f'{count} sentences written to {args.out} ({args.format})')
        return
    convert_annotations(args.dataset_type, args.ann_file, args.videos,
                        args.out, args.workers, **args.options)


if __name__ == '__main__':
    sys.exit(run_main(main))

# Copyright (c) costa_mm authors. All rights reserved.
"""Ground sentences in a video.

    python demo/stvg_demo.py VIDEO "SENTENCE" ["SENTENCE" ...]
        --config CONFIG --checkpoint CHECKPOINT --out-dir DIR
"""
import argparse
import sys
from typing import Optional, Sequence

from costa_mm.apis import STVGInferencer, TubeResult
from costa_mm.utils.files import check_folder


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description='Ground sentences in a video: when it happens, and where '
        'the object is.')
    parser.add_argument('video', help='video file, or a folder of videos')
    parser.add_argument('sentences', nargs='+', metavar='SENTENCE',
                        help='what to look for')
    parser.add_argument(
        '--config', '--model', dest='config', metavar='NAME_OR_CONFIG',
        help='name of a model or config file (default: the '
        'config that the checkpoint carries)')
    parser.add_argument('--checkpoint', help='weights of the model')
    parser.add_argument('--out-dir', default='outputs',
                        help='folder for video, pictures and tubes.json')
    parser.add_argument('--device', help="'cpu', 'cuda:0', ... (default: "
                        'what is there)')
    parser.add_argument(
        '--score-thr', type=float,
        help='confidence below which a sentence is "not in this video" '
        "(default: the calibration's, or 0 without one)")
    parser.add_argument(
        '--calibration', help='file of calibrate_confidence.py (default: the '
        'one beside the checkpoint)')
    parser.add_argument('--attention', action='store_true',
                        help='draw where the model looks, too')
    parser.add_argument('--batch-size', type=int, default=1)
    return parser.parse_args(argv)


def describe(result: TubeResult) -> str:
    """One result in words."""
    start, end = result.span
    text = f'  frames {start} to {end - 1}'
    if result.span_seconds is not None:
        text += ' ({:.2f} s to {:.2f} s)'.format(*result.span_seconds)
    text += f', confidence {result.confidence:.3f}'
    if not result.found:
        text = '  not in this video' + text.replace('  ', ': best guess ', 1)
    return f'{result.video}: "{result.sentence}"\n{text}'


def run(args: argparse.Namespace) -> dict:
    """Ground the sentences.

    Raises:
        OSError, TypeError, ValueError: See :class:`STVGInferencer`.
    """
    if args.out_dir:
        check_folder('--out-dir', args.out_dir)
    inferencer = STVGInferencer(
        args.config, args.checkpoint, args.device, show_progress=False,
        calibration=args.calibration)
    return inferencer(
        args.video,
        args.sentences,
        out_dir=args.out_dir,
        batch_size=args.batch_size,
        pred_score_thr=args.score_thr,
        attention=args.attention)


def main() -> int:
    """Run the demo."""
    args = parse_args()
    # file names that are not UTF-8 can be printed as well
    sys.stdout.reconfigure(errors='backslashreplace')
    sys.stderr.reconfigure(errors='backslashreplace')
    try:
        out = run(args)
    except (OSError, TypeError, ValueError) as e:
        print(f'{type(e).__name__}: {e}', file=sys.stderr)
        return 1
    for result in out['predictions']:
        print(describe(result))
    print('written:', *out['files'], sep='\n  ')
    return 0


if __name__ == '__main__':
    sys.exit(main())

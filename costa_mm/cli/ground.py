# Copyright (c) costa_mm authors. All rights reserved.
"""``costa-mm ground`` and ``demo/stvg_demo.py``."""
import argparse
import gc
import os
import signal
import sys
from contextlib import nullcontext
from tempfile import TemporaryDirectory
from typing import Optional, Sequence

from .options import RenamedOption

DEFAULT_MODEL = 'costa_tiny_synthetic'
INTERRUPTED = 130  # as a shell says it

EXAMPLES = """examples:
  # one video, two sentences; results in outputs/
  costa-mm ground street.mp4 "the man in red" "the dog that barks"
  # a folder, by a published model (fetched once); may be killed, and goes on
  costa-mm ground clips/ "the person who falls" --model stcat_hcstvg
  # a list: {"video": "a.mp4", "sentences": ["..."]} per line
  costa-mm ground --list videos.jsonl --out-dir results
  # the same list, shared by four processes
  torchrun --nproc-per-node 4 -m costa_mm ground --list videos.jsonl
"""


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line."""
    prog = os.path.basename(sys.argv[0])
    parser = argparse.ArgumentParser(
        prog if prog.endswith('.py') else 'costa-mm ground',
        description='Ground sentences in videos: when it happens, and where '
        'the object is.', epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('video', nargs='?', help='video file or address, or '
                        'a folder of videos')
    parser.add_argument('sentences', nargs='*', metavar='SENTENCE',
                        help='what to look for')
    parser.add_argument('--list', metavar='JSONL', help='file with videos and '
                        'their sentences, a line each, in place of both')
    parser.add_argument('--model', metavar='NAME_OR_CONFIG', help='name of a '
                        'model or config file (default: the config that the '
                        f'weights carry, or {DEFAULT_MODEL})')
    parser.add_argument('--weights', help='weights of the model')
    parser.add_argument('--out-dir', default='outputs', help='folder for '
                        'results; what it holds of this job is kept')
    parser.add_argument('--device', help="'cpu', 'cuda:0', ... (default: "
                        'what is there)')
    parser.add_argument('--pred-score-thr', type=float, help='confidence '
                        'below which a sentence is "not in this video" '
                        "(default: the calibration's, or 0 without one)")
    parser.add_argument('--calibration', help='file of '
                        'calibrate_confidence.py (default: the one beside '
                        'the weights)')
    parser.add_argument('--attention', action='store_true',
                        help='draw where the model looks, too')
    parser.add_argument('--batch-size', type=int, default=1,
                        help='sentences that are grounded together')
    parser.add_argument('--no-save-vis', action='store_true',
                        help='write no videos and pictures')
    parser.add_argument('--no-save-pred', action='store_true',
                        help='write no tube files')
    parser.add_argument('--print-result', action='store_true', help='print '
                        'what was found (default with a single video)')
    parser.add_argument('--on-error', choices=('skip', 'stop'),
                        default='skip', help='what to do about a video that '
                        'cannot be grounded (default: tell and go on)')
    for old, new in (('--config', 'model'), ('--checkpoint', 'weights')):
        parser.add_argument(old, dest=new, action=RenamedOption)
    parser.add_argument('--score-thr', dest='pred_score_thr', type=float,
                        action=RenamedOption)
    args = parser.parse_args(argv)
    if bool(args.list) == bool(args.video):
        parser.error('give a video and sentences, or --list FILE')
    if args.video and not args.sentences:
        parser.error('say what to look for: a sentence behind the video')
    if not args.out_dir:
        args.no_save_vis = args.no_save_pred = True
    return args


def run(args: argparse.Namespace) -> int:
    """Ground the sentences.

    Returns:
        int: Exit status: 1 if a video could not be grounded, 130 after
        Ctrl-C.

    Raises:
        OSError, TypeError, ValueError: See :class:`STVGInferencer`.
    """
    from costa_mm.apis import STVGInferencer
    from costa_mm.apis.inputs import check_number, make_requests
    from costa_mm.apis.jobs import RESERVED, GroundingJob, own_place, read_list
    from costa_mm.utils.files import check_folder
    if args.out_dir:
        check_folder('--out-dir', args.out_dir)
    check_number('--batch-size', args.batch_size, 1, whole=True)
    if args.pred_score_thr is not None:
        check_number('--pred-score-thr', args.pred_score_thr, 0, 1)
    requests = read_list(args.list) if args.list else make_requests(
        args.video, args.sentences, RESERVED)
    alone = len(requests) == 1
    model = args.model or (None if args.weights else DEFAULT_MODEL)
    rank, world = own_place()
    inferencer = STVGInferencer(
        model, args.weights, _device(args.device, rank, world),
        calibration=args.calibration, show_progress=False)
    gc.freeze()  # half a second per look through all that was imported
    if args.no_save_pred:  # nothing that tells processes what is done
        requests = requests[rank::world]
    scratch = TemporaryDirectory(prefix='costa_mm_') \
        if args.no_save_pred else nullcontext()
    with scratch as folder:
        nothing = args.no_save_pred and args.no_save_vis
        job = GroundingJob(
            inferencer, requests, folder if nothing else args.out_dir,
            record_dir=folder,
            batch_size=args.batch_size, pred_score_thr=args.pred_score_thr,
            attention=args.attention, no_save_vis=args.no_save_vis,
            on_error='stop' if alone else args.on_error,
            show_progress=not alone and rank == 0)
        report = job.run()
        if rank == 0 or args.no_save_pred:
            _tell(job, report, args)
    if report.interrupted:
        return INTERRUPTED
    return 1 if report.failed else 0


def _device(device: Optional[str], rank: int, world: int) -> Optional[str]:
    """The card of this process among several, unless a device is given."""
    import torch
    if device is None and world > 1 and torch.cuda.is_available():
        local = int(os.environ.get('LOCAL_RANK',
                                   os.environ.get('SLURM_LOCALID', rank)))
        return f'cuda:{local % torch.cuda.device_count()}'
    return device


def _tell(job, report, args: argparse.Namespace) -> None:
    """What became of the job."""
    total, done = len(job.requests), len(report.done)
    if args.print_result or args.no_save_pred or total == 1:
        for line in job.describe():
            print(line)
    for place, reason in report.failed.items():
        print(f'not grounded: {place}: {reason}', file=sys.stderr)
    saved = '' if args.no_save_vis and args.no_save_pred else \
        f'; results: {job.folder}'
    print(f'{done} of {total} videos are done, {report.made} of them now'
          f'{saved}')
    if report.interrupted and not args.no_save_pred:
        print('interrupted; the same command goes on where it was',
              file=sys.stderr)


def _interrupt(number, frame) -> None:
    """SIGTERM (a batch system's) ends a job as Ctrl-C does."""
    raise KeyboardInterrupt


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Entry point."""
    args = parse_args(argv)
    # file names that are not UTF-8 can be printed as well
    sys.stdout.reconfigure(errors='backslashreplace')
    sys.stderr.reconfigure(errors='backslashreplace')
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return run(args)
    except (OSError, TypeError, ValueError) as e:
        print(f'{type(e).__name__}: {e}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted before anything was grounded', file=sys.stderr)
        return INTERRUPTED

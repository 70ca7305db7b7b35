# Copyright (c) costa_mm authors. All rights reserved.
"""Train decoders on the frozen features of one backbone, row by row.

The features of all clips are cached once; then neck and head of every row are
trained with every seed, a minute or so each:

    python tools/run_decoder_study.py --data-root data/synthetic_turns \\
        --backbones cell=CHECKPOINT nocell=CHECKPOINT

What is done is not done again, so the same command goes on where it was
stopped; with --report-only it writes the tables of what there is.  Rows and
recipe stand in configs/benchmark/decoder_study.json.
"""
import argparse
import sys
from pathlib import Path
from typing import Dict, Tuple

from decoder_study.features import Clips, cache_clips, load_clips
from decoder_study.runs import run_row
from decoder_study.study import Study
from decoder_study.tables import report
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from synthetic_benchmark import Stopper

from costa_mm.cli.running import run_main
from costa_mm.engine import load_weights, read_checkpoint
from costa_mm.registry import MODELS
from costa_mm.utils.files import write_json, write_text

STUDY = Path(__file__).resolve().parents[1].joinpath(
    'configs', 'benchmark', 'decoder_study.json')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--study', type=Path, default=STUDY, help='study file')
    parser.add_argument(
        '--backbones', nargs='+', default=[], metavar='NAME=CHECKPOINT',
        help='trained grounders whose features are not cached yet')
    parser.add_argument(
        '--data-root', help="the data (default: the config's)")
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/decoder_study'),
        help='folder of features, runs and report')
    parser.add_argument('--rows', nargs='+', help='default: all')
    parser.add_argument(
        '--seeds', nargs='+', type=int, help='default: all of the study')
    parser.add_argument(
        '--device', default='cpu',
        help='where rows are trained; for a card that several processes '
        'share, give each its own --rows or --seeds')
    parser.add_argument(
        '--minutes', type=float,
        help='start no run after so many minutes; the next call goes on')
    parser.add_argument(
        '--report-only', action='store_true',
        help='run nothing, write the tables of what is there')
    return parser.parse_args()


def cache(study: Study, args: argparse.Namespace) -> None:
    """Features of the backbones that are named."""
    cfg = study.base_config()
    if args.data_root:
        for split in ('train', 'test'):
            cfg[f'{split}_dataloader'].dataset.data_root = args.data_root
    for name, path in (b.split('=', 1) for b in args.backbones):
        if name not in study.backbones:
            raise ValueError(f'backbone {name!r} is none of '
                             f'{", ".join(study.backbones)}')
        # a checkpoint may be of a head that has changed since
        init_default_scope(cfg.default_scope)
        model = MODELS.build(cfg.model)
        load_weights(model, read_checkpoint(path), path, whole=False)
        cache_clips(model.eval(), cfg, args.out / f'features_{name}')


def load(folder: Path, device: str) -> Tuple[Clips, Clips]:
    """Training and test clips of a backbone."""
    return tuple(load_clips(folder / f'{split}.pt').to(device)
                 for split in ('train', 'test'))


def run(study: Study, args: argparse.Namespace) -> None:
    """All runs that are missing, seed by seed, as long as there is time."""
    stopper = Stopper(args.minutes and 60 * args.minutes)
    rows = args.rows or list(study.rows)
    clips: Dict[str, Tuple[Clips, Clips]] = {}
    for seed in args.seeds or study.seeds:
        for row in rows:
            folder = args.out / f'features_{study.backbone(row)}'
            if (study.read_run(args.out, row, seed) or stopper or
                    not (folder / 'train.pt').exists()):
                continue
            if folder.name not in clips:
                clips[folder.name] = load(folder, args.device)
            result = run_row(
                Config(study.model(row)), study.recipe, seed,
                clips[folder.name], **study.training(row))
            write_json(
                dict(result, row=row, seed=seed, digest=study.digest(row)),
                study.run_file(args.out, row, seed))
            plain = result['scores']['as it is']
            print(f'{row} seed {seed}: {result["seconds"]:.0f} s, '
                  f'm_sIoU {plain["m_sIoU"]:.3f}, '
                  f'm_tIoU {plain["m_tIoU"]:.3f}', flush=True)


def write_report(study: Study, out: Path) -> None:
    """Tables of all finished runs."""
    results = {}
    for row in study.rows:
        runs = {s: study.read_run(out, row, s) for s in study.seeds}
        results[row] = {s: r for s, r in runs.items() if r}
    write_text(report(study, results), out / 'tables.md')
    print(f'{out / "tables.md"}: {sum(map(len, results.values()))} runs')


def main() -> None:
    """Cache, run, report."""
    args = parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')
    study = Study(args.study)
    study.check(args.rows or [])
    init_default_scope('costa_mm')
    if not args.report_only:
        cache(study, args)
        run(study, args)
    write_report(study, args.out)


if __name__ == '__main__':
    sys.exit(run_main(main))

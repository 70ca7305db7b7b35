# Copyright (c) costa_mm authors. All rights reserved.
"""A folder with what the examples of the documentation name."""
import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from blocks import PLACES, ROOT
from mmengine.config import Config
from mmengine.registry import init_default_scope

from costa_mm.registry import MODELS
from costa_mm.structures import Tube, dump_tubes
from costa_mm.visualization import write_video

NUM_FRAMES = 24
TUBE_FILES = ('preds', 'gt', 'before', 'after', 'train_gt', 'test_gt')


def make_stage(stage: Path) -> None:
    """Fill an empty folder."""
    for name in ('tools', 'demo', 'docs', 'projects', 'requirements'):
        (stage / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / 'configs', stage / 'configs')
    for name in ('street.mp4', 'shapes.mp4'):
        write_video(stage / name, make_frames(), 12)
    (stage / 'clips').mkdir()
    shutil.copy(stage / 'street.mp4', stage / 'clips')
    (stage / 'videos.jsonl').write_text(json.dumps(
        dict(video='street.mp4', sentences=['the red square', 'a dog'])))
    _synthetic(stage / 'data' / 'synthetic_easy')
    _own_data(stage / 'data' / 'mine')
    _weights(stage)
    for i, name in enumerate(TUBE_FILES):
        dump_tubes({f's{n}': _tube(n, i) for n in range(3)},
                   str(stage / f'{name}.json'))


def make_frames(size: tuple = (64, 96)) -> np.ndarray:
    """A red square moves left, (T, H, W, 3)."""
    frames = np.zeros((NUM_FRAMES, *size, 3), dtype=np.uint8)
    for i, frame in enumerate(frames):
        frame[20:40, 60 - 2 * i:80 - 2 * i] = (220, 30, 30)
    return frames


def _synthetic(folder: Path) -> None:
    script = ROOT / 'tools' / 'dataset_converters' / 'make_synthetic_stvg.py'
    run_script(script, ['--out', str(folder), '--num-train', '4', '--num-val',
                        '2', '--num-test', '2', '--workers', '1'])


def _own_data(folder: Path) -> None:
    """The example of the page on own data."""
    page = ROOT / 'docs' / 'en' / 'datasets' / 'own_data.md'
    example = re.search(r'```json\n(.*?)```', page.read_text(), re.S).group(1)
    video = folder / 'videos' / json.loads(example)['videos'][0]['path']
    video.parent.mkdir(parents=True)
    write_video(video, np.zeros((120, 360, 640, 3), np.uint8), 24)
    (folder / 'train.json').write_text(example)


def _weights(stage: Path) -> None:
    """CoSTA-tiny with random weights, as a training run saves it."""
    cfg = Config.fromfile(str(stage / PLACES['CONFIG']))
    init_default_scope('costa_mm')
    torch.manual_seed(0)
    state = MODELS.build(cfg.model).state_dict()
    torch.save(dict(meta=dict(cfg=cfg.pretty_text), state_dict=state),
               stage / PLACES['CHECKPOINT'])


def _tube(number: int, shift: int) -> Tube:
    """Every file of tubes differs a little from the others."""
    start = 2 + number
    ids = np.arange(NUM_FRAMES)
    box = np.array([10., 10., 40., 30.]) + shift
    return Tube(
        span=(start, start + 8 + shift % 3),
        frame_ids=ids,
        boxes=np.tile(box, (NUM_FRAMES, 1)),
        num_frames=NUM_FRAMES,
        fps=12.)


def run_script(script: Path, words: list) -> None:
    """Run a script as the command line would.

    Raises:
        RuntimeError: If it exits with another status than 0.
    """
    before = sys.argv, sys.path
    sys.argv = [str(script), *words]
    sys.path = [str(script.resolve().parent), *sys.path]
    try:
        runpy.run_path(str(script), run_name='__main__')
    except SystemExit as e:
        if e.code not in (None, 0):
            raise RuntimeError(f'{script} exits with {e.code}') from e
    finally:
        sys.argv, sys.path = before

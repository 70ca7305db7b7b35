# Copyright (c) costa_mm authors. All rights reserved.
"""Say what a config's training lacks on this machine, or fetch it.

    python tools/misc/prepare.py CONFIG --check

lists weights, text encoder, annotations, videos, disk and GPU memory, with
what each of them costs, and fetches nothing; it ends with 1 where something
is missing.  Without ``--check`` weights and text encoder are fetched first.
Datasets are never fetched: their pages ask for an agreement.
"""
import argparse
import os
import shutil
import sys
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

from mmengine.config import Config, DictAction

from costa_mm.cli.running import run_main
from costa_mm.engine.config import read_config
from costa_mm.utils.configs import iter_datasets
from costa_mm.utils.errors import first_line
from costa_mm.weights import (SCHEME, WeightsUnavailableError, cache_folder,
                              cached_path, find_model, find_source,
                              resolve_weights)

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
# bytes that the hub sends for a text encoder
HUB_BYTES = {'roberta-base': 0.5e9, 'bert-base-uncased': 0.5e9}
SPLITS = ('train', 'val', 'test')
STATES = {True: 'present', False: 'MISSING', None: 'unknown'}


class Need(NamedTuple):
    """One thing that a run needs.

    Attributes:
        kind (str): 'weights', 'text encoder', 'annotations', ...
        what (str): Its name or path.
        present (bool, optional): Whether this machine has it; None if that
            cannot be known.
        note (str): Where it comes from, or what there is.
        num_bytes (float): What fetching it takes of net and disk.
    """
    kind: str
    what: str
    present: Optional[bool]
    note: str = ''
    num_bytes: float = 0.


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description='What a config needs that this machine lacks')
    parser.add_argument('config', help='config file or name of a model')
    parser.add_argument(
        '--check', action='store_true', help='only look, fetch nothing')
    parser.add_argument(
        '--no-count', action='store_true',
        help='leave out the memory of a training step, which takes a minute '
        'to count')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args(argv)


# ------------------------------------------------------------------- weights
def weight_needs(cfg: Config) -> Iterator[Need]:
    """What ``load_from`` and every ``init_cfg`` of the model name."""
    for name in pretrained_parts(cfg.model):
        yield weight_need(name)
    given = cfg.get('load_from')
    if not given:
        return
    for part in [dict(weights=given)] if isinstance(given, str) else given:
        name, prefix = part['weights'], part.get('prefix', '')
        pathway = prefix.removeprefix('backbone.').rstrip('.')
        if prefix and not cfg.model.backbone.get(pathway):
            continue  # this model has no such pathway
        yield weight_need(name)


def pretrained_parts(model: Any) -> Iterator[str]:
    """Checkpoints of ``init_cfg=dict(type='Pretrained', checkpoint=...)``."""
    if isinstance(model, dict):
        if model.get('type') == 'Pretrained' and 'checkpoint' in model:
            yield model['checkpoint'].removeprefix(SCHEME)
        model = list(model.values())
    if isinstance(model, (list, tuple)):
        for value in model:
            yield from pretrained_parts(value)


def weight_need(name: str) -> Need:
    """Weights by name, address or path."""
    try:
        source = find_source(name)
    except (FileNotFoundError, ModuleNotFoundError) as e:
        return Need('weights', name, False, first_line(e))
    if isinstance(source, str):
        return Need('weights', name, True, source)
    path = cached_path(source)
    if path:
        return Need('weights', name, True, f'{path}, {source.licence}')
    how = 'fetched' if source.url else 'by hand'
    return Need('weights', name, False,
                f'{source.size or "size not known"}, {how}, from '
                f'{source.readable}, licence {source.licence}',
                source.num_bytes or 0.)


def text_need(cfg: Config) -> Optional[Need]:
    """The language model and its tokenizer."""
    from costa_mm.models.text_encoders.hf_loading import resolve_model_name
    text = cfg.model.text_encoder
    name = text.get('model_name', 'roberta-base')
    if not text.get('pretrained', True):
        return None
    try:
        path = resolve_model_name(name)
    except ModuleNotFoundError as e:
        return Need('text encoder', name, False, str(e))
    if os.path.isdir(path):
        return Need('text encoder', name, True, path)
    from huggingface_hub import try_to_load_from_cache
    found = try_to_load_from_cache(name, 'config.json')
    if isinstance(found, str):
        return Need('text encoder', name, True, os.path.dirname(found))
    size = HUB_BYTES.get(name, 0.)
    return Need('text encoder', name, False,
                f'{size / 1e9:.1f} GB from the Hugging Face hub' if size else
                'from the Hugging Face hub', size)


# ---------------------------------------------------------------------- data
def data_needs(cfg: Config) -> Iterator[Need]:
    """Annotation files and folders of every split."""
    seen = set()
    for split in SPLITS:
        key = f'{split}_dataloader'
        for dataset in iter_datasets({key: cfg.get(key)}):
            root = dataset.get('data_root') or ''
            file = os.path.join(root, dataset['ann_file'])
            if file not in seen:
                # MOT and CVAT have a folder in place of a file
                there = os.path.isfile(file) or any(
                    files for _, _, files in os.walk(file))
                yield Need('annotations', file, there, split)
            seen.add(file)
            for key, folder in (dataset.get('data_prefix') or {}).items():
                folder = os.path.join(root, folder)
                if folder in seen:
                    continue
                seen.add(folder)
                count = sum(len(files) for _, _, files in os.walk(folder))
                yield Need('videos' if key == 'video' else key, folder,
                           count > 0, f'{split}, {count} files')


# ------------------------------------------------------------ memory and disk
def training_size(cfg: Config) -> Tuple[int, Tuple[int, int]]:
    """Frames and size of the largest video of 16:9 that training sees."""
    dataset = next(iter_datasets(dict(train_dataloader=cfg.train_dataloader)))
    steps = {step['type']: step for step in dataset['pipeline']}
    sample = steps['SampleFrames']
    resize = steps.get('ResizeClip') or steps.get('SqueezeClip')
    frames = sample.get('num_frames') or int(
        sample['fps'] * dataset.get('clip_seconds', 20.)) + 1
    frames = min(frames, sample.get('max_frames') or frames)
    if resize is None:
        resize = steps['RandomBranch']['branches'][0][0]
    if resize['type'] == 'SqueezeClip':
        height = resize['height']
        height = max(height) if isinstance(height, (list, tuple)) else height
        return frames, (height, int(height * resize['max_ratio'] + 1e-6))
    if resize.get('scale'):
        width, height = resize['scale']
        return frames, (height, width)
    sides = resize['short_side']
    short = max(sides) if isinstance(sides, (list, tuple)) else sides
    longest = resize.get('max_size') or short * 16 // 9
    short = min(short, longest * 9 // 16)
    return frames, (short, min(short * 16 // 9, longest))


def memory_need(cfg: Config, path: str) -> Tuple[Need, float]:
    """Memory of a training step, counted, and its operations."""
    sys.path.insert(0, os.path.join(TOOLS, 'analysis_tools'))
    from benchmarking.cards import fits
    from benchmarking.measuring import count_training
    from benchmarking.subjects import Spec
    frames, size = training_size(cfg)
    amp = 'Amp' in cfg.optim_wrapper.get('type', '')
    batch = cfg.train_dataloader.get('batch_size', 1)
    try:
        counted = count_training(
            Spec(path, 'bf16' if amp else 'fp32', 'train', frames, size,
                 batch, 'cpu'))
    except RuntimeError as e:  # a step that depends on the numbers
        reason = first_line(e)
        return Need('GPU memory', 'training', None, 'cannot be counted for '
                    f'this model: {reason}'), 0.
    import torch
    have = [torch.cuda.get_device_properties(i).total_memory
            for i in range(torch.cuda.device_count())]
    need = counted['live_bytes']
    note = (f'{need / 2**30:.1f} GiB of tensors for {batch} video(s) of '
            f'{frames} frames of {size[0]} x {size[1]}, counted; here: ' +
            (', '.join(f'{h / 2**30:.1f} GiB' for h in have) or 'no GPU'))
    # workspaces, the context and fragments come on top
    enough = bool(have) and fits(need, min(have))
    if not (enough or cfg.model.get('with_cp')):
        note += ('; less with --cfg-options model.with_cp=True, see '
                 'docs/en/benchmarks.md')
    return Need('GPU memory', 'training', enough, note), counted['flops']


def disk_need(cfg: Config, needs: List[Need]) -> Need:
    """Room for what is fetched, where it will lie."""
    wanted = sum(n.num_bytes for n in needs if not n.present)
    folder = cache_folder()
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    free = shutil.disk_usage(folder).free
    return Need('disk', folder, free > wanted,
                f'{wanted / 1e9:.1f} GB to fetch, {free / 1e9:.1f} GB free')


# ---------------------------------------------------------------------- main
def fetch_all(needs: List[Need]) -> None:
    """Fetch the weights that a program can fetch; say what it cannot."""
    for need in needs:
        if need.kind == 'weights' and not need.present:
            try:
                print(f'{need.what}: {resolve_weights(need.what)}')
            except (WeightsUnavailableError, FileNotFoundError) as e:
                print(e, file=sys.stderr)
        elif need.kind == 'text encoder' and not need.present \
                and need.num_bytes:
            from transformers import AutoModel, AutoTokenizer
            AutoTokenizer.from_pretrained(need.what)
            AutoModel.from_pretrained(need.what)


def to_have(cfg: Config) -> List[Need]:
    """Weights and text encoder."""
    needs = list(weight_needs(cfg))
    text = text_need(cfg)
    return needs + ([text] if text else [])


def config_path(config: str) -> str:
    """Path of a config by path or name."""
    return config if os.path.isfile(config) else find_model(config).config


def main(argv: Optional[List[str]] = None) -> int:
    """Look, fetch if asked to, and tell."""
    args = parse_args(argv)
    path = config_path(args.config)
    cfg = read_config(path, options=args.cfg_options)
    needs = to_have(cfg)
    disk = disk_need(cfg, needs)
    if not args.check:
        fetch_all(needs)
        needs = to_have(cfg)
    needs += [*data_needs(cfg), disk]
    flops = 0.
    if not args.no_count and cfg.get('train_dataloader'):
        memory, flops = memory_need(cfg, path)
        needs.append(memory)
    for need in needs:
        state = STATES[need.present]
        print(f'{state}  {need.kind}: {need.what} ({need.note})')
    if flops:
        print(f'cost: {flops / 1e12:.3g} TFLOP for a training step of one '
              f'process, {cfg.train_cfg.get("max_epochs", "?")} epochs')
    missing = sum(need.present is False for need in needs)
    print(f'{missing} missing' if missing else 'complete')
    return 1 if missing else 0


if __name__ == '__main__':
    sys.exit(run_main(main))

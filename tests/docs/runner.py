# Copyright (c) costa_mm authors. All rights reserved.
"""Executes all code blocks in one process.

    python tests/docs/runner.py STAGE REPORT

STAGE is an empty folder, REPORT the JSON file that gets, for every block, ''
or what went wrong.
"""
import argparse
import ast
import importlib
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Optional

import torch
from blocks import PLACES, ROOT, Block, all_blocks, commands, without_ellipsis
from mmengine.config import Config, ConfigDict
from mmengine.registry import Registry, init_default_scope
from stage import make_frames, make_stage, run_script

import costa_mm.datasets  # noqa: F401  registers the parts
import costa_mm.engine  # noqa: F401
import costa_mm.evaluation  # noqa: F401
import costa_mm.models  # noqa: F401
import costa_mm.registry as registries
import costa_mm.visualization  # noqa: F401
from costa_mm.apis import STVGInferencer
from costa_mm.cli import main as main_command

sys.path.append(str(ROOT / 'tests'))

from quick_config import keep_layouts  # noqa: E402

# Commands of others, whose options are not looked at.
FOREIGN = ('source', 'export', 'cd', 'ffmpeg', 'torchrun', 'tensorboard',
           'make', 'docker', 'git', 'apt-get', 'mkdir', 'sphinx-build',
           'jupyter', 'python3')
REGISTRIES = [r for r in vars(registries).values()
              if isinstance(r, Registry)]
IGNORED_KEYS = {'type', '_delete_', '_scope_'}
# Examples that must be found wrong: the checks themselves are checked.
WRONG = [
    Block('wrong', 0, 'bash', 'costa-mm ground a.mp4 b --no-such\n', 'x'),
    Block('wrong', 1, 'bash', 'python tools/train.py CONFIG --no-such\n', 'x'),
    Block('wrong', 2, 'bash', 'python tools/no_such.py\n', 'x'),
    Block('wrong', 3, 'bash', 'bash tools/quickstart.sh --no-such\n', 'x'),
    Block('wrong', 4, 'bash', 'python tools/train.py configs/no.py\n', 'x'),
    Block('wrong', 5, 'bash', 'pip install torch==1.0.0\n', 'x'),
    Block('wrong', 6, 'python', 'from costa_mm.apis import Nothing\n', 'x'),
    Block('wrong', 7, 'python', "a = dict(type='NoSuchPart')\n"),
    Block('wrong', 8, 'python', "a = dict(type='LoadVideoFrames', no=1)\n"),
    Block('wrong', 9, 'python', 'no_such_name\n'),
    Block('wrong', 10, 'bash', 'rm x\n'),
    Block('wrong', 11, 'bash', 'python tools/analysis_tools/eval_tubes.py '
          'no.json gt.json\n'),
]


class Parsed(Exception):
    """Raised in place of what a script does after reading its arguments."""


# ------------------------------------------------------------------- Python
def check_parts(value: object) -> None:
    """Every ``dict(type='X', ...)`` names a part of ours and its arguments.

    Raises:
        KeyError: If there is no such part.
        TypeError: If it has no such argument.
    """
    if isinstance(value, dict):
        if isinstance(value.get('type'), str):
            _check_arguments(value)
        for child in value.values():
            check_parts(child)
    elif isinstance(value, (list, tuple)):
        for child in value:
            check_parts(child)


def _check_arguments(cfg: dict) -> None:
    found = [part for part in map(partial(_look_up, cfg['type']), REGISTRIES)
             if part]
    if not found:
        raise KeyError(f"there is no part {cfg['type']!r}")
    parameters = inspect.signature(found[0]).parameters
    wrong = set(cfg) - set(parameters) - IGNORED_KEYS
    if wrong and found[0].__module__.startswith('costa_mm') and not any(
            p.kind is p.VAR_KEYWORD for p in parameters.values()):
        raise TypeError(f"{cfg['type']} takes no {sorted(wrong)}")


def _look_up(name: str, registry: Registry) -> Optional[type]:
    try:
        return registry.get(name)
    except ModuleNotFoundError:  # the borrowed package has no such registry
        return None


def run_python(block: Block, space: dict) -> None:
    """Execute a block in the name space of its page."""
    if block.run_after:
        exec(compile(block.run_after, block.name, 'exec'), space)
    named = re.match(r'# (configs/\S+\.py)\n', block.code)
    if named:
        path = Path(named.group(1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.code)
        check_parts(Config.fromfile(str(path))._cfg_dict.to_dict())
        return
    before = dict(space)
    exec(compile(without_ellipsis(block.code), block.name, 'exec'), space)
    for name, value in space.items():
        if value is not before.get(name) and \
                isinstance(value, (dict, list)) and \
                not isinstance(value, ConfigDict):
            check_parts(value)


def check_python(block: Block) -> None:
    """A block that is not run can be parsed and imports what there is."""
    tree = ast.parse(without_ellipsis(block.code))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and \
                node.module.startswith('costa_mm'):
            module = importlib.import_module(node.module)
            for alias in node.names:
                getattr(module, alias.name)


# -------------------------------------------------------------------- shell
def run_shell(block: Block) -> None:
    """Execute a block: Python commands in this process, scripts beside."""
    for settings, words in commands(block.code):
        if words[:1] == ['export']:
            subprocess.run(['bash', '-c', shlex.join(words)], check=True)
        elif words[:1] == ['python'] and not settings:
            run_script(Path(words[1]), words[2:])
        elif words[:1] == ['costa-mm'] and not settings:
            run_command(words[1:])
        elif words[:1] == ['bash'] and not settings:
            subprocess.run(words, check=True, timeout=60)
        elif words or settings:
            raise ValueError(f'{words} is not run here: mark the block '
                             '(<!-- not run: REASON -->) or split it')


def run_command(words: List[str]) -> None:
    """Execute ``costa-mm`` in this process."""
    try:
        code = main_command(words)
    except SystemExit as e:
        code = e.code
    if code:
        raise ValueError(f'costa-mm {words} ended with {code}')


def check_shell(block: Block) -> None:
    """Scripts, options and configs of a block that is not run exist."""
    for _, words in commands(block.code):
        for word in words:
            if re.fullmatch(r'configs/[\w/]+\.py', word) and \
                    not Path(word).is_file():
                raise FileNotFoundError(word)
        if words:
            _check_command(words)


def _check_command(words: List[str]) -> None:
    head, rest = words[0], words[1:]
    if head == 'python' and rest[0] != '-m':
        parse_only(run_script, Path(rest[0]), rest[1:])
    elif head == 'costa-mm':
        parse_only(run_command, rest)
    elif head == 'bash' or head.endswith('.sh'):
        script = rest[0] if head == 'bash' else head
        text = Path(script).read_text()
        for option in (w for w in rest if w.startswith('--')):
            # dist_train.sh and its like pass options on
            if option not in text and '"$@"' not in text and \
                    '${@:' not in text:
                raise ValueError(f'{script} knows no {option}')
    elif head == 'pip':
        _check_pins(rest)
    elif head not in FOREIGN and head != 'python':
        raise ValueError(f'what is {head!r}?')


def parse_only(call: Callable, *args) -> None:
    """Let a command read its arguments, and no more."""
    original = argparse.ArgumentParser.parse_args

    def parse_args(self, *args, **kwargs):
        original(self, *args, **kwargs)
        raise Parsed

    argparse.ArgumentParser.parse_args = parse_args
    try:
        call(*args)
    except Parsed:
        return
    finally:
        argparse.ArgumentParser.parse_args = original
    raise RuntimeError(f'{args} have not been read')


def _check_pins(words: List[str]) -> None:
    """``pip install X==V`` names the version that was tried."""
    pins = [line for file in (ROOT / 'requirements').glob('*.txt')
            for line in file.read_text().splitlines()]
    for word in words:
        pinned = re.fullmatch(r'([\w-]+)==[\d.]+', word)
        same = [p for p in pins if pinned and
                p.startswith(pinned.group(1) + '==')]
        if pinned and not any(p.split()[0] == word for p in same):
            raise ValueError(f'{word} is not what requirements/ pins: {same}')


# ---------------------------------------------------------------------- all
def name_space() -> dict:
    """What the pages take to be there."""
    return dict(
        config=PLACES['CONFIG'], checkpoint=PLACES['CHECKPOINT'],
        frames=make_frames(), STVGInferencer=STVGInferencer)


def run_block(block: Block, spaces: Dict[str, dict]) -> None:
    """Execute or check a block."""
    init_default_scope('costa_mm')
    if block.language == 'bash':
        (check_shell if block.not_run else run_shell)(block)
    elif block.not_run:
        check_python(block)
    else:
        run_python(block, spaces.setdefault(block.page, name_space()))


def outcome(call: Callable, *args) -> str:
    """'' or what went wrong."""
    try:
        call(*args)
    except subprocess.CalledProcessError as e:
        return f'{e}\n{e.stdout}\n{e.stderr}'
    except Exception:
        return traceback.format_exc()
    return ''


def main() -> None:
    """Fill the stage, run all blocks, write the report."""
    stage, report = (Path(p).resolve() for p in sys.argv[1:3])
    torch.set_num_threads(1)
    keep_layouts()
    make_stage(stage)
    os.chdir(stage)
    spaces: Dict[str, dict] = {}
    found = {}
    for block in all_blocks() + WRONG:
        started = time.time()
        found[block.name] = outcome(run_block, block, spaces)
        print(f'== {block.name}: {time.time() - started:.1f} s', flush=True)
    report.write_text(json.dumps(found, indent=1))


if __name__ == '__main__':
    main()

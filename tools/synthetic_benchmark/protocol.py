# Copyright (c) costa_mm authors. All rights reserved.
"""What is fixed before the first comparison: one JSON file and its checks."""
import copy
import hashlib
import json
import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Union

from mmengine.config import Config

from costa_mm.utils.files import write_text

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
#: What decides a result, beside the data and the seed.
FROZEN_KEYS = ('model', 'optim_wrapper', 'param_scheduler', 'train_cfg',
               'val_cfg', 'test_cfg', 'custom_hooks', *LOADERS)
DIGEST_CHARS = 16


class ProtocolError(ValueError):
    """Something is not as the protocol says."""


@dataclass(frozen=True)
class Scale:
    """One size of the comparison.

    Args:
        name (str): 'cpu', 'gpu', ...
        seeds (tuple[int, ...]): Seeds of the training.
        data (dict): The ``meta.json`` of the benchmark's folder.
        clip (dict): ``num_frames`` and ``scale`` (width, height) of a clip.
        model (dict): Sizes that replace those of a method's config, where it
            has the key.
        settings (dict): Merged into every method's config.
        tuned (dict): By method, what its trials chose; merged last.
        digests (dict): Digest of every method's config when it was frozen.
        parameters (dict): Trained parameters of every method.
    """
    name: str
    seeds: tuple
    data: dict
    clip: dict
    model: dict
    settings: dict
    tuned: dict
    digests: dict
    parameters: dict

    @property
    def folder_name(self) -> str:
        """Name of the data's folder by default."""
        return f'synthetic_{self.data["level"]}_seed{self.data["seed"]}'

    def check_seeds(self, seeds: Sequence[int]) -> None:
        """Refuse a seed that no table would show.

        Raises:
            ProtocolError: Names the seeds of the protocol.
        """
        other = [s for s in seeds if s not in self.seeds]
        if other:
            raise ProtocolError(f'--seeds: {other} are none of the '
                                f'protocol\'s seeds {list(self.seeds)}')


class BenchmarkProtocol:
    """The frozen settings of a comparison.

    Args:
        path (str | Path): JSON file; the configs that it names are relative
            to its folder.  A method is a ``config``, and may take the
            ``model`` of an ``ablation`` of the paper's model besides.

    Raises:
        ProtocolError: If the file lacks something.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        self.path = Path(path)
        self.data = json.loads(self.path.read_text(encoding='utf-8'))
        for key in ('version', 'methods', 'reference', 'tables', 'evaluation',
                    'tuning', 'scales'):
            if key not in self.data:
                raise ProtocolError(f'{path} has no {key!r}')
        self.version: int = self.data['version']
        self.methods: Dict[str, dict] = self.data['methods']
        self.reference: str = self.data['reference']
        self.tables: Dict[str, List[str]] = self.data['tables']
        self.evaluation: dict = self.data['evaluation']
        for title, rows in self.tables.items():
            self.check_methods(rows, f'table {title!r} of {path}')

    def check_methods(self, names: Sequence[str], where: str) -> None:
        """Refuse a method that the protocol does not have.

        Raises:
            ProtocolError: Names the method and those that there are.
        """
        for name in names:
            if name not in self.methods:
                raise ProtocolError(f'{where}: no method {name!r}; there are '
                                    f'{list(self.methods)}')

    def title(self, method: str) -> str:
        """Name of a method for people."""
        return self.methods[method]['title']

    def scale(self, name: str) -> Scale:
        """One of the scales.

        Raises:
            ProtocolError: If there is no such scale.
        """
        if name not in self.data['scales']:
            raise ProtocolError(f'{self.path} has no scale {name!r}; there '
                                f'are {list(self.data["scales"])}')
        entry = self.data['scales'][name]
        return Scale(
            name=name,
            seeds=tuple(entry['seeds']),
            data=entry['data'],
            clip=entry['clip'],
            model=entry.get('model', {}),
            settings=entry['settings'],
            tuned=entry.get('tuned', {}),
            digests=entry.get('digests', {}),
            parameters=entry.get('parameters', {}))

    def config(self, scale: Scale, method: str) -> Config:
        """Config of a method at a scale, without data folder and seed."""
        self.check_methods([method], 'config')
        entry = self.methods[method]
        cfg = Config.fromfile(str(self.path.parent / entry['config']))
        if 'ablation' in entry:
            own = own_settings(self.path.parent / entry['ablation'])
            cfg.merge_from_dict(dict(model=own['model']))
        resize_model(cfg.model, scale.model)
        cfg.merge_from_dict(copy.deepcopy(scale.settings))
        cfg.merge_from_dict(copy.deepcopy(scale.tuned.get(method, {})))
        for loader in LOADERS:
            resize_clips(cfg[loader].dataset.pipeline, **scale.clip)
        return cfg

    def check_config(self, scale: Scale, method: str) -> Config:
        """The same, refused if it is not what was frozen.

        Raises:
            ProtocolError: If the config has changed since.
        """
        cfg = self.config(scale, method)
        frozen = scale.digests.get(method)
        found = config_digest(cfg)
        if frozen != found:
            raise ProtocolError(
                f'{method} at scale {scale.name}: the settings have the '
                f'digest {found}, and {self.path} froze {frozen}. A config '
                'that this method is made of has changed. Undo that, or '
                'begin a new comparison: raise "version", freeze again with '
                '--freeze and run everything anew.')
        return cfg

    def freeze(self, count_parameters: bool = True) -> None:
        """Write the digests of all configs into the file."""
        for name, entry in self.data['scales'].items():
            configs = {
                m: self.config(self.scale(name), m)
                for m in self.methods
            }
            entry['digests'] = {
                m: config_digest(cfg)
                for m, cfg in configs.items()
            }
            if count_parameters:
                entry['parameters'] = {
                    m: trained_parameters(cfg)
                    for m, cfg in configs.items()
                }
        text = json.dumps(self.data, indent=2, ensure_ascii=False)
        write_text(text + '\n', self.path)


def own_settings(path: Path) -> Dict[str, Any]:
    """What a config file sets itself, without its ``_base_``."""
    return runpy.run_path(str(path))


def resize_model(model: dict, sizes: Mapping[str, Any]) -> None:
    """Replace sizes in place, where the model has them.

    A part that a method has switched off (None) stays off.

    Args:
        model (dict): Config of a model.
        sizes (Mapping): New values, nested in the same way.
    """
    for key, value in sizes.items():
        if model.get(key) is None:
            continue
        if isinstance(value, Mapping):
            resize_model(model[key], value)
        else:
            model[key] = copy.deepcopy(value)


def resize_clips(pipeline: List[dict], num_frames: int,
                 scale: Sequence[int]) -> None:
    """Set number and size of frames of a pipeline, in place."""
    for transform in pipeline:
        kind = transform['type'].split('.')[-1]
        if kind == 'SampleFrames':
            transform['num_frames'] = num_frames
        elif kind == 'ResizeClip':
            transform['scale'] = tuple(scale)


def config_digest(cfg: Config) -> str:
    """Digest of everything in a config that decides a result.

    Where the data lie, how many workers load them and the seed do not.
    """
    plain = cfg.to_dict()
    frozen = {k: copy.deepcopy(plain.get(k)) for k in FROZEN_KEYS}
    for loader in LOADERS:
        for key in ('num_workers', 'persistent_workers', 'prefetch_factor'):
            frozen[loader].pop(key, None)
        frozen[loader]['dataset'].pop('data_root', None)
    text = json.dumps(frozen, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARS]


def trained_parameters(cfg: Config) -> int:
    """Number of parameters that receive gradients."""
    from mmengine.registry import init_default_scope

    import costa_mm.models  # noqa: F401  registers the models
    from costa_mm.registry import MODELS
    init_default_scope(cfg.get('default_scope', 'costa_mm'))
    model = MODELS.build(copy.deepcopy(cfg.model))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def check_data(folder: Union[str, Path], data: Mapping[str, Any]) -> None:
    """Refuse a folder that is not the benchmark of the protocol.

    Args:
        folder (str | Path): Written by ``make_synthetic_stvg.py``.
        data (Mapping): What its ``meta.json`` has to say.

    Raises:
        FileNotFoundError: If it is no such folder.
        ProtocolError: If it is another benchmark, or half written.
    """
    path = Path(folder) / 'meta.json'
    if not path.is_file():
        raise FileNotFoundError(f'{folder} is no synthetic benchmark: it has '
                                'no meta.json')
    found = json.loads(path.read_text(encoding='utf-8'))
    for key, value in dict(data, complete=True).items():
        if found.get(key) != value:
            raise ProtocolError(
                f'{folder}: {key!r} is {found.get(key)!r}, the protocol '
                f'demands {value!r}; choose another --data-root, the tool '
                'makes the data there')


def make_data(folder: Union[str, Path], data: Mapping[str, Any],
              num_workers: int) -> None:
    """Write the benchmark of the protocol unless it is there, and check it.

    Raises:
        ProtocolError: If the folder is another benchmark, or the generator
            is of another version.
    """
    from costa_mm.synthetic import GENERATOR_VERSION, Settings, write_benchmark
    meta = Path(folder) / 'meta.json'
    if not meta.is_file() or not json.loads(meta.read_text())['complete']:
        if data['version'] != GENERATOR_VERSION:
            raise ProtocolError(
                f'the generator is of version {GENERATOR_VERSION}, the '
                f'protocol demands {data["version"]}')
        settings = Settings(data['level'], data['seed'], data['size'],
                            data['num_frames'], data['fps'])
        write_benchmark(
            folder, settings, data['sizes'], num_workers=num_workers)
    check_data(folder, data)

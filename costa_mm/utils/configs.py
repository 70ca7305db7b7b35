# Copyright (c) costa_mm authors. All rights reserved.
"""Walks through a config."""
from typing import Iterator

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def iter_datasets(cfg: dict) -> Iterator[dict]:
    """Dataset configs of all loaders, wrappers unpacked.

    Args:
        cfg (dict): A whole config.
    """

    def unpack(dataset: dict) -> Iterator[dict]:
        children = dataset.get('datasets', [dataset.get('dataset')])
        for child in filter(None, children):
            yield from unpack(child)
        if not any(children):
            yield dataset

    for name in LOADERS:
        if cfg.get(name):
            yield from unpack(cfg[name]['dataset'])


def settle_preprocessor(cfg: dict) -> None:
    """Let the model have the config's ``data_preprocessor``, in place.

    MMEngine's runner does so when it builds the model; whoever builds
    ``cfg.model`` itself would have another preprocessor.

    Args:
        cfg (dict): A whole config, or one without a model.
    """
    own, model = cfg.get('data_preprocessor'), cfg.get('model')
    if own is not None and model is not None:
        model.setdefault('data_preprocessor', own)


def dataset_of(cfg: dict, split: str) -> dict:
    """The dataset of a split as a config has it.

    Args:
        cfg (dict): The config.
        split (str): 'train', 'val' or 'test'.

    Raises:
        ValueError: If the config has no such split, with those it has.
    """
    loader = cfg.get(f'{split}_dataloader')
    if not loader or not isinstance(loader.get('dataset'), dict):
        there = [n.split('_')[0] for n in LOADERS if cfg.get(n)]
        raise ValueError(
            f'{getattr(cfg, "filename", None) or "the config"} has no '
            f'{split}_dataloader with a dataset; there are: '
            f'{", ".join(there) or "none"}')
    return loader['dataset']


def first_dataset(cfg: dict, split: str) -> dict:
    """The same, of a wrapper the first dataset that it holds.

    Raises:
        ValueError: If the config has no such split, with those it has.
    """
    dataset_of(cfg, split)
    loader = f'{split}_dataloader'
    return next(iter_datasets({loader: cfg[loader]}))


def iter_transforms(pipeline: list) -> Iterator[dict]:
    """Transforms of a pipeline, branches unpacked."""
    for transform in pipeline:
        yield transform
        for branch in transform.get('branches', ()):
            yield from iter_transforms(branch)

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


def iter_transforms(pipeline: list) -> Iterator[dict]:
    """Transforms of a pipeline, branches unpacked."""
    for transform in pipeline:
        yield transform
        for branch in transform.get('branches', ()):
            yield from iter_transforms(branch)

# Copyright (c) costa_mm authors. All rights reserved.
"""Finding configs and weights by name.

MMEngine's inferencer knows a closed list of packages without this one, so
names are looked up here: in the ``model-index.yml`` beside the package, or in
``costa_mm/.mim`` of an installed one.  Small checkpoints lie in
``checkpoints/`` beside ``configs/``; a metafile's ``Weights`` is the path from
there, or an address.  What else is known of an address stands under
``Published`` (see :func:`_source`).
"""
import os
from pathlib import Path
from typing import List, NamedTuple, Optional

import yaml

import costa_mm
from .sources import WeightSource, is_address


class ZooEntry(NamedTuple):
    """A model that can be asked for by name.

    Attributes:
        name (str): Its name, that of its config file without suffix.
        config (str): Path of the config.
        weights (str, optional): Path or address of the checkpoint, None where
            there is none to be had.
        aliases (tuple[str, ...]): Other names.
        source (:obj:`WeightSource`, optional): Of weights at an address.
        notice (str, optional): What to know of the model before believing it.
        data (str, optional): What it was trained on.
    """
    name: str
    config: str
    weights: Optional[str] = None
    aliases: tuple = ()
    source: Optional[WeightSource] = None
    notice: Optional[str] = None
    data: Optional[str] = None

    @property
    def present_weights(self) -> Optional[str]:
        """What :func:`costa_mm.weights.resolve_weights` takes for it.

        The path of a file, the model's name where its weights lie at an
        address, None for a file that this installation lacks.
        """
        if self.source is not None:
            return self.name
        if self.weights and not os.path.isfile(self.weights):
            return None
        return self.weights


def zoo_root() -> str:
    """Folder that holds ``configs/``: the checkout, or ``costa_mm/.mim``.

    Raises:
        FileNotFoundError: If the package was installed without its configs.
    """
    package = os.path.dirname(os.path.abspath(costa_mm.__file__))
    for root in (os.path.dirname(package), os.path.join(package, '.mim')):
        # Another project's configs/ may lie beside us in site-packages.
        if os.path.isdir(os.path.join(root, 'configs')) and \
                os.path.isfile(os.path.join(root, 'model-index.yml')):
            return root
    raise FileNotFoundError(
        f'no configs beside {package} nor in its .mim folder: install a '
        'wheel of costa_mm, or give the path of a config')


def list_models() -> List[ZooEntry]:
    """All models of ``model-index.yml``, and all configs without an entry."""
    root = zoo_root()
    entries = {entry.name: entry for entry in _from_index(root)}
    known = {os.path.abspath(entry.config) for entry in entries.values()}
    for folder, _, names in sorted(os.walk(os.path.join(root, 'configs'))):
        if '_base_' in Path(folder).relative_to(root).parts:
            continue
        for file in sorted(names):
            name, suffix = os.path.splitext(file)
            path = os.path.join(folder, file)
            if suffix == '.py' and os.path.abspath(path) not in known:
                entries.setdefault(name, ZooEntry(name, path))
    return [entries[name] for name in sorted(entries)]


def _from_index(root: str) -> List[ZooEntry]:
    """Entries of the metafiles that ``model-index.yml`` imports."""
    index = _read_yaml(os.path.join(root, 'model-index.yml'))
    return [
        _entry(root, model) for metafile in index.get('Import') or []
        for model in _read_yaml(os.path.join(root, metafile)).get('Models')
        or []
    ]


def _read_yaml(path: str) -> dict:
    with open(path, encoding='utf-8') as f:
        # the one in C, where it was built, is ten times as fast
        loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
        return yaml.load(f, loader) or {}


def _entry(root: str, model: dict) -> ZooEntry:
    weights = model.get('Weights')
    source = None
    if weights and is_address(weights):
        source = _source(weights, model.get('Published') or {})
    elif weights:
        weights = os.path.join(root, weights)
    alias = model.get('Alias') or ()
    return ZooEntry(
        name=model['Name'],
        config=os.path.join(root, model['Config']),
        weights=weights,
        aliases=(alias, ) if isinstance(alias, str) else tuple(alias),
        source=source,
        notice=model.get('Notice'),
        data=(model.get('Metadata') or {}).get('Training Data'))


def _source(address: str, published: dict) -> WeightSource:
    """An address with its ``File``, ``Size``, ``SHA256``, ``Licence``, ..."""
    return WeightSource(
        address,
        file=published.get('File', ''),
        size=published.get('Size'),
        sha256=published.get('SHA256'),
        licence=published.get('Licence', 'none stated'),
        page=published.get('Page'))


def find_model(name: str) -> ZooEntry:
    """The model of a name or alias, upper and lower case alike.

    Raises:
        ValueError: If there is none; names those there are.
    """
    models = list_models()
    for entry in models:
        if name.lower() in (n.lower() for n in (entry.name, *entry.aliases)):
            return entry
    whole = [m.name for m in models if m.present_weights]
    rest = [m.name for m in models if not m.present_weights]
    raise ValueError(
        f'{name!r} is neither a config file nor a model of costa_mm; there '
        f'are, with weights: {", ".join(whole) or "none"}; without: '
        f'{", ".join(rest) or "none"}')


def notice_of(weights: str) -> Optional[str]:
    """What to know of a model before believing it, None for nothing.

    Args:
        weights (str): Path of its checkpoint, or its name.
    """
    try:
        models = list_models()
    except FileNotFoundError:  # installed without configs
        return None
    path = os.path.realpath(weights)
    for entry in models:
        if entry.notice and (weights == entry.name or entry.weights
                             and os.path.realpath(entry.weights) == path):
            return f'{entry.name}: {" ".join(entry.notice.split())}'
    return None


def models_with_weights() -> List[str]:
    """Names of the models whose weights this installation can get."""
    try:
        return [m.name for m in list_models() if m.present_weights]
    except FileNotFoundError:  # installed without configs
        return []


def training_data(name: str) -> Optional[str]:
    """What the model of a name was trained on, None where nothing tells."""
    try:
        return find_model(name).data
    except (FileNotFoundError, ValueError):
        return None

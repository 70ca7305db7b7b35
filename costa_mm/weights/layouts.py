# Copyright (c) costa_mm authors. All rights reserved.
"""Layouts of published checkpoints, recognised by their tensors' names.

A layout is one entry of ``LAYOUTS``: what marks it, and the rules that turn
its names into ours.  To support another method's published files, write a
table of rules (see :mod:`.published_names`) and call
:func:`register_layout`; files, names and addresses of it are then converted
wherever weights are read.
"""
import hashlib
from typing import Dict, Iterable, NamedTuple, Optional, Tuple

from .published_names import MDETR_ANCHOR, STCAT, TUBEDETR, Rules
from .two_stream_names import CGSTVG, TASTVG
from .vilbert_names import VILBERT


class Layout(NamedTuple):
    """How a published code names its tensors.

    Attributes:
        name (str): Unique, for file names and messages.
        marks (tuple[str]): Beginnings of names; a file of this layout has a
            tensor for every one.
        rules (Rules): From its names to ours.
        absent (tuple[str]): Beginnings of names of which it has none.
        configs (tuple[str]): Models that its files fit, for messages.
        whole (bool): Whether its files hold a whole model of ours; others
            give a part of initial weights.
    """
    name: str
    marks: Tuple[str, ...]
    rules: Rules
    absent: Tuple[str, ...] = ()
    configs: Tuple[str, ...] = ()
    whole: bool = True

    def fits(self, names: Iterable[str]) -> bool:
        """Whether tensors of these names are of this layout."""
        names = tuple(names)
        found = all(
            any(n.startswith(mark) for n in names) for mark in self.marks)
        return found and not any(n.startswith(self.absent) for n in names)

    @property
    def digest(self) -> str:
        """Eight digits that change when the rules do."""
        return hashlib.sha256(repr(self.rules).encode()).hexdigest()[:8]


LAYOUTS: Dict[str, Layout] = {}


def register_layout(layout: Layout) -> Layout:
    """Add a layout.

    Raises:
        KeyError: If there is one of this name already.
    """
    if layout.name in LAYOUTS:
        raise KeyError(f'there is a layout {layout.name!r} already')
    LAYOUTS[layout.name] = layout
    return layout


def recognise(names: Iterable[str]) -> Optional[Layout]:
    """The layout of tensors of these names, None for names of ours.

    Raises:
        ValueError: If two layouts claim them.
    """
    names = tuple(names)
    found = [layout for layout in LAYOUTS.values() if layout.fits(names)]
    if len(found) > 1:
        raise ValueError('the tensors fit more than one layout: '
                         f'{", ".join(layout.name for layout in found)}')
    return found[0] if found else None


register_layout(
    Layout(
        'stcat',
        marks=('ground_decoder.template_generator.', 'temp_embed.'),
        # code that grew from STCAT's still has its template
        absent=('vid.', ),
        rules=STCAT,
        configs=('stcat_vidstg', 'stcat_hcstvg')))
register_layout(
    Layout(
        'tubedetr',
        marks=('transformer.decoder.', 'sted_embed.'),
        rules=TUBEDETR,
        configs=('tubedetr_vidstg', 'tubedetr_hcstvg')))
register_layout(
    Layout(
        'mdetr',
        marks=('transformer.decoder.', 'transformer.text_encoder.',
               'query_embed.'),
        absent=('sted_embed.', ),
        rules=MDETR_ANCHOR,
        whole=False))
register_layout(
    Layout(
        'cgstvg',
        marks=('vid.', 'ground_decoder.decoder.conf.', 'temp_embed.'),
        rules=CGSTVG,
        configs=('cgstvg_hcstvg', 'cgstvg_hcstvg_v2', 'cgstvg_vidstg')))
register_layout(
    Layout(
        'tastvg',
        marks=('vid.', 's_temporal_clas.', 'temp_embed.'),
        rules=TASTVG,
        configs=('tastvg_hcstvg', 'tastvg_hcstvg_v2', 'tastvg_vidstg')))
register_layout(
    Layout(
        'vilbert',
        marks=('bert.encoder.c_layer.', 'bert.v_embeddings.'),
        rules=VILBERT,
        whole=False))

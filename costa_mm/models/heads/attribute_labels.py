# Copyright (c) costa_mm authors. All rights reserved.
"""Attribute labels of a batch (TA-STVG)."""
from typing import Dict, List

import torch
from mmengine.logging import MMLogger
from torch import Tensor

from costa_mm.structures import TubeDataSample


def collect_labels(data_samples: List[TubeDataSample],
                   num_labels: Dict[str, int],
                   device: torch.device) -> Dict[str, Tensor]:
    """Multi-hot labels of a batch.

    Args:
        data_samples (list[TubeDataSample]): B samples, whose
            ``gt_<kind>_labels`` are numbers of classes, (n, ), int64, none
            allowed; a sample without this field is not labelled.
        num_labels (dict[str, int]): Number of classes of every kind.
        device (torch.device): Where to put them.

    Returns:
        dict[str, Tensor]: '<kind>_labels', (B, classes), float32, 1 where a
        label is given, else 0; -1 throughout for a sample that is not
        labelled.

    Raises:
        ValueError: If a number is not that of a class; names the sample.
    """
    out, labelled = {}, False
    for kind, count in num_labels.items():
        labels = torch.full((len(data_samples), count), -1.)
        for row, sample in zip(labels, data_samples):
            given = sample.get(f'gt_{kind}_labels')
            if given is None:
                continue
            given = torch.as_tensor(given, dtype=torch.long)
            if ((given < 0) | (given >= count)).any():
                raise ValueError(
                    f'sample {sample.get("sample_id")!r} has the {kind} '
                    f'labels {given.tolist()}, but the head knows classes 0 '
                    f'to {count - 1}')
            row.zero_()[given] = 1.
            labelled = True
        out[f'{kind}_labels'] = labels.to(device, non_blocking=True)
    if not labelled:
        _say_once()
    return out


_said: List[bool] = []


def _say_once() -> None:
    if not _said:
        _said.append(True)
        MMLogger.get_current_instance().warning(
            'the samples carry no attribute labels (gt_appearance_labels, '
            'gt_motion_labels), so the losses of attributes are 0: see '
            'docs/en/tastvg.md')

# Copyright (c) costa_mm authors. All rights reserved.
"""Subjects and attribute labels of sentences (TA-STVG)."""
import json
import os
from typing import Dict, Optional, Sequence

import numpy as np

from costa_mm.registry import TRANSFORMS
from .base import ClipTransform

# our names and, behind them, those of TA-STVG's annotation files
LABEL_KEYS = dict(
    gt_appearance_labels=('appearance_labels', 'adj_index_list'),
    gt_motion_labels=('motion_labels', 'verb_index_list'))


@TRANSFORMS.register_module()
class LoadTargetAttributes(ClipTransform):
    """Look up what a file knows of a sentence's target.

    The file is one JSON object from sample id, video id or file name of the
    video to an object, all of whose fields are optional::

        {
          "12_abc.mp4": {
            "subject": "man",
            "appearance_labels": [2, 9],  # or adj_index_list
            "motion_labels": [3, 17, 41]  # or verb_index_list
          }
        }

    Numbers are those of attributes, counted from 0; an empty list says that
    the target has none, a missing one that it is not labelled.

    Required Keys:

    - sample_id
    - video_id, video_path (optional)

    Modified Keys:

    - subject
    - gt_appearance_labels
    - gt_motion_labels

    Args:
        ann_file (str): Path of the file.
        required (bool): Refuse a sample that the file does not name.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it is no such object, or a label is no number.
    """

    def __init__(self, *, ann_file: str, required: bool = False) -> None:
        self.ann_file = ann_file
        self.required = required
        self._table = self._read()

    def _read(self) -> Dict[str, dict]:
        if not os.path.isfile(self.ann_file):
            raise FileNotFoundError(
                f'no file of attributes at {self.ann_file}; without one '
                'leave LoadTargetAttributes out of the pipeline')
        with open(self.ann_file, encoding='utf-8') as f:
            table = json.load(f)
        if not isinstance(table, dict) or not all(
                isinstance(entry, dict) for entry in table.values()):
            raise ValueError(f'{self.ann_file}: expected an object from '
                             'sample ids to objects with "subject", '
                             '"appearance_labels", "motion_labels"')
        return table

    def transform(self, results: dict) -> dict:
        """Add what is known."""
        entry = self._find(results)
        if entry is None:
            return results
        if entry.get('subject') is not None:
            results['subject'] = str(entry['subject'])
        for key, names in LABEL_KEYS.items():
            labels = self._labels(entry, names, results)
            if labels is not None:
                results[key] = labels
        return results

    def _find(self, results: dict) -> Optional[dict]:
        path = results.get('video_path') or ''
        names = (results['sample_id'], results.get('video_id'),
                 os.path.basename(path))
        for name in names:
            if name in self._table:
                return self._table[name]
        if self.required:
            raise ValueError(f'{self.ann_file} names neither of {names}')
        return None

    def _labels(self, entry: dict, names: Sequence[str],
                results: dict) -> Optional[np.ndarray]:
        found = [entry[n] for n in names if entry.get(n) is not None]
        if not found:
            return None
        labels = found[0]
        if not isinstance(labels, list) or not all(
                type(label) is int for label in labels):
            raise ValueError(
                f"{self.ann_file}: the {names[0]} of {results['sample_id']!r} "
                f'are no list of whole numbers: {labels!r}')
        return np.array(labels, dtype=np.int64)

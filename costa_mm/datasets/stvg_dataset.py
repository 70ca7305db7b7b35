# Copyright (c) costa_mm authors. All rights reserved.
"""Base class of all datasets, and the dataset for anybody's own videos."""
import logging
import os
from typing import Any, Dict, Iterator, List, Optional, Sequence, Union

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from costa_mm.registry import DATASETS, TRANSFORMS
from .drafts import Draft, finish_record, pack_tube, probe_missing, unpack_tube
from .own_format import is_own_format, iter_own_format
from .readers import BaseVideoReader, VideoReadError
from .records import FileFolder, LeftOut, read_json, schema_error

FILTER_KEYS = ('qtypes', 'exclude', 'max_frames')
MAX_DRAWS = 20


class BaseSTVGDataset(BaseDataset):
    """Videos with sentences, one record per sentence.

    A subclass says how its annotation files read
    (:meth:`parse_annotations`); finding videos, cleaning boxes, reporting
    what is left out, and reproducible random draws are the same for all.
    Every subclass also reads the compact format of :class:`STVGDataset`,
    which the converters write.

    A record is a dict with ``sample_id``, ``video_path``, ``video_id``,
    ``sentence``, ``qtype``, ``num_frames``, ``fps``, ``width``, ``height``,
    ``segment`` (end-exclusive source frames inside which frames are sampled),
    ``gt_tube`` (:obj:`Tube` or None) and ``factors``.

    Random draws of a sample depend on (seed, epoch, index) alone: the index
    that arrives may be an :obj:`EpochIndex`; a plain int in training is drawn
    from NumPy's global state instead, and in testing counts as epoch 0.

    Args:
        ann_file (str): Annotation file, ``.json`` or ``.json.gz``.
        data_root (str): Prepended to relative paths.
        data_prefix (dict): ``video`` is the folder of the videos.
        pipeline (Sequence): Transforms.
        test_mode (bool): Whether samples are tested: samples without ground
            truth are kept, draws do not change between epochs.
        seed (int): Seed of all draws.
        on_error (str): 'raise' stops at a video that breaks, naming it.
            'skip' logs and counts it and takes another sample: in training
            one drawn from the same (seed, epoch, index), in testing the next
            one that can be read, which the metric counts once, so that the
            broken one is left out of the score and no figure is invented.
        reader (dict or :obj:`BaseVideoReader`): Looks up what annotations do
            not say, at start.
        filter_cfg (dict, optional): ``qtypes``: query types to keep;
            ``exclude``: sample ids, video ids or file names to leave out;
            ``max_frames``: leave out longer videos.
        indices (int or Sequence[int], optional): Use a part of the set.
        metainfo (dict, optional): Meta information of the set.
        serialize_data (bool): Hold records as bytes that workers share.
        lazy_init (bool): Do not read the annotation file yet.

    Raises:
        FileNotFoundError: If the annotation file or all videos are missing.
        ValueError: If the annotation file is not of the documented form, an
            option is unknown or no sample is left.
    """

    METAINFO: dict = dict(dataset_type='stvg')

    def __init__(self,
                 ann_file: str,
                 *,
                 data_root: str = '',
                 data_prefix: Optional[dict] = None,
                 pipeline: Sequence = (),
                 test_mode: bool = False,
                 seed: int = 0,
                 on_error: str = 'raise',
                 reader: Optional[Union[dict, BaseVideoReader]] = None,
                 filter_cfg: Optional[dict] = None,
                 indices: Optional[Union[int, Sequence[int]]] = None,
                 metainfo: Optional[dict] = None,
                 serialize_data: bool = True,
                 lazy_init: bool = False) -> None:
        if on_error not in ('raise', 'skip'):
            raise ValueError("on_error is 'raise' or 'skip', not "
                             f'{on_error!r}')
        unknown = set(filter_cfg or {}) - set(FILTER_KEYS)
        if unknown:
            raise ValueError(f'filter_cfg knows {FILTER_KEYS}, not '
                             f'{sorted(unknown)}')
        self.seed = seed
        self.on_error = on_error
        self.num_skipped = 0
        self.left_out = LeftOut()
        reader = reader or dict(type='costa_mm.PyAVReader')
        self.reader = TRANSFORMS.build(reader) if isinstance(
            reader, dict) else reader
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=dict(video='') if data_prefix is None else data_prefix,
            filter_cfg=filter_cfg,
            indices=indices,
            serialize_data=serialize_data,
            # built here, so that our own transforms need no prefix even where
            # no default scope is set
            pipeline=[
                TRANSFORMS.build(t) if isinstance(t, dict) else t
                for t in pipeline
            ],
            test_mode=test_mode,
            lazy_init=lazy_init)

    # -- reading annotations ------------------------------------------------
    def parse_annotations(self, data: Any) -> Iterator[Draft]:
        """Read the dataset's own annotation format.

        Args:
            data (Any): Content of the annotation file.

        Yields:
            Draft: One per sentence.

        Raises:
            SchemaError: If an entry is not as documented.
        """
        raise NotImplementedError

    def load_data_list(self) -> List[dict]:
        """Read the annotation file and find every video."""
        self.left_out = LeftOut()
        data = read_json(self.ann_file)
        if is_own_format(data):
            drafts = list(iter_own_format(data, self.ann_file, self.left_out))
        else:
            drafts = list(self.parse_annotations(data))
        if not drafts and not self.left_out:
            schema_error(self.ann_file, None, 'the file holds no sentence')
        self._check_unique(drafts)
        drafts = self._locate(drafts)
        drafts = probe_missing(drafts, self.reader, self.left_out)
        records = [
            finish_record(draft, self.left_out, self.test_mode)
            for draft in drafts
        ]
        return [record for record in records if record is not None]

    def _check_unique(self, drafts: List[Draft]) -> None:
        seen = set()
        for draft in drafts:
            if draft.sample_id in seen:
                schema_error(self.ann_file, draft.sample_id,
                             'two sentences have this id')
            seen.add(draft.sample_id)

    def _locate(self, drafts: List[Draft]) -> List[Draft]:
        """Fill in the path of every video; missing videos are left out."""
        folder = FileFolder(self.data_prefix.get('video', ''))
        paths: Dict[str, Optional[str]] = {}
        found = []
        for draft in drafts:
            if draft.video not in paths:
                paths[draft.video] = folder.find(draft.video)
            path = paths[draft.video]
            if path is None:
                self.left_out.add('missing video', draft.sample_id)
            else:
                found.append(draft._replace(video_path=path))
        if drafts and not found:
            raise FileNotFoundError(
                f'none of the {len(paths)} videos that {self.ann_file} names '
                f'is below {os.path.abspath(folder.root)}: expected for '
                f'example {os.path.join(folder.root, drafts[0].video)}; set '
                'data_root and data_prefix=dict(video=...)')
        return found

    def filter_data(self) -> List[dict]:
        """Leave out what ``filter_cfg`` names and report all that is out."""
        cfg = self.filter_cfg or {}
        exclude = set(cfg.get('exclude', ()))
        kept = []
        for record in self.data_list:
            names = {
                record['sample_id'], record['video_id'],
                os.path.basename(record['video_path'])
            }
            reason = None
            if names & exclude:
                reason = 'excluded by filter_cfg'
            elif 'qtypes' in cfg and record['qtype'] not in cfg['qtypes']:
                reason = f"query type {record['qtype']} not asked for"
            elif record['num_frames'] > cfg.get('max_frames', 2**31):
                reason = 'longer than max_frames'
            if reason is None:
                kept.append(record)
            else:
                self.left_out.add(reason, record['sample_id'])
        self.left_out.log(
            f'{type(self).__name__} ({self.ann_file})', len(kept))
        if not kept:
            raise ValueError(f'{self.ann_file} leaves no sample to use:\n'
                             f'{self.left_out.summary()}')
        return kept

    def _get_unserialized_subset(self, indices) -> list:
        # MMEngine refuses to take N of N samples
        if isinstance(indices, int) and abs(indices) >= len(self.data_list):
            return self.data_list
        return super()._get_unserialized_subset(indices)

    def _serialize_data(self) -> tuple:
        self.data_list = [pack_tube(record) for record in self.data_list]
        return super()._serialize_data()

    # -- giving samples -----------------------------------------------------
    def __getitem__(self, idx: int) -> Any:
        """The packed sample of an index (see ``on_error`` for broken videos).

        Raises:
            VideoReadError: If the video does not decode; names path and
                sample.
        """
        if not self._fully_initialized:
            self.full_init()
        epoch = self._epoch(idx)
        for attempt in range(MAX_DRAWS):
            try:
                return self._load(self._attempt(int(idx), epoch, attempt),
                                  epoch)
            except (VideoReadError, FileNotFoundError) as e:
                if self.on_error == 'raise':
                    raise
                self.num_skipped += 1
                # processes other than the first print nothing below errors
                print_log(
                    f'skipped ({self.num_skipped} so far in this process): '
                    f'{e}',
                    logger='current',
                    level=logging.ERROR)
        raise VideoReadError(
            f'{MAX_DRAWS} samples in a row could not be read, the last '
            f'sample asked for was {int(idx)} of {self.ann_file}')

    def get_data_info(self, idx: int) -> dict:
        """The record of an index, a copy of its own."""
        record = super().get_data_info(int(idx))
        unpack_tube(record)
        return record

    def prepare_data(self, idx: int) -> Any:
        """The packed sample of an index; a broken video raises."""
        return self._load(int(idx) % len(self), self._epoch(idx))

    def _epoch(self, idx: int) -> Optional[int]:
        """Epoch of the draws; None means NumPy's global state."""
        if self.test_mode:
            return 0
        return getattr(idx, 'epoch', None)

    def _attempt(self, idx: int, epoch: Optional[int], attempt: int) -> int:
        """Index to load at an attempt: the asked one, then replacements."""
        if self.test_mode or attempt == 0:
            return (idx + attempt) % len(self)
        if epoch is None:
            return int(np.random.randint(len(self)))
        rng = np.random.default_rng([self.seed, epoch, idx, attempt])
        return int(rng.integers(len(self)))

    def _load(self, idx: int, epoch: Optional[int]) -> Any:
        results = self.get_data_info(idx)
        results['rng'] = self._generator(idx, epoch)
        if not self.test_mode:
            results['draw'] = float(results['rng'].random())
        try:
            return self.pipeline(results)
        except (VideoReadError, FileNotFoundError) as e:
            # the type stays, the message gains the sample
            raise type(e)(f"sample {results['sample_id']!r}: {e}") from e

    def _generator(self, idx: int, epoch: Optional[int]):
        if epoch is None:
            return np.random.default_rng(np.random.randint(2**31))
        return np.random.default_rng([self.seed, epoch, idx])


@DATASETS.register_module()
class STVGDataset(BaseSTVGDataset):
    """Anybody's own videos: several sentences per video, span and boxes or
    none.

    The annotation file is one JSON object (``.json`` or ``.json.gz``)::

        {
          "videos": [
            {
              "path": "clips/dog.mp4",      # below data_prefix['video']
              "id": "dog",                  # optional, default: the path
              "num_frames": 300,            # optional, probed if absent
              "fps": 30.0,                  # optional, probed if absent
              "width": 640, "height": 360,  # optional, probed if absent
              "tracks": {                   # optional, shared by sentences
                "7": {"start": 10, "boxes": [[x1, y1, x2, y2], null, ...]}
              },
              "sentences": [
                {
                  "text": "The dog runs to the right.",
                  "id": "dog_0",            # optional, unique in the file
                  "qtype": "declarative",   # optional, or "interrogative"
                  "span": [42, 118],        # optional, end exclusive
                  "boxes": {"42": [x1, y1, x2, y2]},  # optional
                  "track": "7",             # optional, in place of boxes
                  "segment": [0, 300],      # optional, where to sample
                  "factors": {}             # optional
                }
              ]
            }
          ]
        }

    Frames count from 0, boxes are pixels of the source video.  ``boxes`` is
    an object from frame to box or a list that starts at the first frame of
    the span, with null where there is none.  A sentence without a span can
    only be tested; in training it is left out and reported.

    Args:
        **kwargs: See :class:`BaseSTVGDataset`.
    """

    METAINFO = dict(dataset_type='own')

    def parse_annotations(self, data: Any) -> Iterator[Draft]:
        """Refuse what is not of the documented form."""
        schema_error(
            self.ann_file, None,
            'expected an object with the key "videos" (a list), not '
            f'{sorted(data)[:5] if isinstance(data, dict) else type(data)}')

# Copyright (c) costa_mm authors. All rights reserved.
"""Base class of all datasets."""
import logging
import os
from typing import Any, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from costa_mm.registry import TRANSFORMS
from .annotation_files import FileFolder, RepeatedKeys, read_json
from .fields import short
from .problems import Problems, SchemaError
from .readers import BaseVideoReader, VideoInfo, VideoReadError
from .reading import locate_videos, open_videos, parse_entries
from .records import (SentenceAnnotation, lacking_truth, make_record,
                      pack_tube, unpack_tube)
from .stvg_format import STVGFormat

FILTER_KEYS = ('qtypes', 'exclude', 'max_frames', 'truth_only')
MAX_DRAWS = 20


class BaseSTVGDataset(BaseDataset):
    """Videos with sentences, one record per sentence.

    A subclass says how one entry of its annotation file is parsed
    (:meth:`parse_data_info`); finding videos, cleaning boxes, reporting what
    is skipped, and reproducible random draws are the same for all, and so
    are the converter and the checker of ``tools/dataset_converters``.  Every
    subclass also reads the format of :class:`STVGDataset`, which the
    converter writes.

    The path from a file to records is :meth:`read_annotations`,
    :meth:`find_videos`, opening videos, and :meth:`make_records`;
    :attr:`problems` holds what was wrong on the way.

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
            ``max_frames``: leave out longer videos; ``truth_only=True``:
            leave out sentences that cannot be scored.
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
    #: what an annotation file holds, for messages
    EXPECTED: str = 'an object or a list of entries'
    #: whether frame rates are the file's own and may be checked
    states_fps: bool = True

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
        self.problems = Problems()
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

    # -- what a dataset's own format is -------------------------------------
    @staticmethod
    def read_file(path: str, repeats: List[RepeatedKeys]) -> Any:
        """Content of an annotation file; JSON unless a subclass says other.

        Args:
            path (str): The file (or what else the subclass reads).
            repeats (list): Takes JSON objects that give a key twice.

        Raises:
            FileNotFoundError: If it is not there.
            SchemaError: If it cannot be read.
        """
        return read_json(path, repeats)

    @classmethod
    def matches(cls, data: Any) -> bool:
        """Whether the content of a file is of the dataset's own format."""
        return isinstance(data, (dict, list))

    def iter_entries(self, data: Any) -> Iterator[Tuple[Any, Any]]:
        """Key (or number) and content of every entry of a file."""
        yield from data.items() if isinstance(data, dict) else enumerate(data)

    def video_name(self, key: Any, entry: Any) -> Optional[str]:
        """File name of an entry's video, None if it is not plain to see."""
        return key if isinstance(key, str) else None

    def parse_data_info(self, key: Any,
                        entry: Any) -> List[SentenceAnnotation]:
        """Parse one entry of the dataset's own annotation format.

        Args:
            key (str or int): Its key or number in the file.
            entry (Any): What the file says.

        Returns:
            list[SentenceAnnotation]: One per sentence.

        Raises:
            ValueError: If a value is not as documented; the caller adds the
                place, here and for a missing key (KeyError).
        """
        raise NotImplementedError

    def attach_boxes(self, annotations: List[SentenceAnnotation],
                     num_workers: int) -> List[SentenceAnnotation]:
        """Read boxes that lie in other files than the annotation file."""
        return annotations

    def use_video_facts(self, annotation: SentenceAnnotation,
                        info: VideoInfo) -> SentenceAnnotation:
        """Replace what the file says of a video by what the video says."""
        return annotation._replace(**info._asdict())

    def add_video_facts(self, annotation: SentenceAnnotation,
                        info: VideoInfo) -> SentenceAnnotation:
        """Take from the video what the file does not say of it."""
        return annotation._replace(**{
            key: value for key, value in info._asdict().items()
            if getattr(annotation, key) is None})

    # -- from the file to records -------------------------------------------
    def load_data_list(self) -> List[dict]:
        """Read the annotation file and find every video."""
        annotations = self.find_videos(self.read_annotations())
        self.problems.raise_errors(self.ann_file)
        annotations = open_videos(annotations, self)
        records = self.make_records(annotations)
        self.problems.raise_errors(self.ann_file)
        return records

    def read_annotations(self,
                         num_workers: int = 0) -> List[SentenceAnnotation]:
        """All sentences as the file states them.

        Args:
            num_workers (int): Processes, where boxes lie in files of their
                own.

        Returns:
            list[SentenceAnnotation]: Those without an error; :attr:`problems`
            has the others.

        Raises:
            FileNotFoundError: If the annotation file is missing.
            SchemaError: If the file as a whole is of another form.
        """
        repeats: List[RepeatedKeys] = []
        data = self.read_file(self.ann_file, repeats)
        self.problems = Problems()
        form = self
        if STVGFormat.matches(data):
            form = STVGFormat(self.problems)
        elif not self.matches(data):
            raise SchemaError(
                f'{self.ann_file}: expected {self.EXPECTED}, not '
                f'{short(data)}')
        self.problems.fix = f'correct it; the format is {form.EXPECTED}'
        annotations, self._broken = parse_entries(form, data, self.problems,
                                                  bool(repeats))
        if form is self:
            annotations = self.attach_boxes(annotations, num_workers)
        return annotations

    def find_videos(
            self, annotations: List[SentenceAnnotation]
    ) -> List[SentenceAnnotation]:
        """Fill in the path of every video; missing videos are skipped.

        Raises:
            FileNotFoundError: If all videos are missing.
        """
        folder = FileFolder(self.data_prefix.get('video', ''))
        found = locate_videos(annotations, self._broken, folder,
                              self.problems)
        if annotations and not found and not self.problems.count('error'):
            raise FileNotFoundError(
                f'no video that {self.ann_file} names is below '
                f'{os.path.abspath(folder.root)}: expected for example '
                f'{os.path.join(folder.root, annotations[0].video)}; set '
                'data_root and data_prefix=dict(video=...)\n'
                f'{self.problems.summary()}')
        return found

    def make_records(self,
                     annotations: List[SentenceAnnotation]) -> List[dict]:
        """Clean what was read; see :func:`make_record`."""
        max_gap = max((getattr(t, 'max_gap', 0)
                       for t in self.pipeline.transforms), default=0)
        records = []
        for annotation in annotations:
            with self.problems.at(annotation.entry):
                records.append(
                    make_record(annotation, self.problems, self.test_mode,
                                max_gap))
        return [record for record in records if record is not None]

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
            elif cfg.get('truth_only'):
                reason = lacking_truth(record)
            if reason is None:
                kept.append(record)
            else:
                self.problems.add('skipped', reason, record['sample_id'])
        self.problems.log(
            f'{type(self).__name__} ({self.ann_file})', len(kept))
        self.problems.require(kept)
        self.problems.raise_errors(self.ann_file)
        return kept

    def check_truth(self) -> None:
        """Refuse to be scored where sentences have no ground truth.

        Raises:
            ValueError: Naming some of them and the ways out.
        """
        self.full_init()
        problems = Problems()
        for i in range(len(self)):
            record = self.get_data_info(i)
            reason = lacking_truth(record)
            if reason is not None:
                problems.add('error', reason, record['sample_id'])
        if problems:
            raise ValueError(
                f'{self.ann_file}: {len(problems)} of {len(self)} sentences '
                f'have no ground truth to be scored with:\n'
                f'{problems.summary()}\nfix: annotate them ("span" and '
                '"boxes"), or leave them out with '
                'filter_cfg=dict(truth_only=True), or only predict with '
                'tools/test.py --format-only')

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

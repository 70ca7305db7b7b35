# Copyright (c) costa_mm authors. All rights reserved.
"""Finding everything that is wrong with an annotation file."""
import os
from typing import Any, List, NamedTuple, Optional, Type

from costa_mm.registry import DATASETS
from costa_mm.utils.errors import first_line
from .base_dataset import BaseSTVGDataset
from .problems import Problem, SchemaError
from .readers import BaseVideoReader
from .reading import open_videos
from .records import SentenceAnnotation


class Report(NamedTuple):
    """What a check found.

    Attributes:
        dataset_type (str): Name of the dataset class.
        num_sentences (int): Sentences that could be read.
        num_usable (int): Those that the dataset uses, if it takes the file.
        problems (list[Problem]): In the order of their finding.
    """
    dataset_type: str
    num_sentences: int
    num_usable: int
    problems: List[Problem]

    def count(self, level: str) -> int:
        """Number of problems of a level."""
        return sum(problem.level == level for problem in self.problems)

    @property
    def num_errors(self) -> int:
        """Number of errors, for which the dataset refuses the file."""
        return self.count('error')


def find_dataset_type(path: str) -> Type[BaseSTVGDataset]:
    """The registered class whose own format a file is of.

    Raises:
        FileNotFoundError: If the file is missing.
        SchemaError: If it is no JSON or of no known format.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f'no annotation file at {path}')
    known, unread = [], []
    # a class that does not say what its files look like takes any
    for cls in DATASETS.module_dict.values():
        if not issubclass(cls, BaseSTVGDataset) or 'matches' not in vars(cls):
            continue
        known.append(f'{cls.EXPECTED} ({cls.__name__})')
        try:
            if cls.matches(cls.read_file(path, [])):
                return cls
        except (SchemaError, FileNotFoundError) as e:
            unread.append(e)
    if len(unread) == len(known) and os.path.isfile(path):
        raise unread[0]  # not even JSON
    raise SchemaError(f'{path} is of no known format: expected ' +
                      ', or '.join(known) + '; name the dataset class with '
                      '--dataset-type')


def dataset_class(name: str) -> Type[BaseSTVGDataset]:
    """A registered class.

    Raises:
        KeyError: If there is none of this name; says which there are.
    """
    cls = DATASETS.get(name)
    if cls is None:
        known = sorted(
            key for key, value in DATASETS.module_dict.items()
            if isinstance(value, type) and issubclass(value, BaseSTVGDataset))
        raise KeyError(f'there is no dataset class {name!r}, only '
                       f'{", ".join(known)}; the module of one of your own '
                       'is imported with --custom-imports')
    return cls


def check_annotations(path: str,
                      video_root: Optional[str] = None,
                      reader: Optional[BaseVideoReader] = None,
                      *,
                      dataset_type: Optional[str] = None,
                      num_workers: int = 0,
                      **options: Any) -> Report:
    """Check a whole file instead of stopping at the first error.

    Args:
        path (str): Annotation file.
        video_root (str, optional): Folder of the videos; None checks the
            file alone.
        reader (:obj:`BaseVideoReader`, optional): Opens every video and
            compares it with the annotation; None only looks for the file.
        dataset_type (str, optional): Class of the dataset; by default the
            registered one whose own format the file is of.
        num_workers (int): Processes that open videos.
        **options: Of the class; ``test_mode=True`` for a split that is only
            tested.

    Returns:
        Report: With all problems.

    Raises:
        FileNotFoundError: If the file is missing.
        KeyError: If there is no such class.
        SchemaError: If the file is no JSON or of another format.
    """
    if dataset_type is None:
        cls = find_dataset_type(path)
    else:
        cls = dataset_class(dataset_type)
    prefix = dict(options.pop('data_prefix', {}), video=video_root or '')
    dataset = cls(
        path, data_prefix=prefix, reader=reader, lazy_init=True, **options)
    records: List[dict] = []
    annotations = parsed = dataset.read_annotations(num_workers)
    try:
        if video_root is not None:
            annotations = dataset.find_videos(annotations)
        if reader is not None and video_root is not None:
            annotations = open_videos(annotations, dataset, True,
                                      num_workers)
        records = dataset.make_records([_assume(a) for a in annotations])
        dataset.problems.require(records)
    except FileNotFoundError as e:  # all videos
        dataset.problems.add('error', first_line(e), fix='')
    return Report(cls.__name__, len(parsed), len(records),
                  list(dataset.problems))


def _assume(annotation: SentenceAnnotation) -> SentenceAnnotation:
    """Fill in what only the video says, so that nothing depends on it."""
    return annotation._replace(
        num_frames=annotation.num_frames or 2**31, fps=annotation.fps or 1.0)

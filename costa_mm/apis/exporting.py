# Copyright (c) costa_mm authors. All rights reserved.
"""Results in the forms that other programs read."""
import os
from typing import List, Sequence, Union

from costa_mm.datasets import BaseSTVGDataset
from costa_mm.evaluation import SampleRecord, get_format
from costa_mm.utils.files import check_folder, check_output
from .results import TubeResult


def write_results(results: Sequence[TubeResult], path: Union[str, os.PathLike],
                  format: str) -> int:
    """Write the events that were found in a form of ``RESULT_FORMATS``.

    Example:
        >>> out = inferencer('clips', 'the man in red crosses the road')
        >>> write_results(out['predictions'], 'for_cvat', 'cvat_video')

    Args:
        results (Sequence[:obj:`TubeResult`]): Of one call, or of
            :func:`load_results`.
        path (str | os.PathLike): The file, or the folder of a form of several
            files.
        format (str): 'coco_video', 'cvat_video', 'mot', 'stvg', 'hcstvg',
            'vidstg', 'srt', 'vtt' or another name of the registry.

    Returns:
        int: Sentences written; those not found are left out.

    Raises:
        OSError: If it cannot be written there.
        ValueError: If there is no such form, or it cannot hold one of the
            results.
    """
    return _write(to_records(results), path, format)


def to_records(results: Sequence[TubeResult]) -> List[SampleRecord]:
    """What was found, as the formats take it.

    A video is called as its file, by so much of the path as tells it from
    the others.
    """
    folders = {os.path.dirname(os.path.abspath(r.video)) for r in results}
    root = os.path.commonpath(folders) if folders else ''
    return [
        SampleRecord(
            r.sample_id,
            qtype=r.tube.qtype,
            video_id=os.path.relpath(os.path.abspath(r.video), root),
            pred=r.tube,
            sentence=r.sentence,
            size=r.size,
            score=r.confidence,
            seconds=r.span_seconds) for r in results if r.found
    ]


def write_annotations(dataset: BaseSTVGDataset,
                      path: Union[str, os.PathLike], format: str) -> int:
    """Write the true tubes of a dataset in a form of ``RESULT_FORMATS``.

    So annotations go to a labelling tool, and come back through the dataset
    class of its form.

    Args:
        dataset (:obj:`BaseSTVGDataset`): Sentences without truth are left
            out.
        path (str | os.PathLike): See :func:`write_results`.
        format (str): See :func:`write_results`.

    Returns:
        int: Sentences written.

    Raises:
        OSError, ValueError: See :func:`write_results`.
    """
    root = dataset.data_prefix.get('video', '')
    infos = map(dataset.get_data_info, range(len(dataset)))
    return _write([
        SampleRecord(
            info['sample_id'],
            qtype=info['qtype'],
            factors=info['factors'],
            video_id=os.path.relpath(info['video_path'], root or '.'),
            pred=info['gt_tube'],
            sentence=info['sentence'],
            size=(info['width'], info['height']))
        for info in infos if info['gt_tube'] is not None
    ], path, format)


def _write(records: List[SampleRecord], path: Union[str, os.PathLike],
           format: str) -> int:
    form, path = get_format(format), os.fspath(path)
    if form.suffix:
        check_output(f'the {format} file', path)
    else:
        check_folder(f'the {format} folder', path)
    for record in records:
        form.check(record)
    form.write(records, path)
    return len(records)

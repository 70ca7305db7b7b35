# Copyright (c) costa_mm authors. All rights reserved.
"""COCO for videos, as mmdet's trackers read it."""
from typing import Any, Dict, Iterator, List, Optional, Tuple

from costa_mm.registry import DATASETS
from .base_dataset import BaseSTVGDataset
from .fields import as_boxes, as_int, as_list, as_object, as_text, maybe
from .problems import SchemaError
from .records import SentenceAnnotation
from .tracks import Said, Track, annotate, read_said

EXPECTED = ('{"videos": [...], "images": [{"id", "video_id", "frame_id"}], '
            '"annotations": [{"image_id", "instance_id", "bbox": [x, y, w, '
            'h]}], "instances": [{"id", "sentence"}]}')


@DATASETS.register_module()
class COCOVideoDataset(BaseSTVGDataset):
    """Tracks in the CocoVID form, with sentences.

    ``frame_id`` is the frame of the source video, from 0.  What is said of a
    track stands in the added list ``instances``: ``[{"id": 3, "sentence":
    "the dog runs", "span": [start, end]}]``, where ``id`` is the
    ``instance_id`` of its boxes and ``span`` (end exclusive) is optional:
    default is from the first box to the last.  An instance may be listed
    once per sentence, and has a ``video_id`` where ids repeat in other
    videos.  Ids of samples are ``VIDEO_NUMBER``.

    Args:
        ann_file (str): One JSON file.
        data_prefix (dict): ``video``: folder of the videos, which are found
            by ``file_name`` or ``name`` of ``videos``.
        **kwargs: See :class:`BaseSTVGDataset`.
    """

    METAINFO = dict(dataset_type='coco_video')
    EXPECTED = EXPECTED

    @classmethod
    def matches(cls, data: Any) -> bool:
        """Whether the content of a file is of COCO's form for videos."""
        return isinstance(data, dict) and all(
            isinstance(data.get(key), list)
            for key in ('videos', 'images', 'annotations'))

    def video_name(self, key: Any, entry: Any) -> Optional[str]:
        """See :meth:`BaseSTVGDataset.video_name`."""
        video = entry['video']
        return video.get('file_name') or video.get('name')

    def iter_entries(self, data: dict) -> Iterator[Tuple[Any, Any]]:
        """A video with its images, boxes and sentences."""
        try:
            groups: Dict[Any, dict] = {
                video['id']: dict(video=video, images={}, annotations=[],
                                  said=[])
                for video in data['videos']
            }
            video_of = {}
            for image in data['images']:
                video_of[image['id']] = groups[image['video_id']]
                video_of[image['id']]['images'][image['id']] = image
            owner = {}
            for annotation in data['annotations']:
                group = video_of[annotation['image_id']]
                group['annotations'].append(annotation)
                owner[annotation['instance_id']] = group
            for instance in as_list(data.get('instances', []), '"instances"'):
                group = owner[instance['id']] if 'video_id' not in instance \
                    else groups[instance['video_id']]
                group['said'].append(instance)
        except (KeyError, TypeError, ValueError) as e:
            raise SchemaError(f'{self.ann_file}: expected {EXPECTED}, where '
                              f'ids fit together; {e!r}') from e
        yield from enumerate(groups.values())

    def parse_data_info(self, key: Any,
                        entry: Any) -> List[SentenceAnnotation]:
        """All sentences of one video."""
        video = as_object(entry['video'], 'the video')
        name = as_text(self.video_name(key, entry), 'a file name')
        head = dict(
            video=name,
            video_id=name,
            width=maybe(as_int, video.get('width'), 1),
            height=maybe(as_int, video.get('height'), 1))
        tracks: Dict[str, Track] = {}
        for annotation in entry['annotations']:
            frame = entry['images'][annotation['image_id']]['frame_id']
            (x, y, w, h), = as_boxes([annotation['bbox']]).tolist()
            track = tracks.setdefault(str(annotation['instance_id']), Track())
            track.add(as_int(frame), [x, y, x + w, y + h])
        said: Dict[str, List[Said]] = {}
        for instance in entry['said']:
            said.setdefault(str(instance['id']), []).extend(
                read_said(instance))
        return annotate(head, tracks, said, self.problems)

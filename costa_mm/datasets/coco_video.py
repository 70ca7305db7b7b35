# Copyright (c) costa_mm authors. All rights reserved.
"""COCO for videos, as mmdet's trackers read it."""
from typing import Any, Dict, Iterator, List, Optional, Tuple

from costa_mm.registry import DATASETS
from .base_dataset import BaseSTVGDataset
from .fields import as_boxes, as_int, as_list, as_object, as_text, maybe, short
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
    once per sentence, and needs a ``video_id`` where its id repeats in other
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
                for video in _unique(data['videos'], 'videos')
            }
            video_of = {}
            for image in _unique(data['images'], 'images'):
                video_of[image['id']] = image['video_id']
                groups[image['video_id']]['images'][image['id']] = image
            owners: Dict[Any, dict] = {}  # videos in which an instance is
            for annotation in data['annotations']:
                video = video_of[annotation['image_id']]
                groups[video]['annotations'].append(annotation)
                owners.setdefault(annotation['instance_id'], {})[video] = 1
            said = as_list(data.get('instances', []), '"instances"')
            for k, instance in enumerate(said):
                video = self._video_of(instance, owners, f'instances[{k}]')
                if video is not None:
                    groups[video]['said'].append(instance)
        except (KeyError, TypeError, ValueError) as e:
            raise SchemaError(f'{self.ann_file}: expected {EXPECTED}, where '
                              f'ids fit together; {e!r}') from e
        yield from enumerate(groups.values())

    def _video_of(self, instance: Any, owners: Dict[Any, dict],
                  place: str) -> Any:
        """Id of the video that a sentence is about, None if nobody knows."""
        as_object(instance, place)
        if instance.get('video_id') is not None:
            return instance['video_id']
        videos = list(owners[instance['id']])
        if len(videos) == 1:
            return videos[0]
        self.problems.add(
            'error',
            f'the instance {short(instance["id"])} is in several videos, '
            f'{short(videos)}',
            place,
            fix='add "video_id", the id of the video that the sentence is '
            'about')
        return None

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


def _unique(items: List[dict], name: str) -> List[dict]:
    """Items of a list, each of its own id.

    Raises:
        ValueError: If two have one: boxes would go to the last of them.
    """
    seen = set()
    for item in items:
        if item['id'] in seen:
            raise ValueError(f'two of the "{name}" have the id '
                             f'{short(item["id"])}')
        seen.add(item['id'])
    return items

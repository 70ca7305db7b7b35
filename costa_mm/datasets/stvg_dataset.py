# Copyright (c) costa_mm authors. All rights reserved.
"""The dataset for anybody's own videos."""
from typing import Any

from costa_mm.registry import DATASETS
from .base_dataset import BaseSTVGDataset
from .stvg_format import STVGFormat


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
    the span, with null where there is none; it may end before the span, not
    behind it.  A sentence without a span can
    only be tested; in training it is left out and reported.

    Args:
        **kwargs: See :class:`BaseSTVGDataset`.
    """

    METAINFO = dict(dataset_type='own')
    EXPECTED = STVGFormat.EXPECTED

    @classmethod
    def matches(cls, data: Any) -> bool:
        """Whether the content of a file is of this format."""
        return STVGFormat.matches(data)

# Copyright (c) costa_mm authors. All rights reserved.
"""A dataset with an annotation format of its own."""
from typing import List

import numpy as np

from costa_mm.datasets import BaseSTVGDataset, SentenceAnnotation
from costa_mm.registry import DATASETS


@DATASETS.register_module()
class FilmDataset(BaseSTVGDataset):
    """{"film.mp4": {"text": ..., "first": 3, "boxes": [[x1, y1, x2, y2]]}}

    One sentence per film, and one box for every frame of the event.
    """

    def parse_data_info(self, key: str,
                        entry: dict) -> List[SentenceAnnotation]:
        """One entry of the file; an entry may have several sentences."""
        boxes = np.array(entry['boxes'], dtype=np.float64)
        frames = entry['first'] + np.arange(len(boxes))
        return [
            SentenceAnnotation(
                sample_id=key,
                video=key,
                video_id=key,
                sentence=entry['text'],
                span=(int(frames[0]), int(frames[-1]) + 1),
                frame_ids=frames,
                boxes=boxes)
        ]

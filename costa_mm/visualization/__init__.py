# Copyright (c) costa_mm authors. All rights reserved.
"""Pictures and videos of tubes."""
from .attention import overlay_attention
from .attention_sheet import attention_sheet, pick_sampled
from .contact_sheet import contact_sheet, pick_frames, tile_painter
from .html_timeline import html_timeline
from .local_visualizer import (TubeLocalVisualizer, save_image,
                               timeline_from_sample)
from .painter import TubePainter
from .sound import add_sound
from .timeline import plot_timeline
from .tracks import (PALETTE, TubeTrack, tracks_from_sample, tracks_from_tubes,
                     truth_track)
from .video_writer import write_video

__all__ = [
    'PALETTE', 'TubeLocalVisualizer', 'TubePainter', 'TubeTrack', 'add_sound',
    'attention_sheet', 'contact_sheet', 'html_timeline', 'overlay_attention',
    'pick_frames', 'pick_sampled', 'plot_timeline', 'save_image',
    'tile_painter', 'timeline_from_sample', 'tracks_from_sample',
    'tracks_from_tubes', 'truth_track', 'write_video'
]

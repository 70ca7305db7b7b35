# Copyright (c) costa_mm authors. All rights reserved.
"""Videos from an address."""
import hashlib
import os
from urllib.parse import unquote, urlsplit

from costa_mm.utils.errors import first_line
from costa_mm.weights.cache import PART, home_folder, locked
from costa_mm.weights.transfer import copy_from


def is_address(video: str) -> bool:
    """Whether a video has to be fetched before it can be read."""
    return video.startswith(('http://', 'https://'))


def fetched_path(url: str) -> str:
    """Where :func:`fetch_video` puts the file behind an address."""
    name = os.path.basename(unquote(urlsplit(url).path))[-100:] or 'video'
    # two addresses may end alike
    return os.path.join(home_folder(), 'videos',
                        hashlib.sha256(url.encode()).hexdigest()[:16], name)


def fetch_video(url: str) -> str:
    """The file behind an address, fetched once into ``$COSTA_MM_HOME/videos``.

    One process fetches, others on this machine wait for it; what was fetched
    before a cut is continued.

    Args:
        url (str): http(s) address of a video file.

    Returns:
        str: Path of the file.

    Raises:
        FileNotFoundError: If the address gives none.
    """
    path = fetched_path(url)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with locked(path):
        if not os.path.isfile(path):
            try:
                copy_from(url, path + PART)
            except Exception as e:  # whatever a library for transfers raises
                reason = first_line(e)
                raise FileNotFoundError(
                    f'there is no video to be had from {url}: {reason}; fetch '
                    'it in another way and give its path') from e
            os.replace(path + PART, path)
    return path

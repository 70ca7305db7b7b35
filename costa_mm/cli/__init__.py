# Copyright (c) costa_mm authors. All rights reserved.
"""The command ``costa-mm``: what people do most, by one word each.

Nothing heavy is imported before it is known what is wanted.
"""
import os
import sys
from importlib import import_module
from typing import List, NamedTuple, Optional

from costa_mm.version import __version__


class Command(NamedTuple):
    """One word of the command line.

    Attributes:
        help (str): What it does, in one line.
        module (str, optional): Module with a ``main(argv)``.
        script (str, optional): Or a script of the toolbox, from its root.
    """
    help: str
    module: Optional[str] = None
    script: Optional[str] = None


_CONVERTERS = 'tools/dataset_converters'
COMMANDS = dict(
    ground=Command('find what sentences describe in videos',
                   module='costa_mm.cli.ground'),
    web=Command('the same as a web page', script='demo/webapp.py'),
    models=Command('list models by name, with their data and weights',
                   module='costa_mm.cli.models'),
    doctor=Command('say what this machine has and lacks',
                   module='costa_mm.cli.doctor'),
    check=Command('check annotation files before training',
                  script=f'{_CONVERTERS}/check_annotations.py'),
    convert=Command('convert annotations to the one format that reads fast',
                    script=f'{_CONVERTERS}/convert_dataset.py'),
    export=Command('write results in the form of another program',
                   script=f'{_CONVERTERS}/export_tubes.py'),
    clips=Command('cut the events out of their videos',
                  script='tools/misc/cut_events.py'),
    report=Command('one HTML page of the results in a folder',
                   script='tools/misc/html_report.py'),
    eval=Command('score predicted tubes against the truth',
                 script='tools/analysis_tools/eval_tubes.py'),
    synth=Command('render the synthetic benchmark',
                  script=f'{_CONVERTERS}/make_synthetic_stvg.py'))

EXAMPLES = """examples:
  costa-mm ground street.mp4 "the man in red crosses the road"
  costa-mm ground --list videos.jsonl --model stcat_hcstvg --out-dir results
  costa-mm web --model tubedetr_hcstvg
  costa-mm synth --out data/synthetic --num-train 100
  costa-mm COMMAND --help"""


def usage() -> str:
    """The words of the command, for ``costa-mm --help``."""
    width = max(map(len, COMMANDS))
    lines = (f'  {name:{width}}  {command.help}'
             for name, command in COMMANDS.items())
    return '\n'.join(
        ('usage: costa-mm COMMAND [OPTIONS]', '',
         'Spatio-temporal video grounding: a video and a sentence go in, the '
         'tube of the', 'object that the sentence describes comes out.', '',
         'commands:', *lines, '', EXAMPLES))


def run_script(script: str, prog: str, argv: List[str]) -> int:
    """Run the ``main()`` of a script, under the name of the command."""
    from costa_mm.weights.zoo import zoo_root
    folder, name = os.path.split(os.path.join(zoo_root(), script))
    sys.argv = [prog, *argv]
    sys.path.insert(0, folder)  # where its processes look for it, too
    return import_module(os.path.splitext(name)[0]).main() or 0


def main(argv: Optional[List[str]] = None) -> int:
    """Entry point.

    Args:
        argv (list[str], optional): Words behind ``costa-mm``.

    Returns:
        int: Exit status; 2 for a word that there is not.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    if not words or words[0] in ('-h', '--help', 'help'):
        print(usage())
        return 0
    if words[0] in ('-V', '--version'):
        print(f'costa_mm {__version__}')
        return 0
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        print(f'costa-mm: there is no command {name!r}, only '
              f'{", ".join(COMMANDS)}', file=sys.stderr)
        return 2
    command = COMMANDS[name]
    if command.module:
        return import_module(command.module).main(rest)
    from .running import run_main
    prog = f'costa-mm {name}'
    return run_main(lambda: run_script(command.script, prog, rest), prog)

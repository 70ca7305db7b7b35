# Copyright (c) costa_mm authors. All rights reserved.
"""Code blocks of the documentation.

A block of Python or bash is executed unless the comment
``<!-- not run: REASON -->`` stands before it.  ``<!-- run after: CODE -->``
gives Python code that the page leaves to the reader.
"""
import json
import re
import shlex
from pathlib import Path
from typing import List, NamedTuple, Tuple

ROOT = Path(__file__).resolve().parents[2]
SHELLS = ('bash', 'shell', 'sh', 'console')
FENCE = re.compile(r'^( *)```(\w+)\n(.*?)^ *```$', re.M | re.S)
MARK = re.compile(
    r'<!-- (not run|run after): ((?:(?!-->).)*) -->\s*\Z', re.S)
# Words that a reader replaces, and what the tests put there.
PLACES = dict(
    CONFIG='configs/synthetic/costa_tiny_synthetic.py',
    CHECKPOINT='tiny.pth',
    VIDEO='street.mp4',
    SENTENCE='the red square moves left',
    SRC='src.pth',
    CONFIGS='configs')


class Block(NamedTuple):
    """A code block, its page below the root, and its mark."""
    page: str
    line: int
    language: str
    code: str
    not_run: str = ''
    run_after: str = ''

    @property
    def name(self) -> str:
        """Where it is."""
        return f'{self.page}:{self.line}'


def pages() -> List[Path]:
    """Every page whose code is tested."""
    found = [ROOT / 'README.md']
    for folder in ('docs/en', 'projects', 'demo', 'docker', 'configs'):
        found += sorted((ROOT / folder).rglob('*.md'))
    return [page for page in found if '_build' not in page.parts]


def notebooks() -> List[Path]:
    """Every notebook."""
    return sorted((ROOT / 'demo').rglob('*.ipynb'))


def read_page(path: Path) -> List[Block]:
    """Python and shell blocks of a page."""
    text = path.read_text(encoding='utf-8')
    found = []
    for match in FENCE.finditer(text):
        indent, language, code = match.groups()
        if language not in ('python', *SHELLS):
            continue
        mark = MARK.search(text[:match.start()])
        kind, content = mark.groups() if mark else ('', '')
        found.append(
            Block(
                path.relative_to(ROOT).as_posix(),
                text[:match.start()].count('\n') + 1,
                'python' if language == 'python' else 'bash',
                re.sub(f'^{indent}', '', code, flags=re.M),
                content if kind == 'not run' else '',
                content if kind == 'run after' else ''))
    return found


def read_notebook(path: Path) -> List[Block]:
    """Code cells of a notebook; the number of the cell is the line."""
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    return [
        Block(path.relative_to(ROOT).as_posix(), i, 'python',
              ''.join(cell['source']))
        for i, cell in enumerate(cells) if cell['cell_type'] == 'code'
    ]


def all_blocks() -> List[Block]:
    """All blocks, in the order of reading."""
    found = [block for path in pages() for block in read_page(path)]
    return found + [b for path in notebooks() for b in read_notebook(path)]


def commands(code: str) -> List[Tuple[dict, List[str]]]:
    """Simple commands of a shell block: settings before it, and its words.

    Loops are taken apart: the words of ``for NAME in ...`` are left out.
    """
    found = []
    for line in code.replace('\\\n', ' ').splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=';&|')
        lexer.whitespace_split = True
        words: List[str] = []
        for word in [*lexer, ';']:
            if word and set(word) <= set(';&|'):
                if words and words[0] not in ('for', 'done'):
                    found.append(_split_settings(words))
                words = []
            elif word != 'do':
                words.append(word)
    return found


def _split_settings(words: List[str]) -> Tuple[dict, List[str]]:
    settings = {}
    while words and re.match(r'[A-Za-z_]\w*=', words[0]):
        name, value = words[0].split('=', 1)
        settings[name], words = value, words[1:]
    return settings, [PLACES.get(word, word) for word in words]


def without_ellipsis(code: str) -> str:
    """Code in which ``, ...`` stands for what is left out."""
    return re.sub(r',\s*\.\.\.(?=\s*[)\]}])', '', code)

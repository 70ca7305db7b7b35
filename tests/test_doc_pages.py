# Copyright (c) costa_mm authors. All rights reserved.
"""What the pages say about files, classes, versions and models is true."""
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from costa_mm import __version__
from costa_mm.apis import list_models

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / 'docs' / 'en'
PAGES = sorted(p for p in DOCS.rglob('*.md') if '_build' not in p.parts)
FILE = re.compile(r'`((?:configs|costa_mm|demo|docs|projects|requirements|'
                  r'tests|tools)/[\w/.-]+\.\w+)`')


def name(page):
    return page.relative_to(DOCS).as_posix()


@pytest.mark.parametrize('page', PAGES + [ROOT / 'README.md'],
                         ids=lambda p: p.name)
def test_links_and_named_files_exist(page):
    text = page.read_text(encoding='utf-8')
    for link in re.findall(r'\]\((?!https?:|#)([^)#]+)', text):
        assert (page.parent / link).exists(), link
    for file in FILE.findall(text):
        made_by_reader = file in re.findall(r'^# (\S+)$', text, re.M)
        assert made_by_reader or (ROOT / file).exists(), file


# ------------------------------------------------------------- method page
def rows(page, first_column):
    """Cells of the table whose header begins with ``first_column``."""
    text = (DOCS / page).read_text(encoding='utf-8')
    start = text.index(f'\n| {first_column} |') + 1
    table = text[start:].split('\n\n')[0]
    return [[cell.strip() for cell in re.split(r'(?<!\\)\|', line)[1:-1]]
            for line in table.splitlines()[2:]]


def find_code(path):
    for folder in (ROOT / 'costa_mm' / 'models', ROOT):
        if (folder / path).exists():
            return folder / path
    return None


def find_test(path):
    found = [ROOT / 'tests' / 'test_models' / path, ROOT / path]
    found += (ROOT / 'tests' / 'test_models').rglob(path)
    return any(p.exists() for p in found)


@pytest.mark.parametrize('row', rows('method.md', 'paper'),
                         ids=lambda row: row[0])
def test_method_page_names_code_and_tests_that_exist(row):
    source = ''
    for word in re.findall(r'`([^`]+)`', row[1]):
        if '/' in word:
            path = find_code(word)
            assert path is not None, word
            source += path.read_text() if path.is_file() else ''
            continue
        owner, _, attribute = word.partition('.')
        if not source:  # a class named before any file
            grounders = ROOT / 'costa_mm' / 'models' / 'grounders'
            source = (grounders / 'spatio_temporal_grounder.py').read_text()
        assert re.search(rf'(class|def) {owner}\b', source), word
        assert not attribute or f'def {attribute}(' in source, word
    tests = re.findall(r'`([^`]+)`', row[2])
    assert tests
    for test in tests:
        assert find_test(test.rstrip('/')), test


def test_method_page_covers_the_paper():
    text = ' '.join(row[0] for row in rows('method.md', 'paper'))
    for number in range(1, 9):
        assert f'Eq. {number}' in text
    for figure in ('1', '2', '3', '4', '5a', '5b', '6'):
        assert f'Fig. {figure}' in text
    for table in ('Table 1', 'Tables 1 and 4', 'Tables 2 and 3', 'Table 3b',
                  'Table 3c'):
        assert table in text


# ------------------------------------------------------------ other pages
def test_every_ablation_is_listed():
    configs = {p.name for p in (ROOT / 'configs' / 'ablations').glob('*.py')}
    text = (DOCS / 'ablations.md').read_text()
    assert configs == set(re.findall(r'`(\w+\.py)`', text)) & configs
    assert configs


def test_model_zoo_names_models_that_are_found():
    known = {model.name for model in list_models()}
    named = [n for column in ('model', 'published model')
             for row in rows('model_zoo.md', column)
             for n in re.findall(r'`(\w+)`', row[0])]
    assert named and set(named) <= known
    with_weights = {m.name for m in list_models() if m.weights}
    assert with_weights <= set(named), 'a model with weights is not listed'


def test_our_figures_are_those_of_the_metafile():
    index = (ROOT / 'configs' / 'metafile.yml').read_text()
    ours = index[index.index('- Name: costa_tiny_synthetic'):]
    ours = ours[:ours.index('Weights:')]
    tiny, = rows('model_zoo.md', 'm_tIoU')
    assert tiny == re.findall(r'(?:IoU|IoU@0[.]\d): ([\d.]+)', ours)


def test_published_figures_are_those_of_the_metafile():
    index = yaml.safe_load((ROOT / 'configs' / 'metafile.yml').read_text())
    page = {row[0].strip('`'): row for row in rows('real_videos.md', 'name')}
    for model in index['Models']:
        row = page.get(model['Name'])
        if row is None:  # two models share a row, others are elsewhere
            continue
        figures = [float(f) for f in re.findall(r'\d+[.]\d+', row[1])]
        assert figures == [v for result in model['Results']
                           for v in result['Metrics'].values()]
        assert row[3] == model['Published']['Size']
        assert row[4] == model['Published']['Licence']
    assert len(page) > 8


def test_papers_figures_are_those_of_the_ablation_page():
    zoo = {row[0]: row[2:6] for row in rows('model_zoo.md', 'method')}
    ablations = {row[1]: row[3:] for row in rows('ablations.md', 'table')}
    assert zoo['CoSTA'] == ablations['CoSTA']


def test_changelog_has_this_version():
    text = (DOCS / 'changelog.md').read_text()
    assert re.search(rf'^## {re.escape(__version__)}$', text, re.M)


def test_support_matrix_names_the_pinned_versions():
    pins = {}
    for line in (ROOT / 'requirements' / 'pinned.txt').read_text() \
            .splitlines():
        if line and not line.startswith('#'):
            requirement = Requirement(line)
            spec, = requirement.specifier
            pins[requirement.name] = spec.version
    table = rows('support_matrix.md', 'package')
    assert len(table) > 6
    for package, tried, *_ in table:
        assert tried == pins[package.strip('`')]

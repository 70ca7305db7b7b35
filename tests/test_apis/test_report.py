# Copyright (c) costa_mm authors. All rights reserved.
"""One page that needs no other file."""
import base64
import dataclasses
import re

import numpy as np
import pytest
from PIL import Image
from test_apis.moving_tube import result
from test_datasets.conftest import write_video

from costa_mm.apis import dump_results, load_results, write_report
from costa_mm.visualization import add_sound


@pytest.fixture
def folder(tmp_path):
    """Results of three videos; of the last one nothing was drawn."""
    results = [
        result('in/a&b.mp4', 'a_b_0', (5, 30)),
        result('in/a&b.mp4', 'a_b_1', (0, 9), 'who?', found=False),
        result('in/dog.mp4', 'dog', (5, 30), 'läuft'),
        result('in/cat.mp4', 'cat', (5, 30), 'cat')
    ]
    out = tmp_path / 'my "results"'
    dump_results(results, out / 'tubes.json')
    for name in ('a_b', 'dog'):
        write_video(out / f'{name}.mp4', 5)
    Image.new('RGB', (64, 48)).save(out / 'dog_sheet.png')
    return out


def addresses(page):
    return re.findall(r' (?:src|href)="([^"]*)"', page)


def test_everything_is_in_the_page(folder):
    report = write_report(folder)
    assert report == (str(folder / 'report.html'), 2, 0)
    page = (folder / 'report.html').read_text('utf-8')
    kinds = [a.split(',')[0] for a in addresses(page) if a[0] != '#']
    assert kinds == ['data:video/mp4;base64', 'data:video/mp4;base64',
                     'data:image/webp;base64']
    assert 'http' not in re.sub(r'"data:[^"]*"', '', page).replace(
        'http-equiv', '')
    data, = (a for a in addresses(page) if 'webp' in a)
    assert base64.b64decode(data.split(',')[1])[8:12] == b'WEBP'
    assert (folder / 'dog.mp4').read_bytes() == base64.b64decode(
        addresses(page)[-2].split(',')[1])
    assert '3 videos, 4 sentences, 3 found' in page
    assert '<h1>my &quot;results&quot;</h1>' in page
    assert page.count('class="timeline') >= 4
    assert '<td>the &lt;dog&gt; &amp; &quot;its&quot; ball</td>' in page
    assert '<td>not in this video</td>' in page and 'läuft' in page
    assert '0.21 s to 1.25 s' in page


def test_large_videos_are_linked(folder, tmp_path):
    size = (folder / 'a_b.mp4').stat().st_size
    report = write_report(folder, tmp_path / 'page.html', title='T',
                          max_megabytes=size / 1e6)
    assert report[1:] == (1, 1)
    page = (tmp_path / 'page.html').read_text('utf-8')
    assert 'my%20%22results%22/dog.mp4' in addresses(page)


def test_no_results(tmp_path):
    with pytest.raises(FileNotFoundError, match='tubes.json'):
        write_report(tmp_path)
    (tmp_path / 'tubes.json').write_text('{"a": {"span": [1, 2]}}')
    with pytest.raises(ValueError, match="entry 'a': not a result"):
        write_report(tmp_path)
    assert not (tmp_path / 'report.html').exists()


def test_the_page_in_a_browser(folder, browser):
    """Timelines seek in their own video; words narrow the page."""
    page = browser.new_page(viewport=dict(width=400, height=900))
    page.goto(f'file://{write_report(folder).path}')
    assert page.evaluate('document.documentElement.scrollWidth') <= 400
    page.wait_for_function(
        "() => [...document.querySelectorAll('video')].every("
        "v => v.duration > 0)")
    lanes = page.locator('#v1 .lanes')
    lanes.scroll_into_view_if_needed()
    box = lanes.bounding_box()
    page.mouse.click(box['x'] + box['width'] / 2, box['y'] + 10)
    times = page.evaluate("[...document.querySelectorAll('video')].map("
                          "v => v.currentTime / v.duration)")
    assert times == [0, pytest.approx(0.5, abs=0.02)]
    marks = page.locator('.now').evaluate_all('x => x.map(n => n.style.left)')
    assert marks[:2] + marks[3:] == ['', '', '']
    assert float(marks[2].rstrip('%')) == pytest.approx(50, abs=2)
    page.fill('#words', 'BALL')
    assert visible(page, 'tbody tr') == 1 and visible(page, 'section') == 1
    page.fill('#words', '')
    page.check('#found')
    assert visible(page, 'tbody tr') == 3 and visible(page, 'section') == 3
    page.close()


def test_timelines_of_an_uneven_video(folder, browser):
    """Half of the frames are shown in a quarter of the time."""
    seconds = np.arange(6.)**2 / 5
    assert not add_sound(folder / 'dog.mp4', folder / 'dog.mp4',
                         seconds=seconds)
    results = load_results(folder / 'tubes.json')
    results[2] = dataclasses.replace(results[2], seconds=np.arange(49.)**2)
    dump_results(results, folder / 'tubes.json')
    page = browser.new_page()
    page.goto(f'file://{write_report(folder).path}')
    video = page.locator('#v1 video')
    page.wait_for_function(
        "() => document.querySelector('#v1 video').duration > 4")
    lanes = page.locator('#v1 .lanes')
    lanes.scroll_into_view_if_needed()
    box = lanes.bounding_box()
    page.mouse.click(box['x'] + box['width'] / 2, box['y'] + 10)
    assert video.evaluate('v => v.currentTime / v.duration') == pytest.approx(
        0.25, abs=0.02)
    video.evaluate('v => {v.currentTime = v.duration * 0.49}')
    page.wait_for_function(
        "() => parseFloat(document.querySelector('#v1 .now').style.left) > 60")
    mark = page.locator('#v1 .now').evaluate('n => n.style.left')
    assert float(mark.rstrip('%')) == pytest.approx(70, abs=2)
    page.close()


def visible(page, selector):
    return page.locator(f'{selector}:visible').count()

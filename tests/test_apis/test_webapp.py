# Copyright (c) costa_mm authors. All rights reserved.
"""The web page in a real browser, and its endpoint under load.

Needs Gradio (requirements/webapp.txt); the browser's part also Playwright
and a Chromium, Debian's or Playwright's own.
"""
import importlib.util
import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest

from costa_mm.apis import STVGInferencer
from costa_mm.apis.service import GroundingService, Limits
from costa_mm.evaluation import PROTOCOLS
from costa_mm.structures import Tube
from costa_mm.synthetic import Settings, draw_sample
from costa_mm.visualization import write_video

pytest.importorskip(
    'gradio', reason='no Gradio: pip install "costa_mm[webapp]"')
DEMO = Path(__file__).resolve().parents[2] / 'demo' / 'webapp.py'
RED, GREEN = 'the red square moves right', 'the green square stands still'
TIMEOUT = 120  # seconds; the machine may be busy


@pytest.fixture(scope='module')
def webapp():
    """The demo as a module."""
    spec = importlib.util.spec_from_file_location('webapp', DEMO)
    module = importlib.util.module_from_spec(spec)
    sys.modules['webapp'] = module
    sys.path.insert(0, str(DEMO.parent))  # as for a script
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DEMO.parent))
    return module


@pytest.fixture(scope='module')
def address(webapp, colour_finder, video):
    """Where the page of a model with known answers is served."""
    service = GroundingService(
        colour_finder, limits=Limits(megabytes=2, seconds=10), score_thr=0.5)
    app = webapp.build_app(dict(finder=service, other=service),
                           [[str(video), GREEN]])
    url = webapp.launch(app, service.limits, '127.0.0.1', None, quiet=True,
                        prevent_thread_lock=True)
    yield url.rstrip('/')
    app.close()


@pytest.fixture
def page(browser, address):
    """The page, cut off from every other machine."""
    context = browser.new_context(viewport=dict(width=1280, height=1400))
    page = context.new_page()
    page.set_default_timeout(1000 * TIMEOUT)
    page.foreign = []

    def guard(route):
        if urlparse(route.request.url).hostname in ('127.0.0.1', None):
            return route.continue_()
        page.foreign.append(route.request.url)
        return route.abort()

    page.route('**/*', guard)
    page.goto(address)
    page.wait_for_selector('#find')
    yield page
    assert page.foreign == []  # it works offline
    context.close()


def ask(page, path, sentences):
    """Fill the form and press the button."""
    if path is not None:
        page.set_input_files('#input-video input[type=file]', str(path))
        page.wait_for_selector('#input-video video')
    page.fill('#sentences textarea', sentences)
    page.click('#find')


def see_error(page, text):
    """Wait for a message; it stays."""
    page.locator('#status .wrong').filter(has_text=text).wait_for()


def download(page, selector):
    with page.expect_download() as event:
        page.click(selector)
    return Path(event.value.path()).read_bytes(), event.value


def expected(colour_finder, video, sentences):
    """What the JSON of the page is to hold."""
    results = colour_finder(video, sentences, pred_score_thr=0.5)
    entries = {r.sample_id: json.loads(json.dumps(r.to_dict()))
               for r in results['predictions']}
    for entry in entries.values():
        entry['video'] = os.path.basename(video)
    return entries


def test_upload_two_sentences_and_download(page, video, colour_finder):
    ask(page, video, f'{RED}\n{GREEN}\nthe blue <b>one</b>')
    page.wait_for_selector('#table table.tubes')
    rows = page.locator('#table tr').all_inner_texts()[1:]
    assert [r.split('\t')[1:] for r in rows] == [
        [RED, '1.00 s to 2.00 s\nframes 10 to 19', '0.90'],
        [GREEN, '0.00 s to 3.00 s\nframes 0 to 29', '0.90'],
        ['the blue <b>one</b>', 'not in this video\nbest guess: 0.00 s to '
         '3.00 s\nframes 0 to 29', '0.05']]
    assert page.locator('#timelines .timeline').count() == 3
    assert page.locator('#timelines .timeline.absent').count() == 1
    page.wait_for_selector('#output-video')
    above = page.evaluate(  # the short answer first
        "document.querySelector('#table').getBoundingClientRect().bottom <= "
        "document.querySelector('#output-video').getBoundingClientRect().top")
    assert above
    page.wait_for_function(
        "document.querySelector('#output-video video')?.readyState >= 2")
    seconds = page.evaluate(
        "document.querySelector('#output-video video').duration")
    assert seconds == pytest.approx(3.0, abs=0.2)
    content, _ = download(page, '#save-json')
    assert json.loads(content) == expected(
        colour_finder, str(video), [RED, GREEN, 'the blue <b>one</b>'])
    content, event = download(page, '#save-video')
    assert event.suggested_filename == 'squares.mp4'
    assert content[4:8] == b'ftyp'
    assert not page.is_visible('#maps')  # they were not asked for
    page.fill('#sentences textarea', '')
    page.click('#find')
    see_error(page, 'Write a sentence')
    for part in ('#table table', '#timelines', '#save-json'):
        assert not page.is_visible(part)  # nothing of the answer before


def test_a_click_or_a_drag_in_a_timeline_seeks(page, video):
    ask(page, video, RED)
    page.wait_for_selector('#timelines .lanes')
    page.wait_for_function(
        "document.querySelector('#output-video video')?.readyState >= 2")

    def now():
        page.wait_for_timeout(300)
        return page.evaluate(
            "document.querySelector('#output-video video').currentTime")

    box = page.locator('#timelines .lanes').bounding_box()
    page.mouse.move(box['x'] + box['width'] / 4, box['y'] + 20)
    page.mouse.down()
    assert now() == pytest.approx(0.75, abs=0.1)
    page.mouse.move(box['x'] + box['width'] / 2, box['y'] + 20)
    page.mouse.up()
    assert now() == pytest.approx(1.5, abs=0.1)
    page.mouse.move(box['x'], box['y'])  # no longer held
    assert now() == pytest.approx(1.5, abs=0.1)
    page.locator('#timelines .lanes').focus()
    page.keyboard.press('ArrowRight')
    assert now() == pytest.approx(1.53, abs=0.02)
    place = page.locator('#timelines .now').get_attribute('style')
    assert place == 'left: 51%;'


def test_stages_are_told(page, video):
    page.evaluate("""() => { window.seen = []; new MutationObserver(() =>
        seen.push(document.querySelector('#status').innerText)).observe(
        document.querySelector('#status'), {subtree: true, childList: true,
        characterData: true}); }""")
    ask(page, video, RED)
    page.wait_for_selector('#table table.tubes')
    seen = ' '.join(page.evaluate('window.seen'))
    assert 'waiting' in seen and re.search(r'drawing \d+%', seen)
    assert page.locator('#status').inner_text().strip() == ''


def test_a_link_repeats_a_request(page, address):
    page.click('text=' + GREEN)
    page.wait_for_selector('#input-video video')
    page.fill('#sentences textarea', f'{RED}\n{GREEN} & <b>still</b>')
    page.click('#find')
    href = page.locator('#link a').get_attribute('href')
    page.goto(address + '/' + href)
    page.wait_for_selector('#table table.tubes')
    rows = page.locator('#table tr').all_inner_texts()[1:]
    assert RED in rows[0] and f'{GREEN} & <b>still</b>' in rows[1]


@pytest.mark.parametrize('dark', [False, True])
def test_narrow_and_dark(browser, address, video, dark):
    context = browser.new_context(viewport=dict(width=400, height=800))
    page = context.new_page()
    page.set_default_timeout(1000 * TIMEOUT)
    page.goto(address + '/' + ('?__theme=dark' if dark else ''))
    page.wait_for_selector('#find')
    assert 'finder' in page.locator('#about').inner_text()
    ask(page, video, RED)
    page.wait_for_selector('#table table.tubes')
    page.wait_for_timeout(1500)
    top, wide = page.evaluate(
        "[document.querySelector('#table').getBoundingClientRect().top, "
        'document.documentElement.scrollWidth]')
    assert 0 <= top < 400 and wide <= 400  # in view, nothing sticks out
    red, *_ = page.evaluate(
        "getComputedStyle(document.querySelector('.timeline')).color"
        ".match(/\\d+/g).map(Number)")
    assert (red > 150) == dark  # light text on dark ground
    context.close()


def test_an_example_and_attention(page):
    page.click('text=' + GREEN)
    page.wait_for_selector('#input-video video')
    trim = page.locator('#input-video button[aria-label^="Trim"]')
    assert trim.count() == 1 and not trim.is_visible()  # it needs a network
    page.check('#attention input')
    page.click('#find')
    page.wait_for_selector('#maps img')
    rows = page.locator('#table tr').all_inner_texts()[1:]
    assert len(rows) == 1 and GREEN in rows[0]
    clipped, = page.evaluate(
        "[...document.querySelectorAll('#maps .grid-wrap')].map("
        'e => e.scrollHeight - e.clientHeight)')
    assert clipped <= 1  # the whole picture is seen


def test_bad_input_gets_a_clear_message(page, video, tmp_path):
    text, empty = tmp_path / 'notes.mp4', tmp_path / 'empty.mp4'
    text.write_text('this is not a video\n' * 50)
    empty.touch()
    ask(page, None, RED)
    see_error(page, 'Choose or upload a video first')
    ask(page, text, RED)
    see_error(page, 'The file "notes.mp4" is no video that can be')
    page.reload()
    ask(page, empty, RED)
    see_error(page, 'The file "empty.mp4" is empty (0 bytes)')
    page.reload()
    ask(page, video, ' \n ')
    see_error(page, 'Write a sentence')
    ask(page, None, '😀' * 10000)
    see_error(page, 'A sentence has 10,000 characters')
    ask(page, None, RED)  # and it still answers
    page.wait_for_selector('#table table.tubes')


def test_files_over_the_limit_are_not_uploaded(page, tmp_path):
    path = tmp_path / 'large.mp4'
    path.write_bytes(bytes(2100000))
    page.set_input_files('#input-video input[type=file]', str(path))
    page.locator('.toast-body.error').filter(
        has_text=re.compile('size', re.I)).wait_for()


# ------------------------------------------------------- without a browser
def test_ten_requests_at_once(address, tmp_path):
    from gradio_client import Client, handle_file
    videos = []
    for i in range(10):
        frames = np.zeros((30, 32, 32, 3), np.uint8)
        frames[i:10 + i, 8:16, 8:16, 0] = 230
        videos.append(str(tmp_path / f'v{i}.mp4'))
        write_video(videos[-1], frames, 10, crf=1)
    client = Client(address, verbose=False)

    def request(i):
        sentence = f'the red square number {i}'
        out = client.predict(
            'finder', handle_file(videos[i]), sentence, False,
            api_name='/ground')
        with open(out[2], encoding='utf-8') as f:
            return json.load(f)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(request, range(10)))
    for i, answer in enumerate(answers):
        assert list(answer) == [f'v{i}']
        assert answer[f'v{i}']['span'] == [i, 10 + i]
        assert answer[f'v{i}']['sentence'] == f'the red square number {i}'


def test_errors_reach_other_programs(address, video):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError
    client = Client(address, verbose=False)
    with pytest.raises(AppError, match='Write a sentence'):
        client.predict('finder', handle_file(str(video)), '', False,
                       api_name='/ground')


def test_it_listens_on_this_machine_only(address, webapp, monkeypatch):
    assert urlparse(address).hostname == '127.0.0.1'
    monkeypatch.setattr(sys, 'argv', ['webapp.py'])
    assert webapp.parse_args().host == '127.0.0.1'


def test_examples(webapp, tmp_path):
    (path, text), *rest = webapp.synthetic_examples(str(tmp_path),
                                                    [(0, 1), (1, 0)])
    assert len(rest) == 1 and os.path.getsize(path) > 1000
    own, other = text.splitlines()
    assert rest[0][1].splitlines() == [other, own]
    Path(path).with_suffix('.txt').write_text('a\nb\n')
    found = webapp.folder_examples(str(tmp_path))
    assert found == [[path, 'a\nb'], [rest[0][0], '']]
    with pytest.raises(FileNotFoundError, match='no folder'):
        webapp.folder_examples(str(tmp_path / 'none'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='holds no video'):
        webapp.folder_examples(str(tmp_path / 'empty'))


def test_examples_are_answered_rightly(webapp, tmp_path):
    """By the shipped model: the first sentence, and not the second."""
    inferencer = STVGInferencer('costa_tiny_synthetic', device='cpu',
                                show_progress=False)
    for (path, text), (number, _) in zip(
            webapp.synthetic_examples(str(tmp_path)), webapp.EXAMPLES):
        sample = draw_sample(Settings(seed=2024), 'test', number)
        one, two = inferencer(path, text.splitlines())['predictions']
        truth = Tube(sample.span, np.arange(len(one.boxes)),
                     sample.tracks[sample.target])
        assert PROTOCOLS['paper'].score(one.tube, truth).viou > 0.5
        assert one.found and not two.found


def test_mistakes_on_the_command_line(webapp, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['webapp.py', '--model', 'no.py',
                                      '--port', '0'])
    assert webapp.main() == 1
    assert 'there is no config file no.py' in capsys.readouterr().err


def test_a_port_in_use(webapp, address, colour_finder, monkeypatch, capsys):
    port = urlparse(address).port
    monkeypatch.setattr(sys, 'argv', ['webapp.py', '--port', str(port)])
    monkeypatch.setattr(webapp, 'STVGInferencer',
                        lambda *args, **kwargs: colour_finder)
    assert webapp.main() == 1
    assert f'port {port}: is it in use?' in capsys.readouterr().err

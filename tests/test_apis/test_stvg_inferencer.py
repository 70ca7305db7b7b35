# Copyright (c) costa_mm authors. All rights reserved.
import json
import os
import shutil

import av
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import INFERENCERS as MMENGINE_INFERENCERS
from mmengine.registry import DefaultScope
from PIL import Image

from costa_mm.apis import Calibration, STVGInferencer
from costa_mm.apis.calibration import weights_digest
from costa_mm.datasets import PyAVReader, VideoReadError
from costa_mm.structures import load_tubes
from costa_mm.visualization import PALETTE
from costa_mm.weights import zoo

RED, GREEN = 'the red square moves right', 'the green square stands still'


@pytest.fixture
def inferencer(write_model):
    config, weights = write_model()
    return STVGInferencer(config, weights, 'cpu', show_progress=False)


def check_red(result, slack=0.0):
    assert result.span == (10, 20)
    truth = np.array([[16 + 4 * i, 8, 32 + 4 * i, 24] for i in range(10)])
    assert np.abs(result.boxes[10:20] - truth).max() <= slack
    assert result.boxes.shape == (30, 4)


def test_two_sentences_on_a_file_get_two_right_tubes(inferencer, video):
    out = inferencer(video, [RED, GREEN])
    red, green = out['predictions']
    check_red(red, slack=1)
    assert red.span_seconds == (1.0, 2.0)
    assert green.span == (0, 30)
    assert np.abs(green.boxes - [8, 40, 24, 56]).max() <= 1
    assert (red.sentence, green.sentence) == (RED, GREEN)
    assert red.sample_id != green.sample_id
    assert red.size == (96, 64)
    assert red.attendance_score == 1.0
    assert out['visualization'] is None and out['files'] == []


def test_a_video_is_decoded_once_for_all_sentences(
        inferencer, video, monkeypatch):
    reads = []
    reader = type(inferencer.reader)
    original = reader.read
    monkeypatch.setattr(reader, 'read', lambda self, path, ids:
                        (reads.append(len(ids)),
                         original(self, path, ids))[1])
    inferencer(str(video), [RED, GREEN, 'a red thing'])
    # The last frame, to know that it is there, then those of the pipeline.
    assert reads == [1, 30]
    assert inferencer.model.encoded == [1]


def test_seconds_are_those_at_which_a_player_shows_the_frames(
        inferencer, video, monkeypatch):
    original = PyAVReader._times
    monkeypatch.setattr(  # a long pause before frame 15
        PyAVReader, '_times', lambda self, path: original(self, path) + 7. *
        (np.arange(31) >= 15))
    result, = inferencer(str(video), RED)['predictions']
    assert result.span == (10, 20) and result.span_seconds == (1.0, 9.0)


@pytest.mark.parametrize('make', [lambda f: f, lambda f: list(f)])
def test_frames_in_memory(inferencer, frames, make):
    result, = inferencer(make(frames), RED)['predictions']
    check_red(result)
    assert result.span_seconds is None
    json.dumps(result.to_dict())
    result, = inferencer(make(frames), RED, fps=5)['predictions']
    assert result.span_seconds == (2.0, 4.0)


def test_frames_are_not_changed(inferencer, frames):
    before = frames.copy()
    inferencer(frames, [RED, GREEN], return_vis=True)
    assert (frames == before).all()


def test_folder_and_lists_keep_their_order(inferencer, video, frames):
    out = inferencer([video.parent, frames], [RED, GREEN])
    names = [r.sample_id for r in out['predictions']]
    assert names == ['squares_0', 'squares_1', 'frames_1_0', 'frames_1_1']
    spans = [r.span for r in out['predictions']]
    assert spans == [(10, 20), (0, 30)] * 2


def test_one_list_of_sentences_per_video(inferencer, frames):
    out = inferencer([frames, frames[:15]], [[RED, GREEN], [RED]])
    assert [r.span for r in out['predictions']] == [(10, 20), (0, 30),
                                                    (10, 15)]
    with pytest.raises(ValueError, match='1 lists of sentences for 2 videos'):
        inferencer([frames, frames[:15]], [[RED]])


@pytest.mark.parametrize('batch_size, batches', [(1, [1] * 5), (2, [2, 2, 1]),
                                                 (8, [5])])
def test_batches_do_not_change_results(inferencer, frames, batch_size,
                                       batches):
    sentences = [RED, GREEN, RED, RED, GREEN]
    out = inferencer(frames, sentences, batch_size=batch_size)
    assert inferencer.model.batches == batches
    assert [r.span[0] for r in out['predictions']] == [10, 0, 10, 10, 0]
    assert [r.sentence for r in out['predictions']] == sentences


@pytest.mark.parametrize('batch_size, encoded, batches', [
    (1, [1, 1, 1], [1, 1, 1, 1]), (2, [1, 2], [2, 2]),
    (3, [2, 1], [3, 1]), (4, [3], [4])])
def test_videos_are_encoded_in_one_piece(inferencer, frames, batch_size,
                                         encoded, batches):
    short = frames[5:20]
    out = inferencer([frames, short, frames], [[RED, GREEN], [RED], [GREEN]],
                     batch_size=batch_size)
    assert inferencer.model.encoded == encoded
    assert inferencer.model.batches == batches
    assert [r.span for r in out['predictions']] == [
        (10, 20), (0, 30), (5, 15), (0, 30)]


def test_attention_maps_on_request(inferencer, frames, tmp_path):
    out = inferencer([frames, frames[:15]], [[RED, GREEN], [GREEN]],
                     attention=True, batch_size=4, out_dir=tmp_path)
    shapes = [r.attention.shape for r in out['predictions']]
    assert shapes == [(30, 8, 12)] * 2 + [(15, 8, 12)]
    seen = out['predictions'][0].attention[0] > 0
    assert seen[5:7, 1:3].all() and seen.sum() == 4
    names = {p.name for p in tmp_path.iterdir()}
    assert {'frames_0_0_attention.png', 'frames_1_attention.png'} <= names
    entry = json.loads((tmp_path / 'tubes.json').read_text())['frames_0_0']
    assert np.shape(entry['attention']) == (30, 8, 12)
    assert 'attention' not in inferencer(
        frames, RED)['predictions'][0].to_dict()


def test_written_files(inferencer, video, tmp_path):
    folder = tmp_path / 'new' / 'out'
    out = inferencer(video, [RED, GREEN], out_dir=folder)
    names = sorted(p.name for p in folder.iterdir())
    assert names == [
        'squares.mp4', 'squares_0_timeline.png', 'squares_1_timeline.png',
        'squares_sheet.png', 'tubes.json'
    ]
    assert sorted(out['files']) == sorted(str(folder / n) for n in names)
    with av.open(str(folder / 'squares.mp4')) as container:
        assert container.streams.video[0].codec_context.pix_fmt == 'yuv420p'
        assert sum(1 for _ in container.decode(video=0)) == 30
    tubes = load_tubes(folder / 'tubes.json')
    for result in out['predictions']:
        tube = tubes[result.sample_id]
        assert tube.span == result.span
        assert np.allclose(tube.boxes, result.boxes)
    entry = json.loads((folder / 'tubes.json').read_text())['squares_0']
    assert entry['sentence'] == RED
    assert entry['span_seconds'] == [1.0, 2.0]
    assert len(entry['start']) == len(entry['sampled_frames']) == 30
    Image.open(folder / 'squares_sheet.png').verify()


def test_pictures_only_when_asked(inferencer, frames, tmp_path):
    out = inferencer(frames, RED, return_vis=True)
    pictures, = out['visualization']
    assert sorted(pictures) == ['frames_0_timeline', 'sheet']
    out = inferencer(frames, RED, out_dir=tmp_path / 'o', no_save_vis=True)
    assert [p.name for p in (tmp_path / 'o').iterdir()] == ['tubes.json']


def test_what_is_not_in_the_video_has_no_box(inferencer, frames):
    plain = inferencer(frames, 'the blue square', return_vis=True,
                       pred_score_thr=0.5)
    assert [r.found for r in plain['predictions']] == [False]
    drawn = inferencer(frames, 'the blue square', return_vis=True)
    assert [r.found for r in drawn['predictions']] == [True]
    orange = np.array(PALETTE[0])  # of the box, the caption and the bars

    def is_drawn(out):
        sheet = out['visualization'][0]['sheet']
        return (sheet == orange).all(-1).any()

    assert is_drawn(drawn) and not is_drawn(plain)


def test_data_samples_on_request(inferencer, frames):
    sample, = inferencer(frames, RED, return_datasamples=True)['predictions']
    assert sample.pred_tube.span == (10, 20)
    assert sample.sentence == RED


# ------------------------------------------------------------------- errors
@pytest.mark.parametrize('sentence', ['', '   ', '\n'])
def test_an_empty_sentence_is_refused_before_anything_runs(
        inferencer, frames, sentence):
    with pytest.raises(ValueError, match='sentence 1 is empty'):
        inferencer(frames, [RED, sentence])
    assert inferencer.model.batches == []


def test_missing_video_and_empty_folder(inferencer, tmp_path):
    with pytest.raises(FileNotFoundError, match='no video file or folder'):
        inferencer(tmp_path / 'none.mp4', RED)
    with pytest.raises(FileNotFoundError, match='holds no video'):
        inferencer(tmp_path, RED)


def test_no_video_is_written_over(inferencer, video, tmp_path):
    path = tmp_path / 'street.mp4'
    path.write_bytes(video.read_bytes())
    with pytest.raises(ValueError, match='street.mp4 is one of the videos'):
        inferencer(path, RED, out_dir=tmp_path)
    assert inferencer.model.batches == []
    assert path.read_bytes() == video.read_bytes()
    inferencer(path, RED, out_dir=tmp_path / 'new' / 'folder')
    with pytest.raises(NotADirectoryError, match='is a file'):
        inferencer(path, RED, out_dir=path)


@pytest.mark.parametrize('content', [b'', b'this is a text file\n' * 100])
def test_a_file_that_is_no_video(inferencer, tmp_path, content):
    path = tmp_path / 'fake.mp4'
    path.write_bytes(content)
    with pytest.raises(VideoReadError, match='fake.mp4'):
        inferencer(path, RED)


def test_truncated_video(inferencer, test_data):
    with pytest.raises(VideoReadError, match='decord_corrupted'):
        inferencer(test_data / 'odd' / 'decord_corrupted.mp4', RED)


def test_an_absurd_sentence_is_answered(inferencer, frames):
    result, = inferencer(frames, '😀' * 10000)['predictions']
    assert len(result.sentence) == 10000


def test_sampling_by_rate_needs_a_rate(write_model, frames):
    inferencer = STVGInferencer(
        *write_model("mode='fps', fps=5"), 'cpu', show_progress=False)
    with pytest.raises(ValueError, match='give fps='):
        inferencer(frames, RED)
    result, = inferencer(frames, RED, fps=10)['predictions']
    assert len(result.frame_ids) == 15


def test_bad_arguments(inferencer, frames):
    with pytest.raises(TypeError):
        inferencer(frames, RED, score_threshold=0.1)
    for options, error in (
            (dict(batch_size=0), 'batch_size must be at least 1, not 0'),
            (dict(fps=0), 'fps must be positive'),
            (dict(fps=float('nan')), 'fps must be positive, not nan'),
            (dict(fps='25'), r"fps is a number, not '25' \(str\)"),
            (dict(fps=True), 'fps is a number, not True'),
            (dict(batch_size=2.5), 'batch_size is a whole number, not 2.5'),
            (dict(pred_score_thr=2), 'must be at least 0 and at most 1, not'),
            (dict(pred_score_thr='0.5'), "pred_score_thr is a number, not '"),
            (dict(wait_time=-1), 'wait_time must be at least 0, not -1'),
            (dict(out_dir=b'out'), 'out_dir is a path .* os.fsdecode'),
            (dict(out_dir=None), 'out_dir is a path .*, not NoneType'),
            (dict(out_dir='a\0b'), 'is no name of a file')):
        with pytest.raises((TypeError, ValueError), match=error):
            inferencer(frames, RED, **options)
    assert inferencer.model.batches == []


@pytest.mark.parametrize('video, error', [
    (b'a.mp4', 'a video is a path .* not bytes'), ('a\0.mp4', 'no name of a'),
    ([b'a.mp4', 'b.mp4'], 'not bytes'), (3, 'not int'), ('', 'no name of a')])
def test_bad_videos(inferencer, video, error):
    with pytest.raises((TypeError, ValueError), match=error):
        inferencer(video, RED)


@pytest.mark.parametrize('sentences, error', [
    (b'red', 'not a bytes'), ([b'red'], 'sentence 0 is a bytes'),
    ('caf\udce9', 'sentence 0 is no text'), (['a', '\ud83d'], 'sentence 1 is')
])
def test_bad_sentences(inferencer, frames, sentences, error):
    with pytest.raises((TypeError, ValueError), match=error):
        inferencer(frames, sentences)
    assert inferencer.model.batches == []


@pytest.mark.parametrize('model, weights, error', [
    (5, None, 'model is a path'), (b'a.py', None, 'model is a path'),
    (None, b'a.pth', 'weights is a path'), ('colours.py', 7, 'weights is a')])
def test_wrong_types_of_model_and_weights(model, weights, error):
    with pytest.raises(TypeError, match=error):
        STVGInferencer(model, weights)


@pytest.mark.parametrize('text', ['model = dict(', "raise KeyError('x')",
                                  'model = 1 / 0', "_base_ = 'none.py'"])
def test_a_config_that_is_none(write_model, text):
    config, weights = write_model()
    config.write_text(text)
    with pytest.raises(ValueError, match='colours.py cannot be read as a con'):
        STVGInferencer(config, weights)


@pytest.mark.parametrize('make', [
    lambda d: (d / 'tubes.json').mkdir(parents=True),
    lambda d: (d / 'frames_0.mp4').mkdir(parents=True),
    lambda d: (d / 'frames_0_sheet.png').mkdir(parents=True),
    lambda d: d.write_text('a file'),
    lambda d: d.parent.rmdir() or d.parent.write_text('a file')])
def test_what_is_in_the_way_of_results_is_told_first(
        inferencer, frames, tmp_path, make):
    folder = tmp_path / 'a' / 'out'
    folder.parent.mkdir()
    make(folder)
    with pytest.raises(OSError, match='out_dir'):
        inferencer(frames, RED, out_dir=folder)
    assert inferencer.model.batches == []


def test_names_that_are_not_utf8(inferencer, video, tmp_path):
    strange = os.fsdecode(os.fsencode(tmp_path) + b'/caf\xe9')
    os.mkdir(strange)
    copied = os.path.join(strange, os.fsdecode(b'b\xff.mp4'))
    shutil.copy(video, copied)
    out = inferencer([video, copied], RED, out_dir=os.path.join(
        strange, os.fsdecode(b'out\xfe')))
    assert all(os.path.isfile(path) for path in out['files'])
    with open(out['files'][-1], encoding='utf-8') as f:
        assert json.load(f)['b_']['video'] == copied


def test_spoilt_results_leave_the_old_ones(inferencer, frames, tmp_path,
                                           monkeypatch):
    inferencer(frames, RED, out_dir=tmp_path, no_save_vis=True)
    before = (tmp_path / 'tubes.json').read_bytes()
    with monkeypatch.context() as m:
        m.setattr(os, 'replace', lambda *a: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            inferencer(frames, GREEN, out_dir=tmp_path, no_save_vis=True)
    assert (tmp_path / 'tubes.json').read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'colours.pth', 'colours.py', 'tubes.json'
    ]


@pytest.mark.parametrize('wrap', [
    lambda s: {f'module.{k}': v for k, v in s.items()},
    lambda s: dict(model={f'_orig_mod.{k}': v for k, v in s.items()}),
    lambda s: dict(model_ema=s, model=None)])
def test_checkpoints_of_wrapped_models(write_model, frames, wrap):
    config, weights = write_model()
    state = torch.load(weights)['state_dict']
    torch.save(wrap(state), weights)
    inferencer = STVGInferencer(config, weights, show_progress=False)
    check_red(inferencer(frames, RED)['predictions'][0])


def test_weights_that_are_not_finite(write_model):
    config, weights = write_model()
    state = torch.load(weights)['state_dict']
    torch.save(dict(state_dict={k: v * float('nan') for k, v in state.items()}
                    ), weights)
    with pytest.raises(ValueError, match='colours.pth: 1 of 1 tensors hold'):
        STVGInferencer(config, weights)


# ------------------------------------------------------------------- set-up
def test_checkpoint_alone_is_enough(write_model, frames):
    _, weights = write_model()
    inferencer = STVGInferencer(weights=weights, show_progress=False)
    check_red(inferencer(frames, RED)['predictions'][0])


def test_config_object_is_not_changed(write_model, frames):
    config, weights = write_model()
    cfg = Config.fromfile(str(config))
    before = cfg.pretty_text
    STVGInferencer(cfg, weights, show_progress=False)(frames, RED)
    assert cfg.pretty_text == before


def test_missing_config_weights_and_names(write_model, tmp_path):
    config, weights = write_model()
    with pytest.raises(FileNotFoundError, match='no config file'):
        STVGInferencer('missing.py', weights)
    with pytest.raises(FileNotFoundError, match='there is no checkpoint'):
        STVGInferencer(config, tmp_path / 'missing.pth')
    with pytest.raises(ValueError, match='no weights: this installation'):
        STVGInferencer(config)
    with pytest.raises(ValueError, match='weights must be specified'):
        STVGInferencer()


def test_weights_of_another_model(write_model, tmp_path):
    config, _ = write_model()
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict=dict(weight=torch.zeros(3))), path)
    with pytest.raises(ValueError, match='checkpoint of another model'):
        STVGInferencer(config, path)
    with pytest.raises(ValueError, match='holds no config'):
        STVGInferencer(weights=path)


def test_frames_are_not_looked_for_in_a_cache(write_model, frames, tmp_path):
    config, weights = write_model()
    cfg = Config.fromfile(str(config))
    cfg.test_dataloader.dataset.pipeline[1].cache_root = str(tmp_path)
    inferencer = STVGInferencer(cfg, weights, show_progress=False)
    check_red(inferencer(frames, RED)['predictions'][0])


@pytest.mark.parametrize('device', ['gpu', 'cuda:99', ''])
def test_device_that_is_not_there(device):
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used"):
        STVGInferencer('costa-tiny-synthetic', device=device)


def test_other_projects_scopes_do_not_matter(write_model, frames):
    config, weights = write_model()
    with DefaultScope.overwrite_default_scope('mmdet'):
        inferencer = STVGInferencer(config, weights, show_progress=False)
        check_red(inferencer(frames, RED)['predictions'][0])


def test_it_is_built_by_name_from_elsewhere(write_model):
    config, weights = write_model()
    inferencer = MMENGINE_INFERENCERS.build(
        dict(type='costa_mm.STVGInferencer', model=str(config),
             weights=str(weights), show_progress=False))
    assert isinstance(inferencer, STVGInferencer)


def test_progress_bar_on_request(write_model, frames, capfd):
    inferencer = STVGInferencer(*write_model(), 'cpu')
    inferencer(frames, [RED, GREEN])
    assert '2/2' in capfd.readouterr().err


def test_a_named_model_brings_its_weights(write_model, frames, tmp_path,
                                          monkeypatch):
    root = tmp_path / 'zoo'
    config, weights = write_model()
    for name, path in (('configs', config), ('checkpoints', weights)):
        (root / name).mkdir(parents=True)
        path.rename(root / name / path.name)
    (root / 'model-index.yml').write_text('Import: [configs/metafile.yml]\n')
    metafile = ('Models:\n  - {Name: colours, Config: configs/colours.py, '
                'Weights: checkpoints/colours.pth}\n')
    (root / 'configs' / 'metafile.yml').write_text(metafile)
    monkeypatch.setattr(zoo, 'zoo_root', lambda: str(root))
    inferencer = STVGInferencer('colours', show_progress=False)
    check_red(inferencer(frames, RED)['predictions'][0])
    with pytest.raises(ValueError, match='there are, with weights: colours;'):
        STVGInferencer('shapes')
    (root / 'checkpoints' / 'colours.pth').unlink()
    with pytest.raises(ValueError, match=r'that has some \(none\)'):
        STVGInferencer('colours')


# -------------------------------------------------------------- calibration
def calibrate(weights, **kwargs):
    """Writes a calibration beside weights: wide boxes are found."""
    state = torch.load(weights)['state_dict']
    calibration = Calibration(
        features=('span_log_prob', ), mean=(0., ), scale=(1., ),
        weights=(2., ), bias=1., threshold=0.5,
        **dict(dict(weights_digest=weights_digest(state)), **kwargs))
    path = weights.with_name('colours.calibration.json')
    calibration.dump(path)
    return path


def test_the_calibration_beside_the_weights_is_used(write_model, frames):
    config, weights = write_model()
    calibrate(weights)
    inferencer = STVGInferencer(config, weights, show_progress=False)
    red, blue = inferencer(frames, [RED, 'the blue one'])['predictions']
    assert red.calibrated and red.found and not blue.found
    logit = 2 * np.log(0.9) + 1
    assert red.confidence == pytest.approx(1 / (1 + np.exp(-logit)))
    assert red.span_score == 0.9 and red.threshold == 0.5
    asked, = inferencer(frames, RED, pred_score_thr=0.99)['predictions']
    assert not asked.found and asked.threshold == 0.99
    entry = json.loads(json.dumps(red.to_dict()))
    assert entry['calibrated'] is True and entry['found'] is True


@pytest.mark.parametrize('width, inside', [(96, True), (640, False)])
def test_outside_of_its_domain_nothing_is_calibrated(write_model, frames,
                                                     width, inside):
    config, weights = write_model()
    calibrate(weights, domain=dict(name='toys', width=[width, width],
                                   height=[64, 64]))
    inferencer = STVGInferencer(config, weights, show_progress=False)
    blue, = inferencer(frames, 'the blue one')['predictions']
    assert blue.calibrated == inside
    assert blue.found != inside  # there is no threshold for other videos
    assert inside or blue.confidence == blue.span_score


def test_calibrations_of_other_weights_are_refused(write_model, frames):
    config, weights = write_model()
    path = calibrate(weights, weights_digest='0' * 16)
    with pytest.raises(ValueError, match='fit it again'):
        STVGInferencer(config, weights)
    # One that is asked for by its name is the user's own affair.
    inferencer = STVGInferencer(config, weights, calibration=path,
                                show_progress=False)
    assert inferencer(frames, RED)['predictions'][0].calibrated
    calibrate(weights, weights_digest=None)
    assert STVGInferencer(config, weights).calibration.bias == 1.
    with pytest.raises(FileNotFoundError, match='no calibration'):
        STVGInferencer(config, weights, calibration='none.json')

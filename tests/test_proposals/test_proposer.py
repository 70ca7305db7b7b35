# Copyright (c) costa_mm authors. All rights reserved.
"""From detections to proposals in a file, and on to the batch."""
import json
import runpy
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch

from costa_mm.apis.jobs import read_list
from costa_mm.datasets import (FlipWithText, LoadTubeProposals, PackSTVGInputs,
                               RandomSizeCrop, ResizeClip)
from costa_mm.models.data_preprocessors import STVGDataPreprocessor
from costa_mm.proposals import GivenDetections, TubeProposer
from costa_mm.proposals.linking import Detections
from costa_mm.structures import (OtherVideoError, TubeProposals,
                                 load_proposals, proposal_path)
from costa_mm.visualization import write_video
from tests.test_weights.server import FileServer

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'propose_tubes.py'


def tubes(**kwargs):
    boxes = np.zeros((2, 3, 4), np.float32)
    boxes[0] = [[0, 0, 10, 10], [0, 0, 0, 0], [20, 0, 30, 10]]
    boxes[1, 1] = [40, 20, 50, 30]
    scores = np.array([[.5, 0, 1.], [0, .8, 0]], np.float32)
    return TubeProposals(**dict(
        frame_ids=np.array([0, 4, 8]), boxes=boxes, scores=scores,
        labels=('dog', 'a man'), size=(96, 64), num_frames=12, source='x',
        **kwargs))


def test_boxes_between_detections():
    boxes, scores = tubes().at(np.array([0, 2, 4, 8, 9]))
    assert boxes[0, :4, 0].tolist() == [0, 5, 10, 20]
    np.testing.assert_allclose(scores[0], [.5, .625, .75, 1, 0])
    assert boxes[1, 2].tolist() == [40, 20, 50, 30]
    assert scores[1].tolist() == [0, 0, np.float32(.8), 0, 0]


def test_file_there_and_back(tmp_path):
    path = proposal_path(str(tmp_path), 'a/b/clip.x.mp4')
    assert path == str(tmp_path / 'clip.x.tubes.npz')
    tubes().save(path)
    found = load_proposals(path)
    assert found.labels == ('dog', 'a man') and found.size == (96, 64)
    assert np.array_equal(found.boxes, tubes().boxes)
    with pytest.raises(FileNotFoundError, match='propose_tubes.py'):
        load_proposals(tmp_path / 'none.tubes.npz')
    (tmp_path / 'bad.tubes.npz').write_bytes(b'PK\x03\x04 no')
    with pytest.raises(ValueError, match='bad.tubes.npz is no file'):
        load_proposals(tmp_path / 'bad.tubes.npz')
    with pytest.raises(ValueError, match='not of P tubes'):
        TubeProposals(np.arange(2), np.zeros((1, 3, 4)), np.zeros((1, 3)),
                      ('a', ), (4, 4), 3)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp('v') / 'clip.mp4'
    write_video(path, np.zeros((24, 64, 96, 3), np.uint8), 8)
    return str(path)


@pytest.fixture
def detections(tmp_path):
    path = tmp_path / 'det.json'
    path.write_text(json.dumps({'clip.mp4': {
        str(t): [[t, 0, t + 20, 20, 17, .9], [60, 40, 90, 60, 'cup', .4]]
        for t in range(0, 24, 4)}}))
    return str(path)


def test_tool(video, detections, tmp_path, capsys):
    main = runpy.run_path(str(TOOL))['main']
    out = tmp_path / 'out'
    words = [video, '--detections', detections, '--out-dir', str(out)]
    assert main(words) == 0
    found = load_proposals(out / 'clip.tubes.npz')
    # COCO's category 18 is a dog
    assert found.labels == ('dog', 'cup') and found.size == (96, 64)
    assert found.boxes[0, 1].tolist() == [4, 0, 24, 20]
    assert main(words) == 0
    assert '1 of 1 videos have proposals, 0 of them new' in \
        capsys.readouterr().out
    other = tmp_path / 'other.mp4'
    write_video(other, np.zeros((8, 64, 96, 3), np.uint8), 8)
    assert main([str(other), *words]) == 1
    assert 'names no video other.mp4' in capsys.readouterr().err
    assert main([*words[:1], '--transformers', 'no/such-model', '--out-dir',
                 str(out)]) == 1
    assert 'no/such-model' in capsys.readouterr().err


@pytest.fixture
def twins(tmp_path):
    """Two videos of one name, and a detector's boxes for the name."""
    paths = []
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / 'clip.mp4')
        write_video(paths[-1], np.full(
            (24, 64, 96, 3), 99 * len(paths), np.uint8), 8)
    return [str(path) for path in paths]


def made(words, capsys):
    """What a call of the tool says of files that were there."""
    assert runpy.run_path(str(TOOL))['main'](words) == 0
    lines = capsys.readouterr().out.splitlines()
    return [line.split(' anew: ')[1] for line in lines if ' anew: ' in line]


def test_a_file_of_another_video_is_made_anew_and_never_loaded(
        twins, detections, tmp_path, capsys):
    out = str(tmp_path / 'out')
    words = ['--detections', detections, '--out-dir', out]
    assert made([twins[0], *words], capsys) == []
    load = LoadTubeProposals(root=out)
    found = dict(num_frames=24)
    assert load(dict(sample(twins[0]), **found))['tube_labels'] == (
        'dog', 'cup')
    with pytest.raises(OtherVideoError, match='another video than .*b/clip'):
        load(dict(sample(twins[1]), **found))
    both = LoadTubeProposals(root=out, proposer=dict(
        type='TubeProposer', detector=dict(
            type='GivenDetections', path=detections,
            classes=[f'c{i}' for i in range(20)])))
    labels = [both(dict(sample(twin), **found))['tube_labels'][0]
              for twin in twins]
    assert labels == ['dog', 'c17']  # from the file, and proposed
    assert made([twins[1], *words], capsys) == ['it was of another video']
    assert made([twins[1], *words], capsys) == []
    load(dict(sample(twins[1]), **found))
    with pytest.raises(OtherVideoError):
        load(dict(sample(twins[0]), **found))


def test_two_videos_of_a_call_with_one_file_are_an_error(
        twins, detections, tmp_path, capsys):
    main = runpy.run_path(str(TOOL))['main']
    out = tmp_path / 'out'
    words = ['--detections', detections, '--out-dir', str(out)]
    other = Path(twins[0]).with_suffix('.avi')
    other.write_bytes(Path(twins[0]).read_bytes())
    folders = [str(tmp_path / name) for name in 'ab']
    for pair in (twins, [twins[0], str(other)], folders):
        assert main([*pair, *words]) == 1
        assert 'both have the file clip.tubes.npz' in capsys.readouterr().err
    assert not out.exists()
    assert main([twins[0], twins[0], f'{tmp_path}/b/../a/clip.mp4',
                 *words]) == 0
    assert '1 of 1 videos' in capsys.readouterr().out


@pytest.mark.parametrize('change, reason', [
    (['--max-tubes', '1'], 'settings: max_tubes'),
    (['--max-gap', '3'], 'settings: max_gap'),
    (['--fps', '2'], 'settings: fps'), (['--classes', 'x'], 'detector'),
    ([], 'detector'), (None, ''), (['--workers', '2'], '')])
def test_other_settings_make_files_anew(change, reason, video, detections,
                                        tmp_path, capsys):
    words = [video, '--out-dir', str(tmp_path / 'out'), '--detections',
             detections]
    if change and change[0] == '--classes':
        change = ['--classes', *(f'c{i}' for i in range(20))]
    assert made(words, capsys) == []
    if change == []:  # other boxes in the same file
        text = Path(detections).read_text()
        Path(detections).write_text(text.replace('0.4', '0.5'))
    elif change is None:  # the same boxes in another file
        copy = tmp_path / 'copy.json'
        copy.write_text(Path(detections).read_text())
        words[-1] = str(copy)
    said = made([*words, *(change or [])], capsys)
    assert len(said) == bool(reason) and all(reason in s for s in said)


def test_files_of_other_makers_stay(twins, detections, tmp_path, capsys):
    words = [twins[0], '--out-dir', str(tmp_path), '--detections', detections]
    path = proposal_path(str(tmp_path), twins[0])
    tubes().save(path)
    with np.load(path) as file:  # as it was before files said these
        old = {k: file[k] for k in file.files if k not in ('video', 'recipe')}
    np.savez_compressed(path, **old)
    assert made(words, capsys) == []
    assert load_proposals(path, twins[1]).labels == ('dog', 'a man')
    assert len(made([*words[:-1], words[-1], '--overwrite'], capsys)) == 0
    assert load_proposals(path).labels == ('dog', 'cup')
    Path(path).write_bytes(b'PK half')
    said, = made(words, capsys)
    assert 'is no file of tube proposals' in said


class WordDetector(GivenDetections):
    """Finds what it is asked for, everywhere."""
    reads_words = True

    def __init__(self):
        pass

    def frames_of(self, video):
        return np.arange(0, 24, 8)

    def recipe_of(self, video):
        return None

    def detect(self, frames, ids, video, phrases=()):
        boxes = np.array([[9 * i, 0, 9 * i + 9, 9]
                          for i in range(len(phrases))], np.float32)
        scores = np.full(len(phrases), .9, np.float32)
        return [Detections(boxes, scores, tuple(phrases)) for _ in ids]


def test_lines_of_one_video_are_proposed_together(twins, tmp_path, capsys):
    tool = runpy.run_path(str(TOOL))
    path, out = tmp_path / 'list.jsonl', str(tmp_path / 'out')
    lines = [dict(video='a/clip.mp4', sentence='the dog runs'),
             dict(video=twins[0], sentences=['the cup falls', 'a dog']),
             dict(video='a/../a/clip.mp4', sentence='the tree')]
    path.write_text('\n'.join(map(json.dumps, lines)))
    requests = tool['merge'](read_list(path))
    assert [r.sentences for r in requests] == [
        ('the dog runs', 'the cup falls', 'a dog', 'the tree')]
    proposer = TubeProposer(WordDetector())
    assert tool['propose'](requests[0], proposer, out) == ''
    file = proposal_path(out, twins[0])
    assert set(load_proposals(file).labels) == {'dog', 'cup', 'tree'}
    reason = tool['reason_to_propose']
    assert reason(requests[0], proposer, file) == ''
    asked = replace(requests[0], sentences=('a dog', ))
    assert reason(asked, proposer, file).endswith('settings: phrases')
    other_order = replace(asked, sentences=('a tree', 'a cup', 'a dog'))
    assert reason(other_order, proposer, file) == ''


def test_models_count_by_their_content(tmp_path):
    model = tmp_path / 'model'
    model.mkdir()
    (model / 'weights').write_bytes(b'1' * 200000)
    texts = []
    for step in range(4):
        if step == 2:
            (model / 'weights').write_bytes(b'2' * 200000)
        proposer = TubeProposer(WordDetector())
        proposer._config = dict(
            type='X', device=f'cuda:{step}', score_thr=.3 + (step == 3),
            model_name=str(model), hub='org/name')
        texts.append(proposer.recipe('a.mp4', ['the dog']))
    assert texts[0] == texts[1] and len(set(texts)) == 3
    assert 'org/name' in texts[0]


def test_videos_at_addresses(video, detections, tmp_path, capsys,
                             monkeypatch):
    monkeypatch.setenv('COSTA_MM_HOME', str(tmp_path / 'home'))
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', False)
    main = runpy.run_path(str(TOOL))['main']
    data = Path(video).read_bytes()
    with closing(FileServer({'/clip.mp4': data})) as server:
        path, out = tmp_path / 'list.jsonl', tmp_path / 'out'
        urls = [f'{server.url}/{name}.mp4' for name in ('clip', 'none')]
        path.write_text('\n'.join(
            json.dumps(dict(video=url, sentence='a dog')) for url in urls))
        words = ['--detections', detections, '--out-dir', str(out)]
        assert main(['--list', str(path), *words]) == 1
        shown = capsys.readouterr()
        assert urls[1] in shown.err and '1 of 2 videos have' in shown.out
        assert main([urls[0], *words]) == 0  # found, and not proposed again
        assert '0 of them new' in capsys.readouterr().out
        assert load_proposals(out / 'clip.tubes.npz').labels == ('dog', 'cup')
        assert server.fetched('/clip.mp4') == 1


def test_bad_detections(tmp_path):
    path = tmp_path / 'd.json'
    path.write_text('{"a.mp4": {"3": [[1, 2, 3]]}}')
    with pytest.raises(ValueError, match='a.mp4, frame 3'):
        GivenDetections(str(path))
    path.write_text('{"a.mp4": {"3": [[1, 2, 3, 4, 5, 0.5]]}}')
    with pytest.raises(ValueError, match='numbers of classes'):
        GivenDetections(str(path))


def sample(video, ids=(0, 4, 6, 8)):
    imgs = np.arange(len(ids) * 64 * 96 * 3, dtype=np.uint32) % 251
    return dict(
        sample_id='s', video_path=video, video_id='clip', num_frames=12,
        sentence='the dog', frame_ids=np.array(ids), img_shape=(64, 96),
        ori_shape=(64, 96), imgs=imgs.astype(np.uint8).reshape(-1, 64, 96, 3),
        rng=np.random.default_rng(0))


def test_proposals_follow_the_frames(video, tmp_path):
    tubes().save(proposal_path(str(tmp_path), video))
    load = LoadTubeProposals(root=str(tmp_path))
    results = load(sample(video))
    assert results['tubes'].shape == (4, 2, 4)
    assert results['tubes'][2, 0].tolist() == [15, 0, 25, 10]
    assert results['tube_labels'] == ('dog', 'a man')
    FlipWithText.flip(results)
    assert results['tubes'][2, 0].tolist() == [71, 0, 81, 10]
    assert not results['tubes'][2, 1].any()  # it is not there
    results = ResizeClip(scale=(192, 64))(results)
    assert results['tubes'][2, 0].tolist() == [142, 0, 162, 10]
    cropped = RandomSizeCrop(min_size=40, max_size=40)(dict(results))
    height, width = cropped['img_shape']
    assert (height, width) == (40, 40)
    assert (cropped['tubes'] <= 40).all() and (cropped['tubes'] >= 0).all()
    first = LoadTubeProposals(root=str(tmp_path), max_tubes=1)(sample(video))
    assert first['tubes'].shape == (4, 1, 4)
    wrong = dict(sample(video), img_shape=(96, 64))
    with pytest.raises(ValueError, match='96 x 64 pixels, and it has 64 x 96'):
        load(wrong)
    with pytest.raises(ValueError, match='of 12 frames, and it has 16'):
        load(dict(sample(video), num_frames=16))


def test_proposals_reach_the_batch(video, tmp_path):
    tubes().save(proposal_path(str(tmp_path), video))
    pack = PackSTVGInputs(video_keys=('tubes', 'tube_scores'))
    packed = [
        pack(LoadTubeProposals(root=str(tmp_path), max_tubes=n)(sample(
            video, ids))) for n, ids in ((2, (0, 4, 6, 8)), (1, (4, 8)))
    ]
    batch = STVGDataPreprocessor()(dict(
        inputs=[p['inputs'] for p in packed],
        data_samples=[p['data_samples'] for p in packed]))['inputs']
    assert batch.extras['tubes'].shape == (2, 4, 2, 4)
    assert batch.extras['tubes'][1, 1, 0].tolist() == [20, 0, 30, 10]
    assert not batch.extras['tube_scores'][1, 2:].any()  # padded frames
    assert not batch.extras['tube_scores'][1, :, 1].any()  # padded tubes
    with pytest.raises(KeyError, match='video_keys'):
        pack(sample(video))


def test_a_proposer_in_the_pipeline(video, detections, tmp_path):
    load = LoadTubeProposals(proposer=dict(
        type='TubeProposer', detector=dict(
            type='GivenDetections', path=detections,
            classes=[str(i) for i in range(20)])))
    found = load(dict(sample(video), num_frames=24))
    assert found['tube_labels'] == ('17', 'cup')
    with pytest.raises(ValueError, match='give root'):
        LoadTubeProposals()


# ------------------------------------------------- detectors of transformers
def detr(folder):
    """A tiny DETR with random weights, as its authors save it."""
    from transformers import (DetrConfig, DetrForObjectDetection,
                              DetrImageProcessor)
    torch.manual_seed(0)
    config = DetrConfig(
        d_model=16, encoder_layers=1, decoder_layers=1, num_queries=5,
        encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16,
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None,
        backbone_config=dict(model_type='resnet', embedding_size=8,
                             hidden_sizes=[8, 8], depths=[1, 1],
                             out_features=['stage2']),
        id2label={0: 'dog', 1: 'cup'}, label2id=dict(dog=0, cup=1))
    DetrForObjectDetection(config).save_pretrained(folder)
    DetrImageProcessor(size=dict(height=64, width=64)).save_pretrained(folder)
    return str(folder)


def test_a_detector_of_transformers_through_the_chain(video, tmp_path):
    proposer = TubeProposer(
        dict(type='TransformersFrameDetector',
             model_name=detr(tmp_path / 'detr'), score_thr=0.), max_tubes=3)
    assert not proposer.detector.reads_words
    found = proposer.propose(video)
    assert 0 < len(found) <= 3 and set(found.labels) <= {'dog', 'cup'}
    assert found.frame_ids[-1] == 23
    assert (found.boxes[..., 2] <= 97).all()


def test_detectors_of_words_want_words(video, monkeypatch, detections):
    detector = GivenDetections(detections, [str(i) for i in range(20)])
    detector.reads_words = True
    with pytest.raises(ValueError, match='looks for the words'):
        TubeProposer(detector).propose(video)
    assert TubeProposer(detector)._phrases(video, ['The man in red walks.',
                                                   'the man sits']) == ['man']

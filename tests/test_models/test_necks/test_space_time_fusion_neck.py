# Copyright (c) costa_mm authors. All rights reserved.
import pytest
import torch
from tiny_model import BASE, C, build, neck_cfg
from torch.testing import assert_close

from costa_mm.models.layers import grid_sine_embedding, time_sine_embedding
from costa_mm.structures import TextFeatures, VisualFeatures


def inputs(durations=(4, 3)):
    """2 videos of 4 frames, 2 x 3 cells, 5 words; video 1 is padded."""
    torch.manual_seed(0)
    frame_mask = torch.arange(4) >= torch.tensor(durations)[:, None]
    cell_mask = torch.zeros(2, 2, 3, dtype=torch.bool)
    cell_mask[1, :, 2] = True
    text_mask = torch.zeros(2, 5, dtype=torch.bool)
    text_mask[1, 4] = True
    visual = VisualFeatures(
        torch.randn(2, 4, 8 * BASE, 2, 3), frame_mask, cell_mask)
    return visual, TextFeatures(torch.randn(2, 5, C), text_mask)


def test_shapes_and_masks():
    visual, text = inputs()
    out = build(neck_cfg())(visual, text)
    assert out.memory.shape == (2, 4, 2 * 3 + 5, C)
    assert out.cls.shape == (2, 4, C) and out.pos.shape == (2, 11, C)
    assert out.mask[0].int().tolist() == [0] * 11
    assert out.mask[1].int().tolist() == [0, 0, 1] * 2 + [0] * 4 + [1]
    assert out.frame_mask is visual.frame_mask


def test_tokens_are_cls_cells_words():
    neck, (visual, text) = build(neck_cfg()), inputs()
    tokens, pos, mask = neck.pre_fusion(visual, text)
    assert_close(tokens[1, 2, 0], neck.cls_token)
    cells = neck.input_proj(visual.features[1, 2][None])[0]
    assert_close(tokens[1, 2, 1:7], cells.flatten(1).T)  # row by row
    assert_close(tokens[1, 2, 7:], text.tokens[1])  # the same in every frame
    assert_close(pos[1, 0], neck.cls_pos)
    grid = grid_sine_embedding(visual.cell_mask, C)
    assert_close(pos[1, 1:7], grid[1].flatten(0, 1))
    assert (pos[:, 7:] == 0).all()
    assert not mask[:, 0].any()


def test_one_round_is_a_spatial_and_a_temporal_layer():
    neck, (visual, text) = build(neck_cfg(num_layers=1)), inputs((4, 4))
    tokens, pos, mask = neck.pre_fusion(visual, text)
    out = neck(visual, text)
    spatial = torch.stack([
        neck.spatial_layers[0](tokens[:, t], pos, mask) for t in range(4)
    ], 1)
    assert_close(out.memory, spatial[:, :, 1:])
    cls = neck.temporal_layers[0](spatial[:, :, 0], time_sine_embedding(4, C),
                                  visual.frame_mask)
    assert_close(out.cls, cls)


@pytest.mark.parametrize('temporal_layers', [True, False])
def test_frames_meet_in_the_temporal_layers_only(temporal_layers):
    neck = build(neck_cfg(temporal_layers=temporal_layers))
    visual, text = inputs((4, 4))
    before = neck(visual, text)
    features = visual.features.clone()
    features[0, 0] += 1
    after = neck(visual._replace(features=features), text)
    changed = (after.cls - before.cls).abs().sum(-1) > 1e-6
    expected = [True, temporal_layers, temporal_layers, temporal_layers]
    assert changed[0].tolist() == expected and not changed[1].any()
    # in the second round the memory of all frames has seen it too
    moved = (after.memory - before.memory)[0, 3].abs().max() > 1e-6
    assert moved == temporal_layers


def test_padding_changes_nothing():
    neck, (visual, text) = build(neck_cfg()), inputs()
    before = neck(visual, text)
    features, words = visual.features.clone(), text.tokens.clone()
    features[1, 3] = 40.  # a padded frame
    features[1, :, :, :, 2] = -40.  # padded cells
    words[1, 4] = 9.  # a padded word
    after = neck(
        visual._replace(features=features), text._replace(tokens=words))
    assert_close(after.cls[1, :3], before.cls[1, :3])
    valid = ~before.mask[1]
    assert_close(after.memory[1, :3, valid], before.memory[1, :3, valid])
    assert_close(after.memory[0], before.memory[0])


def test_batched_equals_single():
    neck, (visual, text) = build(neck_cfg()), inputs()
    both = neck(visual, text)
    alone = neck(
        VisualFeatures(visual.features[1:, :3, :, :, :2],
                       visual.frame_mask[1:, :3], visual.cell_mask[1:, :, :2]),
        TextFeatures(text.tokens[1:, :4], text.mask[1:, :4]))
    assert_close(both.cls[1, :3], alone.cls[0], atol=1e-5, rtol=1e-4)
    valid = ~both.mask[1]
    assert_close(
        both.memory[1, :3, valid], alone.memory[0], atol=1e-5, rtol=1e-4)


def test_recomputation_gives_the_same_gradients():
    grads = []
    for with_cp in (False, True):
        neck = build(neck_cfg(with_cp=with_cp)).train()
        out = neck(*inputs())
        (out.memory.sum() + out.cls.pow(2).sum()).backward()
        grads.append([p.grad for p in neck.parameters()])
    for one, other in zip(*grads):
        assert_close(one, other)


def test_initial_weights():
    neck = build(neck_cfg())
    neck.init_weights()
    assert neck.cls_token.std().item() == pytest.approx(0.02, rel=0.6)
    bound = (6 / (C + C))**0.5  # Xavier's; a linear layer's own is C**-0.5
    for layers in (neck.spatial_layers, neck.temporal_layers):
        weight = layers[0].self_attn.q_proj.weight
        assert C**-0.5 < weight.abs().max() <= bound


def test_positions_in_tokens():
    visual, text = inputs()
    plain = build(neck_cfg(num_layers=1))
    placed = build(neck_cfg(num_layers=1, pos_in_tokens=True))
    placed.load_state_dict(plain.state_dict())
    tokens, pos, _ = plain.pre_fusion(visual, text)
    located, _, _ = placed.pre_fusion(visual, text)
    assert_close(located[:, :, 1:], (tokens + pos[:, None])[:, :, 1:])
    rounds, _ = placed.forward_rounds(located, pos, placed.pre_fusion(
        visual, text)[2], visual.frame_mask)
    memory = placed(visual, text).memory
    # and once more after the last round; words have no place
    assert_close(memory, rounds[:, :, 1:] + pos[:, None, 1:])
    assert_close(memory[:, :, 6:], rounds[:, :, 7:])


def test_input_norm():
    visual, text = inputs()
    neck = build(neck_cfg(input_norm=True))
    neck.input_norm.reset_parameters()
    cells = neck.pre_fusion(visual, text)[0][:, :, 1:7]
    assert_close(cells.mean(-1), torch.zeros(2, 4, 6))
    assert_close(
        cells.std(-1, unbiased=False), torch.ones(2, 4, 6), atol=1e-3, rtol=0)

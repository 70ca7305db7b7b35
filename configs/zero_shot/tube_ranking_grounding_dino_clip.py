# The same with nothing prepared: Grounding DINO looks for the sentence's
# subject, CLIP compares crops and sentence over time.  Both are fetched from
# the Hugging Face hub when first asked for.
_base_ = [
    '../_base_/models/zero_shot_tube_ranking.py',
    '../_base_/datasets/proposals.py', '../_base_/default_runtime.py'
]
model = dict(
    image_text='openai/clip-vit-base-patch32',
    weights=dict(detector=1., label=0., color=0., place=0.5, image=4.))
test_pipeline = [
    dict(type='SampleFrames', mode='uniform', num_frames=32),
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    dict(
        type='LoadTubeProposals',
        proposer=dict(
            type='TubeProposer',
            detector=dict(
                type='TransformersFrameDetector',
                model_name='IDEA-Research/grounding-dino-tiny'))),
    dict(type='ResizeClip', short_side=256, max_size=512),
    dict(type='PackSTVGInputs', video_keys=('tubes', 'tube_scores')),
]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

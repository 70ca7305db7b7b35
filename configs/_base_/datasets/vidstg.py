# VidSTG: 80684 training, 8956 validation and 10303 test sentences, about half
# of them questions.  "STCAT": the published loader.
data_root = 'data/vidstg/'
# resolution 448: short sides 448 - 32 i, long side at most 720 (STCAT)
short_sides = (352, 384, 416, 448)
max_size = 720
# 64 frames at equal distances in the used segment; twice as many for the two
# test passes (STCAT)
sample_train = dict(type='SampleFrames', mode='uniform', num_frames=64)
sample_test = dict(type='SampleFrames', mode='uniform', num_frames=128)

# lower case, no punctuation, STCAT's table of misspelt words
clean = dict(
    type='CleanSentence',
    lower=True,
    strip_punctuation=True,
    corrections='vidstg')
resize = dict(type='ResizeClip', short_side=short_sides, max_size=max_size)
train_pipeline = [
    # p 0.5, before sampling (STCAT)
    dict(type='RandomTemporalCrop', prob=0.5, level='segment'),
    sample_train,
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    # p 0.5; left and right change places in the words too, as STCAT means
    dict(type='FlipWithText', prob=0.5),
    # one of two, p 0.5 each; sizes and 50 tries as STCAT has them
    dict(
        type='RandomBranch',
        branches=[
            [resize],
            [
                dict(type='ResizeClip', short_side=(400, 500, 600)),
                dict(
                    type='RandomSizeCrop',
                    min_size=384,
                    max_size=600,
                    keep='part',
                    tries=50), resize
            ],
        ]),
    clean,
    dict(type='PackSTVGInputs'),
]
test_pipeline = [
    sample_test,
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    dict(type='ResizeClip', short_side=448, max_size=max_size),
    clean,
    dict(type='PackSTVGInputs'),
]

train_dataloader = dict(
    batch_size=1,  # STCAT: one video per GPU, 8 GPUs
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(
        type='VidSTGDataset',
        data_root=data_root,
        ann_file='annotations/train_annotations.json',
        data_prefix=dict(video='videos', vidor='vidor/training'),
        pipeline=train_pipeline))

unshuffled = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='EpochSampler', shuffle=False, round_up=False))
val_dataloader = dict(
    unshuffled,
    dataset=dict(
        type='VidSTGDataset',
        data_root=data_root,
        ann_file='annotations/val_annotations.json',
        data_prefix=dict(video='videos', vidor='vidor/training'),
        pipeline=test_pipeline,
        test_mode=True))

test_dataloader = dict(
    unshuffled,
    dataset=dict(
        type='VidSTGDataset',
        data_root=data_root,
        ann_file='annotations/test_annotations.json',
        data_prefix=dict(video='videos', vidor='vidor/validation'),
        pipeline=test_pipeline,
        test_mode=True))

# the paper's definition first, the lineage's evaluator beside it
test_evaluator = dict(type='STVGMetric', protocol=['paper', 'stcat_vidstg'])
test_cfg = dict()
val_evaluator = test_evaluator
val_cfg = dict()

# Tubes ranked by the sentence, nothing trained: proposals from files that
# tools/propose_tubes.py has written, labels compared by a sentence encoder
# (requirements/text_encoder.txt).
_base_ = [
    '../_base_/models/zero_shot_tube_ranking.py',
    '../_base_/datasets/proposals.py', '../_base_/default_runtime.py'
]

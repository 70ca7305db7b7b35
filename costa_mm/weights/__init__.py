# Copyright (c) costa_mm authors. All rights reserved.
"""Pretrained and published weights, and how they become weights of ours."""

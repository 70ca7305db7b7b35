# Copyright (c) costa_mm authors. All rights reserved.
"""What a decoder does with what it reads: probes, and a study of rows."""

"""Stand-ins for two operators of torchvision that no text model uses.

Wheels of torchvision on PyPI are built for CUDA: beside a CPU build of torch their library does
not load, and then ``import torchvision`` fails because these two are not declared. Imported
before AutoGluon, which imports torchvision whatever it trains.
"""

from __future__ import annotations

import torch

VISION = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    VISION.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

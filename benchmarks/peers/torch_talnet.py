"""TALNet in PyTorch, 9,980,527 parameters with 527 classes: see `mmat.models.audio`."""

import torch
from torch import nn

from benchmarks.peers.torch_crnn import pooled
from benchmarks.peers.torch_mel import TorchLogMel

BLOCKS = ((32, (2, 2)), (64, (2, 2)), (128, (1, 2)), (256, (1, 2)), (512, (1, 2)))


class TorchTALNet(nn.Module):
    """Waveforms `(batch, samples)` to clip `(batch, classes)` and frame scores at 10 Hz."""

    def __init__(self, n_classes: int = 527):
        super().__init__()
        self.log_mel = TorchLogMel()
        blocks, channels = [], 1
        for filters, pool in BLOCKS:
            for _ in range(2):
                blocks += [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters)]
                blocks.append(nn.ReLU())
                channels = filters
            blocks.append(nn.MaxPool2d(pool))
        self.convolutions = nn.Sequential(*blocks)
        self.gru = nn.GRU(1024, 512, batch_first=True, bidirectional=True)
        self.frame = nn.Linear(1024, n_classes)

    def forward(self, waveform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            x = self.log_mel(waveform)
        x = self.convolutions(x[:, None])  # (batch, 512, 100, 2) for 10 s
        x, _ = self.gru(x.permute(0, 2, 3, 1).flatten(2))
        return pooled(self.frame(x))

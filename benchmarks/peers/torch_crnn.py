"""The authors' CRNN in PyTorch, 936,041 parameters with 17 classes: see `mmat.models.audio`."""

import torch
from torch import nn

from benchmarks.peers.torch_mel import TorchLogMel


class TorchCRNN(nn.Module):
    """Waveforms `(batch, samples)` to clip `(batch, classes)` and frame scores at 10 Hz."""

    def __init__(self, n_classes: int = 17):
        super().__init__()
        self.log_mel = TorchLogMel()
        self.register_buffer("mean", torch.zeros(64))
        self.register_buffer("deviation", torch.ones(64))
        blocks, channels = [], 1
        for filters, pool in ((32, (1, 2)), (64, (2, 2)), (128, (2, 2))):
            blocks += [nn.Conv2d(channels, filters, 5, padding=2), nn.ReLU(), nn.MaxPool2d(pool)]
            channels = filters
        self.convolutions = nn.Sequential(*blocks)
        self.gru = nn.GRU(1024, 100, batch_first=True, bidirectional=True)
        self.frame = nn.Linear(200, n_classes)

    def forward(self, waveform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            x = (self.log_mel(waveform) - self.mean) / self.deviation
        x = self.convolutions(x[:, None])  # (batch, 128, 100, 8) for 10 s
        x, _ = self.gru(x.permute(0, 2, 3, 1).flatten(2))
        return pooled(self.frame(x))


def pooled(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return clip and frame scores of frame logits, by linear softmax pooling, in float32."""
    frame = torch.sigmoid(logits.float())
    y = frame.clamp(1e-7, 1 - 1e-7)
    return (y * y).sum(dim=1) / y.sum(dim=1), frame

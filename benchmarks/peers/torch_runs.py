"""Runs of the PyTorch peers: log-mel, scores and training steps."""

from collections.abc import Callable

import torch

from benchmarks.peers.torch_crnn import TorchCRNN
from benchmarks.peers.torch_mel import TorchLogMel
from benchmarks.peers.torch_talnet import TorchTALNet
from benchmarks.waveforms import labels, waveforms

NETS = {"crnn": TorchCRNN, "talnet": TorchTALNet}


def log_mel(batch_size: int) -> Callable:
    module, x = TorchLogMel(), torch.from_numpy(waveforms(batch_size))

    def run():
        with torch.inference_mode():
            module(x)

    return run


def tagging(net: str, batch_size: int, dtype: str = "float32") -> Callable:
    model, x = _made(net), torch.from_numpy(waveforms(batch_size))
    model.eval()

    def run():
        with torch.inference_mode(), _precision(dtype):
            model(x)

    return run


def training_step(net: str, batch_size: int, dtype: str = "float32") -> Callable:
    model = _made(net)
    return learning(model, *_batch(batch_size, model.frame.out_features), dtype)


def learning(model: torch.nn.Module, x: torch.Tensor, truth: torch.Tensor, dtype: str) -> Callable:
    """Return a function that takes a step of Adam on a batch, and gives its loss."""
    optimizer = torch.optim.Adam(model.parameters(), 3e-4)

    def step() -> float:
        optimizer.zero_grad()
        with _precision(dtype):
            clip, _ = model(x)
        loss = torch.nn.functional.binary_cross_entropy(clip, truth)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def _batch(size: int, n_classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(waveforms(size)), torch.from_numpy(labels(size, n_classes))


def n_parameters(net: str) -> int:
    """Return how many numbers a net learns."""
    return sum(x.numel() for x in _made(net).parameters())


def _made(net: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return NETS[net]()


def _precision(dtype: str):
    return torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16")

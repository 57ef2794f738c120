# ruff: noqa: E402 - what is imported needs PyTorch
"""The peers in PyTorch are the same networks: weights copied, the same scores come out."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch belongs to the extra bench alone")

from benchmarks.ours.networks import made
from benchmarks.peers.torch_crnn import TorchCRNN
from benchmarks.peers.torch_mel import TorchLogMel
from benchmarks.peers.torch_runs import learning, n_parameters
from benchmarks.peers.torch_talnet import TorchTALNet
from benchmarks.waveforms import waveforms
from mmat.models.features import log_mel


def copy_weights(model, net: torch.nn.Module) -> None:
    """Give a PyTorch net the weights of the Keras model."""
    convolutions = [x for x in net.modules() if isinstance(x, torch.nn.Conv2d)]
    norms = [x for x in net.modules() if isinstance(x, torch.nn.BatchNorm2d)]
    weights = {layer.name: [x.numpy() for x in layer.weights] for layer in model.layers}
    ours = [weights[x] for x in weights if x.startswith("conv2d")]
    for convolution, (kernel, bias) in zip(convolutions, ours, strict=True):
        put(convolution.weight, kernel.transpose(3, 2, 0, 1))
        put(convolution.bias, bias)
    ours = [weights[x] for x in weights if x.startswith("batch_normalization")]
    for norm, values in zip(norms, ours, strict=True):
        targets = norm.weight, norm.bias, norm.running_mean, norm.running_var
        for target, value in zip(targets, values, strict=True):
            put(target, value)
    for suffix, parts in zip(
        ("", "_reverse"), np.split(np.array(weights["embedding"], object), 2), strict=True
    ):
        kernel, recurrent, bias = parts
        for name, value in (("weight_ih", kernel.T), ("weight_hh", recurrent.T)):
            put(getattr(net.gru, f"{name}_l0{suffix}"), reset_first(value))
        for name, value in zip(("bias_ih", "bias_hh"), bias, strict=True):
            put(getattr(net.gru, f"{name}_l0{suffix}"), reset_first(value))
    kernel, bias = weights["frame"]
    put(net.frame.weight, kernel.T)
    put(net.frame.bias, bias)


def reset_first(gates: np.ndarray) -> np.ndarray:
    """Keras has the gates update, reset, candidate; PyTorch reset, update, candidate."""
    update, reset, candidate = np.split(gates, 3)
    return np.concatenate([reset, update, candidate])


def put(target: torch.Tensor, value: np.ndarray) -> None:
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(value)))


@pytest.mark.parametrize("net, n_classes", [("crnn", 17), ("talnet", 527)])
def test_the_same_weights_give_the_same_scores(net, n_classes):
    model = made(net, "float32")
    peer = {"crnn": TorchCRNN, "talnet": TorchTALNet}[net]().eval()
    copy_weights(model, peer)
    clips = waveforms(2)[:, :48_000]
    ours = model({"waveform": clips[:, :, None]}, training=False)
    with torch.inference_mode():
        clip, frame = peer(torch.from_numpy(clips))
    assert frame.shape == (2, 30, n_classes)
    assert np.abs(ours["frame"].numpy() - frame.numpy()).max() < 1e-4
    assert np.abs(ours["clip"].numpy() - clip.numpy()).max() < 1e-4


def test_the_nets_have_as_many_parameters_as_ours():
    assert (n_parameters("crnn"), n_parameters("talnet")) == (936_041, 9_980_527)


def test_the_same_log_mel():
    clips = waveforms(2)
    ours = log_mel(clips[:, :, None]).numpy()[..., 0]
    assert np.abs(TorchLogMel()(torch.from_numpy(clips)).numpy() - ours).max() < 1e-3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_steps_learn(dtype):
    torch.manual_seed(0)
    clips = torch.from_numpy(waveforms(2)[:, :16_000])
    step = learning(TorchCRNN(3), clips, torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]), dtype)
    losses = [step() for _ in range(3)]
    assert losses[2] < losses[1] < losses[0]

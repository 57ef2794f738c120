"""The authors' log-mel in PyTorch, in float32."""

import librosa
import torch


class TorchLogMel(torch.nn.Module):
    """Waveforms `(batch, samples)` to decibels `(batch, frames, 64)`, as `mmat.models.features`."""

    def __init__(self):
        super().__init__()
        mel = librosa.filters.mel(sr=16_000, n_fft=4096, n_mels=64, fmin=0, fmax=8000)
        self.register_buffer("mel", torch.from_numpy(mel.T.copy()), persistent=False)
        self.register_buffer("window", torch.hann_window(1024), persistent=False)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(
            waveform,
            n_fft=4096,
            hop_length=400,
            win_length=1024,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        frames = -(-waveform.shape[1] // 400)
        magnitude = spectrum.abs()[:, :, :frames].transpose(1, 2)
        decibels = 10 * torch.log10(torch.clamp(magnitude @ self.mel, min=1e-10))
        return torch.maximum(decibels, decibels.amax(dim=(1, 2), keepdim=True) - 80.0)

"""What tests ask of a sound: its pitch, its level, when it begins."""

import numpy as np


def loudest_hz(samples, rate=16000):
    """Return the frequency with the most energy."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.argmax(spectrum) * rate / len(samples)


def amplitude(samples):
    """Return the amplitude of a sine of the same energy."""
    return np.sqrt(2 * np.mean(samples.astype(np.float64) ** 2))


def onset_seconds(samples, rate=16000):
    """Return when the level first passes half of its peak (in windows of 5 ms)."""
    width = rate // 200
    level = np.abs(samples[: len(samples) // width * width]).reshape(-1, width).max(axis=1)
    return np.argmax(level > level.max() / 2) * width / rate


def beep_at(seconds, sine, total=5.0, rate=44100, channels=1):
    """Silence with one second of 1 kHz."""
    sound = np.zeros((int(total * rate), channels), np.float32)
    first = int(seconds * rate)
    sound[first : first + rate] = sine(1.0, rate, channels=channels)
    return sound


def staircase(sine, rate, channels, seconds=1.0, hz=1000.0):
    """A sine whose amplitude rises from channel to channel: (sound, amplitude of the mean)."""
    steps = np.arange(1, channels + 1, dtype=np.float32) / channels
    return sine(seconds, rate, hz) * steps, 0.5 * float(steps.mean())

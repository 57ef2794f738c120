"""Keras models: the audio branch, the video branch, their fusion, and what they are made of."""

"""Pretrained networks: image networks, audio encoders and text encoders."""
